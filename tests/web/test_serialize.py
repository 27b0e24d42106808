"""How answers are written."""

from __future__ import annotations

from web.serialize import shares_text


def test_shares_of_a_table_have_no_exponent_and_no_flags() -> None:
    shares = {"measured": 0.999997, "missing": 3e-06, "late": 1.0, "flags": ["gap"]}

    assert shares_text(shares) == "measured=0.999997 missing=0.000003 late=1.0"
