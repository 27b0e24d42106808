"""Codes of the store, of backups and of the machine below them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hub.config.codes import CodeText

STORE: Final[Mapping[str, CodeText]] = {
    "WL-STO-001": CodeText(
        "storage URL not understood",
        "`storage.url` names neither an SQLite file nor a PostgreSQL database.",
        "The hub knows these two engines only, and never guesses a place for your data.",
        "Write `sqlite:///hub.db` (relative to the data directory) or `postgresql://user:password@host/name`.",
    ),
    "WL-STO-002": CodeText(
        "the data directory is in use",
        "Another process holds `hub.lock` of this data directory.",
        "Exactly one process may write a store; two of them could damage an SQLite file.",
        "Stop the other hub or wait for the other command, or choose another directory with --data.",
    ),
    "WL-STO-003": CodeText(
        "no write-ahead logging here",
        "The file system of the data directory cannot do SQLite's write-ahead logging.",
        "Network file systems often lack the locks and the shared memory that it needs.",
        "Keep the data directory on a local disk, or use PostgreSQL.",
    ),
    "WL-STO-004": CodeText(
        "data directory cannot be used",
        "The data directory cannot be made, read or written, or it is no directory.",
        "Its owner or its rights do not fit the account that runs the command.",
        "Check with `ls -ld`; run hub and commands as the same account.",
    ),
    "WL-STO-005": CodeText(
        "database login refused",
        "The PostgreSQL server refuses the user name or the password.",
        "The credentials in `storage.url`, or the server's pg_hba.conf, do not fit.",
        "Correct the URL (keep it in secrets.yaml and name it with `!secret`).",
    ),
    "WL-STO-006": CodeText(
        "database missing or not allowed",
        "The database does not exist on the server, or its user lacks a right.",
        "The hub makes its tables itself, but not the database.",
        "Run `createdb --owner USER NAME` on the server, or grant the right that is named.",
    ),
    "WL-STO-007": CodeText(
        "disk full",
        "The disk has no room for a write.",
        "Readings are refused (HTTP 507) instead of half stored; nothing that was acknowledged is lost.",
        "Free space. The hub notices and goes on by itself; devices that buffer send again.",
    ),
    "WL-STO-009": CodeText(
        "database away",
        "The database cannot be used at this moment.",
        "The server restarts, the network is away, or the disk reports an error.",
        "The hub tries again by itself and keeps what waits; `wattline doctor` and its log say more.",
    ),
    "WL-STO-011": CodeText(
        "database damaged",
        "Stored bytes are not what was written, or a file that held data is empty.",
        "Usually a failing disk, a copy made while the hub was writing, or a restore that was cut off.",
        "Keep the file as it is, run `wattline db check`, and restore a backup with `wattline backup restore`.",
    ),
    "WL-STO-012": CodeText(
        "derived block damaged",
        "A block of derived figures cannot be decoded.",
        "The readings are not affected: figures are made from them.",
        "Run `wattline db rebuild`.",
    ),
    "WL-STO-013": CodeText(
        "query too slow",
        "A query took longer than five seconds and was ended.",
        "Longer read transactions would let the write-ahead log grow without bound.",
        "Ask for a shorter range or a coarser resolution.",
    ),
    "WL-STO-014": CodeText(
        "the store is closing",
        "The hub is stopping and takes no more work.",
        "What was accepted before is committed first.",
        "Send it again when the hub is back.",
    ),
    "WL-STO-020": CodeText(
        "store of a newer version",
        "The tables were made by a newer version of Wattline.",
        "An older version would not know what the new tables mean, so it does not touch them.",
        "Install the newer version again, or restore the backup made before the upgrade (DATA/backups).",
    ),
    "WL-STO-021": CodeText(
        "tables of another program",
        "The database is not empty and not ours.",
        "Wattline never writes between the tables of another program.",
        "Name an empty database in `storage.url`.",
    ),
    "WL-STO-030": CodeText(
        "bug: uneven append",
        "Columns of one append differ in length or hold values that are not finite.",
        "A part of the hub broke a promise; nothing was stored.",
        "Please report it with the log.",
    ),
    "WL-STO-031": CodeText(
        "bug: block cannot be packed",
        "A block was to be made of columns that do not fit together.",
        "A part of the hub broke a promise; the rows stay where they were.",
        "Please report it with the log.",
    ),
    "WL-STO-032": CodeText(
        "bug: rows of another day",
        "Rows that belong elsewhere were given to a sealed day.",
        "A part of the hub broke a promise; the rows stay where they were.",
        "Please report it with the log.",
    ),
    "WL-BAK-001": CodeText(
        "no whole backup",
        "The file is missing, cut, damaged, or no backup of Wattline.",
        "Every file in an archive is checked by size and SHA-256, and the database in it is opened.",
        "Use another backup. `wattline backup verify FILE` checks without restoring.",
    ),
    "WL-BAK-002": CodeText(
        "backup of a newer version",
        "The archive or the tables in it come from a newer version.",
        "An older version cannot know what they mean.",
        "Install that version, then restore.",
    ),
    "WL-BAK-003": CodeText(
        "target not empty",
        "The directory to restore into holds files.",
        "A restore never overwrites anything.",
        "Restore into an empty directory; --force keeps the old database beside the new one.",
    ),
    "WL-BAK-004": CodeText(
        "foreign content in the archive",
        "The archive holds a name or a kind of file that no backup of ours holds.",
        "Names that climb out of the target, links and devices are how archives attack.",
        "Do not use this file; find out where it came from.",
    ),
    "WL-BAK-005": CodeText(
        "PostgreSQL tools missing",
        "`pg_dump` or `pg_restore` is not installed.",
        "A PostgreSQL store is backed up by its own tools.",
        "Install the client tools (Debian: postgresql-client), or back up on the server.",
    ),
    "WL-BAK-006": CodeText(
        "no room for a backup",
        "The target has less room than the copy and its archive need.",
        "A backup that fills the disk would stop the hub.",
        "Free space, or choose another directory with --to.",
    ),
    "WL-BAK-007": CodeText(
        "PostgreSQL tool failed",
        "`pg_dump` or `pg_restore` ended with an error, which is shown.",
        "Often the tool is older than the server.",
        "Install the client tools of the server's version.",
    ),
    "WL-BAK-008": CodeText(
        "other kind of store",
        "The backup is of the other engine than `storage.url` names.",
        "A copy of an SQLite file is no PostgreSQL dump.",
        "Restore into the same kind of store.",
    ),
    "WL-BAK-009": CodeText(
        "backup directory cannot be made",
        "The directory for backups cannot be made.",
        "Owner, rights or a file of the same name stand against it.",
        "Check the path and its rights.",
    ),
    "WL-BAK-010": CodeText(
        "no room to unpack",
        "The backup says that it unpacks to more than is free.",
        "It is refused before anything is written.",
        "Free space first.",
    ),
    "WL-SYS-001": CodeText(
        "disk getting full",
        "Less than 15 % of the data disk is free.",
        "Readings are still stored; at 0 they would be refused.",
        "Free space, shorten `storage.raw_retention`, or move the data directory.",
    ),
    "WL-SYS-002": CodeText(
        "disk nearly full",
        "Less than 5 % of the data disk is free.",
        "The hub counts as not ready, so that somebody looks before writes are refused.",
        "Free space now.",
    ),
    "WL-SYS-003": CodeText(
        "clock not set",
        "The clock of this machine shows a time before this version was made.",
        "Readings would be stored at wrong times; machines without a battery start in the past.",
        "Set up time synchronisation (chrony, systemd-timesyncd) and wait until it has set the clock.",
    ),
}
