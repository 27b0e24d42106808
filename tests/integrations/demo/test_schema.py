"""What a user may write for a simulated house."""

from __future__ import annotations

from datetime import date

import pytest
import voluptuous as vol

from integrations.demo.faults import Fault, FaultKind
from integrations.demo.schema import SCHEMA, faults_of, site_of


def test_nothing_needs_to_be_said() -> None:
    options = SCHEMA({})

    assert options["interval"] == 10
    assert site_of(options).time_zone == "Europe/Paris"
    assert faults_of(options) == ()


def test_a_house_somewhere_else() -> None:
    options = SCHEMA(
        {"location": [-33.9, 151.2], "time_zone": "Australia/Sydney", "scale": 2, "since": "2024-05-01"}
    )
    site = site_of(options)

    assert (site.latitude, site.longitude, site.scale) == (-33.9, 151.2, 2.0)
    assert site.since == date(2024, 5, 1)


def test_faults_are_at_a_time_or_after_the_start() -> None:
    options = SCHEMA(
        {
            "faults": [
                {
                    "kind": "reset",
                    "at": "2026-11-22T10:00:00+01:00",
                    "device": "grid",
                    "series": "energy_import",
                },
                {"kind": "late", "at": "+5min", "for": "20min"},
            ]
        }
    )
    reset, late = faults_of(options)

    assert reset == Fault(FaultKind.RESET, 1_795_338_000_000, 60_000, device="grid", series="energy_import")
    assert late.started(1_000) == Fault(FaultKind.LATE, 301_000, 1_200_000)


@pytest.mark.parametrize(
    "options",
    [
        {"seed": -1},
        {"seed": "x"},
        {"location": [48.85]},
        {"location": [91, 0]},
        {"location": "Paris"},
        {"time_zone": "Europe/Atlantis"},
        {"time_zone": "../etc/passwd"},
        {"scale": 0},
        {"interval": "10"},
        {"interval": "500ms"},
        {"interval": 0},
        {"interval": True},
        {"interval": "2h"},
        {"since": "yesterday"},
        {"since": "1999-12-31"},
        {"faults": [{"kind": "explosion", "at": "+1s"}]},
        {"faults": [{"kind": "gap"}]},
        {"faults": [{"kind": "gap", "at": "2026-11-22T10:00:00"}]},
        {"faults": [{"kind": "gap", "at": 5}]},
        {"faults": [{"kind": "gap", "at": "+1s", "for": "long"}]},
        {"faults": [{"kind": "gap", "at": "+1s", "device": "toaster"}]},
        {"faults": [{"kind": "gap", "at": "+1s", "series": "colour"}]},
        {"roof": 5},
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(vol.Invalid):
        SCHEMA(options)
