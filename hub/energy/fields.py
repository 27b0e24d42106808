"""Reading the fields of a mapping while collecting every fault, so that a person sees all of them at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from fractions import Fraction
from typing import Any, Final

from hub.energy.money import exact_decimal
from hub.energy.problems import Path, Problem

MAX_TEXT: Final = 100
_MAX_SHOWN: Final = 40


class Faults:
    """The faults found so far, and a path in front of those to come."""

    def __init__(self, found: list[Problem] | None = None, path: Path = ()) -> None:
        self.found: list[Problem] = [] if found is None else found
        self.path = path

    def at(self, *parts: str | int) -> Faults:
        """The same list, further down the path."""
        return Faults(self.found, (*self.path, *parts))

    def add(self, code: str, text: str, *, hint: str = "") -> None:
        """One more fault, at this path."""
        self.found.append(Problem(self.path, code, text, hint))

    def unknown_word(self, word: object, choices: Collection[str]) -> None:
        """``WL-TAR-005`` with the nearest choice."""
        self.add("WL-TAR-005", f"{shown(word)} is not one of {', '.join(choices)}", hint=near(word, choices))


class Fields:
    """One mapping; each method reads a key, or notes what is wrong and returns its default."""

    def __init__(self, data: Mapping[Any, Any], faults: Faults, known: Collection[str]) -> None:
        self.data = data
        self.faults = faults
        for key in data:
            if key not in known:
                hint = near(key, known) or f"valid keys: {', '.join(known)}"
                faults.at(str(key)[:MAX_TEXT]).add("WL-TAR-002", f"unknown key {shown(key)}", hint=hint)

    def has(self, key: str) -> bool:
        """Whether the key is there with a value."""
        return self.data.get(key) is not None

    def need(self, key: str, *, hint: str = "") -> bool:
        """Whether the key is there; notes ``WL-TAR-003`` where it is not."""
        if not self.has(key):
            self.faults.add("WL-TAR-003", f"{key!r} is missing", hint=hint)
            return False
        return True

    def text(self, key: str, default: str = "") -> str:
        """A short text."""
        if not self.has(key):
            return default
        return text_of(self.data[key], self.faults.at(key)) or default

    def choice(self, key: str, choices: Collection[str], default: str) -> str:
        """One of the words."""
        if not self.has(key):
            return default
        value = self.data[key]
        if isinstance(value, str) and value in choices:
            return value
        self.faults.at(key).unknown_word(value, choices)
        return default

    def number(
        self,
        key: str,
        default: str = "0",
        *,
        low: int | None = None,
        high: int | None = None,
        places: int = 8,
    ) -> Decimal:
        """A decimal number within ``[low, high]``."""
        if not self.has(key):
            return Decimal(default)
        try:
            value = exact_decimal(self.data[key], places=places)
        except ValueError as error:
            self.faults.at(key).add(
                "WL-TAR-004", f"{shown(self.data[key])} {error}", hint="a number such as 0.31"
            )
            return Decimal(default)
        if (low is not None and value < low) or (high is not None and value > high):
            bounds = f"at least {low}" if high is None else f"from {low} to {high}"
            self.faults.at(key).add("WL-TAR-004", f"{shown(self.data[key])} is out of range", hint=bounds)
            return Decimal(default)
        return value

    def price(self, key: str) -> int:
        """A price in 1e-8 currency; 0 where it is wrong."""
        return int(self.number(key).scaleb(8))

    def fraction(self, key: str, *, low: int | None = None, high: int | None = None) -> Fraction:
        """A percentage as a fraction of one."""
        return Fraction(self.number(key, low=low, high=high)) / 100

    def whole(self, key: str, default: int, *, low: int, high: int) -> int:
        """A whole number."""
        return int(self.number(key, str(default), low=low, high=high, places=0))

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self.data.get(key, False)
        if not isinstance(value, bool):
            self.faults.at(key).add("WL-TAR-004", f"{shown(value)} is neither true nor false")
            return False
        return value

    def mapping(self, key: str) -> Mapping[Any, Any] | None:
        """A mapping, None where there is none."""
        if not self.has(key):
            return None
        if not isinstance(self.data[key], Mapping):
            self.faults.at(key).add("WL-TAR-001", f"{key!r} must be a mapping of keys and values")
            return None
        return self.data[key]  # type: ignore[no-any-return]  # just asked

    def items(self, key: str, *, most: int) -> Sequence[Any]:
        """A list, empty where there is none."""
        if not self.has(key):
            return ()
        value = self.data[key]
        if not is_list(value):
            self.faults.at(key).add(
                "WL-TAR-001", f"{key!r} must be a list", hint="each entry begins with a dash"
            )
            return ()
        if len(value) > most:
            self.faults.at(key).add("WL-TAR-040", f"{len(value)} entries in {key!r}, at most {most}")
            return ()
        return value  # type: ignore[no-any-return]  # just asked

    def date(self, key: str) -> date | None:
        """A date without a time."""
        return date_of(self.data.get(key), self.faults.at(key)) if self.has(key) else None


def is_list(value: object) -> bool:
    """A sequence that is no text."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def text_of(value: object, faults: Faults) -> str:
    """A short text without control characters; empty where it is wrong."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > MAX_TEXT:
        faults.add("WL-TAR-008", f"{shown(value)} is not a text of 1 to {MAX_TEXT} characters")
        return ""
    return value


def date_of(value: object, faults: Faults) -> date | None:
    """``2026-01-31`` → the date."""
    if isinstance(value, date) and type(value) is date:
        return value
    try:
        if isinstance(value, str) and len(value) == 10:
            return date.fromisoformat(value)
    except ValueError:
        pass
    faults.add("WL-TAR-006", f"{shown(value)} is not a date", hint="such as 2026-01-31")
    return None


def near(word: object, choices: Collection[str]) -> str:
    """``did you mean "x"?``, empty where nothing is like it."""
    if not isinstance(word, str) or len(word) > MAX_TEXT:
        return ""
    found = get_close_matches(word, list(choices), n=1, cutoff=0.55)
    return f'did you mean "{found[0]}"?' if found else ""


def shown(value: object) -> str:
    """A value in a message, cut to a readable length."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, a list inside itself
        return "a value"
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…"
