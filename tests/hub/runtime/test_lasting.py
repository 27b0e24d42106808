"""What lasts is not walked by the garbage collector, and everything else still is."""

from __future__ import annotations

import gc
import weakref

import pytest

from hub.runtime.lasting import lasting, settle


class Cycle:
    """Goes by the collector only."""

    def __init__(self) -> None:
        self.myself = self


def test_what_is_made_inside_is_set_aside_and_collecting_goes_on() -> None:
    before = gc.get_freeze_count()
    with lasting():
        kept = Cycle()
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > before
    gone = weakref.ref(Cycle())
    gc.collect()
    assert gone() is None
    assert kept.myself is kept
    gc.unfreeze()


def test_a_failed_start_collects_again() -> None:
    with pytest.raises(OSError), lasting():
        raise OSError("no room")
    assert gc.isenabled()
    gc.unfreeze()


def test_settling_collects_first() -> None:
    gone = weakref.ref(Cycle())
    settle()
    assert gone() is None
    gc.unfreeze()
