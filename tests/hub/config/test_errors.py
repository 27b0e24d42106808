"""The rendered errors: exact text, and never a secret in it."""

from __future__ import annotations

import json
import re

import pytest

from hub.config.errors import ConfigErrors, ConfigProblem, one_line
from tests.hub.config.conftest import SITE, Folder

GOLDEN = """\
DIR/hub.yaml:2:8 WL-CFG-020 key "prot" is not known here
    1 | hub: {name: Home, time_zone: Europe/Paris, currency: EUR}
    2 | http: {prot: 1}
      |        ^^^^ did you mean "port"?
DIR/hub.yaml:4:5 WL-CFG-060 no integration is called "modbuss"
    3 | integrations:
    4 |   - modbuss: {host: 192.0.2.7}
      |     ^^^^^^^ did you mean "modbus"?
DIR/hub.yaml:5:62 WL-CFG-021 the value is not one of battery, grid, load, solar
    4 |   - modbuss: {host: 192.0.2.7}
    5 |   - {modbus: {host: "küche", name: "日本", template: ab, role: gird}}
      |                                                                ^^^^ did you mean "grid"?
DIR/devices.yaml:1:8 WL-CFG-035 "Main Meter" is not an id
    1 | - {id: Main Meter}
      |        ^^^^^^^^^^ did you mean "main-meter"?
4 errors in 2 files
"""


def test_all_errors_of_all_files_are_shown_at_once(folder: Folder) -> None:
    folder.write(
        SITE + "http: {prot: 1}\n"
        "integrations:\n"
        "  - modbuss: {host: 192.0.2.7}\n"
        '  - {modbus: {host: "küche", name: "日本", template: ab, role: gird}}\n'
        "devices: !include devices.yaml\n"
    ).write("- {id: Main Meter}\n", "devices.yaml")

    shown = folder.errors().render().replace(str(folder.path), "DIR")

    assert shown == GOLDEN


def test_colour_only_adds_colour(folder: Folder) -> None:
    errors = folder.write(SITE + "http: {prot: 1}\n").errors()

    assert re.sub(r"\x1b\[\d+m", "", errors.render(color=True)) == errors.render()
    assert errors.render(color=True) != errors.render()


def test_json_has_every_item(folder: Folder) -> None:
    errors = folder.write(SITE + "http: {prot: 1}\n").errors()

    (item,) = json.loads(json.dumps(errors.as_json()))

    assert (item["file"], item["line"], item["column"], item["width"]) == ("hub.yaml", 2, 8, 4)
    assert (item["code"], item["severity"], item["hint"]) == ("WL-CFG-020", "error", 'did you mean "port"?')


def test_the_error_itself_names_the_first_problem_and_their_number(folder: Folder) -> None:
    error = folder.write(SITE + "http: {prot: 1}\nhtpp: {}\n").errors()

    assert str(error).startswith('WL-CFG-020 hub.yaml:2:8: key "prot" is not known here (and 1 more)')


def test_warnings_are_marked_and_counted(folder: Folder) -> None:
    shown = folder.write("http: {prot: 1}\n").errors().render()

    assert "WL-CFG-034 warning: hub has no time_zone" in shown
    assert shown.endswith("1 error, 2 warnings in 1 file\n")


def test_control_and_direction_characters_cannot_forge_lines() -> None:
    assert one_line("a\nb\x1b[31m\u202e") == "a\\x0ab\\x1b[31m\\u202e"
    assert len(one_line("x" * 10_000)) == 400


def test_a_quoted_key_with_a_line_break_stays_on_one_line(folder: Folder) -> None:
    (item,) = folder.write(SITE + 'http: {"a\\nb": 1}\n').errors().errors

    assert "\n" not in item.message


def test_long_lines_are_cropped_around_the_caret(folder: Folder) -> None:
    shown = (
        folder.write(SITE + f"forecast: {{a: {'x' * 300}}}\nhttp: {{{' ' * 300}prot: 1}}\n").errors().render()
    )

    assert max(map(len, shown.replace(str(folder.path), "").splitlines())) < 150
    assert "prot: 1}" in shown


SECRETS = [
    "http: {password: CANARY, prot: 1}",
    "http: {prot: 1, password: CANARY}",
    "http: {prot: 1, api_key: 'CANARY', x: 2}",
    'http: {prot: 1, "accessToken": "CANARY \\" CANARY", x: 2}',
    "http:\n  password: CANARY\n  prot: 1",
    "http:\n  password: |\n    CANARY\n  prot: 1",
    "http:\n  password: |\n    first\n    CANARY\n\tprot: 1",
    "http:\n  password: 'first\n    CANARY\n    x: y: z",
    "http:\n  password: >-\n\n    CANARY\n   bad: 1",
    "storage: {url: postgresql://hub:CANARY@db/x, prot: 1}",
    "storage: {url: mysql://hub:CANARY@db/x}",
    "http: {token: !!int CANARY}",
    "http: {token: [CANARY, CANARY]}",
    "http: {prot: !env_var SMTP_PASSWORD CANARY}",
    "notify: [{url: https://x.example/?token=CANARY}]",
    "integrations: [{modbus: {host: x, role: !secret a}}]",
    "integrations: [{modbus: {host: x, unit: !secret a}}]",
    "mqtt_broker: {users: [{username: CANARY-user, password: CANARY}], mode: !secret a}",
    "discovery: !secret a",
    "hub: {time_zone: !secret a}",
    "forecast: {a: !secret CANARY-is-a-name, password: CANARY",
]


@pytest.mark.parametrize("text", SECRETS)
def test_secrets_are_in_no_message_and_no_excerpt(text: str, folder: Folder) -> None:
    folder.write(
        SITE
        + text.replace("CANARY-user", "u").replace("CANARY-is-a-name", "n").replace("CANARY", "hunter-2222")
        + "\n"
    )
    folder.write("a: hunter-2222\nb: {hunter-2222: x}\n", "secrets.yaml")

    errors = folder.errors()

    shown = (
        errors.render()
        + errors.render(color=True)
        + json.dumps(errors.as_json())
        + str(errors)
        + repr(errors)
    )
    assert "hunter" not in shown
    assert "2222" not in shown


def test_the_caret_stays_under_its_key_when_a_secret_before_it_is_masked(folder: Folder) -> None:
    folder.write(SITE + "http: {password: hunter-2222, prot: 1}\n")

    lines = folder.errors().render().splitlines()
    marked = next(number for number, line in enumerate(lines) if "did you mean" in line)

    assert lines[marked - 1] == "    2 | http: {password: ••••, prot: 1}"
    assert lines[marked - 1].index("prot") == lines[marked].index("^^^^")


def test_items_are_in_order_and_unique() -> None:
    second = ConfigProblem("hub.yaml", 2, 1, "WL-CFG-020", "b")
    first = ConfigProblem("hub.yaml", 1, 1, "WL-CFG-020", "a")
    other = ConfigProblem("a.yaml", 1, 1, "WL-CFG-020", "c")

    assert ConfigErrors([other, second, first, second]).items == (first, second, other)
