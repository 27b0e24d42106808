"""The tariff language: what a contract asks for, versioned by dates (docs/tariffs.md is its reference)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

from hub.energy.component_parser import MAX_LINES, parse_side
from hub.energy.components import Component, Energy, Per
from hub.energy.day_types import DayTypes, parse_day_types
from hub.energy.fields import Faults, Fields, shown
from hub.energy.money import E8, Rounding
from hub.energy.problems import Problem, TariffProblems

__all__ = ["Netting", "Problem", "Tariff", "TariffProblems", "Version", "parse_tariff", "series_name"]

MAX_VERSIONS: Final = 200
_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
_CURRENCY: Final = re.compile(r"[A-Z]{3}", re.ASCII)
_PHASES: Final = ("summed", "per_phase")


@dataclass(frozen=True, slots=True)
class Netting:
    """How import and export are set off before prices apply.

    ``phases`` says what the three phases of a slot become (:func:`hub.energy.netting.net_phases`); with a
    ``period`` what was fed in during it also cancels what was taken at the same prices.
    """

    phases: str = "summed"
    period: Per | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """The contract from one site-local midnight until the next version."""

    valid_from: date
    line_step_e8: int
    rounding: Rounding
    netting: Netting
    day_types: DayTypes
    imports: tuple[Component, ...]
    exports: tuple[Component, ...]


@dataclass(frozen=True, slots=True)
class Tariff:
    """A whole contract; ``versions`` are in order of their dates."""

    id: str
    name: str
    metering_point: str
    currency: str
    versions: tuple[Version, ...]
    data: Mapping[str, Any] = field(compare=False, repr=False)

    def as_data(self) -> dict[str, Any]:
        """The structure as YAML and JSON write it: dates as ISO text, fractions of money as decimal text."""
        return _plain(self.data)  # type: ignore[no-any-return]  # a mapping stays one

    def price_names(self) -> frozenset[str]:
        """Names of the price series that formulas and kinds of days read, as :func:`series_name` writes them."""
        names: set[str] = set()
        for version in self.versions:
            if version.day_types.series:
                names.add(version.day_types.series)
            for line in (*version.imports, *version.exports):
                if isinstance(line, Energy) and line.formula:
                    names |= line.formula.names
        return frozenset(names)


def series_name(series_id: str) -> str:
    """The name of a price series inside formulas: ``nordpool-nl`` is written ``nordpool_nl``, as ``-`` subtracts."""
    return series_id.replace("-", "_")


def parse_tariff(data: Mapping[str, Any], *, currency: str = "EUR") -> Tariff:
    """One entry of ``tariffs:`` → a tariff; ``currency`` is the site's, for a tariff that names none.

    Raises:
        TariffProblems: with *all* that is wrong; each problem has a path such as
            ``("versions", 0, "import", 1, "when", "hours")``, a code, a text and a hint.
    """
    faults = Faults()
    if not isinstance(data, Mapping):
        faults.add("WL-TAR-001", "a tariff must be a mapping", hint="id, name, currency, versions")
        raise TariffProblems(faults.found)
    fields = Fields(data, faults, ("id", "name", "metering_point", "currency", "versions"))
    tariff_id = fields.text("id") if fields.need("id") else ""
    if tariff_id and not _ID.fullmatch(tariff_id):
        faults.at("id").add(
            "WL-TAR-008", f"{shown(tariff_id)} is no id", hint="small letters, digits, - and _"
        )
    unit = fields.text("currency", currency)
    if not _CURRENCY.fullmatch(unit):
        faults.at("currency").add(
            "WL-TAR-008", f"{shown(unit)} is no currency", hint="three capitals such as EUR"
        )
    tariff = Tariff(
        id=tariff_id,
        name=fields.text("name", tariff_id),
        metering_point=fields.text("metering_point", "grid"),
        currency=unit,
        versions=_versions(fields),
        data={},
    )
    if faults.found:
        raise TariffProblems(sorted(faults.found, key=_by_path))
    head = {"id": tariff.id, "name": tariff.name, "metering_point": tariff.metering_point, "currency": unit}
    return replace(tariff, data={**head, "versions": _plain(data["versions"])})


def _by_path(problem: Problem) -> tuple[tuple[bool, int, str], ...]:
    return tuple((isinstance(p, str), p if isinstance(p, int) else 0, str(p)) for p in problem.path)


def _versions(fields: Fields) -> tuple[Version, ...]:
    if not fields.need("versions", hint="a list, each with from and import"):
        return ()
    items = fields.items("versions", most=MAX_VERSIONS)
    place = fields.faults.at("versions")
    if not items and isinstance(fields.data["versions"], list | tuple):
        place.add("WL-TAR-003", "there is no version", hint="add one with from and import")
    found = [_version(item, place.at(index)) for index, item in enumerate(items)]
    dated = [
        (index, version.valid_from)
        for index, version in enumerate(found)
        if version and version.valid_from != date.max
    ]
    for (_, before), (index, after) in pairwise(dated):
        if after <= before:
            text = f"{after} is not after {before}, the version before it"
            place.at(index, "from").add("WL-TAR-007", text, hint="the oldest version first")
    return tuple(version for version in found if version)


def _version(item: object, faults: Faults) -> Version | None:
    if not isinstance(item, Mapping):
        faults.add("WL-TAR-001", "a version must be a mapping", hint="from, rounding, import, export")
        return None
    fields = Fields(item, faults, ("from", "rounding", "netting", "day_types", "import", "export"))
    start = fields.date("from") if fields.need("from", hint="a date such as 2026-01-01") else None
    if start and not 1971 <= start.year <= 2199:
        faults.at("from").add("WL-TAR-006", f"{start} is out of range", hint="1971 to 2199")
    if not fields.has("import") and not fields.has("export"):
        faults.add("WL-TAR-003", "'import' is missing", hint="a list of lines; 'export' likewise")
    day_types = parse_day_types(fields)
    step_e8, mode = _rounding(fields)
    return Version(
        valid_from=start or date.max,
        line_step_e8=step_e8,
        rounding=mode,
        netting=_netting(fields),
        day_types=day_types,
        imports=_side(fields, "import", day_types),
        exports=_side(fields, "export", day_types),
    )


def _side(fields: Fields, key: str, day_types: DayTypes) -> tuple[Component, ...]:
    items = fields.items(key, most=MAX_LINES)
    return parse_side(items, fields.faults.at(key), day_types.names, side=key)


def _rounding(fields: Fields) -> tuple[int, Rounding]:
    data = fields.mapping("rounding")
    if data is None:
        return E8 // 100, Rounding.HALF_UP
    rounding = Fields(data, fields.faults.at("rounding"), ("line", "mode"))
    step = rounding.number("line", "0.01", low=0, high=100)
    if step == 0:
        rounding.faults.at("line").add(
            "WL-TAR-004", "rounding to 0 is no rounding", hint="0.01, or 0.00000001"
        )
    return int(step.scaleb(8)) or 1, Rounding(rounding.choice("mode", tuple(Rounding), Rounding.HALF_UP))


def _netting(fields: Fields) -> Netting:
    value = fields.data.get("netting")
    if value is None or (isinstance(value, str) and value in _PHASES):
        return Netting(value or "summed")
    if not isinstance(value, Mapping):
        fields.faults.at("netting").unknown_word(value, _PHASES)
        return Netting()
    netting = Fields(value, fields.faults.at("netting"), ("phases", "period"))
    period = netting.choice("period", tuple(Per), "")
    return Netting(netting.choice("phases", _PHASES, "summed"), Per(period) if period else None)


def _plain(value: Any) -> Any:
    """Plain data for JSON and YAML: floats and decimals as decimal text, dates as ISO text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f")
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date):
        return value.isoformat()
    return value
