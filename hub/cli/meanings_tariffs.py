"""Codes of tariffs, bills and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hub.config.codes import CodeText

_WRONG_BILL: Final = "A tariff that is half understood would give wrong bills."
_MANUAL: Final = "docs/tariffs.md shows every line with an example."

TARIFFS: Final[Mapping[str, CodeText]] = {
    "WL-TAR-001": CodeText(
        "wrong shape in a tariff",
        "A list, a mapping or a text stands where something else is expected.",
        _WRONG_BILL,
        f"Compare the place with the example in the message. {_MANUAL}",
    ),
    "WL-TAR-002": CodeText(
        "unknown key in a tariff",
        "A key is not one of those that this part of a tariff has.",
        "It would be ignored, and the bill would be wrong without a sign.",
        "Correct the spelling; the message names the nearest key.",
    ),
    "WL-TAR-003": CodeText(
        "key missing in a tariff",
        "A line, a version or the tariff lacks something that it cannot do without.",
        "There is no default that would be right for every contract.",
        f"Add the key that the message names. {_MANUAL}",
    ),
    "WL-TAR-004": CodeText(
        "number in a tariff is wrong",
        "A value is no number, not finite, out of range, or has more than eight decimals.",
        "Money is counted exactly in steps of 0.00000001, and nothing finer can be kept.",
        "Write a decimal number with a point, without a unit: 0.3120.",
    ),
    "WL-TAR-005": CodeText(
        "unknown word in a tariff",
        "A value is not one of the words that its key takes.",
        _WRONG_BILL,
        "Use one of the words in the message.",
    ),
    "WL-TAR-006": CodeText(
        "date in a tariff is wrong",
        "A value is no date of the calendar, or far from any contract.",
        "Versions begin at the midnight of a site-local date.",
        "Write year-month-day, such as 2026-01-31.",
    ),
    "WL-TAR-007": CodeText(
        "versions are not in order",
        "A version begins on the day of the one before it, or earlier.",
        "Each day has exactly one version; two could not be told apart.",
        "Sort the versions by `from`, the oldest first, each with its own date.",
    ),
    "WL-TAR-008": CodeText(
        "name in a tariff is wrong",
        "A name, an id or a currency is empty, too long or written in a way that is not allowed.",
        "Names appear on bills, ids in addresses.",
        "Ids have small letters, digits, - and _; currencies are three capitals; names have 1 to 100 characters.",
    ),
    "WL-TAR-009": CodeText(
        "line of no kind",
        "A line of a tariff has none of the keys that say what it is, or several of them.",
        "The kind decides how the line is counted.",
        "Begin the line with one of energy, feed_in, tier, standing, capacity, tax, cap, floor, discount.",
    ),
    "WL-TAR-010": CodeText(
        "two lines with one name",
        "Two lines of a side have the same name.",
        "Taxes and caps name the lines they apply to, and invoices are compared by name.",
        "Give each line its own name.",
    ),
    "WL-TAR-011": CodeText(
        "calendar word not understood",
        "Days, hours, months or dates under `when` cannot be read, or never hold.",
        _WRONG_BILL,
        'Write days: mon-fri, hours: "07:00-23:00", months: 4-9, dates: "06-01..09-30".',
    ),
    "WL-TAR-012": CodeText(
        "hours not on a quarter",
        "A time under `hours` is not a multiple of 15 minutes.",
        "Energy is kept in slots of 15 minutes; nothing finer could be priced.",
        "Use :00, :15, :30 or :45.",
    ),
    "WL-TAR-013": CodeText(
        "gap between lines",
        "At the moment in the message no energy line of the group holds.",
        "Energy of that time would cost nothing.",
        "Widen a line, or add one with `when: otherwise` to the group.",
    ),
    "WL-TAR-014": CodeText(
        "lines overlap",
        "At the moment in the message two energy lines of one group hold.",
        "Energy of that time would be paid twice.",
        "Narrow one of them; lines that are meant to add up belong to different groups.",
    ),
    "WL-TAR-015": CodeText(
        "otherwise used twice",
        "Two lines of a group hold `otherwise`.",
        "Both would price what the others leave.",
        "Give one of them days or hours.",
    ),
    "WL-TAR-016": CodeText(
        "unknown kind of day",
        "`day_types` of a line names a kind that the version does not define.",
        "The line would never hold.",
        "Name the kinds under `day_types` of the version, by a price series or by dates.",
    ),
    "WL-TAR-020": CodeText(
        "formula not understood",
        "The text is no formula; the message says at which character.",
        "Formulas can do arithmetic over price series and nothing else.",
        'Use numbers, names of price series, + - * / ( ), min max abs round, "a if b < c else d".',
    ),
    "WL-TAR-030": CodeText(
        "line refers to nothing",
        "`on` names a line that does not stand before this one on the same side.",
        "A line is counted from amounts that are known when its turn comes.",
        "Correct the name, or move the line below those it is about.",
    ),
    "WL-TAR-031": CodeText(
        "line cannot be capped",
        "A cap or floor names a line without one price per kWh, such as a tier or a standing charge.",
        "Caps and floors work on prices per kWh.",
        "Name energy lines and taxes per kWh.",
    ),
    "WL-TAR-032": CodeText(
        "blocks of a tier are wrong",
        "The limits of the blocks do not rise, or it is not the last one that has none.",
        "Each kWh belongs to exactly one block.",
        "Sort the blocks by up_to_kwh and leave it out of the last one.",
    ),
    "WL-TAR-033": CodeText(
        "capacity line is wrong",
        "A key does not fit the basis of the line, or its interval is not 15, 30 or 60 minutes.",
        _WRONG_BILL,
        f"See the table of bases. {_MANUAL}",
    ),
    "WL-TAR-034": CodeText(
        "keys exclude each other",
        "Two keys of one line cannot both be meant, or one has no meaning beside the other.",
        "One of them would have to be ignored.",
        "Remove the one that the message names.",
    ),
    "WL-TAR-040": CodeText(
        "tariff too large",
        "A list has more entries than any contract needs.",
        "Such a tariff is an accident and would make every bill slow.",
        "Split it into versions or metering points.",
    ),
    "WL-TAR-050": CodeText(
        "bill does not begin on a quarter hour",
        "Start or end of a bill, or a price column, does not fall on a multiple of 15 minutes.",
        "Energy is kept in slots of 15 minutes.",
        "Ask for local midnights.",
    ),
    "WL-TAR-051": CodeText(
        "period ends before it starts",
        "The end of a bill or budget is not after its start.",
        "There is nothing to count in it.",
        "Swap the two; the end is exclusive.",
    ),
    "WL-TAR-060": CodeText(
        "no production to scale",
        "A what-if with other panels was asked for, and no production is known.",
        "The size of a plant can only be changed where its production was measured.",
        "Give a device the role solar, or leave pv_scale out.",
    ),
    "WL-TAR-061": CodeText(
        "budget is not above zero",
        "A budget has a limit of zero or less.",
        "No share of it could be told.",
        "Enter an amount above zero.",
    ),
    "WL-TAR-062": CodeText(
        "battery is impossible",
        "A battery of a what-if has a size below zero, or an efficiency that is not above 0 and at most 1.",
        "It would make energy.",
        "Enter kWh and kW of zero or more, and an efficiency such as 0.9.",
    ),
    "WL-TAR-063": CodeText(
        "scale of panels out of range",
        "The factor for the panels is not between 0 and 100.",
        "Panels cannot produce less than nothing.",
        "Enter a factor such as 0.5 or 2.",
    ),
}
