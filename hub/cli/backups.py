"""``wattline backup``: made while the hub runs, verified without one, restored only where nothing is lost."""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hub.cli.offline import Place, store_url, through
from hub.cli.options import common, counted, moment, show, table
from hub.cli.remote import RunningHub, running_hub
from hub.errors import AskUser

if TYPE_CHECKING:
    from hub.storage.backup import BackupInfo
    from hub.storage.database import Database

_CREATE_LIMIT_S = 6 * 3600.0
_FOLDER = "backups"
_ARCHIVE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def backup() -> None:
    """Make, verify and restore backups. They hold the store and the configuration without its secrets."""


@backup.command("create")
@click.option(
    "--to", "target", type=click.Path(path_type=Path, file_okay=False), help="Instead of DATA/backups."
)
@common
def create(target: Path | None, config_dir: Path, data_dir: Path, as_json: bool) -> None:
    """Make a backup; the hub keeps working meanwhile."""

    def online(hub: RunningHub) -> Path:
        made = Path(str(hub.call("POST", "/backups", timeout_s=_CREATE_LIMIT_S)["path"]))
        return made if target is None else _moved(made, target)

    async def offline(database: Database) -> Path:
        from hub.storage.backup import create

        made = await create(database, target or data_dir / _FOLDER, config_dir=config_dir)
        return made.path

    path = through(Place(config_dir, data_dir), online, offline)
    size = path.stat().st_size
    show({"path": str(path), "bytes": size}, f"{path} ({counted(size, 'byte')})", as_json=as_json)


@backup.command("list")
@common
def list_all(config_dir: Path, data_dir: Path, as_json: bool) -> None:
    """List the backups in DATA/backups, newest first."""
    from hub.storage.backup import list_backups

    items = [{"path": str(path), "bytes": path.stat().st_size} for path in list_backups(data_dir / _FOLDER)]
    rows = [(one["path"], f"{one['bytes']:,}") for one in items]
    text = table(("BACKUP", "BYTES"), rows, numbers=("BYTES",))
    show({"items": items}, text, as_json=as_json)


@backup.command("verify")
@click.argument("file", type=_ARCHIVE)
@common
def verify(file: Path, config_dir: Path, data_dir: Path, as_json: bool) -> None:
    """Unpack FILE aside, check every hash, and open the database in it."""
    from hub.storage.backup import verify

    _refuse_missing(file)
    _tell("whole", asyncio.run(verify(file)), as_json=as_json)


@backup.command("restore")
@click.argument("file", type=_ARCHIVE)
@click.option(
    "--force", is_flag=True, help="Take a directory that is in use; the old database is kept beside."
)
@click.option(
    "--config-to",
    type=click.Path(path_type=Path, file_okay=False),
    help="Unpack the configuration of the backup into this empty directory.",
)
@common
def restore(
    file: Path, force: bool, config_to: Path | None, config_dir: Path, data_dir: Path, as_json: bool
) -> None:
    """Put the store of the backup FILE into the data directory. Refuses while a hub runs there."""
    from hub.storage.backup import restore

    _refuse_missing(file)
    hub = running_hub(data_dir)
    if hub is not None:
        raise AskUser(
            "WL-CLI-013",
            f"a hub (pid {hub.pid}) runs on this data directory",
            where=str(data_dir),
            hint="stop it, restore, and start it again",
        )
    url = store_url(config_dir)
    info = asyncio.run(restore(file, data_dir, config_dir=config_to, url=url, force=force))
    _tell(f"restored into {data_dir}", info, as_json=as_json)


def _tell(done: str, info: BackupInfo, *, as_json: bool) -> None:
    manifest = info.manifest
    answer: dict[str, Any] = {
        "path": str(info.path),
        "bytes": info.bytes,
        **asdict(manifest),
        "files": [asdict(one) for one in manifest.files],
    }
    lines = [
        f"{done}: {info.path}",
        f"made {moment(manifest.created_ms)} by version {manifest.version}, {manifest.dialect}",
        f"newest reading {moment(manifest.newest_ms)},"
        f" {counted(sum(manifest.counts.values()), 'row')} in {counted(len(manifest.counts), 'table')}",
    ]
    show(answer, "\n".join(lines), as_json=as_json)


def _refuse_missing(file: Path) -> None:
    if not file.is_file():
        raise AskUser(
            "WL-BAK-001",
            "there is no such file",
            where=str(file),
            hint="`wattline backup list` shows what there is",
        )


def _moved(made: Path, target: Path) -> Path:
    """Move a finished archive, also to another disk; under its name it is whole or not there."""
    place = target / made.name
    draft = target / f".{made.name}.partial"
    try:
        target.mkdir(parents=True, exist_ok=True)
        with made.open("rb") as source, os.fdopen(_private(draft), "wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
        draft.rename(place)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise AskUser(
            "WL-CLI-014",
            f"the backup cannot be moved: {error.strerror}; it stays where the hub made it",
            where=str(target),
            hint=f"it is {made}",
        ) from error
    made.unlink()
    return place


def _private(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
