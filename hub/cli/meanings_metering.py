"""Codes of corrections, metering points and meters that people read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hub.config.codes import CodeText

_UNCHANGED = "Nothing was changed."

METERING: Final[Mapping[str, CodeText]] = {
    "WL-COR-001": CodeText(
        "correction not complete",
        "The action of a correction is not known, or a field that it needs is missing, or it has one too many.",
        "A correction says what is done, to which readings, and why; a guess would move energy and money.",
        "Give action, start, reason, and value or rows as the action needs them; see the manual's page on "
        "corrections.",
    ),
    "WL-COR-002": CodeText(
        "range of a correction",
        "The range of a correction is the wrong way round, lies before 2000 or in the future, or has no end where "
        "it needs one.",
        "Only offset and scale may hold until further notice; what is deleted or replaced is there already.",
        "Correct start and end; end is exclusive.",
    ),
    "WL-COR-003": CodeText(
        "value of a correction",
        "A value, offset or factor is not possible, or the rows of a replaced range lie outside of it or share a "
        "time.",
        _UNCHANGED,
        "Correct the value that is named; to take readings out, delete the range.",
    ),
    "WL-COR-004": CodeText(
        "correction undone already",
        "The correction was taken back before, or it is the undo of another one.",
        "An undo is an event as well; undoing it would hide what happened.",
        "Make the correction again if it was right.",
    ),
    "WL-COR-005": CodeText(
        "time not readable",
        "A time at the command line is neither ISO 8601 nor epoch milliseconds.",
        "Without an offset it is the site's local time; anything else would be a guess.",
        "Write it as 2026-03-29, 2026-03-29T14:00 or 2026-03-29T14:00:00+02:00.",
    ),
    "WL-COR-006": CodeText(
        "correction made already",
        "A correction that holds says the same: the same action, range and value.",
        "A request that is sent twice must not act twice; an offset would be added again.",
        "Undo the other one first, or make one with another value.",
    ),
    "WL-MET-001": CodeText(
        "metering point not possible",
        "The id of a metering point is taken or holds other characters than a-z, 0-9, _ and -, or a field does "
        "not fit.",
        _UNCHANGED,
        "Choose another id, or change the point that is there.",
    ),
    "WL-MET-002": CodeText(
        "installation not possible",
        "An installation is the wrong way round, has a factor that is not above 0, or a field that does not fit "
        "its series.",
        "The energy of the point is (closing - opening) x factor; with these values it would be wrong.",
        "Correct the field that is named.",
    ),
    "WL-MET-003": CodeText(
        "installations overlap",
        "The register is installed at that time already, at this metering point or at another one.",
        "Its energy would count twice.",
        "End the other installation first, or begin later.",
    ),
    "WL-MET-004": CodeText(
        "device cannot be replaced like that",
        "The new device is the old one, has no register that fits, or a register closes below its opening value.",
        _UNCHANGED,
        "Name the new device and the closing and opening value of each register.",
    ),
    "WL-MET-005": CodeText(
        "manual reading refused",
        "A reading that a person entered could not be stored; the first one that failed is named.",
        "Its time lies in the future or before 2000, or another value is stored for the same time.",
        "Correct the time, or correct the stored value with a correction of action value.",
    ),
    "WL-MET-006": CodeText(
        "series cannot be changed like that",
        "A field of a series does not fit: a limit, width or resolution that is not above 0, or a name too long.",
        _UNCHANGED,
        "Correct the field that is named; null takes a limit away.",
    ),
    "WL-MET-007": CodeText(
        "no register to read",
        "The metering point has no register of that name, or several, and none was named.",
        "It is not clear which register the value belongs to.",
        "Name one with register; the registers of a point are listed with it.",
    ),
    "WL-MET-008": CodeText(
        "not a reading",
        "What was kept aside is a whole message, not a reading of a known series.",
        "There is no series, time or value to import.",
        "Put its source right and send it again.",
    ),
}
