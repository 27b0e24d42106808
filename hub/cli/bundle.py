"""``wattline doctor --bundle FILE``: what helps to find a fault, without secrets and without readings.

Three nets keep secrets out: the configuration types that print dots, a plain rule for addresses and headers, and at
the end a search for every known secret in the finished text, in the forms in which one could hide.
"""

from __future__ import annotations

import base64
import importlib.metadata
import json
import os
import re
import stat
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, quote_plus, unquote, urlsplit

from hub.cli.examination import Found, Patient
from hub.cli.remote import RUN_FILE, RunningHub
from hub.cli.secrets_file import known_secrets
from hub.config.masking import MIN_KNOWN_CHARS, Mask
from hub.config.secret import DOTS, Secret, secret_texts
from hub.errors import AskUser, WattlineError

_ADDRESS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^\s\"'<>]*)")
_PLAIN_SCHEMES: Final = frozenset(
    {"http", "https", "mqtt", "mqtts", "tcp", "ws", "wss", "postgresql", "smtp"}
)
_CLOSED_KEYS: Final = frozenset({"headers", "location", "recipients", "email", "to", "from"})
_MAX_LISTED: Final = 500


def write_bundle(target: Path, patient: Patient, found: Sequence[Found]) -> Path:
    """Write the archive (mode 0600); an existing file is not overwritten.

    Raises:
        AskUser: ``WL-CLI-014``.
    """
    content = _packed(_texts(patient, found))
    try:
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
    except OSError as error:
        raise AskUser(
            "WL-CLI-014",
            f"the bundle cannot be written: {os.strerror(error.errno or 0).lower()}",
            where=str(target),
            hint="name a file that is not there yet",
        ) from error
    return target


def _packed(texts: dict[str, str]) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def _texts(patient: Patient, found: Sequence[Found]) -> dict[str, str]:
    """File name → text, searched for every known secret."""
    parts: dict[str, Any] = {
        "doctor.json": [asdict(one) for one in found],
        "configuration.json": {
            "values": _closed(patient.config.raw),
            "files": [source.name for source in patient.config.sources],
            "errors": patient.errors.as_json() if patient.errors else [],
            "warnings": [item.as_json() for item in patient.config.warnings],
        },
        "packages.json": _packages(),
        "files.json": _files(patient.place.data_dir),
        "hub.json": _hub_state(patient.hub),
    }
    mask = Mask()
    for secret in _secrets(patient):
        for form in _forms(secret):
            mask.learn(form)
    return {
        name: mask.text(json.dumps(part, indent=1, ensure_ascii=False, default=str))
        for name, part in parts.items()
    }


def _closed(data: Any, key: str = "") -> Any:
    """A copy for strangers: secrets, headers, people and the parts of addresses that tend to be keys are dots."""
    if isinstance(data, Secret) or (key in _CLOSED_KEYS and data is not None):
        return DOTS
    if hasattr(data, "items"):
        return {str(name): _closed(value, str(name)) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [_closed(value, key) for value in data]
    return _ADDRESS.sub(_closed_address, data) if isinstance(data, str) else data


def _closed_address(found: re.Match[str]) -> str:
    """Scheme and host of a plain address; services such as Telegram carry their key as the host."""
    scheme = found[1].lower()
    if scheme == "sqlite":
        return found[0]
    if scheme not in _PLAIN_SCHEMES:
        return f"{scheme}://{DOTS}"
    authority, slash, rest = found[2].partition("/")
    host = authority.rpartition("@")[2].partition("?")[0]
    return f"{scheme}://{host}{f'/{DOTS}' if slash and rest else slash}"


def _packages() -> dict[str, str]:
    names = {str(one.metadata["Name"]): one.version for one in importlib.metadata.distributions()}
    return dict(sorted(names.items()))


def _files(data_dir: Path) -> list[dict[str, object]]:
    """Names, sizes and modes of the data directory, two levels deep; no contents."""
    listed: list[dict[str, object]] = []
    for path in sorted([*data_dir.glob("*"), *data_dir.glob("*/*")])[:_MAX_LISTED]:
        try:
            status = path.lstat()
        except OSError:
            continue
        mode = stat.filemode(status.st_mode)
        listed.append({"name": str(path.relative_to(data_dir)), "mode": mode, "bytes": status.st_size})
    return listed


def _hub_state(hub: RunningHub | None) -> dict[str, Any]:
    """What a running hub says of itself; device names and readings are left where they are."""
    if hub is None:
        return {"running": False}
    state: dict[str, Any] = {"running": True, "pid": hub.pid, "version": hub.version, "url": hub.url}
    for name, path in (("health", "/health"), ("storage", "/storage"), ("derivation", "/derived")):
        try:
            state[name] = hub.get(path, timeout_s=10.0)
        except WattlineError as error:
            state[name] = {"code": error.code, "detail": error.message}
    try:
        state["integrations"] = _closed(hub.all("/integrations"))
    except WattlineError as error:
        state["integrations"] = {"code": error.code, "detail": error.message}
    return state


def _secrets(patient: Patient) -> set[str]:
    """Every secret this command can know of."""
    known = known_secrets(patient.place.config_dir) | _inside(patient.config.raw)
    if patient.hub is not None:
        known.add(patient.hub.key)
    for name in ("auth.key", RUN_FILE):
        known |= _words_of(patient.place.data_dir / name)
    return {secret for secret in known if len(secret) >= MIN_KNOWN_CHARS}


def _inside(raw: Any) -> set[str]:
    """Secrets of the configuration, and the logins in its addresses."""
    plain = dict(raw.items())
    return secret_texts(plain) | {login for text in _strings(plain) for login in _logins(text)}


def _strings(data: Any) -> Iterable[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, Secret):
        yield data.reveal()
    elif hasattr(data, "items"):
        for value in data.values():
            yield from _strings(value)
    elif isinstance(data, list | tuple):
        for value in data:
            yield from _strings(value)


def _logins(text: str) -> Iterable[str]:
    for found in _ADDRESS.finditer(text):
        try:
            password = urlsplit(found[0]).password
        except ValueError:
            continue
        if password:
            yield from (password, unquote(password))


def _words_of(path: Path) -> set[str]:
    """Keys inside a file of the data directory."""
    try:
        return set(re.findall(r"[A-Za-z0-9_+/=-]{20,}", path.read_text(encoding="utf-8", errors="replace")))
    except OSError:
        return set()


def _forms(secret: str) -> set[str]:
    """The spellings in which a secret may stand in a text."""
    raw = secret.encode()
    packed = base64.b64encode(raw).decode()
    escaped = json.dumps(secret)[1:-1]
    return {
        secret,
        packed,
        packed.rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        quote(secret, safe=""),
        quote_plus(secret),
        escaped,
        json.dumps(secret, ensure_ascii=False)[1:-1],
        raw.hex(),
    }
