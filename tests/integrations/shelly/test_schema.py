"""What may be written for a Shelly."""

from __future__ import annotations

from typing import Any

import pytest
import voluptuous as vol

from integrations.shelly.schema import SCHEMA


def entry(**more: Any) -> dict[str, Any]:
    checked: dict[str, Any] = SCHEMA({"host": "192.0.2.9", **more})
    return checked


def test_defaults() -> None:
    assert entry() == {
        "host": "192.0.2.9", "port": 80, "transport": "auto", "interval": 10.0, "timeout": 5.0, "reversed": False,
        "channels": {},
    }  # fmt: skip


def test_channels_may_be_keyed_by_number_or_text() -> None:
    channels = {1: {"name": "Freezer"}, "2": {"role": "ev"}}
    assert entry(channels=channels)["channels"] == {1: {"name": "Freezer"}, 2: {"role": "ev"}}


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": "http://192.0.2.9"},
        {"host": "192.0.2.9/rpc"},
        {"host": "user@192.0.2.9"},
        {"port": 70000},
        {"transport": "mqtt"},
        {"interval": 0},
        {"interval": "often"},
        {"timeout": 0},
        {"password": 1234},
        {"role": "boss"},
        {"id": "..."},
        {"channels": {"one": {}}},
        {"channels": {1: {"colour": "red"}}},
        {"user": "admin"},
    ],
)
def test_mistakes_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(vol.Invalid):
        entry(**wrong)


def test_a_wrong_password_type_is_not_repeated_in_the_error() -> None:
    with pytest.raises(vol.Invalid) as refused:
        entry(password=987654)
    assert "987654" not in str(refused.value)
