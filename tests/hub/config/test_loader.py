"""A directory of YAML becomes a typed configuration, or all its errors."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import voluptuous as vol

from hub.config.loader import load, load_tolerant
from hub.config.secret import DOTS, Secret
from hub.model.series import Role
from tests.hub.config.conftest import SCHEMAS, SITE, Folder

CONTRACT = """\
hub:        {name: Home, time_zone: Europe/Paris, currency: EUR, location: [48.85, 2.35], country: NO}
http:       {host: 127.0.0.1, port: 8321, trusted_proxies: [], tls: null}
storage:    {url: "sqlite:///hub.db", raw_retention: forever}
mqtt_broker: {mode: auto, host: 127.0.0.1, port: 1883}
sinks:      {influxdb: {url: "http://127.0.0.1:8086", org: home, token: !secret influx, buckets: {raw: iot-data}}}
discovery: off
integrations:
  - mqtt:    {broker: embedded, discovery: off, topics: [{topic: "meters/+/power", device: "{1}", series: power}]}
  - modbus:  {host: 192.0.2.7, unit: 1, template: eastron-sdm630, name: Main meter, role: grid}
devices: [{id: main-meter, name: Main meter, role: grid, late_after: 5min}]
areas: [{id: cellar}, attic]
tariffs:
  - id: home
    versions:
      - from: 2026-01-01
        import:
          - {energy: Day, price: 0.3120, when: {days: mon-fri, hours: "07:00-23:00"}}
          - {energy: Night, price: 0.2450, when: otherwise}
prices: [{id: spot, unit: EUR/kWh, source: nordpool-nl}]
notify:
  email: {host: smtp.example.org, port: 587, username: hub, password: !secret smtp}
  recipients: {owner: {email: owner@example.org, quiet_hours: 22:00-07:00}}
alert_rules:
  - {id: high, when: {series: main-meter.power, above: 6 kW, for: 5min}, notify: [owner]}
reports: []
forecast: {}
logging: {default: info, hub.actors: debug}
"""


def test_the_example_of_the_manual_loads(folder: Folder) -> None:
    folder.write(CONTRACT).write("influx: tok-1\nsmtp: 12345\n", "secrets.yaml")

    config = folder.load()

    assert config.site.country == "NO"
    assert config.site.location == (48.85, 2.35)
    assert config.discovery == "off"
    assert config.storage.raw_retention_s is None
    assert [entry.domain for entry in config.integrations] == ["mqtt", "modbus"]
    assert config.devices[0].role is Role.GRID
    assert config.devices[0].late_after_s == 300
    assert config.sinks[0].options["token"] == Secret("tok-1")
    assert config.sinks[0].options["buckets"]["alerts"] == "alerts"
    assert config.kept["notify"]["email"]["password"] == Secret("12345")
    assert config.kept["tariffs"][0]["versions"][0]["from"] == "2026-01-01"
    assert config.logging["hub.actors"] == "debug"
    assert config.warnings == ()


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("NO", "NO"),
        ("off", "off"),
        ("yes", "yes"),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("0o17", 15),
        ("0x1F", 31),
        ("010", 10),
        ("1e3", 1000.0),
        ("true", True),
        ("~", None),
        ("!!str 12", "12"),
        ('"12"', "12"),
    ],
)
def test_scalars_follow_yaml_1_2(hub_yaml: Callable[[str], Folder], written: str, value: object) -> None:
    config = hub_yaml(f"forecast: {{x: {written}}}\n").load()

    assert config.kept["forecast"]["x"] == value
    assert type(config.kept["forecast"]["x"]) is type(value)


def test_a_bom_and_windows_line_ends_are_fine(folder: Folder) -> None:
    folder.write(b"\xef\xbb\xbf" + SITE.replace("\n", "\r\n").encode() + b"http: {port: 1}\r\nx: 1\r\n")

    assert folder.places() == ["hub.yaml:3:1 WL-CFG-020"]


def test_anchors_and_merge_keys_share_settings_and_own_keys_win(hub_yaml: Callable[[str], Folder]) -> None:
    config = hub_yaml(
        "integrations:\n  - modbus: &meter {host: 192.0.2.1, unit: 1}\n  - modbus: {<<: *meter, unit: 2}\n"
    ).load()

    assert [entry.options["unit"] for entry in config.integrations] == [1, 2]
    assert config.integrations[1].options["host"] == "192.0.2.1"


def test_includes_are_relative_to_their_file_and_errors_name_it(hub_yaml: Callable[[str], Folder]) -> None:
    folder = hub_yaml("integrations: !include parts/all.yaml\n")
    folder.write("- !include more/meter.yaml\n", "parts/all.yaml")
    folder.write("modbus:\n  host: 192.0.2.1\n  unti: 3\n", "parts/more/meter.yaml")

    assert folder.places() == ["parts/more/meter.yaml:3:3 WL-CFG-020"]


def test_directories_merge_lists_and_mappings(hub_yaml: Callable[[str], Folder]) -> None:
    folder = hub_yaml(
        "integrations: !include_dir_merge_list connections\nforecast: !include_dir_merge_named forecast\n"
    )
    folder.write("- demo: {power_w: 2}\n", "connections/b.yaml").write(
        "- demo: {power_w: 1}\n", "connections/a.yml"
    )
    folder.write("{ignored", "connections/.a.yaml.swp.yaml").write("not yaml: [", "connections/readme.txt")
    folder.write("a: 1\n", "forecast/a.yaml").write("b: 2\n", "forecast/b.yaml")

    config = folder.load()

    assert [entry.options["power_w"] for entry in config.integrations] == [1, 2]
    assert config.kept["forecast"] == {"a": 1, "b": 2}


def test_packages_append_lists_and_merge_mappings(hub_yaml: Callable[[str], Folder]) -> None:
    folder = hub_yaml(
        "integrations: [{demo: {}}]\n"
        "packages:\n"
        "  barn: !include barn.yaml\n"
        "  logs: {logging: {default: debug}, devices: [{id: two}]}\n"
    )
    folder.write("integrations: [{modbus: {host: barn.lan}}]\ndevices: [{id: one}]\n", "barn.yaml")

    config = folder.load()

    assert [entry.domain for entry in config.integrations] == ["demo", "modbus"]
    assert [device.id for device in config.devices] == ["one", "two"]
    assert config.logging == {"default": "debug"}


def test_a_package_conflict_names_both_places(hub_yaml: Callable[[str], Folder]) -> None:
    folder = hub_yaml("http: {port: 1}\npackages:\n  a:\n    http:\n      port: 2\n")

    (item,) = folder.errors().errors

    assert (item.code, item.line) == ("WL-CFG-046", 6)
    assert "hub.yaml:2" in item.message


def test_environment_values_are_typed_and_sensitive_ones_secret(hub_yaml: Callable[[str], Folder]) -> None:
    folder = hub_yaml(
        "http: {port: !env_var PORT 8000}\n"
        "forecast: {a: !env_var API_TOKEN, b: !env_var MISSING 7, c: !env_var MISSING 'seven  eight'}\n"
    )

    config = folder.load({"PORT": "9000", "API_TOKEN": "0123"})

    assert config.http.port == 9000
    assert config.kept["forecast"] == {"a": Secret("0123"), "b": 7, "c": "seven  eight"}


def test_a_schema_decides_whether_it_gets_a_secret_or_a_text(hub_yaml: Callable[[str], Folder]) -> None:
    folder = hub_yaml(
        "integrations:\n"
        "  - mqtt: {broker: embedded, password: !secret a}\n"
        "  - demo: {key: !secret a}\n"
        "  - mqtt: {broker: x, password: in-the-open}\n"
    ).write("a: 0815\n", "secrets.yaml")

    config = folder.load()

    assert config.integrations[0].options["password"] == Secret("0815")
    assert config.integrations[1].options["key"] == "0815"
    assert "in-the-open" not in repr(config)
    assert config.raw["integrations"][2]["mqtt"]["password"] == Secret("in-the-open")
    assert "0815" not in repr(config) + repr(config.raw) + str(config.raw)


def test_entry_ids_stay_when_other_options_change(hub_yaml: Callable[[str], Folder]) -> None:
    before = hub_yaml(
        "integrations: [{modbus: {host: a, unit: 1}}, {modbus: {host: a, unit: 2}}, {demo: {}}]\n"
    ).load()
    after = hub_yaml(
        "integrations: [{demo: {power_w: 3}}, {modbus: {host: a, unit: 2, name: N}}, {modbus: {host: a}}]\n"
    ).load()

    assert {entry.entry_id for entry in before.integrations} == {
        entry.entry_id for entry in after.integrations
    }
    assert before.integrations[2].entry_id == "demo"


def test_equal_entries_get_numbers_and_explicit_ids_win(hub_yaml: Callable[[str], Folder]) -> None:
    config = hub_yaml("integrations: [{demo: {}}, {demo: {}}, {demo: {id: test-bench}}, {demo: }]\n").load()

    assert [entry.entry_id for entry in config.integrations] == ["demo", "demo-2", "test-bench", "demo-3"]
    assert "id" not in config.integrations[2].options


def test_a_missing_site_is_warned_about_but_loads(folder: Folder) -> None:
    config = folder.write("integrations: []\n").load()

    assert [(item.code, item.severity) for item in config.warnings] == [("WL-CFG-034", "warning")] * 2
    assert config.site.time_zone == "UTC"


def test_commented_out_sections_are_empty_ones(folder: Folder) -> None:
    config = folder.write(SITE + "http:\nintegrations:\n  # - demo: {}\ndevices:\nsinks:\nlogging:\n").load()

    assert (config.integrations, config.devices, config.sinks, config.http.port) == ((), (), (), 8321)


def test_the_postgres_password_is_not_in_the_repr(hub_yaml: Callable[[str], Folder]) -> None:
    config = hub_yaml("storage: {url: !secret db}\n")
    config.write("db: postgresql://hub:hunter2@db.lan/hub\n", "secrets.yaml")

    storage = config.load().storage

    assert storage.url == "postgresql://hub:hunter2@db.lan/hub"
    assert storage.shown_url == f"postgresql://{DOTS}@db.lan/hub"
    assert "hunter2" not in repr(storage)


def test_hub_yaml_may_be_mounted_as_a_link(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "real.yaml").write_text(SITE)
    os.symlink(tmp_path / "real.yaml", folder.path / "hub.yaml")

    assert folder.load().site.name == "Home"


def test_sources_list_every_file_but_the_secrets(hub_yaml: Callable[[str], Folder]) -> None:
    folder = hub_yaml("forecast: !include f.yaml\n").write("a: 1\n", "f.yaml").write("a: b\n", "secrets.yaml")

    assert [source.name for source in folder.load().sources] == ["f.yaml", "hub.yaml"]


# safe mode


def test_safe_mode_keeps_unaffected_entries_and_sections(folder: Folder) -> None:
    folder.write(
        SITE + "http: {port: 99999}\n"
        "storage: {url: postgresql://hub@db/x}\n"
        "integrations: [{modbus: {host: a}}, {modbus: {}}, {nope: {}}, {demo: {key: !secret gone}}, {demo: {}}]\n"
        "devices: [{id: good}, {id: BAD}]\n"
    )

    config, errors = folder.tolerant()

    assert errors is not None
    assert [entry.domain for entry in config.integrations] == ["modbus", "demo"]
    assert [device.id for device in config.devices] == ["good"]
    assert config.http.port == 8321
    assert config.storage.url.startswith("postgresql")
    assert sorted(item.code for item in errors.errors) == [
        "WL-CFG-022",
        "WL-CFG-024",
        "WL-CFG-035",
        "WL-CFG-050",
        "WL-CFG-060",
    ]


def test_a_syntax_error_costs_only_its_own_entry(folder: Folder) -> None:
    folder.write(
        SITE + "integrations:\n"
        "  - modbus: {host: a}\n"
        "  - modbus: {host: b\n"
        "  - demo: {}\n"
        "http: {port: 1234}\n"
    )

    config, errors = folder.tolerant()

    assert errors is not None
    assert {item.code for item in errors.errors} == {"WL-CFG-008"}
    assert [entry.domain for entry in config.integrations] == ["modbus", "demo"]
    assert config.http.port == 1234


def test_errors_beyond_a_syntax_error_are_shown_too(folder: Folder) -> None:
    folder.write("hub: {time_zone: Mars/Phobos, currency: EUR}\nhttp: {port: [1}\ndevices: [{id: A}]\n")

    assert folder.places() == [
        "hub.yaml:1:18 WL-CFG-027",
        "hub.yaml:2:16 WL-CFG-008",
        "hub.yaml:3:16 WL-CFG-035",
    ]


def test_a_broken_include_costs_only_its_broken_entry(hub_yaml: Callable[[str], Folder]) -> None:
    folder = hub_yaml("integrations: !include_dir_merge_list c\n")
    folder.write("- demo: {}\n", "c/a.yaml").write("- demo: [\n- modbus: {host: y}\n", "c/b.yaml").write(
        "- modbus: {host: x}\n", "c/d.yaml"
    )

    config, errors = folder.tolerant()

    assert errors is not None
    assert [entry.options.get("host") for entry in config.integrations] == [None, "y", "x"]


def test_without_any_file_safe_mode_has_the_defaults(folder: Folder) -> None:
    config, errors = folder.tolerant()

    assert config.http.port == 8321
    assert errors is not None
    assert errors.code == "WL-CFG-001"


def test_a_schema_that_crashes_is_reported_and_others_load(folder: Folder) -> None:
    def boom(value: object) -> object:
        raise RuntimeError("with a secret hunter2")

    folder.write(SITE + "integrations: [{bad: {x: 1}}, {demo: {}}]\n")
    config, errors = load_tolerant(folder.path, {**SCHEMAS, "bad": vol.Schema({"x": boom})}, environ={})

    assert [entry.domain for entry in config.integrations] == ["demo"]
    assert errors is not None
    assert errors.code == "WL-CFG-062"
    assert "hunter2" not in errors.render()


def test_the_directory_may_be_given_as_text(folder: Folder) -> None:
    folder.write(SITE)

    assert load(str(folder.path), SCHEMAS).site.currency == "EUR"


def test_another_main_file_is_loaded_and_named_in_errors(folder: Folder) -> None:
    folder.write(SITE).write("hub: {name: Demo, time_zone: Europe/Paris, currency: CHF}\n", "demo.yaml")
    folder.write("nonsense: 1\n", "broken.yaml")

    _, errors = load_tolerant(folder.path, SCHEMAS, environ={}, main_file="broken.yaml")

    assert load(folder.path, SCHEMAS, environ={}, main_file="demo.yaml").site.currency == "CHF"
    assert errors is not None
    assert {item.file for item in errors.items} == {"broken.yaml"}
