"""Shapes of requests and answers: checked here, and shown as JSON Schema in the API's documentation."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.model.names import is_printable
from web.money_shapes import COMPONENTS as MONEY
from web.problems import InvalidBody

JsonSchema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Param:
    """A query or path parameter; its value is read by :mod:`web.params`."""

    name: str
    meaning: str
    schema: JsonSchema = field(default_factory=lambda: {"type": "string"})
    place: str = "query"
    required: bool = False


def path_id(name: str, meaning: str) -> Param:
    """An id in the path."""
    return Param(name, meaning, {"type": "string", "minLength": 1, "maxLength": 200}, "path", True)


LIMIT = Param("limit", "items per page: 100 if absent, at most 1000", {"type": "integer", "minimum": 1})
CURSOR = Param("cursor", "`next` of the page before")
PAGE = (LIMIT, CURSOR)
START = Param(
    "start", "ISO 8601 (without offset: the site's time) or epoch milliseconds; a day before `end` if absent"
)
END = Param("end", "as `start`; exclusive; now if absent")


@dataclass(frozen=True, slots=True)
class Text:
    """A text field, or a list of texts."""

    meaning: str
    required: bool = False
    nullable: bool = False
    min_chars: int = 0
    max_chars: int = 200
    choices: tuple[str, ...] = ()
    many: bool = False
    secret: bool = False

    def problem_with(self, value: object) -> str | None:
        """What is wrong with a value; ``None`` if nothing."""
        if value is None and self.nullable:
            return None
        if not self.many:
            return self._problem_with_one(value)
        if not isinstance(value, list) or len(value) > 100:
            return "must be a list of at most 100 texts"
        return next(filter(None, map(self._problem_with_one, value)), None)

    def schema(self) -> dict[str, Any]:
        """JSON Schema of this field."""
        one: dict[str, Any] = {"type": "string", "minLength": self.min_chars, "maxLength": self.max_chars}
        if self.choices:
            one = {"type": "string", "enum": list(self.choices)}
        if self.secret:
            one |= {"format": "password", "writeOnly": True}
        shape = {"type": "array", "items": one, "maxItems": 100} if self.many else one
        if self.nullable:
            shape = {"anyOf": [shape, {"type": "null"}]}
        return shape | {"description": self.meaning}

    def _problem_with_one(self, value: object) -> str | None:
        if not isinstance(value, str):
            return "must be text"
        if self.choices and value not in self.choices:
            near = difflib.get_close_matches(value, self.choices, 1)
            return f"must be one of {', '.join(self.choices)}" + (
                f"; did you mean {near[0]}?" if near else ""
            )
        if not self.min_chars <= len(value) <= self.max_chars:
            return f"must have {self.min_chars} to {self.max_chars} characters"
        if not self.secret and not is_printable(value):
            return "must hold printable characters only"
        return None


@dataclass(frozen=True, slots=True)
class Flag:
    """A field that is true or false."""

    meaning: str
    required: bool = False

    def problem_with(self, value: object) -> str | None:
        """What is wrong with a value; ``None`` if nothing."""
        return None if isinstance(value, bool) else "must be true or false"

    def schema(self) -> dict[str, Any]:
        """JSON Schema of this field."""
        return {"type": "boolean", "description": self.meaning}


@dataclass(frozen=True, slots=True)
class Number:
    """A number; ``above`` is a lower limit that is not taken itself."""

    meaning: str
    required: bool = False
    nullable: bool = False
    above: float | None = None

    def problem_with(self, value: object) -> str | None:
        """What is wrong with a value; ``None`` if nothing."""
        if value is None and self.nullable:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > _LARGEST_NUMBER:
            return "must be a number of at most 1e15"
        return f"must be above {self.above:g}" if self.above is not None and value <= self.above else None

    def schema(self) -> dict[str, Any]:
        """JSON Schema of this field."""
        limits = {} if self.above is None else {"exclusiveMinimum": self.above}
        return {
            "type": ["number", "null"] if self.nullable else "number",
            **limits,
            "description": self.meaning,
        }


@dataclass(frozen=True, slots=True)
class Moment:
    """A time: ISO 8601 (without offset: the site's time) or epoch milliseconds; see :mod:`web.params`."""

    meaning: str
    required: bool = False
    nullable: bool = False

    def problem_with(self, value: object) -> str | None:
        """What is wrong with a value; ``None`` if nothing."""
        if value is None and self.nullable:
            return None
        good = isinstance(value, int) and not isinstance(value, bool)
        good = good or (isinstance(value, str) and 0 < len(value) <= 40)
        return None if good else "must be a time: ISO 8601 or epoch milliseconds"

    def schema(self) -> dict[str, Any]:
        """JSON Schema of this field."""
        return {
            "type": ["string", "integer", *(["null"] if self.nullable else [])],
            "description": self.meaning,
        }


@dataclass(frozen=True, slots=True)
class Items:
    """A list of objects with these fields."""

    meaning: str
    fields: Mapping[str, Text | Flag | Number | Moment]
    required: bool = False
    most: int = 10_000

    def problem_with(self, value: object) -> str | None:
        """What is wrong with the first item that does not fit; ``None`` if nothing."""
        if not isinstance(value, list) or not 0 < len(value) <= self.most:
            return f"must be a list of 1 to {self.most} objects"
        for at, item in enumerate(value):
            try:
                checked(self.fields, item)
            except InvalidBody as error:
                return f"[{at}].{error.where}: {error.message}"
        return None

    def schema(self) -> dict[str, Any]:
        """JSON Schema of this field."""
        return {
            "type": "array",
            "items": body_schema(self.fields),
            "minItems": 1,
            "maxItems": self.most,
            "description": self.meaning,
        }


_LARGEST_NUMBER = 1e15
Body = Mapping[str, Text | Flag | Number | Moment | Items]
"""A JSON object with exactly these fields at most."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A body that is more than texts and flags: shown here, checked whole by the part of the hub that knows it."""

    schema: JsonSchema


def checked(body: Body, sent: object) -> dict[str, Any]:
    """The sent object, if it fits.

    Raises:
        InvalidBody: everything that does not fit, all at once.
    """
    if not isinstance(sent, dict):
        raise InvalidBody([{"field": "", "detail": "the body must be a JSON object"}])
    errors = [
        {"field": name, "detail": "is required"}
        for name, one in body.items()
        if one.required and name not in sent
    ]
    for name, value in sent.items():
        wrong = body[name].problem_with(value) if name in body else _unknown(name, body)
        if wrong is not None:
            errors.append({"field": name[:100], "detail": wrong})
    if errors:
        raise InvalidBody(errors)
    return sent


def body_schema(body: Body | Shape) -> dict[str, Any]:
    """JSON Schema of a request body."""
    if isinstance(body, Shape):
        return dict(body.schema)
    required = [name for name, one in body.items() if one.required]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: one.schema() for name, one in body.items()},
        **({"required": required} if required else {}),
    }


def _unknown(name: str, body: Body) -> str:
    near = difflib.get_close_matches(name, body, 1)
    return "is not known here" + (f"; did you mean {near[0]}?" if near else "")


# --- shapes of answers, by name


def _object(**properties: JsonSchema) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _with_optional(shape: dict[str, Any], **properties: JsonSchema) -> dict[str, Any]:
    """An object that may have these properties, too."""
    return {**shape, "properties": {**shape["properties"], **properties}}


def _maybe(shape: JsonSchema) -> dict[str, Any]:
    return {"anyOf": [shape, {"type": "null"}]}


def array(shape: JsonSchema) -> dict[str, Any]:
    """A list of ``shape``."""
    return {"type": "array", "items": shape}


def ref(name: str) -> dict[str, str]:
    """A named shape of :data:`COMPONENTS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def page_of(name: str) -> dict[str, Any]:
    """A page of a list."""
    return _object(items=array(ref(name)), next=_maybe(_TEXT))


_TEXT = {"type": "string"}
_INT = {"type": "integer"}
_NUMBER = {"type": "number"}
_BOOL = {"type": "boolean"}
_MS = {"type": "integer", "description": "UTC epoch milliseconds"}
_ANY_OBJECT = {"type": "object"}

_SERIES = _object(
    id=_TEXT, device=_TEXT, key=_TEXT, name=_TEXT, quantity=_TEXT, unit=_TEXT, kind=_TEXT, direction=_TEXT,
    physical_limit=_maybe(_NUMBER), register_width=_maybe(_NUMBER), resolution=_maybe(_NUMBER), in_balance=_BOOL,
)  # fmt: skip

COMPONENTS: dict[str, JsonSchema] = {
    "Problem": _object(
        type=_TEXT,
        title=_TEXT,
        status=_INT,
        code={"type": "string", "description": "stable code, such as WL-API-404"},
        detail=_TEXT,
        field=_maybe(_TEXT),
        request_id=_TEXT,
    ),
    "SignedIn": _object(access_token=_TEXT, expires_in={"type": "integer", "description": "seconds"}),
    "Me": _object(
        id=_TEXT,
        username=_TEXT,
        roles=array(_TEXT),
        permissions=array(_TEXT),
        scopes=_maybe(array(_TEXT)),
    ),
    "User": _object(id=_TEXT, username=_TEXT, roles=array(_TEXT), disabled=_BOOL, created_ms=_MS),
    "Token": _object(
        id=_TEXT,
        name=_TEXT,
        user=_TEXT,
        scopes=_maybe(array(_TEXT)),
        created_ms=_MS,
        expires_ms=_maybe(_MS),
        last_used_ms=_maybe(_MS),
    ),
    "NewToken": _object(id=_TEXT, name=_TEXT, token={"type": "string", "description": "shown once"}),
    "Role": _object(name=_TEXT, permissions=array(_TEXT)),
    "Permission": _object(name=_TEXT, role=_TEXT, scope=_TEXT, meaning=_TEXT),
    "AuditLine": _object(
        id=_INT, ts=_MS, user_id=_maybe(_TEXT), action=_TEXT, object=_TEXT, detail=_ANY_OBJECT, address=_TEXT
    ),
    "Site": _object(
        id=_TEXT,
        name=_TEXT,
        time_zone=_TEXT,
        currency=_TEXT,
        country=_maybe(_TEXT),
        location=_maybe(array(_NUMBER)),
    ),
    "Area": _object(id=_TEXT, name=_TEXT, parent=_maybe(_TEXT), kind=_TEXT),
    "Series": _SERIES,
    "Device": _object(
        id=_TEXT,
        name=_TEXT,
        integration=_TEXT,
        kind=_TEXT,
        maker=_TEXT,
        model=_TEXT,
        firmware=_TEXT,
        serial=_TEXT,
        role=_TEXT,
        area=_maybe(_TEXT),
        parent=_maybe(_TEXT),
        site=_TEXT,
        created_ms=_MS,
        availability=_TEXT,
        last_ms=_maybe(_MS),
        series=array(ref("Series")),
    ),
    "InboxItem": _object(
        id=_TEXT, device=_ANY_OBJECT, entry=_TEXT, domain=_TEXT, state=_TEXT, series=array(_ANY_OBJECT),
        sample=_TEXT, first_ms=_MS, last_ms=_MS, count=_INT,
    ),
    "Latest": _object(
        items=array(_object(series=_TEXT, value=_NUMBER, unit=_TEXT, ts=_MS, age_s=_NUMBER, quality=_TEXT))
    ),
    "Readings": _object(ts=array(_MS), value=array(_NUMBER), next=_maybe(_TEXT)),
    "History": _with_optional(
        _object(
            resolution=_TEXT,
            unit={"type": "object", "additionalProperties": _TEXT},
            start=array({"type": "string", "format": "date-time"}),
            series={
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "additionalProperties": array({"type": ["number", "object", "null"]}),
                },
            },
        ),
        partial=array({"type": "string", "format": "date-time"}),
    ),
    "Suspects": _object(
        items=array(
            _object(
                series=_TEXT, start_ms=_MS, end_ms=_MS, before=_maybe(_NUMBER), after=_NUMBER,
                amount=_maybe(_NUMBER), unit=_TEXT, why=_TEXT,
            )
        )
    ),
    "Counting": _object(series=_TEXT, gap=_TEXT, shape=_TEXT, power=_maybe(_TEXT)),
    "Explanation": _object(
        metric=_TEXT, name=_TEXT, start=_MS, end=_MS, node=ref("ExplainNode"),
    ),
    "ExplainNode": _with_optional(
        _object(path=_TEXT, kind=_TEXT, label=_TEXT, value=_TEXT, unit=_TEXT),
        op={"type": "string", "enum": ["sum", "product", "formula"]}, formula=_TEXT, start=_MS, end=_MS,
        quality=_ANY_OBJECT, stored=_ANY_OBJECT, count=_maybe(_INT), children=_maybe(array(ref("ExplainNode"))),
    ),
    "Quarantined": _object(
        id=_INT, source=_TEXT, arrival_ms=_MS, series=_maybe(_TEXT), ts_ms=_maybe(_MS), value=_maybe(_TEXT),
        code=_TEXT, detail=_TEXT, field=_TEXT, payload=_maybe(_TEXT),
    ),
    "Correction": _object(
        id=_INT, series=_maybe(_TEXT), action=_TEXT, start=_MS, end=_maybe(_MS), value=_maybe(_NUMBER),
        rows=array(_object(ts=_MS, value=_NUMBER)), unit=_TEXT, reason=_TEXT, user_id=_maybe(_TEXT),
        created_ms=_MS, active=_BOOL, undoes=_maybe(_INT), undone_by=_maybe(_INT),
    ),
    "CorrectionPreview": _object(
        series=_TEXT, unit=_TEXT, months=array(ref("CorrectionEffect")), total=ref("CorrectionEffect"),
        readings=_INT, slots_changed=_INT,
    ),
    "CorrectionEffect": _object(
        month=_TEXT, start=_MS, end=_MS, before=_maybe(_NUMBER), after=_maybe(_NUMBER), change=_maybe(_NUMBER),
        cost_before=_maybe(_TEXT), cost_after=_maybe(_TEXT),
    ),
    "Installation": _object(
        id=_INT, metering_point=_TEXT, series=_maybe(_TEXT), unit=_TEXT, factor=_NUMBER, opening=_maybe(_NUMBER),
        closing=_maybe(_NUMBER), calorific_value=_maybe(_NUMBER), state_number=_maybe(_NUMBER), note=_TEXT,
        created_ms=_MS, **{"from": _MS, "to": _maybe(_MS)},
    ),
    "MeteringPoint": _object(
        id=_TEXT, name=_TEXT, kind=_TEXT, code=_TEXT, created_ms=_MS, installations=array(ref("Installation")),
    ),
    "StoredReadings": _object(accepted=_INT, duplicates=_INT, rejections=array(_ANY_OBJECT)),
    "Entry": _object(
        id=_TEXT, domain=_TEXT, name=_TEXT, state=_TEXT, code=_TEXT, detail=_TEXT, since_ms=_maybe(_MS),
        version=_TEXT, quality=_TEXT, readings=_INT, stack=_TEXT,
    ),
    "Health": _object(status=_TEXT, parts={"type": "object", "additionalProperties": _ANY_OBJECT}),
    "Ready": _object(ready=_BOOL, reasons=array(_TEXT)),
    "Version": _object(version=_TEXT, api=_TEXT, python=_TEXT),
    "Object": _ANY_OBJECT,
    **MONEY,
}  # fmt: skip
