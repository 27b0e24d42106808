"""``POST /write`` and ``POST /api/v2/write``.

As with InfluxDB, good lines of a request are stored and bad ones named: 400 ``partial write: …`` says that
something was stored, 400 ``unable to parse …`` that nothing could be read. Differences to InfluxDB, all on
the side of keeping what was measured:

- text and boolean fields are no measurements: they are left out and counted, and do not fail their line;
- the first value of a series and time stays; another one is kept as a conflict for people to see and is
  answered as written, for a sender could never do better and InfluxDB would have overwritten in silence;
- any database, bucket or organisation is accepted, all lead to the same store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import chain

from hub.plugins.api import Intake, PushAnswer, PushRequest, ReadingBatch, Rejection
from integrations.influx_line import answers
from integrations.influx_line.bodies import MAX_LINES, Slice, slices_of
from integrations.influx_line.lines import LineReader, Outcome
from integrations.influx_line.precision import NS, V1, V2, Precision

VALUES_PER_BATCH = 50_000
"""Values stored at once; a larger body is stored in several commits, a quarter of the ingest queue each."""

CONFLICT = "WL-ING-043"
"""The recorder's code for another value at a stored time."""

_SHOWN_FAULTS = 20
_SHOWN_CHARS = 200
_SAMPLE_BYTES = 4_096

ErrorAnswer = Callable[[int, str, int | None], PushAnswer]
"""Status, text and line number (from 1) → an error in the shape of one API."""


class WriteEndpoints:
    """The two write routes; they share what was learned of heads."""

    def __init__(self, reader: LineReader) -> None:
        self._reader = reader

    async def v1(self, request: PushRequest, intake: Intake) -> PushAnswer:
        """204, or 400 ``{"error": …}``. An unknown precision counts as nanoseconds, as in InfluxDB 1.x.

        Raises:
            RetryLater: queue full, disk full or database away.
        """
        if not request.query.get("db"):
            return answers.v1_error(400, "database is required")
        precision = V1.get(request.query.get("precision", ""), NS)
        return await self._write(request, intake, precision, _v1_error)

    async def v2(self, request: PushRequest, intake: Intake) -> PushAnswer:
        """204, or 400 ``{"code": "invalid", "message": …, "line": n}``.

        Raises:
            RetryLater: queue full, disk full or database away.
        """
        precision = V2.get(request.query.get("precision") or "ns")
        if precision is None:
            return answers.v2_error(400, "invalid precision; valid precision units are ns, us, ms, and s")
        return await self._write(request, intake, precision, answers.v2_error)

    async def _write(
        self, request: PushRequest, intake: Intake, precision: Precision, error_answer: ErrorAnswer
    ) -> PushAnswer:
        if request.body.count(b"\n") > MAX_LINES:
            return error_answer(413, f"request too large: more than {MAX_LINES} lines", None)
        read: list[Slice] = []
        found = Outcome()
        stored = lines = 0
        refused: list[Rejection] = []
        batch = intake.batch()
        for part in slices_of(request.body):
            found.merge(await self._reader.read(part, lines, precision, batch, intake))
            read.append(part)
            lines += len(part)
            if len(batch) >= VALUES_PER_BATCH:
                stored += await _store(batch, intake, refused)
                batch = intake.batch()
            await asyncio.sleep(0)
        stored += await _store(batch, intake, refused)
        _report(found, intake, request.body)
        if not found.faults and not refused:
            return answers.written()
        number = min([fault.number for fault in found.faults] + [one.index for one in refused])
        text = _text(found, refused, list(chain.from_iterable(part.lines for part in read)), stored)
        return error_answer(400, text, number + 1)


def _v1_error(status: int, text: str, line: int | None) -> PushAnswer:
    return answers.v1_error(status, text)


async def _store(batch: ReadingBatch, intake: Intake, refused: list[Rejection]) -> int:
    if not len(batch):
        return 0
    stored = await intake.store(batch)
    conflicts = [one for one in stored.rejections if one.code == CONFLICT]
    refused += [one for one in stored.rejections if one.code != CONFLICT]
    return stored.accepted + stored.duplicates + len(conflicts)


def _report(found: Outcome, intake: Intake, body: bytes) -> None:
    """Count in the hub's list of refusals what never reached the recorder."""
    rejections = [Rejection(fault.number, fault.code, fault.reason) for fault in found.faults]
    if found.left_out:
        text = f"{found.left_out} text or boolean fields left out; only numbers are measurements"
        rejections.append(Rejection(0, "WL-ING-053", text))
    if rejections:
        intake.reject(rejections, body[:_SAMPLE_BYTES])


def _text(found: Outcome, refused: Sequence[Rejection], lines: Sequence[str], stored: int) -> str:
    """The message of InfluxDB 1.x: unreadable lines quoted, ``dropped`` counts readable points not stored."""
    unread = [
        f"unable to parse '{lines[fault.number][:_SHOWN_CHARS]}': {fault.reason}"
        for fault in found.faults
        if not fault.parsed
    ]
    kept_out = {one.index: f"{one.code} {one.text}" for one in refused}
    kept_out |= {fault.number: f"{fault.code} {fault.reason}" for fault in found.faults if fault.parsed}
    reasons = [f"line {number + 1}: {reason}" for number, reason in sorted(kept_out.items())]
    shown = "\n".join((unread + reasons)[:_SHOWN_FAULTS])
    more = len(unread) + len(reasons) + found.more_faults - _SHOWN_FAULTS
    if more > 0:
        shown += f"\nand {more} more"
    return f"partial write: {shown} dropped={len(kept_out)}" if stored or kept_out else shown
