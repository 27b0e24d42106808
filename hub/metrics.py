"""Figures of the hub for Prometheus, read from the parts when they are asked for: nothing is counted twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from hub.storage.statistics import BUCKETS_S, Histogram

if TYPE_CHECKING:
    from hub.app import Hub


class HubCollector(Collector):
    """Registered once per hub; a scrape costs some hundred microseconds."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._parts: Sequence[Callable[[], Iterator[Metric]]] = (
            self._ingest,
            self._storage,
            self._loop,
            self._actors,
            self._entries,
        )

    def collect(self) -> Iterator[Metric]:
        """All families."""
        for part in self._parts:
            yield from part()

    def describe(self) -> Iterator[Metric]:
        """Nothing in advance: the store is not open yet when the collector is registered."""
        return iter(())

    def _ingest(self) -> Iterator[Metric]:
        load = self._hub.load
        tally = load.tally
        yield _counter("wattline_readings_committed", "Readings stored and fsynced", tally.committed)
        yield _counter(
            "wattline_readings_deduplicated", "Identical repeats of stored readings", tally.deduplicated
        )
        yield _counter("wattline_readings_conflicts", "Other values for a stored time", tally.conflicts)
        yield _counter("wattline_ingest_commits", "Group commits of readings", tally.commits)
        yield _labelled(
            CounterMetricFamily("wattline_readings_rejected", "Readings refused, by code", labels=["code"]),
            {(code,): count for code, count in tally.rejected.items()},
        )
        yield _gauge("wattline_queue_depth_values", "Values that wait to be stored", load.values)
        yield _gauge("wattline_queue_limit_values", "Values that may wait", load.limit)
        yield _gauge(
            "wattline_stored_up_to_seconds",
            "Newest device time stored, Unix time",
            tally.stored_up_to_ms / 1000,
        )

    def _storage(self) -> Iterator[Metric]:
        database = self._hub.database
        statistics = database.statistics
        yield _counter("wattline_commits", "Transactions committed", statistics.commits)
        yield _counter("wattline_storage_failures", "Operations that the store failed", statistics.failures)
        yield _histogram("wattline_commit_seconds", "Duration of commits", statistics.commit_s)
        yield _histogram(
            "wattline_append_wait_seconds", "Readings waiting for the writer", statistics.append_wait_s
        )
        yield _histogram("wattline_read_seconds", "Duration of reads", statistics.read_s)
        yield _gauge("wattline_storage_bytes", "Size of the store", database.size_bytes())
        yield _gauge("wattline_series", "Registered series", len(self._hub.registry.all_series()))
        yield _gauge("wattline_devices", "Registered devices", len(self._hub.registry.devices))

    def _loop(self) -> Iterator[Metric]:
        lag = self._hub.watchdog.meter.histogram()
        buckets = [
            *((str(bound_s), count) for bound_s, count in zip(lag.bounds_s, lag.counts, strict=True)),
            ("+Inf", lag.count),
        ]
        yield HistogramMetricFamily(
            "wattline_loop_lag_seconds", "Lag of the event loop", buckets=buckets, sum_value=lag.sum_s
        )
        yield _gauge("wattline_loop_lag_p99_seconds", "The same, last minute", self._hub.watchdog.lag_p99_s())

    def _actors(self) -> Iterator[Metric]:
        health = self._hub.supervisor.health()
        yield _labelled(
            GaugeMetricFamily("wattline_actor_inbox", "Messages that wait", labels=["actor"]),
            {(one.name,): one.depth for one in health},
        )
        yield _labelled(
            CounterMetricFamily("wattline_actor_failures", "Failures of actors", labels=["actor"]),
            {(one.name,): one.failures for one in health},
        )

    def _entries(self) -> Iterator[Metric]:
        entries = self._hub.entries()
        yield _labelled(
            GaugeMetricFamily("wattline_entry_running", "1 while an entry runs", labels=["entry", "domain"]),
            {(one.entry_id, one.domain): float(one.state == "running") for one in entries},
        )
        yield _labelled(
            CounterMetricFamily(
                "wattline_entry_readings", "Readings stored by entry", labels=["entry", "domain"]
            ),
            {(one.entry_id, one.domain): one.readings for one in entries},
        )


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _labelled(
    family: CounterMetricFamily | GaugeMetricFamily, values: Mapping[tuple[str, ...], float]
) -> Metric:
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _histogram(name: str, text: str, source: Histogram) -> Metric:
    total = 0
    buckets: list[tuple[str, float]] = []
    for border, count in zip((*map(str, BUCKETS_S), "+Inf"), source.counts, strict=True):
        total += count
        buckets.append((border, total))
    return HistogramMetricFamily(name, text, buckets=buckets, sum_value=source.total_s)
