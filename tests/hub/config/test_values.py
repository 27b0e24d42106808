"""Single values: what is accepted, what it becomes, what is refused."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.config import values
from hub.config.secret import DOTS, Secret, is_sensitive_key
from hub.config.values import ValueProblem


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("5min", 300),
        ("48h", 172_800),
        ("90d", 7_776_000),
        ("1h30m", 5400),
        ("1 h 30 min", 5400),
        ("500ms", 0.5),
        ("2w", 1_209_600),
        (10, 10),
        (0.5, 0.5),
        ("0s", 0),
        ("1.5h", 5400),
    ],
)
def test_durations(written: object, seconds: float) -> None:
    assert values.duration_s(written) == seconds


@pytest.mark.parametrize(
    "written", ["", "5", "min", "5 apples", "-5s", -1, True, None, [], "1h1h", "5s x", "1e9d", "9" * 99 + "s"]
)
def test_what_is_no_duration(written: object) -> None:
    with pytest.raises(ValueProblem) as caught:
        values.duration_s(written)
    assert caught.value.code == "WL-CFG-025"


@given(st.integers(0, 99), st.integers(0, 23), st.integers(0, 59))
def test_parts_of_a_duration_add_up(days: int, hours: int, minutes: int) -> None:
    assert values.duration_s(f"{days}d{hours}h {minutes}min") == days * 86400 + hours * 3600 + minutes * 60


@pytest.mark.parametrize(
    ("written", "size"), [("2MB", 2_000_000), ("1GiB", 1 << 30), ("1.5 kB", 1500), (7, 7), ("8b", 8)]
)
def test_sizes(written: object, size: int) -> None:
    assert values.size_bytes(written) == size


GOOD: list[tuple[values.Validator, Any]] = [
    (values.time_zone, "Europe/Paris"),
    (values.time_zone, "UTC"),
    (values.time_zone, "America/Argentina/Buenos_Aires"),
    (values.currency, "CHF"),
    (values.country, "NO"),
    (values.host, "hub.lan"),
    (values.host, "::1"),
    (values.host, "192.0.2.1"),
    (values.host, "my_meter"),
    (values.network, "192.168.0.0/24"),
    (values.origin, "https://hub.example.org:8443"),
    (values.storage_url, "sqlite:///hub.db"),
    (values.storage_url, "postgresql://u:p@h:5432/db"),
    (values.identifier, "main-meter_2"),
]


@pytest.mark.parametrize(("validator", "value"), GOOD)
def test_good_values_stay_as_they_are(validator: values.Validator, value: Any) -> None:
    assert validator(value) == value


BAD: list[tuple[values.Validator, Any]] = [
    (values.time_zone, "CEST+2x"),
    (values.time_zone, "posix/Europe/Paris"),
    (values.time_zone, "/etc/localtime"),
    (values.time_zone, "Europe/../Europe/Paris"),
    (values.time_zone, 3),
    (values.currency, "eur"),
    (values.currency, "XXX"),
    (values.country, "UK"),
    (values.host, "http://x"),
    (values.host, "a b"),
    (values.host, "999.1.1.1"),
    (values.host, "-x"),
    (values.host, ""),
    (values.network, "10.0.0.1/8"),
    (values.network, "anything"),
    (values.origin, "https://x/path"),
    (values.origin, "https://x:99999"),
    (values.origin, "*"),
    (values.storage_url, "sqlite://hub.db"),
    (values.storage_url, "sqlite:///"),
    (values.storage_url, "postgresql:///db"),
    (values.storage_url, "postgresql://h"),
    (values.identifier, "Übung"),
    (values.identifier, "a" * 65),
    (values.identifier, "-a"),
    (values.identifier, "a\n"),
    (values.flag, "yes"),
    (values.flag, 1),
    (values.port, True),
    (values.port, 80.0),
    (values.text, "  "),
    (values.text, 5),
    (values.secret, ""),
]


@pytest.mark.parametrize(("validator", "value"), BAD)
def test_bad_values_are_refused_with_a_code(validator: values.Validator, value: Any) -> None:
    with pytest.raises(ValueProblem) as caught:
        validator(value)
    assert caught.value.code.startswith("WL-CFG-0")


@pytest.mark.parametrize(
    ("validator", "value", "hint"),
    [
        (values.time_zone, "paris", "Europe/Paris"),
        (values.time_zone, "Europe/Berlim", "Europe/Berlin"),
        (values.currency, "eur", '"EUR"'),
        (values.network, "10.0.0.1/8", "10.0.0.0/8"),
        (values.identifier, "Main Meter", "main-meter"),
        (values.flag, "on", "write true"),
        (values.port, "80", "remove the quotes"),
    ],
)
def test_refusals_say_what_would_be_right(validator: values.Validator, value: Any, hint: str) -> None:
    with pytest.raises(ValueProblem) as caught:
        validator(value)
    assert hint in caught.value.hint


def test_a_secret_shows_dots_however_it_is_printed() -> None:
    secret = Secret("hunter2")

    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!r:>20}",
        f"{secret:>20}",
        f"{secret}",
        str([secret]),
    ]
    assert all(DOTS in text and "hunter" not in text for text in shown)
    assert secret.reveal() == "hunter2"


def test_a_secret_does_not_leave_by_accident() -> None:
    secret = Secret("hunter2")

    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        json.dumps(secret)
    with pytest.raises(TypeError):
        "".join([secret])  # type: ignore[list-item]  # the point of the test
    assert copy.deepcopy({"a": secret})["a"] is secret
    assert not hasattr(secret, "__dict__")


def test_secrets_compare_by_text() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert not Secret("")


@pytest.mark.parametrize(
    "key", ["password", "Passwd", "api_key", "apiKey", "API-KEY", "access_token", "clientSecret", "psk"]
)
def test_keys_of_secrets_are_known(key: str) -> None:
    assert is_sensitive_key(key)


@pytest.mark.parametrize("key", ["key", "keys", "name", "author", "passive", "pinned", "series", "monkey"])
def test_everyday_keys_are_not_hidden(key: str) -> None:
    assert not is_sensitive_key(key)
