"""Price formulas: ``spot * 1.05 + 0.0123`` over named price series, and nothing else.

A small language of its own, so that a formula can do no more than arithmetic: numbers, names of price series,
``+ - * /``, brackets, ``min max abs round``, comparisons with ``and or not``, and ``a if condition else b``. It is
parsed once and runs on columns of exact decimals; the result is rounded half-even to 1e-8 of the currency. A slot
in which any series that the formula names has no price is unknown; so is one in which it divides by zero in a part
that counts there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, TypeVar

import numpy as np

from hub.energy import decimals
from hub.energy.decimals import Decimals
from hub.energy.money import MAX_ABS, Bools, Int64

T = TypeVar("T")
MAX_CHARS: Final = 400
_MAX_DEPTH: Final = 30
_MAX_DEGREE: Final = 4
_TOKEN: Final = re.compile(
    r"\s*(?:(\d+(?:\.\d*)?(?:[eE][+-]?\d{1,2})?|\.\d+)|([A-Za-z_]\w*)|(<=|>=|==|!=|[-+*/(),<>]))", re.ASCII
)
_WORDS: Final = frozenset({"if", "else", "and", "or", "not"})
_FUNCTIONS: Final = ("min", "max", "abs", "round")
_COMPARE: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}


class FormulaError(ValueError):
    """The text is no formula; ``at`` is the position (0 = first character) of what is wrong."""

    def __init__(self, text: str, at: int) -> None:
        super().__init__(text)
        self.at = at


@dataclass(slots=True)
class _Run:
    """The columns of one evaluation, and where its result is known."""

    columns: Mapping[str, Decimals]
    known: Bools


_Number = Callable[[_Run], Decimals]
_Truth = Callable[[_Run], Bools]


@dataclass(frozen=True, slots=True)
class Formula:
    """A parsed formula; two are equal if their texts are. ``names`` are the series it reads."""

    text: str
    names: frozenset[str] = field(compare=False)
    _run: _Number = field(compare=False, repr=False)

    def evaluate(self, columns: Mapping[str, tuple[Int64, Bools]], slots: int) -> tuple[Int64, Bools]:
        """Prices in 1e-8 currency and where they are known; ``columns`` are prices (1e-8) with known masks.

        A series that is not in ``columns`` is unknown everywhere. Results beyond a thousand million are unknown.
        """
        known = np.ones(slots, np.bool_)
        for name in self.names:
            known &= columns[name][1] if name in columns else False
        if not known.any():
            return np.zeros(slots, np.int64), known
        run = _Run({name: Decimals.of(columns[name][0], 8) for name in self.names}, known)
        result = self._run(run).at_places(8)
        values = np.broadcast_to(result.values, slots)
        known = np.array(np.broadcast_to(run.known, slots))
        if result.largest > MAX_ABS * 10**8:
            known &= np.asarray(abs(values) <= MAX_ABS * 10**8, np.bool_)
        return np.where(known, values, 0).astype(np.int64), known


def parse_formula(text: str) -> Formula:
    """Text → formula.

    Raises:
        FormulaError: with what is wrong and where.
    """
    if len(text) > MAX_CHARS:
        raise FormulaError(f"is longer than {MAX_CHARS} characters", MAX_CHARS)
    parser = _Parser(text)
    run = parser.number(parser.choice())
    parser.end()
    return Formula(text, frozenset(parser.names), run)


@dataclass(frozen=True, slots=True)
class _Node:
    """A parsed part: a number or, where ``truth`` is set, a condition.

    ``degree`` says how many prices are multiplied at most: digits, and with them the time it takes, grow with it.
    """

    at: int
    number: _Number | None = None
    truth: _Truth | None = None
    degree: int = 0


class _Parser:
    """Recursive descent; each method reads one level of precedence, the loosest first."""

    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.position = 0
        self.names: set[str] = set()
        self.depth = 0

    # what is there

    @property
    def token(self) -> str:
        return self.tokens[self.position][0]

    @property
    def at(self) -> int:
        return self.tokens[self.position][1]

    def take(self, *wanted: str) -> str:
        """The token if it is one of these, else an empty text."""
        token = self.token
        if token not in wanted:
            return ""
        self.position += 1
        return token

    def expect(self, wanted: str) -> None:
        if not self.take(wanted):
            raise FormulaError(f"{wanted!r} expected{_before(self.token)}", self.at)

    def end(self) -> None:
        if self.token:
            raise FormulaError(f"{self.token!r} is not expected here", self.at)

    def number(self, node: _Node) -> _Number:
        if node.number is None:
            raise FormulaError("a number is needed here, not a condition", node.at)
        return node.number

    def truth(self, node: _Node) -> _Truth:
        if node.truth is None:
            raise FormulaError("a condition such as spot < 0 is needed here", node.at)
        return node.truth

    # the levels

    def choice(self) -> _Node:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise FormulaError("is nested too deep", self.at)
        node = self.any_of()
        if self.take("if"):
            chosen = self.number(node)
            condition = self.truth(self.any_of())
            self.expect("else")
            last = self.choice()
            node = _Node(
                node.at, _picked(condition, chosen, self.number(last)), degree=max(node.degree, last.degree)
            )
        self.depth -= 1
        return node

    def any_of(self) -> _Node:
        node = self.all_of()
        while self.take("or"):
            left, right = self.truth(node), self.truth(self.all_of())
            node = _Node(node.at, truth=_either(left, right))
        return node

    def all_of(self) -> _Node:
        node = self.inverse()
        while self.take("and"):
            left, right = self.truth(node), self.truth(self.inverse())
            node = _Node(node.at, truth=_both(left, right))
        return node

    def inverse(self) -> _Node:
        at = self.at
        negations = 0
        while self.take("not"):
            negations += 1
        node = self.comparison()
        if negations % 2:
            inner = self.truth(node)
            return _Node(at, truth=lambda run: ~inner(run))
        return node

    def comparison(self) -> _Node:
        node = self.sum()
        sign = self.take(*_COMPARE)
        if not sign:
            return node
        left, right = self.number(node), self.number(self.sum())
        return _Node(node.at, truth=_compared(_COMPARE[sign], left, right))

    def sum(self) -> _Node:
        node = self.product()
        while sign := self.take("+", "-"):
            left, other = self.number(node), self.product()
            number = _added(left, self.number(other), minus=sign == "-")
            node = _Node(node.at, number, degree=max(node.degree, other.degree))
        return node

    def product(self) -> _Node:
        node = self.signed()
        while sign := self.take("*", "/"):
            left, other = self.number(node), self.signed()
            right, degree = self.number(other), node.degree + other.degree
            if degree > _MAX_DEGREE:
                raise FormulaError(f"multiplies more than {_MAX_DEGREE} prices", other.at)
            node = _Node(
                node.at, _divided(left, right) if sign == "/" else _multiplied(left, right), degree=degree
            )
        return node

    def signed(self) -> _Node:
        at = self.at
        minus = False
        while sign := self.take("+", "-"):
            minus ^= sign == "-"
        node = self.atom()
        if minus:
            inner = self.number(node)
            return _Node(at, lambda run: decimals.negative(inner(run)), degree=node.degree)
        return node

    def atom(self) -> _Node:
        at, token = self.at, self.token
        if self.take("("):
            node = self.choice()
            self.expect(")")
            return node
        if not token or not (token[0].isalnum() or token[0] in "._") or token in _WORDS:
            raise FormulaError(f"a number or a name is missing{_before(token)}", at)
        self.position += 1
        if token[0].isdigit() or token[0] == ".":
            constant = _constant(token, at)
            return _Node(at, number=lambda run: constant)
        if self.token == "(":
            return self.call(token, at)
        self.names.add(token)
        return _Node(at, number=lambda run: run.columns[token], degree=1)

    def call(self, name: str, at: int) -> _Node:
        if name not in _FUNCTIONS:
            raise FormulaError(f"{name!r} is no function; there are {', '.join(_FUNCTIONS)}", at)
        self.expect("(")
        inside = [self.choice()]
        places = 0
        while self.take(","):
            if name == "round":
                places = self.places()
                break
            inside.append(self.choice())
        self.expect(")")
        parts, degree = [self.number(one) for one in inside], max(one.degree for one in inside)
        if name == "round":
            return _Node(at, lambda run: parts[0](run).at_places(places), degree=degree)
        if name == "abs":
            if len(parts) != 1:
                raise FormulaError("'abs' takes one number", at)
            return _Node(at, _absolute(parts[0]), degree=degree)
        if len(parts) < 2:
            raise FormulaError(f"{name!r} takes two numbers or more", at)
        return _Node(at, _extreme(parts, largest=name == "max"), degree=degree)

    def places(self) -> int:
        if not self.token.isdigit() or int(self.token) > 8:
            raise FormulaError("'round' takes a number and 0 to 8 places", self.at)
        places = int(self.token)
        self.position += 1
        return places


def _tokens(text: str) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            raise FormulaError(f"{text[at]!r} is not allowed in a formula", at)
        group = match.lastindex or 0
        found.append((match[group], match.start(group)))
        at = match.end()
    return [*found, ("", len(text))]


def _before(token: str) -> str:
    return f" before {token!r}" if token else " at the end"


def _constant(token: str, at: int) -> Decimals:
    number = Decimal(token)
    places = max(-int(number.as_tuple().exponent), 0)
    if number > MAX_ABS or places > 16:
        raise FormulaError(f"{token!r} is too large or has too many digits", at)
    return Decimals.constant(int(number.scaleb(places)), places)


def _picked(condition: _Truth, chosen: _Number, other: _Number) -> _Number:
    def run(columns: _Run) -> Decimals:
        holds = condition(columns)
        yes, known_yes = _apart(chosen, columns)
        no, known_no = _apart(other, columns)
        columns.known = np.where(holds, known_yes, known_no)
        return decimals.pick(holds, yes, no)

    return run


def _apart(part: Callable[[_Run], T], columns: _Run) -> tuple[T, Bools]:
    """A part that counts in some slots only, and what is known where it does."""
    alone = _Run(columns.columns, columns.known)
    return part(alone), alone.known


def _added(left: _Number, right: _Number, *, minus: bool) -> _Number:
    def run(columns: _Run) -> Decimals:
        other = right(columns)
        return decimals.add(left(columns), decimals.negative(other) if minus else other)

    return run


def _multiplied(left: _Number, right: _Number) -> _Number:
    return lambda run: decimals.multiply(left(run), right(run))


def _divided(left: _Number, right: _Number) -> _Number:
    def run(columns: _Run) -> Decimals:
        quotient, defined = decimals.divide(left(columns), right(columns))
        columns.known = columns.known & defined
        return quotient

    return run


def _absolute(inner: _Number) -> _Number:
    def run(columns: _Run) -> Decimals:
        value = inner(columns)
        return Decimals(abs(value.values), value.places, value.largest)

    return run


def _extreme(parts: list[_Number], *, largest: bool) -> _Number:
    def run(columns: _Run) -> Decimals:
        best = parts[0](columns)
        for part in parts[1:]:
            a, b = decimals.aligned(best, part(columns))
            best = decimals.pick(a.values > b.values if largest else a.values < b.values, a, b)
        return best

    return run


def _compared(operation: Callable[[Any, Any], Any], left: _Number, right: _Number) -> _Truth:
    def run(columns: _Run) -> Bools:
        a, b = decimals.aligned(left(columns), right(columns))
        return np.asarray(operation(a.values, b.values), np.bool_)

    return run


def _both(left: _Truth, right: _Truth) -> _Truth:
    def run(columns: _Run) -> Bools:
        first = left(columns)
        second, known = _apart(right, columns)
        columns.known = np.where(first, known, columns.known)
        return first & second

    return run


def _either(left: _Truth, right: _Truth) -> _Truth:
    def run(columns: _Run) -> Bools:
        first = left(columns)
        second, known = _apart(right, columns)
        columns.known = np.where(first, columns.known, known)
        return first | second

    return run
