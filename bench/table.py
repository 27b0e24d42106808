"""The table: name, ours, floor, ratio, CPU time of ours and of the floor, target, met?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.rows import Row

_HEADS = ("what", "ours", "floor in this run", "ratio", "CPU of ours", "of floor", "target", "met")


def rendered(rows: Sequence[Row], machine: Mapping[str, str], load_after: str, *, quick: bool) -> str:
    """The table with the machine above it and the notes below."""
    shown = [_cells(row) for row in rows]
    widths = [max(len(line[at]) for line in (_HEADS, *shown)) for at in range(len(_HEADS))]
    rule = "-+-".join("-" * width for width in widths)
    lines = [", ".join(f"{name}: {value}" for name, value in machine.items()) + f", load after: {load_after}"]
    if quick:
        lines.append("quick: shorter measurements and a smaller store, not to be quoted")
    lines += ["", _line(_HEADS, widths), rule, *(_line(line, widths) for line in shown), ""]
    lines += [f"{row.name}: {_remark(row)}" for row in rows if _remark(row)]
    demanded = [row for row in rows if row.met is not None]
    lines.append(f"{sum(bool(row.met) for row in demanded)} of {len(demanded)} targets met")
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, ...]:
    floor = "" if row.floor is None else f"{number(row.floor)} {row.unit}"
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    cpu = "" if row.cpu_us is None else f"{_time(row.cpu_us)}/{row.cpu_per}"
    floor_cpu = "" if row.floor_cpu_us is None else _time(row.floor_cpu_us)
    met = {True: "yes", False: "NO", None: ""}[row.met]
    return (row.name, f"{number(row.ours)} {row.unit}", floor, ratio, cpu, floor_cpu, _target(row), met)


def _time(cpu_us: float) -> str:
    return f"{number(cpu_us)} µs" if cpu_us < 1_000 else f"{number(cpu_us / 1_000)} ms"


def _target(row: Row) -> str:
    if row.target is None:
        return ""
    sign = ">=" if row.better == "higher" else "<="
    return f"{sign} {number(row.target)}{' above floor' if row.above_floor else ''}"


def _remark(row: Row) -> str:
    parts = [f"floor is {row.floor_name}" if row.floor_name else "", row.note]
    return "; ".join(part for part in parts if part)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    aligned = [
        cells[0].ljust(widths[0]),
        *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)),
    ]
    return " | ".join(aligned).rstrip()


def number(value: float) -> str:
    """Three figures or more, with commas between thousands."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
