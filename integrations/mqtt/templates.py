"""Value templates: Jinja2 in a tight sandbox, and plain getters for the forms that devices really send.

Templates come from the network, so everything that could take long or grow large is bounded: no imports or
macros, one loop, few filters and methods, short output. A render costs some 11 µs; most templates only pick
a member of a JSON object, and those are lowered from Jinja's own syntax tree to a Python getter that gives
the same number (a property test compares the two).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from operator import itemgetter
from typing import Any

from jinja2 import TemplateError, Undefined, nodes
from jinja2.exceptions import SecurityError, TemplateSyntaxError, UndefinedError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from integrations.mqtt.filters import FILTERS, GLOBALS, bounded_replace, to_float, to_int, to_round
from integrations.mqtt.numbers import WHITESPACE, Unreadable

MAX_SOURCE_CHARS = 4096
MAX_OUTPUT_CHARS = 1024
MAX_RANGE = 1000
MISSING = object()
"""The message does not hold what the template asks for: the value before stays."""

_JINJA_FILTERS = (
    "abs", "count", "d", "default", "first", "last", "length", "list", "lower", "max", "min", "string", "sum",
    "trim", "upper",
)  # fmt: skip
_METHODS: dict[type, frozenset[str]] = {
    str: frozenset(
        (
            "split",
            "strip",
            "lstrip",
            "rstrip",
            "lower",
            "upper",
            "startswith",
            "endswith",
            "find",
            "count",
            "isdigit",
            "replace",
        )
    ),
    dict: frozenset(("get", "items", "keys", "values")),
    list: frozenset(("index", "count")),
}
_FORBIDDEN = (
    nodes.Macro, nodes.CallBlock, nodes.Import, nodes.FromImport, nodes.Include, nodes.Extends, nodes.Block,
    nodes.FilterBlock, nodes.AssignBlock, nodes.Pow,
)  # fmt: skip
_JSON_TYPES = (dict, list, str, int, float, bool)
_NAMES = frozenset(("value", "json", "value_json", "this"))
_LOOKUP = (KeyError, IndexError, TypeError)

Getter = Callable[[Any], Any]


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox with white lists instead of black lists, and sums of numbers only."""

    intercepted_binops = frozenset(("+", "*", "%"))

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return any(isinstance(obj, kind) and attr in names for kind, names in _METHODS.items())

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        return binop(operator, left, right)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805  # as in Jinja
        owner = getattr(__obj, "__self__", None)
        if isinstance(owner, str) and getattr(__obj, "__name__", "") == "replace":
            return bounded_replace(owner, *args, **kwargs)
        return super().call(__context, __obj, *args, **kwargs)


def binop(operator: str, left: Any, right: Any) -> Any:
    """``+ * %`` of numbers; ``+`` of short texts too. Repeating or formatting text has no use here.

    Raises:
        Unreadable: for other operands.
        UndefinedError: an operand is missing.
    """
    for operand in (left, right):
        if isinstance(operand, Undefined):
            raise UndefinedError("an operand is missing")
    if isinstance(left, int | float) and isinstance(right, int | float):
        if operator == "+":
            return left + right
        return left * right if operator == "*" else left % right
    if operator == "+" and isinstance(left, str) and isinstance(right, str) and len(left) + len(right) < 4096:
        return left + right
    raise Unreadable("WL-MQT-008", f"the template cannot compute {type(left).__name__} {operator} ...")


def _short_range(*bounds: int) -> range:
    numbers = range(*bounds)
    if len(numbers) > MAX_RANGE:
        raise Unreadable("WL-MQT-008", f"a range of more than {MAX_RANGE} steps")
    return numbers


def _environment() -> _Sandbox:
    environment = _Sandbox(autoescape=False)
    kept = {name: environment.filters[name] for name in _JINJA_FILTERS}
    environment.filters = {**kept, **FILTERS}
    environment.globals = {"range": _short_range, **GLOBALS}
    return environment


_ENVIRONMENT = _environment()


class ValueTemplate:
    """A compiled template. ``needs_json``: it reads ``json`` or ``value_json``; ``fast``: it became a getter."""

    __slots__ = ("_code", "getter", "needs_json", "source")

    def __init__(self, source: str, tree: nodes.Template) -> None:
        self.source = source
        self._code = _ENVIRONMENT.from_string(tree)
        used = {node.name for node in tree.find_all(nodes.Name)}
        self.needs_json = not used.isdisjoint(("json", "value_json"))
        # a getter has one argument, so a template that reads text and JSON is rendered
        self.getter = None if self.needs_json and "value" in used else lower(tree)

    @property
    def fast(self) -> bool:
        """True for templates that are not rendered."""
        return self.getter is not None

    def evaluate(self, text: str, data: Any, previous: str = "") -> Any:
        """The value of one message: a number, a text, ``None``, or :data:`MISSING`.

        Args:
            text: the payload.
            data: the payload parsed as JSON, :data:`MISSING` where it is none.
            previous: the last value as text, for ``this.state``.

        Raises:
            Unreadable: ``WL-MQT-008``, the template fails on this message.
        """
        if self.getter is None:
            return self.render(text, data, previous)
        try:
            return self.getter(data if self.needs_json else text)
        except (*_LOOKUP, UndefinedError):
            return MISSING
        except (ArithmeticError, ValueError) as error:
            raise _failed(error) from error

    def render(self, text: str, data: Any, previous: str = "") -> Any:
        """The same by rendering, whatever :attr:`fast` says."""
        names: dict[str, Any] = {"value": text, "this": {"state": previous}}
        if data is not MISSING:
            names["json"] = names["value_json"] = data
        try:
            return _limited(self._code.generate(names)).strip(WHITESPACE)
        except UndefinedError:
            return MISSING
        except Unreadable:
            raise
        except (TemplateError, ArithmeticError, TypeError, ValueError, LookupError, AttributeError) as error:
            raise _failed(error) from error
        except (MemoryError, RecursionError) as error:
            raise _failed(error) from error


def _failed(error: BaseException) -> Unreadable:
    return Unreadable("WL-MQT-008", f"the template fails on this message: {str(error)[:120]}")


def _limited(pieces: Iterator[str]) -> str:
    text = ""
    for piece in pieces:
        text += piece
        if len(text) > MAX_OUTPUT_CHARS:
            raise Unreadable("WL-MQT-008", f"the template gives more than {MAX_OUTPUT_CHARS} characters")
    return text


@lru_cache(maxsize=4096)
def compile_template(source: str) -> ValueTemplate:
    """Text of a template → something that reads messages.

    Raises:
        Unreadable: ``WL-MQT-008``, wrong syntax, an unknown name or filter, or something forbidden.
    """
    if len(source) > MAX_SOURCE_CHARS:
        raise Unreadable("WL-MQT-008", f"a template of more than {MAX_SOURCE_CHARS} characters")
    try:
        tree = _ENVIRONMENT.parse(source)
        _check(tree)
        return ValueTemplate(source, tree)
    except TemplateSyntaxError as error:
        raise Unreadable("WL-MQT-008", f"template {source[:60]!r}: {error.message}") from error
    except (SecurityError, RecursionError, MemoryError, SyntaxError, ValueError) as error:
        raise Unreadable("WL-MQT-008", f"template {source[:60]!r}: {str(error)[:120]}") from error


def _check(tree: nodes.Template) -> None:
    for node in tree.find_all(_FORBIDDEN):
        raise Unreadable("WL-MQT-008", f"{type(node).__name__} has no place in a value template")
    if any(node.attr in ("format", "format_map") for node in tree.find_all(nodes.Getattr)):
        raise Unreadable("WL-MQT-008", "format has no place in a value template")
    if len(list(tree.find_all(nodes.For))) > 1:
        raise Unreadable("WL-MQT-008", "a value template may hold one loop")
    # text that is set and joined again and again would double at each step
    if len(list(tree.find_all(nodes.Concat))) > 3 or len(list(tree.find_all(nodes.Assign))) > 8:
        raise Unreadable("WL-MQT-008", "a value template sets or joins too much")
    known = _NAMES | set(_ENVIRONMENT.globals) | {"loop"}
    stored = {name.name for name in tree.find_all(nodes.Name) if name.ctx != "load"}
    for name in tree.find_all(nodes.Name):
        if name.ctx == "load" and name.name not in known | stored:
            raise Unreadable("WL-MQT-008", f"the template uses {name.name[:40]!r}, which is not known here")


def lower(tree: nodes.Template) -> Getter | None:
    """A template of one expression in the plain subset → getter of the JSON (or text); otherwise None."""
    if len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output):
        return None
    parts = [
        part
        for part in tree.body[0].nodes
        if not (isinstance(part, nodes.TemplateData) and not part.data.strip(" \t\r\n"))
    ]
    if len(parts) != 1 or isinstance(parts[0], nodes.TemplateData):
        return None
    return _expression(parts[0])


def _expression(node: nodes.Node) -> Getter | None:
    match node:
        case nodes.Const(value=bool()):
            return None
        case nodes.Const(value=int() | float() as constant):
            return lambda data: constant
        case nodes.Name() | nodes.Getattr() | nodes.Getitem():
            path = _path(node)
            return None if path is None else _path_getter(path)
        case nodes.Neg(node=inner):
            return _negative(inner)
        case nodes.Mul() | nodes.Add() | nodes.Div() | nodes.Sub():
            return _arithmetic(node)
        case nodes.Filter():
            return _filter(node)
        case _:
            return None


def _path(node: nodes.Node | None) -> tuple[str | int, ...] | None:
    """``value_json.a['b'][1]`` → ``("a", "b", 1)``."""
    match node:
        case nodes.Name(name="value" | "json" | "value_json"):
            return ()
        case nodes.Getattr(attr=str() as key):
            before = _path(node.node)
        case nodes.Getitem(arg=nodes.Const(value=bool())):
            return None
        case nodes.Getitem(arg=nodes.Const(value=str() | int() as key)):
            before = _path(node.node)
        case _:
            return None
    # ``value_json.items`` is the method of the object in Jinja; such names are left to it
    if before is None or (isinstance(key, str) and any(hasattr(kind, key) for kind in _JSON_TYPES)):
        return None
    return (*before, key)


def _path_getter(path: tuple[str | int, ...]) -> Getter:
    match path:
        case ():
            return lambda data: data
        case (first,):
            return itemgetter(first)
        case (first, second):
            return lambda data: data[first][second]
        case (first, second, third):
            return lambda data: data[first][second][third]
        case _:

            def walk(data: Any) -> Any:
                for key in path:
                    data = data[key]
                return data

            return walk


def _negative(inner: nodes.Node) -> Getter | None:
    get = _expression(inner)
    if get is None:
        return None

    def negative(data: Any) -> Any:
        raw = get(data)
        if not isinstance(raw, int | float):
            raise Unreadable("WL-MQT-008", "the template negates what is no number")
        return -raw

    return negative


def _arithmetic(node: nodes.BinExpr) -> Getter | None:
    left, right = _expression(node.left), _expression(node.right)
    if left is None or right is None:
        return None
    if isinstance(node, nodes.Mul | nodes.Add):
        operator = "*" if isinstance(node, nodes.Mul) else "+"
        return lambda data: binop(operator, left(data), right(data))
    divides = isinstance(node, nodes.Div)

    def apart(data: Any) -> Any:
        above, below = left(data), right(data)
        if not isinstance(above, int | float) or not isinstance(below, int | float):
            raise Unreadable("WL-MQT-008", "the template divides or subtracts what is no number")
        return above / below if divides else above - below

    return apart


def _filter(node: nodes.Filter) -> Getter | None:
    """``float``, ``int``, ``round`` and ``abs`` with constant arguments."""
    arguments = _constants(node)
    if node.node is None or arguments is None or node.name not in ("float", "int", "round"):
        return None
    works: dict[str, Callable[..., Any]] = {"float": to_float, "int": to_int, "round": to_round}
    work = works[node.name]
    has_default = {"float": 1, "int": 1, "round": 3}[node.name] <= len(arguments)
    if not has_default:
        get = _expression(node.node)
        if get is None:
            return None
        return _converted(get, work, arguments)
    path = _path(node.node)
    return None if not path else _defaulted(path, work, arguments)


def _constants(node: nodes.Filter) -> list[Any] | None:
    if node.kwargs or node.dyn_args or node.dyn_kwargs:
        return None
    if not all(isinstance(one, nodes.Const) for one in node.args):
        return None
    return [one.value for one in node.args if isinstance(one, nodes.Const)]


def _converted(get: Getter, work: Callable[..., Any], arguments: list[Any]) -> Getter:
    def converted(data: Any) -> Any:
        raw = get(data)
        try:
            return work(raw, *arguments)
        except (TypeError, ValueError) as error:  # not the lookup's TypeError, which means "missing"
            raise _failed(error) from error

    return converted


def _defaulted(path: tuple[str | int, ...], work: Callable[..., Any], arguments: list[Any]) -> Getter:
    """With a default only the last step may miss: ``{{ value_json.a | float(0) }}``."""
    outer, last = _path_getter(path[:-1]), path[-1]
    missing = Undefined(name=str(last))

    def defaulted(data: Any) -> Any:
        around = outer(data)
        try:
            raw = around[last]
        except _LOOKUP:
            raw = missing
        return work(raw, *arguments)

    return defaulted
