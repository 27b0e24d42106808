"""Who holds the loop too often is found, who did it now and then is not."""

from __future__ import annotations

from hub.actors.holders import BLOCKS, LONG_S, WINDOW_S, LoopHolders
from hub.runtime.watchdog import LoopBlocked


def block(label: str = "plugin:evil", duration_s: float = LONG_S) -> LoopBlocked:
    return LoopBlocked(label, duration_s, "stack", "task")


def test_the_fifth_long_block_within_a_minute_is_one_too_many() -> None:
    holders = LoopHolders()
    assert [holders.too_many(block(), at_s) for at_s in range(BLOCKS)] == [False] * (BLOCKS - 1) + [True]


def test_the_count_begins_anew_after_it_was_told() -> None:
    holders = LoopHolders()
    told = [holders.too_many(block(), at_s) for at_s in range(2 * BLOCKS)]
    assert told.count(True) == 2


def test_blocks_over_a_long_time_are_tolerated() -> None:
    holders = LoopHolders()
    assert not any(holders.too_many(block(), at * WINDOW_S) for at in range(100))


def test_short_blocks_and_what_is_no_plugin_do_not_count() -> None:
    holders = LoopHolders()
    assert not any(holders.too_many(block(duration_s=LONG_S / 2), at) for at in range(100))
    assert not any(holders.too_many(block("actor:device"), at) for at in range(100))


def test_owners_are_counted_each_for_itself() -> None:
    holders = LoopHolders()
    assert not any(holders.too_many(block(f"plugin:{at}"), at) for at in range(50))
