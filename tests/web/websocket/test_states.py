"""Whatever a client misses, what it gets later makes it equal to the book again."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from hub.actors.board import LatestBoard
from hub.actors.registry import Registry
from hub.model.device import Device
from hub.model.series import Behaviour, Series, SeriesNo
from hub.model.units import Quantity
from web.websocket.channels import EntityChannel, SeriesChannel, StateChangeChannel
from web.websocket.states import StateBook, iso_utc, state_text

NOW_MS = 1_800_000_000_000
DEVICES = ("a", "b", "a-b")
KEYS = ("power", "b_power")


class House:
    """A registry, a board and a book that follow the same story."""

    def __init__(self) -> None:
        self.registry, self.board = Registry(), LatestBoard()
        self.book = StateBook(self.registry, self.board)
        self.pending: dict[int, tuple[int, float]] = {}
        self.now_ms = NOW_MS
        self.count = 0

    def add(self, device_id: str) -> None:
        if device_id not in self.registry.devices:
            self.registry.put_device(Device(device_id, device_id.upper(), "test"))
        for key in KEYS:
            if self.registry.find(device_id, key) is None:
                series = Series(
                    SeriesNo(self.count),
                    device_id,
                    key,
                    Quantity.POWER,
                    "W",
                    Behaviour.GAUGE,
                    interval_ms=1000,
                )
                self.count += 1
                self.registry.put(series)
                self.book.add(series, self.now_ms)

    def value(self, device_id: str, value: float) -> None:
        for series in self.registry.of_device(device_id):
            self.now_ms += 1
            self.board.set(series.no, self.now_ms, value, 0)
            self.pending[series.no] = (self.now_ms, value)

    def remove(self, device_id: str) -> None:
        if device_id in self.registry.devices:
            self.registry.drop_device(device_id)
            self.book.drop_device(device_id)

    def rename(self, device_id: str, name: str) -> None:
        if device_id in self.registry.devices:
            device = Device(device_id, name, "test")
            self.registry.put_device(device)
            self.book.rename(device, self.now_ms)

    def availability(self, device_id: str, state: str) -> None:
        if device_id in self.registry.devices:
            self.book.set_availability(device_id, state, self.now_ms, self.now_ms)

    def flush(self) -> None:
        pending, self.pending = self.pending, {}
        self.book.apply(pending, self.now_ms)

    def truth(self) -> dict[str, Any]:
        return {
            one.entity_id: (one.state, one.changed_ms, one.updated_ms, dict(one.attributes))
            for one in self.book.all()
        }


class Viewer:
    """Does with events what the public clients do; reads them only now and then."""

    def __init__(self, house: House) -> None:
        self.house, self.since = house, house.book.seq
        self.channel = EntityChannel(("all",), house.book, None)
        self.states: dict[str, Any] = {}
        self.take(self.channel.render_snapshot())

    def catch_up(self) -> None:
        self.house.flush()
        self.take(self.channel.render_news(self.since))
        self.since = self.house.book.seq

    def take(self, events: Any) -> None:
        for event in map(orjson.loads, events):
            for name, new in event.get("a", {}).items():
                self.states[name] = (new["s"], _ms(new["lc"]), _ms(new.get("lu", new["lc"])), new["a"])
            for name in event.get("r", ()):
                del self.states[name]
            for name, change in event.get("c", {}).items():
                self._change(name, change["+"], change.get("-", {}).get("a", ()))

    def _change(self, name: str, plus: dict[str, Any], gone: Any) -> None:
        state, changed, updated, attributes = self.states[name]
        changed = _ms(plus["lc"]) if "lc" in plus else changed
        updated = _ms(plus["lu"]) if "lu" in plus else changed
        kept = {key: value for key, value in (attributes | plus.get("a", {})).items() if key not in gone}
        self.states[name] = (plus.get("s", state), changed, updated, kept)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


_device = st.sampled_from(DEVICES)
_steps = st.one_of(
    st.tuples(st.just("add"), _device),
    st.tuples(st.just("value"), _device, st.sampled_from([0.0, 1.0, 2.5])),
    st.tuples(st.just("remove"), _device),
    st.tuples(st.just("rename"), _device, st.sampled_from(["X", "Y"])),
    st.tuples(st.just("availability"), _device, st.sampled_from(["offline", "online", "silent"])),
    st.tuples(st.just("flush")),
    st.tuples(st.just("catch_up")),
)


@given(before=st.lists(_steps, max_size=6), after=st.lists(_steps, max_size=40))
def test_a_client_that_reads_now_and_then_ends_with_the_truth(before: list[Any], after: list[Any]) -> None:
    house = House()
    for name, *arguments in before:
        getattr(house, {"catch_up": "flush"}.get(name, name))(*arguments)
    house.flush()
    viewer = Viewer(house)

    for name, *arguments in after:
        getattr(viewer if name == "catch_up" else house, name)(*arguments)
    viewer.catch_up()

    assert viewer.states == house.truth()


@given(values=st.lists(st.sampled_from([1.0, 2.0, 3.0]), min_size=1, max_size=20), read=st.data())
def test_state_changes_follow_each_other_without_a_gap(values: list[float], read: st.DataObject) -> None:
    house = House()
    house.add("a")
    house.flush()
    channel, since = StateChangeChannel(("events",), house.book, lambda: house.now_ms), house.book.seq
    seen = ["unknown"]

    for value in values:
        house.value("a", value)
        house.flush()
        for event in map(orjson.loads, channel.render_news(since)):
            if event["data"]["entity_id"] == "sensor.a_power":
                assert event["data"]["old_state"]["state"] == seen[-1]
                seen.append(event["data"]["new_state"]["state"])
        since = house.book.seq

    changes = [state_text(v) for v, before in zip(values, [None, *values], strict=False) if v != before]
    assert seen[1:] == changes


def test_values_between_two_flushes_become_the_last_one() -> None:
    house = House()
    house.add("a")
    house.flush()
    since, channel = house.book.seq, SeriesChannel(("series",), house.book, frozenset({"a.power"}))
    for value in (1.0, 2.0, 3.0):
        house.value("a", value)
    house.flush()

    (event,) = map(orjson.loads, channel.render_news(since))

    assert [value for _, value in event["series"].values()] == [3.0]


def test_what_nobody_updates_turns_stale() -> None:
    house = House()
    house.add("a")
    house.value("a", 5.0)
    house.flush()

    assert not house.book.sweep(house.now_ms + 60_000)
    assert house.book.sweep(house.now_ms + 3_600_000)
    assert {one.attributes["quality"] for one in house.book.all()} == {"stale"}


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_state_keeps_every_digit(value: float) -> None:
    assert float(state_text(value)) == value


def test_times_are_utc_with_offset() -> None:
    assert iso_utc(1_800_000_000_123) == "2027-01-15T08:00:00.123000+00:00"
