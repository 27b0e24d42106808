"""What is wrong with a tariff: all of it at once, each with its path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hub.errors import Refused

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault; ``path`` leads from the tariff's mapping to it: ``("versions", 0, "import", 1, "price")``."""

    path: Path
    code: str
    text: str
    hint: str = ""

    @property
    def field(self) -> str:
        """The path as the API shows it: ``versions.0.import.1.price``."""
        return ".".join(str(part) for part in self.path)


class TariffProblems(Refused):
    """A tariff that cannot be used. ``code``, ``message`` and ``where`` are those of the first problem."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        super().__init__(first.code, first.text, where=first.field, hint=first.hint)
        self.problems = tuple(problems)
