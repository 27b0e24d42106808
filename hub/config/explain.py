"""From an error of voluptuous to one for people: code, words, the exact place and the nearest valid key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import voluptuous as vol

from hub.config.nearest import did_you_mean
from hub.config.nodes import MappingNode, Node, Path, Position, ScalarNode, child, locate
from hub.config.secret import Secret
from hub.config.values import ValueProblem, kind_of

Finding = tuple[str, Position, str, str]
"""Code, place, message, hint."""

_TYPE_NAMES = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "a mapping",
    list: "a list",
}


def findings(error: vol.Invalid, node: Node, schema: Any, owner: Position | None = None) -> Iterator[Finding]:
    """All single errors inside ``error``, for data that came from ``node`` and was refused by ``schema``.

    ``owner`` is the place of the key that holds ``node``: keys missing from ``node`` itself are shown there.
    """
    singles = error.errors if isinstance(error, vol.MultipleInvalid) else [error]
    for single in singles:
        path = tuple(step.schema if isinstance(step, vol.Marker) else step for step in single.path)
        yield _finding(single, path, node, schema, owner)


def _finding(
    error: vol.Invalid, path: tuple[Any, ...], node: Node, schema: Any, owner: Position | None
) -> Finding:
    here = locate(node, path)
    if isinstance(error, ValueProblem):
        return error.code, here, error.msg, error.hint
    if "extra keys not allowed" in error.msg and path:
        return _unknown_key(path, node, schema)
    if isinstance(error, vol.RequiredFieldInvalid) or error.msg == "required key not provided":
        parent = owner if owner and len(path) == 1 else _owner(node, path[:-1])
        return "WL-CFG-022", parent, f'key "{path[-1]}" is missing here', f"add `{path[-1]}:`"
    if isinstance(error, vol.InInvalid):
        return _not_in(error, path, node, here, schema)
    if isinstance(error, (vol.TypeInvalid, vol.CoerceInvalid, vol.DictInvalid, vol.SequenceTypeInvalid)):
        return _wrong_type(error, path, node, here, schema)
    return "WL-CFG-024", here, _sentence(error.msg), ""


def _owner(node: Node, path: tuple[Any, ...]) -> Position:
    """A missing key is shown at the key of the mapping that lacks it, or at its beginning in a list."""
    return locate(node, path, key=True) if path and isinstance(path[-1], str) else locate(node, path)


def _unknown_key(path: tuple[Any, ...], node: Node, schema: Any) -> Finding:
    at = locate(node, path, key=True)
    known = keys_at(schema, path[:-1])
    hint = did_you_mean(
        str(path[-1]), known, f"known keys are {', '.join(sorted(known)[:12])}" if known else ""
    )
    return "WL-CFG-020", at, f'key "{path[-1]}" is not known here', hint


def _not_in(error: vol.Invalid, path: tuple[Any, ...], node: Node, here: Position, schema: Any) -> Finding:
    choices = [
        str(choice)
        for part in parts_at(schema, path)
        if isinstance(part, vol.In)
        for choice in cast(Iterable[Any], part.container)
    ]
    found = _value(node, path)
    hint = did_you_mean(found, choices) if isinstance(found, str) else ""
    message = (
        f"the value is not one of {', '.join(sorted(choices)[:20])}" if choices else _sentence(error.msg)
    )
    return "WL-CFG-021", here, message, hint


def _wrong_type(
    error: vol.Invalid, path: tuple[Any, ...], node: Node, here: Position, schema: Any
) -> Finding:
    kinds = {
        _TYPE_NAMES[part] for part in parts_at(schema, path) if isinstance(part, type) and part in _TYPE_NAMES
    }
    kinds |= {"a mapping" for part in parts_at(schema, path) if isinstance(part, Mapping)}
    kinds |= {"a list" for part in parts_at(schema, path) if isinstance(part, list)}
    found = kind_of(_value(node, path))
    expected = " or ".join(sorted(kinds - {found}))
    if not expected:
        return "WL-CFG-023", here, _sentence(error.msg), ""
    return "WL-CFG-023", here, f"expected {expected}, found {found}", ""


def _value(node: Node, path: tuple[Any, ...]) -> Any:
    for step in path:
        found = child(node, step)
        if found is None:
            return None
        node = found
    if isinstance(node, ScalarNode):
        return "" if isinstance(node.value, Secret) else node.value
    return {} if isinstance(node, MappingNode) else []


def _sentence(message: str) -> str:
    return message.strip().rstrip(".") or "the value is not allowed"


def keys_at(schema: Any, path: tuple[Any, ...]) -> list[str]:
    """Names of the keys that a schema knows at ``path``."""
    names: list[str] = []
    for part in parts_at(schema, path):
        if isinstance(part, Mapping):
            names += [name for key in part if isinstance(name := _name(key), str)]
    return names


def parts_at(schema: Any, path: Path | tuple[Any, ...]) -> list[Any]:
    """The schema parts (types, mappings, lists, validators) that a value at ``path`` may meet."""
    parts = list(_alternatives(schema))
    for step in path:
        parts = [inner for part in parts for below in _below(part, step) for inner in _alternatives(below)]
    return parts


def _below(part: Any, step: Any) -> Iterator[Any]:
    if isinstance(part, Mapping) and isinstance(step, str):
        exact = [value for key, value in part.items() if _name(key) == step]
        yield from exact or [value for key, value in part.items() if not isinstance(_name(key), str)]
    elif isinstance(part, (list, tuple)) and isinstance(step, int):
        yield from part


def _alternatives(schema: Any, depth: int = 0) -> Iterator[Any]:
    if depth > 20:
        return
    if isinstance(schema, vol.Schema):
        yield from _alternatives(schema.schema, depth + 1)
    elif isinstance(schema, (vol.Any, vol.All, vol.Union)):
        for inner in schema.validators:
            yield from _alternatives(inner, depth + 1)
    elif isinstance(schema, vol.Coerce):
        yield schema.type
    elif hasattr(schema, "item"):
        yield [schema.item]
    else:
        yield schema


def _name(key: Any) -> Any:
    return _name(key.schema) if isinstance(key, vol.Marker) else key
