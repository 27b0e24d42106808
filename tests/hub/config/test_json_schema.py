"""The exported JSON Schema accepts what the loader accepts and refuses common mistakes."""

from __future__ import annotations

import json
from enum import Enum
from typing import Any

import pytest
import voluptuous as vol
from jsonschema import Draft202012Validator

from hub.config.init import HUB_YAML
from hub.config.json_schema import convert, json_schema
from hub.config.secret import revealed
from hub.config.values import duration_s, secret, size_bytes
from tests.hub.config.conftest import SCHEMAS, Folder
from tests.hub.config.test_loader import CONTRACT

SCHEMA = json_schema(SCHEMAS)
VALIDATOR = Draft202012Validator(SCHEMA)


def plain(folder: Folder) -> Any:
    return revealed(dict(folder.load().raw))


def test_the_schema_itself_is_valid_and_is_json() -> None:
    Draft202012Validator.check_schema(json.loads(json.dumps(SCHEMA)))


def test_the_example_of_the_manual_validates(folder: Folder) -> None:
    folder.write(CONTRACT).write("influx: a\nsmtp: b\n", "secrets.yaml")

    assert list(VALIDATOR.iter_errors(plain(folder))) == []


def test_the_starter_file_validates(folder: Folder) -> None:
    assert list(VALIDATOR.iter_errors(plain(folder.write(HUB_YAML)))) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"htpp": {}},
        {"http": {"port": 99999}},
        {"http": {"prot": 1}},
        {"discovery": "maybe"},
        {"devices": [{"name": "without id"}]},
        {"devices": [{"id": "Main Meter"}]},
        {"integrations": [{"nope": {}}]},
        {"integrations": [{"modbus": {}}]},
        {"integrations": [{"modbus": {"host": "a", "hots": "b"}}]},
        {"integrations": [{"demo": {}, "mqtt": {}}]},
        {"hub": {"currency": "euro"}},
        {"storage": {"url": "mysql://x"}},
        {"packages": {"a": {"http": {"prot": 1}}}},
    ],
)
def test_common_mistakes_are_refused(wrong: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(wrong)


def test_every_section_and_option_is_described() -> None:
    assert all(section.get("description") for section in SCHEMA["properties"].values())
    options = SCHEMA["properties"]["hub"]["properties"]
    assert all(option.get("description") for option in options.values())


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        (vol.Schema({vol.Required("a"): int}), {"a": 1}, {}),
        (vol.Schema({"a": int}, extra=vol.ALLOW_EXTRA), {"b": 1}, {"a": "x"}),
        (vol.Schema({"a": int}, required=True), {"a": 1}, {}),
        (vol.Schema({vol.Required("a", default=3): int}), {}, {"a": "x"}),
        (vol.Schema({str: int}), {"a": 1}, {"a": "x"}),
        (vol.Schema([str]), ["a"], [1]),
        (vol.Schema([vol.Any(str, int)]), ["a", 1], [None]),
        (vol.Any(None, str), None, 1),
        (vol.Any("a", "b"), "a", "c"),
        (vol.All(int, vol.Range(min=1, max=3)), 3, 4),
        (vol.All(vol.Coerce(int), vol.Range(min=1)), 1, []),
        (vol.All(str, vol.Length(max=2)), "ab", "abc"),
        (vol.All(str, vol.Match("^a+$")), "aa", "b"),
        (vol.In(["x", "y"]), "x", "z"),
        (vol.Coerce(Colour), "red", "green"),
        (vol.Maybe(int), None, "x"),
        (duration_s, "1h30m", "5 apples"),
        (duration_s, 5, -1),
        (size_bytes, "2MB", "lots"),
        (secret, "text", 5),
    ],
)
def test_voluptuous_parts_become_json_schema(schema: Any, good: Any, bad: Any) -> None:
    validator = Draft202012Validator(convert(schema))

    assert validator.is_valid(good)
    assert not validator.is_valid(bad)


def test_an_unknown_function_allows_anything() -> None:
    assert convert(lambda value: value) == {}
