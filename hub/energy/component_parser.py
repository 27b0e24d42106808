"""The lines of one side of a tariff: mappings → components."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hub.energy.block_parser import parse_blocks
from hub.energy.components import (
    Basis,
    Block,
    Capacity,
    Component,
    Discount,
    Energy,
    Kind,
    Limit,
    Per,
    Standing,
    Tax,
    Tier,
)
from hub.energy.coverage import check_coverage
from hub.energy.fields import Faults, Fields, is_list, near, shown, text_of
from hub.energy.formula import Formula, FormulaError, parse_formula
from hub.energy.money import MWH_PER_KWH
from hub.energy.when import ALWAYS, Times, parse_when

MAX_LINES: Final = 60
_MW_PER_KW: Final = 1_000_000
_PERS: Final = tuple(Per)
LINE_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "energy": ("group", "price", "formula", "when"),
    "feed_in": ("group", "price", "formula", "when"),
    "tier": ("per", "blocks", "when", "prorate"),
    "standing": ("price", "per"),
    "capacity": (
        "price", "per", "basis", "months", "minimum_kw", "kw", "ratchet_percent",
        "when", "interval_minutes", "top", "different_days", "steps",
    ),
    "tax": ("percent", "per_kwh", "on", "when"),
    "cap": ("per_kwh", "on", "when", "up_to_kwh", "per"),
    "floor": ("per_kwh", "on", "when", "up_to_kwh", "per"),
    "discount": ("percent", "per_kwh", "amount", "per", "on", "when"),
}  # fmt: skip


@dataclass(slots=True)
class _Line:
    """A line that is being read: its fields, and what stands before it on its side."""

    name: str
    kind: str
    fields: Fields
    before: Sequence[Component]
    day_types: tuple[str, ...]

    @property
    def faults(self) -> Faults:
        return self.fields.faults

    def when(self) -> Times:
        value = self.fields.data.get("when")
        return ALWAYS if value is None else parse_when(value, self.faults.at("when"), self.day_types)

    def per(self, default: Per) -> Per:
        return Per(self.fields.choice("per", _PERS, default))


def parse_side(
    items: Sequence[Any], faults: Faults, day_types: tuple[str, ...], *, side: str
) -> tuple[Component, ...]:
    """All lines of a side in their order; faults are noted and leave their line out."""
    found: list[Component] = []
    names: dict[str, int] = {}
    places: list[Faults] = []
    for index, item in enumerate(items):
        here = faults.at(index)
        line = _line(item, here, found, day_types, side)
        if line is None:
            continue
        if line.name in names:
            text = f"a line named {shown(line.name)} is there already (number {names[line.name] + 1})"
            here.at(line.kind).add("WL-TAR-010", text, hint="names are unique on a side")
        names[line.name] = index
        known_faults = len(faults.found)
        component = _READERS[line.kind](line)
        found.append(component)
        places.append(here if len(faults.found) == known_faults else Faults())
    _check_groups(found, places, day_types, faults)
    return tuple(found)


def _line(
    item: object, faults: Faults, before: Sequence[Component], day_types: tuple[str, ...], side: str
) -> _Line | None:
    if not isinstance(item, Mapping):
        faults.add("WL-TAR-001", "a line must be a mapping", hint="such as {energy: Day, price: 0.31}")
        return None
    kinds = [kind for kind in LINE_KEYS if kind in item]
    if len(kinds) != 1:
        text = f"a line is of one kind, here are {', '.join(kinds)}" if kinds else "the line has no kind"
        hint = next(
            (hint for key in item if (hint := near(key, LINE_KEYS))), f"one of {', '.join(LINE_KEYS)}"
        )
        faults.add("WL-TAR-009", text, hint=hint)
        return None
    kind = kinds[0]
    if kind == "feed_in" and side == "import":
        faults.at(kind).add(
            "WL-TAR-009", "'feed_in' belongs under 'export'", hint="write 'energy' under 'import'"
        )
    name = text_of(item[kind], faults.at(kind))
    fields = Fields(item, faults, (kind, *LINE_KEYS[kind]))
    return _Line(name, kind, fields, before, day_types)


def _check_groups(
    lines: Sequence[Component], places: Sequence[Faults], day_types: tuple[str, ...], faults: Faults
) -> None:
    """Exactly one line of a group may hold at a time; groups with faulty lines are not looked at."""
    groups: dict[str, list[tuple[Energy, Faults]]] = {}
    for line, place in zip(lines, places, strict=True):
        if isinstance(line, Energy):
            groups.setdefault(line.group, []).append((line, place))
    for group, members in groups.items():
        if any(not place.path for _, place in members):
            continue
        rest = [place for line, place in members if line.when is None]
        for place in rest[1:]:
            place.at("when").add(
                "WL-TAR-015", "a group has one line with 'otherwise'", hint="give it hours or days"
            )
        timed = [(line.name, line.when, place) for line, place in members if line.when is not None]
        if timed:
            check_coverage(group, timed, day_types, Faults() if rest else faults)


def _energy(line: _Line) -> Energy:
    fields = line.fields
    formula = _formula(line)
    if formula is None and not fields.has("formula"):
        fields.need("price", hint="a price per kWh or a formula")
    elif fields.has("price"):
        line.faults.at("price").add(
            "WL-TAR-034", "a line has a price or a formula, not both", hint="remove one"
        )
    otherwise = fields.data.get("when") == "otherwise"
    return Energy(
        name=line.name,
        group=fields.text("group"),
        price_e8=0 if fields.has("formula") else fields.price("price"),
        formula=formula,
        when=None if otherwise else line.when(),
    )


def _formula(line: _Line) -> Formula | None:
    if not line.fields.has("formula"):
        return None
    text = line.fields.data["formula"]
    place = line.faults.at("formula")
    if not isinstance(text, str):
        place.add("WL-TAR-020", f"{shown(text)} is no formula", hint='a text such as "spot * 1.05 + 0.0123"')
        return None
    try:
        return parse_formula(text)
    except FormulaError as error:
        hint = "numbers, price series, + - * / ( ), min max abs round, a if b < c else d"
        place.add("WL-TAR-020", f"{error} (character {error.at + 1} of {shown(text)})", hint=hint)
        return None


def _tier(line: _Line) -> Tier:
    line.fields.need("per", hint="day, month or year")
    blocks: tuple[Block, ...] = ()
    if line.fields.need("blocks", hint="[{up_to_kwh: 200, price: 0.04}, {price: 0.055}]"):
        blocks = parse_blocks(line.fields, "blocks", ("up_to_kwh", "up_to_kwh_per_day"))
    return Tier(line.name, line.per(Per.MONTH), blocks, line.when(), line.fields.flag("prorate"))


def _standing(line: _Line) -> Standing:
    line.fields.need("price")
    line.fields.need("per", hint="day, month or year")
    return Standing(line.name, line.fields.price("price"), line.per(Per.MONTH))


def _capacity(line: _Line) -> Capacity:
    fields = line.fields
    if not fields.has("steps"):
        fields.need("price", hint="per kW, or steps")
    elif fields.has("price"):
        line.faults.at("price").add("WL-TAR-034", "a line has a price or steps, not both", hint="remove one")
    fields.need("per", hint="day, month or year")
    basis = Basis(fields.choice("basis", tuple(Basis), Basis.MONTHLY_PEAK))
    if basis is Basis.CONTRACTED:
        fields.need("kw", hint="the contracted power")
    elif fields.has("kw"):
        line.faults.at("kw").add(
            "WL-TAR-033", f"'kw' has no meaning with basis {basis}", hint="basis: contracted"
        )
    if fields.has("ratchet_percent") and basis is not Basis.BILLING_DEMAND:
        hint = "basis: billing_demand"
        line.faults.at("ratchet_percent").add(
            "WL-TAR-033", f"'ratchet_percent' has no meaning with {basis}", hint=hint
        )
    interval = fields.whole("interval_minutes", 15, low=15, high=60)
    if interval not in (15, 30, 60):
        line.faults.at("interval_minutes").add("WL-TAR-033", "peaks are means of 15, 30 or 60 minutes")
    return Capacity(
        name=line.name,
        price_e8=fields.price("price"),
        per=line.per(Per.MONTH),
        basis=basis,
        months=fields.whole("months", 12, low=1, high=36),
        minimum_mw=int(fields.number("minimum_kw", low=0, places=6) * _MW_PER_KW),
        contracted_mw=int(fields.number("kw", low=0, places=6) * _MW_PER_KW),
        ratchet=fields.fraction("ratchet_percent", low=0, high=100),
        when=line.when(),
        interval_minutes=interval,
        top=fields.whole("top", 1, low=1, high=31),
        different_days=fields.flag("different_days"),
        steps=parse_blocks(fields, "steps", ("up_to_kw",)),
    )


def _tax(line: _Line) -> Tax:
    fields = line.fields
    if _one_of(line, ("percent", "per_kwh")) == "percent":
        _without_when(line)
        return Tax(line.name, fields.fraction("percent", low=-100, high=1000), on=_on(line, priced=False))
    if fields.has("on"):
        line.faults.at("on").add(
            "WL-TAR-034", "a tax per kWh is on every kWh", hint="remove on; use when for times"
        )
    return Tax(line.name, per_kwh_e8=fields.price("per_kwh"), when=line.when())


def _limit(line: _Line) -> Limit:
    fields = line.fields
    fields.need("per_kwh")
    limited = fields.has("up_to_kwh")
    if fields.has("per") and not limited:
        line.faults.at("per").add("WL-TAR-034", "'per' has no meaning without up_to_kwh", hint="remove it")
    return Limit(
        name=line.name,
        kind=Kind(line.kind),
        per_kwh_e8=fields.price("per_kwh"),
        on=_on(line, priced=True),
        when=line.when(),
        up_to_mwh=int(fields.number("up_to_kwh", low=0, places=6) * MWH_PER_KWH) if limited else None,
        per=line.per(Per.YEAR),
    )


def _discount(line: _Line) -> Discount:
    fields = line.fields
    match _one_of(line, ("percent", "per_kwh", "amount")):
        case "percent":
            _without_when(line)
            return Discount(
                line.name, fields.fraction("percent", low=0, high=100), on=_on(line, priced=False)
            )
        case "amount":
            fields.need("per", hint="day, month or year")
            _without_when(line)
            return Discount(line.name, fixed_e8=fields.price("amount"), per=line.per(Per.MONTH))
    if fields.has("on"):
        line.faults.at("on").add(
            "WL-TAR-034", "a discount per kWh is on every kWh", hint="use when for times"
        )
    return Discount(line.name, per_kwh_e8=fields.price("per_kwh"), when=line.when())


def _without_when(line: _Line) -> None:
    if line.fields.has("when"):
        text = "only amounts per kWh depend on the time"
        line.faults.at("when").add("WL-TAR-034", text, hint="name the lines under on instead")


def _one_of(line: _Line, keys: Collection[str]) -> str:
    there = [key for key in keys if line.fields.has(key)]
    if not there:
        line.faults.add("WL-TAR-003", f"one of {', '.join(keys)} is missing")
    for key in there[1:]:
        line.faults.at(key).add(
            "WL-TAR-034", f"{there[0]!r} and {key!r} exclude each other", hint="remove one"
        )
    return there[0] if there else "per_kwh"


def _on(line: _Line, *, priced: bool) -> tuple[str, ...] | None:
    """Names of earlier lines, None for all of them; ``priced`` asks for lines with a price per kWh of their own."""
    value = line.fields.data.get("on", "all")
    if value == "all":
        return None
    place = line.faults.at("on")
    earlier = {one.name: one for one in line.before}
    names: list[str] = []
    for item in value if is_list(value) else [value]:
        if not isinstance(item, str) or item not in earlier:
            hint = near(item, earlier) or "all, or names of lines that stand before this one"
            place.add("WL-TAR-030", f"no line named {shown(item)} stands before this one", hint=hint)
        elif priced and not per_kwh(earlier[item]):
            place.add(
                "WL-TAR-031",
                f"{shown(item)} has no price per kWh that could be limited",
                hint="name energy lines",
            )
        elif item not in names:
            names.append(item)
    return tuple(names)


def per_kwh(component: Component) -> bool:
    """Whether a line has one price per kWh and slot: what caps and floors can work on."""
    match component:
        case Energy() | Limit(up_to_mwh=None):
            return True
        case Tax(share=None) | Discount(share=None, per=None):
            return True
        case _:
            return False


_READERS: Final[Mapping[str, Callable[[_Line], Component]]] = {
    "energy": _energy,
    "feed_in": _energy,
    "tier": _tier,
    "standing": _standing,
    "capacity": _capacity,
    "tax": _tax,
    "cap": _limit,
    "floor": _limit,
    "discount": _discount,
}
