"""``pg_dump`` and ``pg_restore``: the server's own tools, which know more than we could."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import sqlalchemy as sa

from hub.errors import AskUser, Refused

_TIME_LIMIT_S = 3600.0


async def dump(url: sa.URL, target: Path) -> None:
    """Dump a database in the tools' own format.

    Raises:
        AskUser: ``WL-BAK-005`` no ``pg_dump``, ``WL-BAK-007`` it failed.
    """
    await _run(url, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={target}")


async def check(archive: Path) -> None:
    """Read the table of contents of a dump; as far as the tools are there.

    Raises:
        Refused: ``WL-BAK-001`` it cannot be read.
    """
    tool = find_tool("pg_restore")
    if tool is None:
        return
    code, text = await _execute([str(tool), "--list", str(archive)], {})
    if code:
        raise Refused("WL-BAK-001", f"the dump cannot be read: {text}", where=str(archive))


async def restore(url: sa.URL, archive: Path, force: bool) -> None:
    """Fill a database from a dump, all or nothing.

    Raises:
        AskUser: as :func:`dump`; a database that is not empty fails unless ``force`` replaces its tables.
    """
    clean = ("--clean", "--if-exists") if force else ()
    await _run(
        url, "pg_restore", "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges",
        *clean, str(archive),
    )  # fmt: skip


def find_tool(name: str) -> Path | None:
    """A client tool: on the path, else the newest of Debian's."""
    on_path = shutil.which(name)
    if on_path:
        return Path(on_path)
    found = [path for path in Path("/usr/lib/postgresql").glob(f"*/bin/{name}") if path.exists()]
    return max(found, key=lambda path: int(path.parts[-3]) if path.parts[-3].isdecimal() else 0, default=None)


async def _run(url: sa.URL, name: str, *options: str) -> None:
    tool = find_tool(name)
    if tool is None:
        raise AskUser(
            "WL-BAK-005",
            f"{name} is not installed",
            where="storage.url",
            hint="install the PostgreSQL client tools (Debian: postgresql-client), or back up on the server",
        )
    place = (
        f"--host={url.host or '127.0.0.1'}",
        f"--port={url.port or 5432}",
        *((f"--username={url.username}",) if url.username else ()),
        "--no-password",
        f"--dbname={url.database}",
    )
    environment = {"PGPASSWORD": url.password} if url.password else {}
    code, text = await _execute([str(tool), *place, *options], environment)
    if code:
        raise AskUser(
            "WL-BAK-007",
            f"{name} failed: {text}",
            where=url.render_as_string(hide_password=True),
            hint="the tool must not be older than the server",
        )


async def _execute(command: list[str], environment: dict[str, str]) -> tuple[int, str]:
    """Run a tool → its exit code and the end of what it said."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    try:
        async with asyncio.timeout(_TIME_LIMIT_S):
            _, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, errors.decode("utf-8", "replace").strip()[-500:]
