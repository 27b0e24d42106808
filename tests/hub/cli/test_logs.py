"""Log lines: one event a line, and nobody may flood the log."""

from __future__ import annotations

import json
import logging

from aiohttp.http_exceptions import BadHttpMessage

from hub.cli.logs import FloodGuard, JsonFormatter, TextFormatter, tame_strangers


def line(
    name: str = "hub.talker", level: int = logging.INFO, text: str = "said %s", *args: object
) -> logging.LogRecord:
    return logging.LogRecord(name, level, "", 1, text, args or ("it",), None)


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.at_s = 100.0

    def __call__(self) -> float:
        return self.at_s


def test_a_burst_passes_and_the_flood_behind_it_does_not() -> None:
    guard = FloodGuard(burst=50, per_s=10, now_s=Hands())
    passed = [guard.filter(line()) for _ in range(10_000)]
    assert passed == [True] * 50 + [False] * 9_950


def test_after_a_flood_lines_pass_at_the_steady_rate() -> None:
    clock = Hands()
    guard = FloodGuard(burst=50, per_s=10, now_s=clock)
    passed = 0
    for _ in range(1_000):
        clock.at_s += 0.01
        passed += guard.filter(line())
    assert 50 + 99 <= passed <= 50 + 101


def test_the_last_line_of_a_burst_and_the_first_after_it_tell_what_is_missing() -> None:
    clock = Hands()
    guard = FloodGuard(burst=2, per_s=1, now_s=clock)
    lines = [line() for _ in range(12)]
    assert [guard.filter(one) for one in lines] == [True, True] + [False] * 10
    assert lines[0].getMessage() == "said it"
    assert "writes too much" in lines[1].getMessage()
    clock.at_s += 1.5
    after = line()
    assert guard.filter(after)
    assert "10 lines of hub.talker" in after.getMessage()


def test_talk_of_one_logger_takes_nothing_from_others_nor_from_its_own_warnings() -> None:
    guard = FloodGuard(burst=5, per_s=1, now_s=Hands())
    for _ in range(100):
        guard.filter(line())
    assert guard.filter(line("hub.other"))
    assert guard.filter(line(level=logging.ERROR))


def test_debug_lines_are_all_written_for_those_who_asked_for_them() -> None:
    guard = FloodGuard(burst=5, per_s=1, now_s=Hands())
    assert all(guard.filter(line(level=logging.DEBUG)) for _ in range(1_000))


def test_made_up_logger_names_do_not_escape_the_guard() -> None:
    guard = FloodGuard(burst=5, per_s=1, now_s=Hands())
    passed = sum(guard.filter(line(f"evil.{number}")) for number in range(5_000))
    assert passed <= 500 + 5


def test_a_line_stays_one_event_whatever_is_in_it() -> None:
    record = line(text="name %s", level=logging.WARNING)
    record.args = ("a\x1b[31m\r\nb",)
    assert TextFormatter().format(record).endswith("name a\\x1b[31m\\x0d\n    b")
    assert "\n" not in JsonFormatter().format(record)
    assert json.loads(JsonFormatter().format(record))["text"] == "name a\x1b[31m\r\nb"


def test_what_is_not_http_takes_one_line_without_a_stack() -> None:
    record = line("aiohttp.server", logging.ERROR, "Error handling request from %s")
    error = BadHttpMessage("Invalid character in Content-Length:\n  b'-1'")
    record.exc_info = (type(error), error, None)
    assert tame_strangers(record)
    text = TextFormatter().format(record)
    assert "INFO" in text
    assert text.endswith("a client sent what is not HTTP: Invalid character in Content-Length:")


def test_faults_of_our_own_keep_their_stack() -> None:
    record = line("aiohttp.server", logging.ERROR, "Error handling request from %s")
    error = KeyError("ours")
    record.exc_info = (type(error), error, None)
    assert tame_strangers(record)
    assert "KeyError: 'ours'" in TextFormatter().format(record)
