"""MQTT into committed rows: QoS 0 and 1, one and five values a message, through a real broker.

The publisher may be at most some thousand messages ahead of what is committed, so it always outruns the hub
and nothing is ever dropped for want of room. The floors: a bare paho client that acknowledges by hand, and a
bare SQLite with the hub's rows per commit, synced.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass

from bench.floor_paho import received_per_s
from bench.floor_sqlite import rows_per_s
from bench.hub_process import HubProcess
from bench.publisher_process import DEVICES, allow, bare_broker, publishing
from bench.rows import Context, Row

AHEAD_MESSAGES = 6_000
LOOK_EVERY_S = 0.1
WARM_S = 1.0
SETTLE_S = 30.0
COMMITS = "wattline_ingest_commits_total"
KINDS = ((0, 1), (0, 5), (1, 1), (1, 5))


@dataclass(frozen=True, slots=True)
class Measured:
    """One stretch of steady load."""

    messages_per_s: float
    values_per_s: float
    cpu_us_per_value: float
    rows_per_commit: float


def measure(hub: HubProcess, qos: int, values: int, span_s: float) -> Measured:
    """Load the hub for a while and count what it commits."""
    with publishing(hub.mqtt_port, qos, values) as publisher:
        start = hub.stored()
        until_s = time.perf_counter() + SETTLE_S
        while hub.stored() == start and time.perf_counter() < until_s:  # the publisher is not there yet
            _feed(hub, publisher, start, values, LOOK_EVERY_S)
        _feed(hub, publisher, start, values, WARM_S)
        commits = hub.metric(COMMITS)
        first, first_cpu_s, begin_s = hub.stored(), hub.cpu_s(), time.perf_counter()
        _feed(hub, publisher, start, values, span_s)
        taken_s = time.perf_counter() - begin_s
        count = hub.stored() - first
        cpu_us = (hub.cpu_s() - first_cpu_s) / max(count, 1) * 1e6
        commits = hub.metric(COMMITS) - commits
    if not count:
        raise RuntimeError(f"nothing was stored in {taken_s:.0f} s; is the machine too busy?")
    _settle(hub)
    return Measured(count / values / taken_s, count / taken_s, cpu_us, count / max(commits, 1))


def _feed(hub: HubProcess, publisher: subprocess.Popen[str], start: int, values: int, span_s: float) -> None:
    until_s = time.perf_counter() + span_s
    while time.perf_counter() < until_s:
        allow(publisher, (hub.stored() - start) // values + AHEAD_MESSAGES)
        time.sleep(LOOK_EVERY_S)


def _settle(hub: HubProcess) -> None:
    """Wait until the backlog is stored."""
    before, until_s = -1, time.perf_counter() + SETTLE_S
    while (now := hub.stored()) != before and time.perf_counter() < until_s:
        before = now
        time.sleep(0.5)


def run(context: Context) -> list[Row]:
    """All four combinations."""
    span_s = 3.0 if context.quick else 8.0
    rows: list[Row] = []
    floors = _floors(context)
    with context.directory("mqtt") as directory, HubProcess(directory, mqtt=True) as hub:
        _make_known(hub)
        for qos, values in KINDS:
            found = measure(hub, qos, values, span_s)
            floor = floors[qos, values]
            demanded = (qos, values) == (1, 5)
            name = f"MQTT QoS {qos}, {values} value{'s' if values > 1 else ''} a message"
            rows.append(
                Row(name, found.messages_per_s, "messages/s", floor=floor, floor_name="bare paho, manual ack",
                    target=8_000 if demanded else None, cpu_us=found.cpu_us_per_value)
            )  # fmt: skip
            if demanded:
                rows += _details(context, found)
        per_value = hub.disk_bytes() / max(hub.stored(), 1)
        rows.append(
            Row(
                "whole store per value, under load",
                per_value,
                "bytes",
                "lower",
                note="hot, with slots, marks and log",
            )
        )
    return rows


def _make_known(hub: HubProcess) -> None:
    """New series are derived once before they are followed live; that is not what is measured here."""
    with publishing(hub.mqtt_port, 1, 5) as publisher:
        allow(publisher, 2 * DEVICES)
        hub.settle()


def _floors(context: Context) -> dict[tuple[int, int], float]:
    span_s = 1.0 if context.quick else 3.0
    with context.directory("paho") as directory, bare_broker(directory) as port:
        return {kind: received_per_s(port, *kind, span_s) for kind in KINDS}


def _details(context: Context, found: Measured) -> list[Row]:
    rows_per_commit = round(found.rows_per_commit)
    with context.directory("floor") as directory:
        floor = rows_per_s(directory, rows_per_commit, 100_000 if context.quick else 400_000)
    return [
        Row("- values committed", found.values_per_s, "values/s", floor=floor,
            floor_name=f"bare SQLite in key order, {rows_per_commit} a commit, synced"),
        Row("- CPU of the hub per value", found.cpu_us_per_value, "µs", "lower", target=28.0,
            cpu_us=found.cpu_us_per_value),
    ]  # fmt: skip
