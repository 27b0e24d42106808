"""Stores of other versions: upgraded, or refused and left alone."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from hub.errors import AskUser
from hub.runtime.clock import FakeClock
from hub.storage import migrations
from hub.storage.backup import list_backups
from hub.storage.database import Database
from hub.storage.migrations import HEAD, migrate, stored_revision
from hub.storage.migrations.upgrade import upgrade
from hub.storage.tables import METADATA
from tests.contract.storage.rows import T0, batch, pairs

REVISIONS_DIR = Path(migrations.__file__).parent / "versions"


def set_revision(connection: sa.Connection, revision: str) -> None:
    connection.execute(sa.text("UPDATE alembic_version SET version_num = :r"), {"r": revision})


def shape(connection: sa.Connection) -> dict[str, object]:
    """Everything that the engine knows of our tables."""
    inspector = sa.inspect(connection)
    return {
        name: (
            [(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(name)],
            inspector.get_pk_constraint(name)["constrained_columns"],
            sorted(
                str(f["constrained_columns"]) + f["referred_table"] for f in inspector.get_foreign_keys(name)
            ),
            sorted(str(sorted(u["column_names"])) for u in inspector.get_unique_constraints(name)),
            sorted(str(c["sqltext"]) for c in inspector.get_check_constraints(name)),
            sorted(str(i["name"]) for i in inspector.get_indexes(name)),
        )
        for name in METADATA.tables
    }


async def test_a_new_store_carries_the_newest_revision(database: Database) -> None:
    assert await database.read(stored_revision) == HEAD
    assert await migrate(database) is False


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
async def test_the_revisions_lead_to_the_same_tables_as_a_new_store(
    store_url: str, data_dir: Path, tmp_path: Path, database: Database
) -> None:
    expected = await database.read(shape)
    await database.write(METADATA.drop_all)
    await database.write(lambda c: c.execute(sa.text("DROP TABLE alembic_version")))

    await database.write(upgrade)

    assert await database.read(shape) == expected
    assert await database.read(stored_revision) == HEAD


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index")
async def test_the_tables_are_what_the_code_says(database: Database) -> None:
    def differences(connection: sa.Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), METADATA))

    assert await database.read(differences) == []


async def test_an_older_store_is_backed_up_and_upgraded(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await database.append(batch([(1, T0, 1.0)], fresh=True))
    monkeypatch.setattr(migrations, "REVISIONS", ("0000", HEAD))
    await database.write(lambda c: set_revision(c, "0000"))

    with pytest.raises(Exception, match="0000"):  # Alembic knows no such revision: the upgrade fails …
        await migrate(database)

    assert len(list_backups(database.data_dir / "backups")) == 1  # … after the way back was made
    assert await database.read(stored_revision) == "0000"
    assert await database.read(lambda c: pairs(c, 1)) == [(T0, 1.0)]


async def test_a_newer_store_is_refused_with_the_way_back_and_not_touched(
    store_url: str, data_dir: Path
) -> None:
    store = await Database.open(store_url, data_dir, clock=FakeClock())
    await store.append(batch([(1, T0, 1.0)], fresh=True))
    await store.write(lambda c: set_revision(c, "9999"))
    await store.close()

    with pytest.raises(AskUser, match=r"WL-STO-020.*revision 9999.*restore the backup"):
        await Database.open(store_url, data_dir, clock=FakeClock())

    again = await Database.open(store_url, data_dir, clock=FakeClock(), upgrade=False)
    rows = await again.read(lambda c: pairs(c, 1))
    await again.close()
    assert rows == [(T0, 1.0)]


async def test_a_database_of_another_program_is_refused(store_url: str, data_dir: Path) -> None:
    store = await Database.open(store_url, data_dir, clock=FakeClock(), upgrade=False)
    await store.write(lambda c: c.execute(sa.text("CREATE TABLE users (nick TEXT)")))
    await store.close()

    with pytest.raises(AskUser, match="WL-STO-021"):
        await Database.open(store_url, data_dir, clock=FakeClock())


def test_no_revision_copies_the_readings_or_the_blocks() -> None:
    copied = {
        name
        for path in REVISIONS_DIR.glob("*.py")
        for name in re.findall(r"batch_alter_table\(\s*[\"'](\w+)", path.read_text())
    }

    assert not copied & {"readings", "reading_blocks", "metric_blocks", "energy_metrics"}


def test_every_revision_is_listed_in_order() -> None:
    found = sorted(
        match
        for path in REVISIONS_DIR.glob("*.py")
        for match in re.findall(r'^revision = "(\w+)"', path.read_text(), re.MULTILINE)
    )

    assert tuple(found) == migrations.REVISIONS


def test_opening_a_current_store_does_not_import_alembic(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys, pathlib\n"
        "from hub.storage.database import Database\n"
        "from hub.runtime.clock import SystemClock\n"
        "async def main():\n"
        "    for _ in range(2):\n"
        "        store = await Database.open('sqlite:///hub.db', pathlib.Path(sys.argv[1]), clock=SystemClock())\n"
        "        await store.close()\n"
        "asyncio.run(main())\n"
        "print(sorted({'alembic', 'asyncpg'} & sys.modules.keys()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )

    assert done.stdout.strip() == "[]"
