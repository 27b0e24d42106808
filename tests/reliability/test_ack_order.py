"""Acknowledged means synced: seen at the border of the process, call by call."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.chaos import store
from tests.chaos.deadline import until
from tests.chaos.hub_process import HubProcess, quiet_config
from tests.chaos.ledger import Ledger
from tests.chaos.loads import HttpLoad, Meter, MqttLoad, mqtt_entry, under_load
from tests.peers.mosquitto import Mosquitto, require_mosquitto
from tests.reliability.syscalls import Call, calls, command, packets

WANTED_ACKS = 60
_PUBLISH, _PUBACK, _QOS1 = 0x30, 0x40, 0x02


class Journal:
    """Writes to the write-ahead log and the syncs that cover them."""

    def __init__(self, seen: Sequence[Call]) -> None:
        mine = [call for call in seen if call.file.endswith("hub.db-wal")]
        self.writes = [call for call in mine if call.name == "pwrite64"]
        self.syncs = [call for call in mine if call.name in ("fdatasync", "fsync") and call.result == 0]

    def covers(self, arrived: int, acked: int) -> bool:
        """Whether something was written after the arrival, and synced before the acknowledgement."""
        written = [call.ended for call in self.writes if arrived < call.began < acked]
        return (
            any(sync.began > written[0] and sync.ended < acked for sync in self.syncs) if written else False
        )


def http_acks(seen: Sequence[Call], port: int) -> list[tuple[int, int]]:
    """``(request was there, answer began)`` of each 204, by line number."""
    arrived: dict[str, int] = {}
    acks = []
    for call in seen:
        if not call.file.startswith(f"TCP:[127.0.0.1:{port}->"):
            continue
        if call.name in ("read", "recvfrom", "recvmsg") and call.result > 0:
            arrived[call.file] = call.ended
        elif call.data.startswith(b"HTTP/1.1 204"):
            acks.append((arrived[call.file], call.began))
    return acks


def mqtt_acks(seen: Sequence[Call], port: int) -> list[tuple[int, int]]:
    """``(PUBLISH of QoS 1 was there, its PUBACK began)``, by line number."""
    arrived: dict[bytes, int] = {}
    acks = []
    mine = [
        call for call in seen if call.file.endswith(f"->127.0.0.1:{port}]") and call.file.startswith("TCP:")
    ]
    incoming = [call for call in mine if call.name in ("read", "recvfrom", "recvmsg")]
    outgoing = [call for call in mine if call.name in ("write", "writev", "sendto", "sendmsg")]
    events = [(call.ended, head, body, call) for head, body, call in packets(incoming)]
    events += [(call.began, head, body, call) for head, body, call in packets(outgoing)]
    for at, head, body, _ in sorted(events, key=lambda event: event[0]):
        if head & 0xF0 == _PUBLISH and head & 0x06 == _QOS1:
            topic_end = 2 + int.from_bytes(body[:2], "big")
            arrived[body[topic_end : topic_end + 2]] = at
        elif head & 0xF0 == _PUBACK and body[:2] in arrived:
            acks.append((arrived.pop(body[:2]), at))
    return acks


@pytest.mark.timeout(300)
async def test_every_acknowledgement_follows_a_sync_of_what_it_acknowledges(tmp_path: Path) -> None:
    require_mosquitto()
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    (tmp_path / "broker").mkdir()
    broker = Mosquitto(tmp_path / "broker").start()
    trace = tmp_path / "trace.txt"
    hub = HubProcess(tmp_path, quiet_config(mqtt_entry(broker.url, "hub")), prefix=command(trace))
    try:
        await hub.start()

        async def subscribed() -> bool:
            return "hub 1 chaos/+" in broker.log

        await until(subscribed, 60, "the hub has subscribed")
        ledger = Ledger()
        mqtt = MqttLoad(broker.port, ledger, 60.0, [Meter("mqtt-0"), Meter("mqtt-1")], 2)
        http = [
            HttpLoad(hub, ledger, 30.0, [Meter(f"json-{number}")], per_batch=2, lines=number == 2)
            for number in range(3)
        ]

        async def enough() -> bool:
            rows = store.stored_rows(hub.database_path)
            by_mqtt = sum(len(found) for name, found in rows.items() if name.startswith("mqtt-"))
            return by_mqtt > 2 * WANTED_ACKS and sum(len(one.latencies_s) for one in http) > WANTED_ACKS

        async with under_load(mqtt, *http):
            await until(enough, 60, "readings are acknowledged", step_s=0.3)
        mqtt.close()
        pids = _children(hub.process.pid) if hub.process else []
        assert len(pids) == 1
        await _terminate(hub, pids[0])
    finally:
        await hub.close()
        broker.stop()
    seen = await asyncio.to_thread(calls, trace)
    journal = Journal(seen)
    over_http, over_mqtt = http_acks(seen, hub.port), mqtt_acks(seen, broker.port)
    assert len(over_http) >= WANTED_ACKS
    assert len(over_mqtt) >= WANTED_ACKS
    assert [pair for pair in over_http if not journal.covers(*pair)] == []
    assert [pair for pair in over_mqtt if not journal.covers(*pair)] == []


def _children(pid: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def _terminate(hub: HubProcess, pid: int) -> None:
    """Stop the hub itself; strace ends with it and has written everything."""
    os.kill(pid, signal.SIGTERM)

    async def ended() -> bool:
        return not hub.running

    await until(ended, 30, "the traced hub ends")
