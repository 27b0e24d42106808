"""The lock of a data directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hub.errors import AskUser
from hub.storage.lock import LOCK_NAME, DataLock, holder_pid


def test_the_second_is_told_the_pid_of_the_first(tmp_path: Path) -> None:
    first = DataLock(tmp_path)
    first.acquire()

    with pytest.raises(AskUser, match=rf"WL-STO-002.*pid {os.getpid()}"):
        DataLock(tmp_path).acquire()

    assert holder_pid(tmp_path) == os.getpid()
    first.release()
    assert holder_pid(tmp_path) is None


def test_a_lock_can_be_taken_again_and_let_go_of_twice(tmp_path: Path) -> None:
    lock = DataLock(tmp_path / "made" / "by" / "us")
    lock.acquire()
    lock.release()
    lock.release()
    lock.acquire()

    assert holder_pid(tmp_path / "made" / "by" / "us") == os.getpid()
    lock.release()


def test_the_kernel_frees_the_lock_of_a_killed_process(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib, time\n"
        "from hub.storage.lock import DataLock\n"
        "lock = DataLock(pathlib.Path(sys.argv[1])); lock.acquire(); print('held', flush=True); time.sleep(60)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert holder_pid(tmp_path) == holder.pid

    holder.kill()
    holder.wait()
    holder.stdout.close()

    assert holder_pid(tmp_path) is None
    lock = DataLock(tmp_path)
    lock.acquire()
    lock.release()


def test_a_place_that_cannot_be_a_directory_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(AskUser, match="WL-STO-004"):
        DataLock(tmp_path / "file").acquire()

    assert holder_pid(tmp_path) is None
    assert not (tmp_path / LOCK_NAME).exists()
