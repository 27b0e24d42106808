"""The files of the mosquitto child: configuration, logins, access list; written with care for their owners."""

from __future__ import annotations

import base64
import hashlib
import os
import pwd
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HUB_USER = "wattline-hub"
MAX_PACKET_BYTES = 4 * 1024 * 1024
_PBKDF2_ROUNDS = 10_000
_SERVICE_USER = "mosquitto"


@dataclass(frozen=True, slots=True)
class Owner:
    """The account that the child runs as; ``None`` in both means the hub's own."""

    uid: int | None = None
    gid: int | None = None


def owner_for(directory: Path) -> Owner:
    """A hub that runs as root lets the broker run as ``mosquitto`` where that user can reach the directory.

    The hub changes the account itself instead of leaving it to mosquitto: Linux forgets the wish to be told of
    the parent's death when a process changes its account later.
    """
    if os.geteuid() != 0:
        return Owner()
    try:
        account = pwd.getpwnam(_SERVICE_USER)
    except KeyError:
        return Owner()
    for parent in directory.resolve().parents:
        if not parent.stat().st_mode & stat.S_IXOTH:
            return Owner()
    return Owner(account.pw_uid, account.pw_gid)


def configuration(directory: Path, host: str, port: int, *, logins: bool, memory_bytes: int) -> str:
    """``mosquitto.conf``: what a broker needs to lose no more than the last five seconds when it is killed.

    Args:
        directory: holds everything; mosquitto wants it with a slash at the end.
        host: address to listen on.
        port: port to listen on.
        logins: whether clients log in; otherwise all of this machine may connect.
        memory_bytes: memory of the machine; queues may take a quarter.
    """
    lines = [
        f"listener {port} {host}",
        f"allow_anonymous {'false' if logins else 'true'}",
        *([f"password_file {directory / 'passwords'}"] if logins else []),
        f"acl_file {directory / 'acl'}",
        *(["user root"] if os.geteuid() == 0 else []),  # the hub has changed the account already, or cannot
        "persistence true",
        f"persistence_location {directory}/",
        "autosave_interval 5",
        "autosave_on_changes false",
        "max_queued_messages 2000000",
        f"max_queued_bytes {memory_bytes // 4}",
        "max_inflight_messages 1000",
        f"max_packet_size {MAX_PACKET_BYTES}",
        "persistent_client_expiration 14d",
        "set_tcp_nodelay true",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "log_type notice",
        "connection_messages false",
    ]
    return "\n".join(lines) + "\n"


def access_list(users: Mapping[str, str]) -> str:
    """``acl``: everybody who got in may use all topics, and read (not write) what the broker tells of itself."""
    rights = "topic readwrite #\ntopic read $SYS/#\n"
    return "\n".join(f"user {name}\n{rights}" for name in users) if users else rights


def password_line(username: str, password: str) -> str:
    """One line of a mosquitto password file: PBKDF2 with SHA-512, as ``mosquitto_passwd`` writes it."""
    salt = secrets.token_bytes(12)
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _PBKDF2_ROUNDS)
    parts = (str(_PBKDF2_ROUNDS), base64.b64encode(salt).decode(), base64.b64encode(key).decode())
    return f"{username}:$7${'$'.join(parts)}\n"


def write_all(directory: Path, owner: Owner, texts: Mapping[str, str]) -> None:
    """Write files that only the broker's account and the hub's can read.

    Raises:
        OSError: the data directory cannot be written.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, text in texts.items():
        path = directory / name
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        fresh.replace(path)
    if owner.uid is not None and owner.gid is not None:
        for path in (directory, *directory.iterdir()):
            os.chown(path, owner.uid, owner.gid)


def machine_memory_bytes() -> int:
    """Memory of the machine; 512 MiB where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 512 * 1024 * 1024
