"""Names that travel into ids."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import Refused
from hub.model.names import DEVICE_ID, device_id, is_printable, printable, series_key


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("main-meter", "main-meter"),
        ("MAIN Meter", "main-meter"),
        ("Wärmepumpe Küche/Süd", "warmepumpe-kuche-sud"),
        ("Straße 5", "strasse-5"),
        ("Ørsted Łódź", "orsted-lodz"),
        ("../../etc", "etc"),
        ("Power (µA)", "power-ua"),
        ("Leistung (°C)", "leistung-c"),
        ("m²", "m2"),
    ],
)
def test_latin_names_keep_their_letters(name: str, slug: str) -> None:
    assert device_id(name) == slug


@pytest.mark.parametrize("name", ["電力計", "Счётчик", "मीटर", "⚡", "عداد", "計1", "計 garage"])
def test_names_of_other_scripts_get_an_id_of_their_own(name: str) -> None:
    assert DEVICE_ID.match(device_id(name))
    assert device_id(name) == device_id(name)
    assert re.fullmatch(r"[a-z0-9_]+", series_key(name))


def test_letters_that_an_id_cannot_hold_still_tell_two_names_apart() -> None:
    names = ["電力1", "水道1", "1", "電力計", "水道計", "Счётчик", "Счетчик", "計 garage", "garage"]
    assert len({device_id(name) for name in names}) == len(names)
    assert len({series_key(name) for name in names}) == len(names)


def test_the_same_name_in_another_encoding_is_the_same_device() -> None:
    assert device_id("メーター\u30ab\u3099") == device_id("メーター\u30ac")


def test_names_that_are_too_long_are_not_thrown_together() -> None:
    long = "d" * 64
    assert device_id(long) == long
    assert len({device_id(long), device_id(long + "a"), device_id(long + "b")}) == 3
    assert len({series_key(long), series_key(long + "a"), series_key(long + "b")}) == 3


@pytest.mark.parametrize(
    "name", ["", " ", "..", "///", "./.", "---", "\u3000", "a\x00b", "a\ud800", "x" * 201]
)
def test_names_without_content_are_refused(name: str) -> None:
    for make in (device_id, series_key):
        with pytest.raises(Refused):
            make(name)


@given(st.text(max_size=200))
def test_an_id_is_valid_and_stays_as_it_is(name: str) -> None:
    try:
        slug = device_id(name)
    except Refused:
        return
    assert DEVICE_ID.match(slug)
    assert device_id(slug) == slug
    assert series_key(series_key(name)) == series_key(name)


def test_a_printable_text_is_one_line_without_control_characters() -> None:
    assert printable("Küche 👩\u200d🔧\u00a05") == "Küche 👩\u200d🔧\u00a05"
    assert printable("a\x00b\n c\x1b[0m\u2028\ud800d\u202e") == "a b c [0m d"
    assert not is_printable("a\x00")
