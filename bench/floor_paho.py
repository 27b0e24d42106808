"""The floor of receiving: a bare paho client in its own thread that counts and acknowledges by hand."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bench.publisher_process import allow, publishing

AHEAD_MESSAGES = 6_000


def received_per_s(port: int, qos: int, values: int, span_s: float) -> float:
    """Messages a second that arrive and are acknowledged."""
    with subprocess.Popen(
        [sys.executable, "-m", "bench.floor_paho", str(port), str(qos), str(values), str(span_s)],
        stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        shown, _ = process.communicate(timeout=span_s + 30)
    return float(shown)


def main() -> None:
    """Receive for a while and print the rate."""
    port, qos, values = (int(word) for word in sys.argv[1:4])
    span_s = float(sys.argv[4])
    count = 0
    ready = threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="bench-paho", manual_ack=True)

    def on_message(client: Any, userdata: Any, message: paho.MQTTMessage) -> None:
        nonlocal count
        count += 1
        client.ack(message.mid, message.qos)

    client.on_message = on_message
    client.on_subscribe = lambda *_: ready.set()
    client.connect("127.0.0.1", port)
    client.subscribe("meters/+/state", qos)
    client.loop_start()
    ready.wait(10)
    with publishing(port, qos, values) as publisher:
        begin_s = time.perf_counter()
        while time.perf_counter() - begin_s < span_s:
            with contextlib.suppress(BrokenPipeError):
                allow(publisher, count + AHEAD_MESSAGES)
            time.sleep(0.02)
        taken_s, seen = time.perf_counter() - begin_s, count
    client.loop_stop()
    client.disconnect()
    print(seen / taken_s)


if __name__ == "__main__":
    main()
