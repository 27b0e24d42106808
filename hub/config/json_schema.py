"""JSON Schema (2020-12) of the whole configuration, for editors and ``wattline schema``.

Made from the same voluptuous schemas that check the files. A validator that is a plain function says its shape by
a ``json_schema`` attribute (:func:`hub.config.values.described`); without one anything is allowed there, so the
exported schema may be wider than the check, never narrower.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

import voluptuous as vol

from hub.config.schema import DESCRIPTIONS, EMPTY_AS_MAPPING, SECTIONS, Listing

SCHEMA_ID: Final = "https://wattline.example/schema/hub.json"
SCHEMA_FILE: Final = "wattline.schema.json"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_TYPES: Final[Mapping[Any, dict[str, Any]]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    dict: {"type": "object"},
    list: {"type": "array"},
}

Json = dict[str, Any]


def json_schema(integration_schemas: Mapping[str, vol.Schema]) -> Json:
    """The schema of hub.yaml, with the options of the given integrations."""
    properties: Json = {name: _section(name, schema) for name, schema in SECTIONS.items()}
    sections = dict(properties)
    properties["integrations"] = {
        "description": DESCRIPTIONS["integrations"],
        "type": ["array", "null"],
        "items": _integration(integration_schemas),
    }
    package = {
        "type": "object",
        "properties": sections | {"integrations": {"$ref": "#/properties/integrations"}},
    }
    properties["packages"] = {
        "description": DESCRIPTIONS["packages"],
        "type": "object",
        "additionalProperties": package | {"additionalProperties": False},
    }
    return {
        "$schema": DIALECT,
        "$id": SCHEMA_ID,
        "title": "Wattline configuration",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "$defs": {
            f"integration.{domain}": _options(schema)
            for domain, schema in sorted(integration_schemas.items())
        },
    }


def _section(name: str, schema: Any) -> Json:
    converted = convert(schema)
    if name in EMPTY_AS_MAPPING:
        converted["type"] = ["object", "null"]
    return {"description": DESCRIPTIONS[name], **converted}


def _integration(schemas: Mapping[str, vol.Schema]) -> Json:
    refs = {domain: {"$ref": f"#/$defs/integration.{domain}"} for domain in sorted(schemas)}
    return {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "properties": refs,
        "additionalProperties": False,
    }


def _options(schema: vol.Schema) -> Json:
    """Options of one integration; every entry may have an ``id``, and an entry without options may be empty."""
    converted = convert(schema)
    if isinstance(converted.get("properties"), dict):
        explicit = {
            "type": "string",
            "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$",
            "description": "fixed id of this entry",
        }
        converted["properties"] = {"id": explicit, **converted["properties"]}
        if not converted.get("required"):
            converted["type"] = ["object", "null"]
    return converted


def convert(schema: Any) -> Json:
    """JSON Schema of one voluptuous part."""
    shape = getattr(schema, "json_schema", None)
    if isinstance(shape, Mapping):
        return dict(shape)
    match schema:
        case vol.Schema():
            return _schema(schema)
        case Listing():
            return {"type": ["array", "null"], "items": convert(schema.item)}
        case vol.Any() | vol.Union():
            return _any(schema.validators)
        case vol.All():
            return _all(schema.validators)
        case vol.Coerce():
            return _coerced(schema.type)
        case dict():
            return _mapping(schema, open_end=False)
        case list() | tuple():
            return _list(list(schema))
    return _validator(schema)


def _validator(schema: Any) -> Json:
    match schema:
        case vol.In():
            return _enum(schema.container)
        case vol.Range():
            return _range(schema)
        case vol.Length():
            return _length(schema)
        case vol.Match():
            return {"type": "string", "pattern": schema.pattern.pattern}
        case vol.Clamp() | vol.Number():
            return {}
        case None:
            return {"type": "null"}
        case bool() | int() | float() | str():
            return {"const": schema}
    if isinstance(schema, type):
        return dict(_TYPES.get(schema, {}))
    return {}


def _schema(schema: vol.Schema) -> Json:
    if isinstance(schema.schema, dict):
        return _mapping(schema.schema, open_end=schema.extra != vol.PREVENT_EXTRA, required=schema.required)
    return convert(schema.schema)


def _mapping(schema: Mapping[Any, Any], *, open_end: bool, required: bool = False) -> Json:
    properties: Json = {}
    needed: list[str] = []
    extra: Any = open_end
    for key, value in schema.items():
        name = key.schema if isinstance(key, vol.Marker) else key
        if not isinstance(name, str):
            extra = True if extra is True else convert(value)
            continue
        properties[name] = _described(key, convert(value))
        if _is_needed(key, required):
            needed.append(name)
    result: Json = {"type": "object", "properties": properties, "additionalProperties": extra}
    return result | ({"required": needed} if needed else {})


def _is_needed(key: Any, required: bool) -> bool:
    # voluptuous: a Required key with a default may be left out; a bare key follows the schema.
    if isinstance(key, vol.Required):
        return isinstance(key.default, vol.Undefined)
    return required and not isinstance(key, vol.Marker)


def _described(key: Any, converted: Json) -> Json:
    if not isinstance(key, vol.Marker):
        return converted
    if isinstance(key.description, str):
        converted = {"description": key.description, **converted}
    default = getattr(key, "default", vol.UNDEFINED)
    if not isinstance(default, vol.Undefined) and isinstance(
        value := default(), (str, int, float, bool, list, dict)
    ):
        converted = converted | {"default": value}
    return converted


def _list(items: list[Any]) -> Json:
    if not items:
        return {"type": "array"}
    return {"type": "array", "items": convert(items[0]) if len(items) == 1 else _any(items)}


def _any(options: Any) -> Json:
    shapes = [convert(option) for option in options]
    if any(not shape for shape in shapes):
        return {}
    if all(set(shape) == {"const"} for shape in shapes):
        return {"enum": [shape["const"] for shape in shapes]}
    return shapes[0] if len(shapes) == 1 else {"anyOf": shapes}


def _all(validators: Any) -> Json:
    """All of several; what follows a conversion (``Coerce``, a function) judges the result, not what was written."""
    shapes: list[Json] = []
    for validator in validators:
        shape = convert(validator)
        if shape:
            shapes.append(shape)
        if isinstance(validator, vol.Coerce) or (callable(validator) and not isinstance(validator, type)):
            if isinstance(
                validator, (vol.In, vol.Range, vol.Length, vol.Match, vol.Schema, vol.Any, vol.All)
            ):
                continue
            break
    return shapes[0] if len(shapes) == 1 else {"allOf": shapes} if shapes else {}


def _coerced(kind: Any) -> Json:
    if kind in (int, float):
        return {"type": ["number", "string", "boolean"]}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _enum([member.value for member in kind])
    return {}


def _enum(container: Any) -> Json:
    try:
        return {"enum": sorted(container, key=str)}
    except TypeError:
        return {}


def _range(schema: vol.Range) -> Json:
    low = "minimum" if schema.min_included else "exclusiveMinimum"
    high = "maximum" if schema.max_included else "exclusiveMaximum"
    limits = {low: schema.min, high: schema.max}
    return {name: limit for name, limit in limits.items() if isinstance(limit, (int, float))}


def _length(schema: vol.Length) -> Json:
    pairs = {
        "minLength": schema.min,
        "maxLength": schema.max,
        "minItems": schema.min,
        "maxItems": schema.max,
        "minProperties": schema.min,
        "maxProperties": schema.max,
    }
    return {name: limit for name, limit in pairs.items() if isinstance(limit, int)}
