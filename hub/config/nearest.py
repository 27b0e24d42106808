"""The nearest valid word for one that is not known."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

MAX_WORD_CHARS: Final = 80


def nearest(word: str, choices: Iterable[str], cutoff: float = 0.55) -> str | None:
    """The choice most like ``word``, None where none is like it. Long texts are no misspelt words."""
    if len(word) > MAX_WORD_CHARS:
        return None
    near = get_close_matches(word, list(choices), n=1, cutoff=cutoff)
    return near[0] if near else None


def did_you_mean(word: str, choices: Iterable[str], otherwise: str = "") -> str:
    """A hint that names the nearest choice, or ``otherwise``."""
    near = nearest(word, choices)
    return f'did you mean "{near}"?' if near else otherwise
