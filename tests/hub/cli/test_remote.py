"""Which run files are believed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.cli.remote import RunningHub, running_hub
from hub.errors import AskUser, RetryLater
from hub.storage.lock import DataLock

GOOD = {"url": "http://127.0.0.1:8321", "key": "k", "version": "1"}


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Path]:
    """A data directory whose lock this process holds."""
    lock = DataLock(tmp_path)
    lock.acquire()
    yield tmp_path
    lock.release()


def write(place: Path, plain: dict[str, Any] | str, mode: int = 0o600) -> None:
    path = place / "run.json"
    path.write_text(plain if isinstance(plain, str) else json.dumps(plain))
    path.chmod(mode)


def test_the_holder_of_the_lock_with_its_run_file_is_the_hub(held: Path) -> None:
    write(held, GOOD | {"pid": os.getpid()})
    found = running_hub(held)

    assert found == RunningHub("127.0.0.1", 8321, os.getpid(), "1", "k")
    assert "'k'" not in repr(found)


def test_a_run_file_without_a_lock_is_what_a_killed_hub_left(tmp_path: Path) -> None:
    write(tmp_path, GOOD | {"pid": os.getpid()})

    assert running_hub(tmp_path) is None


def test_an_empty_or_missing_directory_has_no_hub(tmp_path: Path) -> None:
    assert running_hub(tmp_path) is None
    assert running_hub(tmp_path / "nothing") is None


@pytest.mark.parametrize("plain", [None, GOOD | {"pid": 1}], ids=["none", "of another process"])
def test_a_holder_without_a_run_file_of_its_own_is_waited_for(
    held: Path, plain: dict[str, Any] | None
) -> None:
    if plain is not None:
        write(held, plain)
    with pytest.raises(AskUser, match="takes no commands yet") as caught:
        running_hub(held, patience_s=0.1)

    assert caught.value.code == "WL-CLI-002"
    assert str(os.getpid()) in caught.value.message


@pytest.mark.parametrize(
    "plain",
    [
        GOOD | {"url": "http://192.0.2.7:8321"},
        GOOD | {"url": "http://example.org"},
        GOOD | {"url": "http://127.0.0.1@example.org:80"},
        GOOD | {"url": "http://127.0.0.1:99999999"},
        {"url": "http://127.0.0.1:1"},
        "{",
        "[]",
        "\x00\xff",
        "",
    ],
)
def test_a_run_file_that_is_damaged_or_names_another_machine_is_not_used(held: Path, plain: Any) -> None:
    write(held, plain | {"pid": os.getpid()} if isinstance(plain, dict) else plain)
    with pytest.raises(AskUser) as caught:
        running_hub(held, patience_s=0.1)

    assert caught.value.code == "WL-CLI-001"


def test_a_run_file_that_others_can_read_or_that_is_a_link_is_not_used(held: Path, tmp_path: Path) -> None:
    write(held, GOOD | {"pid": os.getpid()}, mode=0o644)
    with pytest.raises(AskUser, match="0600"):
        running_hub(held, patience_s=0.1)
    (held / "run.json").rename(held / "real.json")
    (held / "run.json").symlink_to(held / "real.json")
    with pytest.raises(AskUser, match="cannot be read"):
        running_hub(held, patience_s=0.1)


def test_a_hub_that_does_not_answer_is_said_so(unused_tcp_port: int) -> None:
    hub = RunningHub("127.0.0.1", unused_tcp_port, 4711, "1", "k")
    with pytest.raises(RetryLater, match="pid 4711") as caught:
        hub.get("/users", timeout_s=2)

    assert caught.value.code == "WL-CLI-003"
