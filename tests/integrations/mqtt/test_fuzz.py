"""Whatever is sent: nothing is stored from what is refused, nothing crashes, each refusal has a code."""

from __future__ import annotations

import math
from collections.abc import Callable

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.plugins.api import ReadingBatch
from hub.plugins.testing import MemoryIntake
from integrations.mqtt.announcement import identity_of, sensors_of
from integrations.mqtt.numbers import Unreadable
from integrations.mqtt.schema import settings_of
from integrations.mqtt.source import MqttSource
from integrations.mqtt.wire import Record

TOPICS = [
    {"topic": "plain/+", "device": "{1}", "series": "power"},
    {"topic": "json/+", "device": "{1}", "series": "power", "value": "{{ json.a.b }}"},
    {"topic": "slow/+", "device": "{1}", "series": "power", "value": "{{ value.split(';')[0] }}"},
    {"topic": "time/+", "device": "{1}", "series": "power", "ts": "{{ json.t }}", "value": "{{ json.v }}"},
    {"topic": "known/+", "device": "{1}", "values": "known"},
    {"topic": "all/+", "device": "{1}", "values": "all"},
]
HARD = st.sampled_from([
    b"NaN", b"-Infinity", b"1e308", b"1e999", b"9" * 400, b"[" * 5000, b'{"a":' * 5000, b"\xff\xfe", b"\xef\xbb\xbf1",
    b"1\x00", b'{"power": NaN}', b'"\\ud800"', b'{"__proto__": 1}', b'{"' + b"k" * 5000 + b'": 1}', b"null", b"true",
    b'{"power": 1, "ts": -5}', b'{"power": 1, "ts": "yesterday"}', b'{"power": 1, "ts": 1e400}', b"{}", b"",
    b'{"power": "1e400"}', b'{"a": {"b": []}}', b'{"v": 1, "t": {}}', b'{"\\u0000": 1}',
])  # fmt: skip
PAYLOADS = HARD | st.binary(max_size=80) | st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["a", "b", "v", "t", "ts", "power", "energy", "x"]) | st.text(max_size=5),
                      inner, max_size=4),
    max_leaves=10,
).map(orjson.dumps)  # fmt: skip
NAMES = st.sampled_from(
    [b"meter", b"...", b"", b"\xff", b"Main Meter", b"a" * 300, "ü".encode(), b"a\x01b"]
) | st.binary(max_size=12)
MESSAGES = st.tuples(st.sampled_from(["plain", "json", "slow", "time", "known", "all", "none"]), NAMES, PAYLOADS,
                     st.sampled_from([0x30, 0x31, 0x32, 0x33]))  # fmt: skip


async def fed(messages: list[tuple[str, bytes, bytes, int]]) -> tuple[MemoryIntake, ReadingBatch]:
    """Decode messages as the source does."""
    intake = MemoryIntake()
    source = MqttSource(settings_of({"topics": TOPICS}))
    source.attach(intake)
    batch = intake.batch()
    records = [
        Record(f"{kind}/".encode() + name, payload, b"", head) for kind, name, payload, head in messages
    ]
    assert await source.decode(records, 0, batch) == len(records)
    return intake, batch


@given(st.lists(MESSAGES, max_size=8))
@settings(max_examples=300, deadline=None)
async def test_readings_are_finite_and_refusals_have_codes(
    messages: list[tuple[str, bytes, bytes, int]],
) -> None:
    intake, batch = await fed(messages)
    assert all(math.isfinite(value) and abs(value) <= 1e18 for value in batch.values)
    assert len(batch.series) == len(batch.ts_ms) == len(batch.values) == len(batch.item)
    for rejection in intake.rejected:
        assert rejection.code.startswith("WL-")
        assert rejection.text
        assert rejection.field


@given(st.sampled_from([b"NaN", b"1_0", b"0x1", b"1,5", b"true", b"\xff", b"1 2", b"[1]", b"--1"]))
async def test_a_refused_payload_stores_nothing(payload: bytes) -> None:
    intake, batch = await fed([("plain", b"meter", payload, 0x30)])
    assert not batch.values
    assert len(intake.rejected) == 1


def refusal_of(read: Callable[[], object]) -> str:
    """Code of the refusal, empty for none."""
    try:
        read()
    except Unreadable as error:
        return error.code
    return ""


@given(st.binary(max_size=200) | PAYLOADS, st.sampled_from(["sensor", "device", "switch", "x"]))
@settings(max_examples=300, deadline=None)
def test_any_announcement_is_read_or_refused(payload: bytes, component: str) -> None:
    code = refusal_of(lambda: sensors_of((component, "", "x"), payload))
    assert code in ("", "WL-MQT-008", "WL-MQT-013", "WL-MQT-014")


CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        key: st.none() | st.booleans() | st.integers(-9, 10**9) | st.text(max_size=10) | st.lists(st.text(max_size=4))
        | st.dictionaries(st.sampled_from(["ids", "cns", "name", "t", "p", "uniq_id", "a"]), st.text(max_size=5))
        for key in ("~", "stat_t", "val_tpl", "dev_cla", "unit_of_meas", "stat_cla", "avty", "avty_t", "avty_mode",
                    "dev", "o", "cmps", "name", "exp_aft", "ent_cat", "en", "pl_avail", "availability_topic")
    },
)  # fmt: skip


@given(CONFIGS, st.booleans(), st.sampled_from(["sensor", "device"]))
@settings(max_examples=500, deadline=None)
def test_wrong_types_anywhere_in_an_announcement_are_refused(
    config: dict[str, object], good_device: bool, component: str
) -> None:
    base = {"stat_t": "a/b", "dev_cla": "power", "dev": {"ids": ["x"]}, "o": {"name": "n"}}
    payload = orjson.dumps({**config, **(base if good_device else {})})
    assert refusal_of(lambda: sensors_of((component, "n", "x"), payload)) in (
        "", "WL-MQT-008", "WL-MQT-013", "WL-MQT-014", "WL-ING-011",
    )  # fmt: skip


@given(st.text(max_size=60))
def test_any_discovery_topic_has_an_identity_or_is_refused(rest: str) -> None:
    code = refusal_of(lambda: identity_of("homeassistant", f"homeassistant/{rest}"))
    assert code in ("", "WL-MQT-013")
