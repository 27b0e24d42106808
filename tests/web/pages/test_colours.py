"""Text and shapes of the pages stand out from what is behind them, by the measure of WCAG."""

from __future__ import annotations

import re

import pytest

from web.handlers.outside import PAGES

CSS = PAGES["page.css"].decode()
TEXT = ("ink", "muted", "accent", "danger", "warn", "ok")
SHAPES = ("solar", "import", "export", "discharge", "charge", "home", "edge")


def tokens_by_preference() -> dict[str, dict[str, str]]:
    """Colours by name under each preference; what one leaves out comes from those before it."""
    blocks = re.findall(r"(?:@media ([^{]+) \{\s*)?:root \{([^}]*)\}", CSS)
    said = {media: dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6})", body)) for media, body in blocks}
    light = said[""]
    dark = light | said["(prefers-color-scheme: dark)"]
    more = said["(prefers-contrast: more)"]
    both = said["(prefers-contrast: more) and (prefers-color-scheme: dark)"]
    return {"light": light, "dark": dark, "light, more": light | more, "dark, more": dark | more | both}


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[start : start + 2], 16) / 255 for start in (0, 2, 4)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("preference", ["light", "dark", "light, more", "dark, more"])
def test_text_and_shapes_can_be_told_from_their_ground(preference: str) -> None:
    tokens = tokens_by_preference()[preference]
    least = 7.0 if preference.endswith("more") else 4.5
    grounds = [tokens["paper"], tokens["canvas"]]
    weak_text = [
        (name, ground) for name in TEXT for ground in grounds if contrast(tokens[name], ground) < least
    ]
    weak_shapes = [name for name in SHAPES if contrast(tokens[name], tokens["paper"]) < 3]

    assert weak_text == []
    assert weak_shapes == []
    assert contrast(tokens["on-accent"], tokens["accent"]) >= 4.5
    assert contrast(tokens["warn"], tokens["warn-paper"]) >= 4.5
