"""Secret values: a type that prints dots, and the rule which keys hold secrets."""

from __future__ import annotations

import hmac
import re
from typing import Any, Final, NoReturn

DOTS: Final = "••••"

_SENSITIVE_KEY = re.compile(
    r"pass(word|wd|phrase|code)?s?$|^pwd$|secret|token|credential|bearer|api_?key|access_?key|private_?key"
    r"|secret_?key|^auth(orization)?$|^psk$|^pin$|^totp$|community|encryption_?key|^cookie",
    re.IGNORECASE,
)
_CAMEL_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def is_sensitive_key(key: str) -> bool:
    """Does a value under this key have to be hidden (``password``, ``apiKey``, ``ACCESS-TOKEN``)?"""
    return bool(_SENSITIVE_KEY.search(_CAMEL_HUMP.sub("_", key).replace("-", "_").replace(" ", "_")))


class Secret:
    """A text that is never shown: ``repr``, ``str`` and ``format`` give dots, ``reveal()`` the text.

    It is no ``str``, so joining or serialising it by accident fails loudly instead of leaking. It cannot be
    pickled (a secret does not leave the process); copies are the object itself.
    """

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text = text

    def reveal(self) -> str:
        """The text itself. Never log or store what this returns."""
        return self.__text

    def __repr__(self) -> str:
        return f"Secret({DOTS})"

    def __str__(self) -> str:
        return DOTS

    def __format__(self, format_spec: str) -> str:
        return DOTS

    def __bool__(self) -> bool:
        return bool(self.__text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        mine = self.__text.encode("utf-8", "surrogatepass")
        return hmac.compare_digest(mine, other.__text.encode("utf-8", "surrogatepass"))

    def __hash__(self) -> int:
        return hash((Secret, self.__text))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled")


def revealed(data: Any) -> Any:
    """A copy of plain data (mappings, lists, scalars) with every :class:`Secret` as its text."""
    if isinstance(data, Secret):
        return data.reveal()
    if isinstance(data, dict):
        return {key: revealed(value) for key, value in data.items()}
    if isinstance(data, list):
        return [revealed(value) for value in data]
    return data


def hidden(data: Any, key: str = "") -> Any:
    """A copy of plain data where texts under sensitive keys are :class:`Secret` as well."""
    if isinstance(data, dict):
        return {name: hidden(value, name) for name, value in data.items()}
    if isinstance(data, list):
        return [hidden(value, key) for value in data]
    if isinstance(data, (str, int, float)) and not isinstance(data, bool) and is_sensitive_key(key):
        return Secret(str(data))
    return data


def secret_texts(data: Any) -> set[str]:
    """The texts of all :class:`Secret` values inside plain data."""
    if isinstance(data, Secret):
        return {data.reveal()}
    if isinstance(data, dict):
        return set().union(*(secret_texts(value) for value in data.values()))
    if isinstance(data, list):
        return set().union(*(secret_texts(value) for value in data))
    return set()
