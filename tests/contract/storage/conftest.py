"""The same promises on every engine: each test of this folder runs on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from hub.runtime.clock import FakeClock
from hub.storage.database import Database


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """URL of an empty store."""
    if request.param == "sqlite":
        return "sqlite:///hub.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """An empty data directory."""
    return tmp_path / f"data-{uuid4().hex[:6]}"


@pytest.fixture
async def database(store_url: str, data_dir: Path) -> AsyncIterator[Database]:
    """An open store with all tables."""
    opened = await Database.open(store_url, data_dir, clock=FakeClock())
    yield opened
    await opened.close()
