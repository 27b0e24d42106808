"""Codes of prices, budgets, invoices and metering points; those of the tariff language are in meanings_tariffs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hub.config.codes import CodeText

MONEY: Final[Mapping[str, CodeText]] = {
    "WL-MNY-001": CodeText(
        "not a unit of prices",
        "The unit of a price series is not money per energy.",
        "Prices could be wrong by a factor of a hundred or a thousand.",
        "Write for instance EUR/kWh, EUR/MWh or ct/kWh; 1 for plain numbers such as codes of days.",
    ),
    "WL-MNY-002": CodeText(
        "wrong value",
        "A field of a price, a price series, a budget or an invoice has a value that it cannot have.",
        "Figures made of it would be wrong.",
        "The message says what is expected; correct the field that it names.",
    ),
    "WL-MNY-003": CodeText(
        "field missing",
        "A price series, a budget or an invoice lacks something that it cannot do without.",
        "There is no default that would be right.",
        "Add the field that the message names.",
    ),
    "WL-MNY-004": CodeText(
        "unknown field",
        "A price series, a budget or an invoice has a field that is not known.",
        "It would be ignored without a sign.",
        "Correct the spelling; the message names the nearest field.",
    ),
    "WL-MNY-005": CodeText(
        "prices overlap",
        "Two rows of one message name a price for the same time.",
        "The hub would have to guess which of the two holds.",
        "Send each time once. A later message may replace prices: the newest one wins.",
    ),
    "WL-MNY-010": CodeText(
        "no such metering point",
        "The metering point of a bill, a budget or the peak coach does not exist, or nothing measures energy there.",
        "`grid` is the first device with the role grid until registers are installed at a point of this id; any "
        "other name is the id of a point or a device.",
        "Give the grid meter the role grid (`devices: [{id: main-meter, role: grid}]`), or name a device.",
    ),
    "WL-MNY-011": CodeText(
        "no tariff for a metering point",
        "No tariff names the metering point of the bill.",
        "Without prices energy has no cost.",
        "Add a tariff with this `metering_point` to the configuration or by POST /api/v1/tariffs.",
    ),
    "WL-MNY-012": CodeText(
        "kept by the configuration",
        "A tariff, price series or budget of the configuration was to be changed through the API.",
        "What stands in a file is changed in the file, or the next reload would bring it back.",
        "Change the YAML file and reload. Rows of prices can be sent to any price series.",
    ),
    "WL-MNY-013": CodeText(
        "too many entries",
        "There are a thousand tariffs, price series, budgets or invoices already.",
        "Something creates them in a loop.",
        "Remove old ones first.",
    ),
    "WL-MNY-014": CodeText(
        "id is taken",
        "There is a tariff, price series, budget or invoice of this id already.",
        "Formulas, rules and clients find things by their id. Formulas write `-` as `_`, so a-b and a_b are one.",
        "Choose another id, or change the one that is there.",
    ),
    "WL-MNY-015": CodeText(
        "prices in another currency",
        "A tariff names a price series that is in another currency than the tariff.",
        "The hub does not convert between currencies.",
        "Write both in one currency.",
    ),
    "WL-MNY-017": CodeText(
        "metering point counts no energy",
        "The registers that are installed at a metering point count a volume, and a bill is about kWh.",
        "Cubic metres of gas become kWh by a calorific value.",
        "Give its installations a calorific value.",
    ),
    "WL-MNY-016": CodeText(
        "prices come from a series",
        "Rows were sent to a price series that names a series of the hub as its source.",
        "Two sources for one price would contradict each other.",
        "Send readings to that series, or take `series` out of the price series.",
    ),
}
