"""A running hub as a command sees it: asked over loopback HTTP with the key of its run file.

While a hub holds the lock of a data directory, no other process opens its database. What the command wants done is
done by the hub, with the same actor requests that a command without a hub makes itself.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from hub.errors import AskUser, NotFound, Refused, RetryLater, WattlineError

RUN_FILE: Final = "run.json"
RUN_KEY_HEADER: Final = "X-Wattline-Run-Key"
PATIENCE_S: Final = 5.0
_STEP_S: Final = 0.05
_ANSWER_LIMIT_S: Final = 60.0
_MAX_RUN_FILE_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class RunningHub:
    """The hub of a data directory: where it listens on loopback, and the key that is valid for its process."""

    host: str
    port: int
    pid: int
    version: str
    key: str = field(repr=False)

    @property
    def url(self) -> str:
        """Its address, for people."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    def get(self, path: str, *, timeout_s: float = _ANSWER_LIMIT_S) -> Any:
        """The answer to ``GET /api/v1<path>``. Raises as :meth:`call`."""
        return self.call("GET", path, timeout_s=timeout_s)

    def all(self, path: str) -> list[dict[str, Any]]:
        """Every item of a paged list. Raises as :meth:`call`."""
        return list(self._pages(path))

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        timeout_s: float = _ANSWER_LIMIT_S,
    ) -> Any:
        """Ask the hub; the answer is what its JSON says, None where it says nothing.

        Raises:
            WattlineError: what the hub refused, with the hub's own code and words.
            RetryLater: ``WL-CLI-003``, the hub does not answer.
        """
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout_s)
        headers = {RUN_KEY_HEADER: self.key, "Accept": "application/json"}
        sent = None
        if body is not None:
            sent = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, f"/api/v1{path}", sent, headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise RetryLater(
                "WL-CLI-003",
                f"the hub (pid {self.pid}) does not answer: {error or type(error).__name__}",
                where=self.url,
                hint="look at its log; `wattline doctor` says more",
            ) from error
        finally:
            connection.close()
        if response.status >= 400:
            raise _refusal(response.status, content, f"{method} {path.partition('?')[0]}")
        return json.loads(content) if content else None

    def _pages(self, path: str) -> Iterator[dict[str, Any]]:
        cursor: str | None = None
        while True:
            query = {"limit": "1000"} | ({"cursor": cursor} if cursor else {})
            page = self.get(f"{path}?{urlencode(query)}")
            yield from page["items"]
            cursor = page.get("next")
            if not cursor:
                return


def in_path(text: str) -> str:
    """A name as one part of a path."""
    return quote(text, safe="")


def running_hub(data_dir: Path, *, patience_s: float = PATIENCE_S) -> RunningHub | None:
    """The hub that runs on a data directory, None where nobody holds its lock.

    A run file without a holder of the lock was left by a hub that was killed, and counts for nothing. A holder
    without a run file of its own is a hub that starts or another command: it is waited for.

    Raises:
        AskUser: ``WL-CLI-002``, somebody holds the lock and takes no commands; ``WL-CLI-001``, the run file is
            not one to trust.
    """
    give_up_s = time.monotonic() + patience_s
    while True:
        holder = _holder(data_dir)
        if holder is None:
            return None
        found = _read_run_file(data_dir / RUN_FILE)
        if found is not None and found.pid == holder:
            return found
        if time.monotonic() >= give_up_s:
            raise AskUser(
                "WL-CLI-002",
                f"process {holder or 'unknown'} uses this data directory and takes no commands yet",
                where=str(data_dir),
                hint="wait until the hub has started or the other command has ended, then try again",
            )
        time.sleep(_STEP_S)


def _holder(data_dir: Path) -> int | None:
    from hub.storage.lock import holder_pid

    try:
        return holder_pid(data_dir)
    except PermissionError as error:
        raise AskUser(
            "WL-STO-004",
            "the data directory belongs to another account",
            where=str(data_dir),
            hint="run the command as the account of the hub",
        ) from error
    except NotADirectoryError as error:
        raise AskUser(
            "WL-STO-004", "this is no directory", where=str(data_dir), hint="name a directory with --data"
        ) from error


def _read_run_file(path: Path) -> RunningHub | None:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _untrusted(path, f"cannot be read: {error.strerror}") from error
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077:
            raise _untrusted(path, "is not a plain file of mode 0600")
        content = file.read(_MAX_RUN_FILE_BYTES)
    try:
        plain = json.loads(content)
        address = urlsplit(plain["url"])
        host, port = address.hostname or "", address.port or 0
        found = RunningHub(host, port, int(plain["pid"]), str(plain["version"]), str(plain["key"]))
    except (ValueError, KeyError, TypeError) as error:
        raise _untrusted(path, "is damaged") from error
    # the key must never leave this machine, whatever the file says
    if not _is_loopback(host):
        raise _untrusted(path, f"names {host}, which is not this machine")
    return found


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _untrusted(path: Path, why: str) -> AskUser:
    return AskUser(
        "WL-CLI-001", f"the run file {why}", where=str(path), hint="restart the hub, it writes a new one"
    )


def _refusal(status: int, content: bytes, where: str) -> WattlineError:
    """The hub's problem document as the error it was in the hub."""
    try:
        plain = json.loads(content)
        code, detail = str(plain["code"]), str(plain["detail"])
    except (ValueError, KeyError, TypeError):
        return RetryLater("WL-CLI-003", f"the hub answered with status {status}", where=where)
    place, hint = str(plain.get("field") or where), str(plain.get("hint") or "")
    if status == 404:
        return NotFound(code, detail, where=place, hint=hint)
    if status in (429, 503, 507):
        return RetryLater(code, detail, where=place, hint=hint)
    return Refused(code, detail, where=place, hint=hint)
