"""What ``wattline doctor`` looks at. Nothing is changed, and the store of a running hub is not opened."""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import socket
import sqlite3
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from hub import __version__
from hub.cli.offline import Place
from hub.cli.options import counted
from hub.cli.remote import RUN_FILE, RunningHub, running_hub
from hub.errors import WattlineError

if TYPE_CHECKING:
    from hub.config.errors import ConfigErrors
    from hub.config.settings import HubConfig

Level = Literal["ok", "note", "warning", "error"]

WAL_BUG_BEFORE: Final = (3, 51, 3)
"""SQLite's write-ahead log can be damaged by two connections that write or checkpoint at once before this."""

_FEW_FILES: Final = 2_100
_PRIVATE: Final = ("auth.key", RUN_FILE, "hub.db", "hub.db-wal")
_REMOTE_FILE_SYSTEMS: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "fuse.rclone", "afs", "ceph", "glusterfs"}
)
_ANSWER_LIMIT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that was looked at; ``code`` and ``hint`` where somebody has to act."""

    part: str
    level: Level
    text: str
    code: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Patient:
    """What is examined: the places, the configuration as far as it can be read, and the hub if one runs."""

    place: Place
    config: HubConfig
    errors: ConfigErrors | None
    hub: RunningHub | None
    lock: Found


def admit(place: Place) -> Patient:
    """Read the configuration with the integrations of this installation, and look for a hub."""
    from hub.cli.configuration import loaded_plugins
    from hub.config.loader import load_tolerant

    config, errors = load_tolerant(place.config_dir, loaded_plugins(place.config_dir).schemas())
    hub, lock = _look_at_lock(place.data_dir)
    return Patient(place, config, errors, hub, lock)


def examine(patient: Patient) -> list[Found]:
    """Everything, in the order in which a person would look."""
    return [
        *_environment(),
        *_configuration(patient),
        *_data_directory(patient.place.data_dir),
        patient.lock,
        *_running_hub(patient.hub),
        *_ports(patient),
        *_broker(patient),
        *_store(patient),
        _clock(),
    ]


def _environment() -> Iterator[Found]:
    python = f"Wattline {__version__}, Python {platform.python_version()} on {platform.platform(terse=True)}"
    yield Found("program", "ok", python)
    version = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < WAL_BUG_BEFORE:
        text = (
            f"SQLite {version} has the write-ahead log fault of versions before 3.51.3; it needs two writers, and"
            " the hub is the only one: do not open hub.db for writing with other programs"
        )
        yield Found("sqlite", "note", text)
    else:
        yield Found("sqlite", "ok", f"SQLite {version}")
    yield _time_zones()
    fast = importlib.util.find_spec("uvloop") is not None
    yield Found("event loop", "ok" if fast else "note", "uvloop" if fast else "uvloop is not installed")
    yield from _open_files()


def _time_zones() -> Found:
    import zoneinfo

    if "Europe/Paris" not in zoneinfo.available_timezones():
        return Found("time zones", "error", "no time zone database was found", "WL-NRG-001", "install tzdata")
    try:
        return Found("time zones", "ok", f"tzdata {importlib.metadata.version('tzdata')}")
    except importlib.metadata.PackageNotFoundError:
        return Found("time zones", "ok", "the system's time zone database")


def _open_files() -> Iterator[Found]:
    try:
        import resource
    except ImportError:  # not on every system
        return
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _FEW_FILES:
        text = f"{soft} files and connections may be open at once; the hub takes up to 2,000 connections"
        yield Found("open files", "note", text, hint="ulimit -n 4096, or LimitNOFILE=4096 in the service")


def _configuration(patient: Patient) -> Iterator[Found]:
    where = patient.place.config_dir
    for item in patient.errors.errors if patient.errors else ():
        yield Found("configuration", "error", f"{item.at}: {item.message}", item.code, item.hint)
    for item in patient.config.warnings:
        yield Found("configuration", "warning", f"{item.at}: {item.message}", item.code, item.hint)
    if patient.errors is None:
        yield Found("configuration", "ok", f"{counted(len(patient.config.sources), 'file')} in {where}")


def _data_directory(data_dir: Path) -> Iterator[Found]:
    if not data_dir.exists():
        yield Found("data", "note", f"{data_dir} is not there yet; the first start makes it")
        data_dir = _nearest(data_dir)
    if not os.access(data_dir, os.W_OK | os.X_OK):
        hint = "run the command as the account of the hub, or correct the rights"
        yield Found("data", "error", f"{data_dir} cannot be written by this account", "WL-STO-004", hint)
        return
    kind = _file_system(data_dir)
    if kind in _REMOTE_FILE_SYSTEMS:
        hint = "keep the data directory on a local disk, or use PostgreSQL"
        yield Found(
            "data", "warning", f"{data_dir} lies on a network file system ({kind})", "WL-STO-003", hint
        )
    yield _disk(data_dir)
    yield from _open_doors(data_dir)


def _nearest(path: Path) -> Path:
    """The closest directory above that exists."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def _disk(data_dir: Path) -> Found:
    from hub.health import low_disk_code

    usage = shutil.disk_usage(data_dir)
    share = usage.free / usage.total
    text = f"{usage.free / 1e9:.1f} GB free ({share:.0%})"
    code = low_disk_code(usage.free, usage.total)
    levels: dict[str, Level] = {"": "ok", "WL-SYS-001": "warning", "WL-SYS-002": "error"}
    return Found("disk", levels[code], text, code, "free space" if code else "")


def _open_doors(data_dir: Path) -> Iterator[Found]:
    for name in _PRIVATE:
        path = data_dir / name
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:
            continue
        if mode & 0o077:
            text = f"{path} has mode {mode:04o}: other accounts of this machine can get at it"
            code = "WL-AUTH-002" if name == "auth.key" else ""
            yield Found("permissions", "error" if code else "warning", text, code, f"chmod 600 {path}")


def _file_system(path: Path) -> str:
    """Kind of the file system a path lies on, empty where the system does not tell."""
    try:
        lines = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    real = str(path.resolve())
    best, kind = "", ""
    for line in lines:
        fields = line.split(" ")
        point = fields[1].replace("\\040", " ") if len(fields) > 2 else ""
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind


def _look_at_lock(data_dir: Path) -> tuple[RunningHub | None, Found]:
    try:
        hub = running_hub(data_dir, patience_s=0.5)
    except WattlineError as error:
        return None, Found("lock", "warning", error.message, error.code, error.hint)
    if hub is not None:
        return hub, Found("lock", "ok", f"held by the hub (pid {hub.pid}, version {hub.version}, {hub.url})")
    left = " (a hub was killed here: its run.json is left, and counts for nothing)"
    stale = left if (data_dir / RUN_FILE).exists() else ""
    return None, Found("lock", "ok", f"free: no hub runs on this data directory{stale}")


def _running_hub(hub: RunningHub | None) -> Iterator[Found]:
    if hub is None:
        return
    try:
        health = hub.get("/health", timeout_s=_ANSWER_LIMIT_S)
        entries = hub.all("/integrations")
    except WattlineError as error:
        yield Found("hub", "error", error.message, error.code, error.hint)
        return
    if hub.version != __version__:
        text = f"the hub runs version {hub.version}, this command is {__version__}"
        yield Found("hub", "warning", text, hint="restart the hub")
    ill = {name: part for name, part in health["parts"].items() if not part["ok"]}
    for name, part in ill.items():
        yield Found(
            name, "error", part["detail"] or "not well", part["code"], f"wattline explain {part['code']}"
        )
    for entry in entries:
        if entry["state"] in ("retrying", "needs_user", "quarantined"):
            text = f"{entry['id']} is {entry['state']}: {entry['detail']}"
            yield Found("integration", "warning", text, entry["code"], f"wattline explain {entry['code']}")
    if not ill:
        yield Found("hub", "ok", f"{len(health['parts'])} parts are well")


def _ports(patient: Patient) -> Iterator[Found]:
    http = patient.config.http
    if patient.hub is not None:
        yield Found("http port", "ok", f"the hub listens on {patient.hub.url}")
        return
    yield _port(
        "http port", http.host, http.port, "WL-WEB-001", "choose another http.port, or stop what listens"
    )


def _port(part: str, host: str, port: int, code: str, hint: str) -> Found:
    if port == 0:
        return Found(part, "ok", "any free port is taken")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
    except OSError as error:
        return Found(
            part, "error", f"{host}:{port} cannot be listened on: {error.strerror or error}", code, hint
        )
    return Found(part, "ok", f"{host}:{port} is free")


def _broker(patient: Patient) -> Iterator[Found]:
    from hub.broker.child import program

    settings = patient.config.broker
    if settings.mode == "off":
        yield Found("broker", "ok", "the hub runs no MQTT broker of its own (mqtt_broker.mode is off)")
        return
    found = program() if settings.mode in ("auto", "mosquitto") else None
    has_amqtt = importlib.util.find_spec("amqtt") is not None and settings.mode in ("auto", "amqtt")
    if found:
        yield Found("broker", "ok", f"mosquitto at {found}")
    elif has_amqtt:
        text = "amqtt runs instead of mosquitto: it keeps no messages for a client that is away"
        yield Found("broker", "warning", text, hint="install mosquitto (Debian: apt install mosquitto)")
    else:
        hint = "install mosquitto, or set mqtt_broker.mode to off"
        yield Found("broker", "error", f"no broker for mode {settings.mode} is installed", "WL-BRK-001", hint)
        return
    if patient.hub is None:
        hint = "use that broker (broker: mqtt://HOST:PORT), another mqtt_broker.port, or mode off"
        port = _port("broker port", settings.host, settings.port, "WL-BRK-002", hint)
        # the hub runs without a broker of its own, so this is not the end of it
        yield Found(port.part, "warning", port.text, port.code, port.hint) if port.level == "error" else port


def _store(patient: Patient) -> Iterator[Found]:
    url = patient.config.storage.url
    if not url.startswith("postgres"):
        path = patient.place.data_dir / url.removeprefix("sqlite:///")
        size = path.stat().st_size if path.is_file() else None
        text = "no database yet; the first start makes it" if size is None else f"{path}, {size / 1e6:.1f} MB"
        yield Found("store", "note" if size is None else "ok", text)
        return
    yield asyncio.run(_postgres(url, patient.config.storage.shown_url))
    if shutil.which("pg_dump") is None:
        hint = "install the PostgreSQL client tools (Debian: postgresql-client)"
        yield Found("backup tools", "warning", "pg_dump is not installed: no backups", "WL-BAK-005", hint)


async def _postgres(url: str, shown: str) -> Found:
    """Whether the server answers and lets us in; nothing is read but its version."""
    import asyncpg

    try:
        connection = await asyncpg.connect(url, timeout=_ANSWER_LIMIT_S)
        try:
            version = await connection.fetchval("SHOW server_version", timeout=_ANSWER_LIMIT_S)
        finally:
            await connection.close(timeout=_ANSWER_LIMIT_S)
    except (OSError, TimeoutError) as error:
        text = f"{shown} does not answer: {error or type(error).__name__}"
        return Found("store", "error", text, "WL-STO-009", "start the server, or correct storage.url")
    except asyncpg.PostgresError as error:
        hint = "correct storage.url, or make the user or the database"
        return Found("store", "error", f"{shown} refuses: {type(error).__name__}", "WL-STO-005", hint)
    except (ValueError, asyncpg.InterfaceError) as error:
        text = f"{shown} cannot be understood: {type(error).__name__}"
        return Found("store", "error", text, "WL-STO-001", "correct storage.url")
    return Found("store", "ok", f"PostgreSQL {version} at {shown}")


def _clock() -> Found:
    from hub.health import SANE_CLOCK_MS

    now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    if time.time() * 1000 < SANE_CLOCK_MS:
        hint = "set up time synchronisation and wait until it has set the clock"
        return Found("clock", "error", f"the clock is not set: it shows {now}", "WL-SYS-003", hint)
    synced = Path("/run/systemd/timesync/synchronized").exists() or shutil.which("chronyd") is not None
    if synced:
        return Found("clock", "ok", now)
    return Found("clock", "note", f"{now}; no time synchronisation was found on this machine")
