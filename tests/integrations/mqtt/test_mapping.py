"""Topic filters and what their wildcards stand for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.plugins.api import Behaviour, DeviceInfo, Quantity, SeriesInfo
from hub.plugins.testing import MemoryIntake
from integrations.mqtt.mapping import ConfiguredTopics, covers, wildcard_texts
from integrations.mqtt.message import Message
from integrations.mqtt.numbers import Unreadable
from integrations.mqtt.schema import TopicSetting, ValueSetting, settings_of

LEVELS = st.lists(st.sampled_from(["a", "b", "", "$SYS"]), min_size=1, max_size=4)
FILTERS = st.builds(
    lambda levels, end: [*levels, *end],
    st.lists(st.sampled_from(["a", "b", "", "+", "$SYS"]), max_size=3),
    st.sampled_from([["#"], ["+"], ["a"]]),
)


@pytest.mark.parametrize(
    ("pattern", "topic", "texts"),
    [
        ("meters/+/power", "meters/a/power", ("a",)),
        ("meters/+/power", "meters/a/b/power", None),
        ("+/+", "/a", ("", "a")),
        ("/a", "a", None),
        ("a/#", "a/b/c", ("b/c",)),
        ("a/#", "a", ("",)),
        ("#", "$SYS/broker", None),
        ("+/broker", "$SYS/broker", None),
        ("$SYS/#", "$SYS/broker", ("broker",)),
        ("a/+/#", "a/b/c/d", ("b", "c/d")),
        ("A", "a", None),
    ],
)
def test_wildcards_stand_for_levels(pattern: str, topic: str, texts: tuple[str, ...] | None) -> None:
    assert wildcard_texts(pattern.split("/"), topic.split("/")) == texts


@given(FILTERS, FILTERS, LEVELS)
def test_a_covering_filter_matches_all_topics_of_the_covered(
    wide: list[str], narrow: list[str], topic: list[str]
) -> None:
    if covers("/".join(wide), "/".join(narrow)) and wildcard_texts(narrow, topic) is not None:
        assert wildcard_texts(wide, topic) is not None


def test_a_covered_filter_is_not_subscribed_to_but_its_quality_counts() -> None:
    topics = [
        {"topic": "m/#", "device": "x", "series": "power", "qos": 0},
        {"topic": "m/+/p", "device": "{1}", "series": "power", "qos": 1},
        {"topic": "other", "device": "o", "series": "power", "qos": 0},
    ]
    configured = ConfiguredTopics(settings_of({"topics": topics}).topics)
    assert configured.subscriptions() == {"m/#": 1, "other": 0}


async def test_a_topic_with_another_kind_than_the_series_is_refused() -> None:
    intake = MemoryIntake()
    register = SeriesInfo("energy", Quantity.ENERGY, Behaviour.COUNTER, "kWh")
    await intake.declare(DeviceInfo("plug"), [register])
    setting = TopicSetting("meters/+/e", "{1}", (ValueSetting("energy", kind="delta"),))
    (reader,) = await ConfiguredTopics([setting]).readers("meters/plug/e", intake)
    with pytest.raises(Unreadable) as refused:
        reader.read(Message(b"1"), intake.batch(), intake)
    assert refused.value.code == "WL-ING-025"
