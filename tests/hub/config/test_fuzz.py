"""Whatever bytes are in the files: a configuration or ConfigErrors, nothing else, and soon."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.config.errors import ConfigErrors
from hub.config.loader import load_tolerant
from hub.config.parsing import core_scalar
from tests.hub.config.conftest import SCHEMAS
from tests.hub.config.test_loader import CONTRACT

LONGEST_S = 5.0
SPICES = [
    *"[]{}:,-?&*!|>'\"%@`#\t\n\r\0~ ",
    "<<: *a",
    "&a ",
    "*a",
    "!include hub.yaml",
    "!include part.yaml",
    "!include_dir_merge_list .",
    "!include_dir_merge_named .",
    "!secret a",
    "!env_var X y",
    "!!binary x",
    "---",
    "...",
    "%YAML 1.1\n",
    "\u2028",
    "\ufeff",
    "\x85",
    "\\ud800",
    "__proto__: 1",
    "9" * 50,
    "-.inf",
    "? ",
    "packages: ",
]


def outcome(files: dict[str, bytes]) -> ConfigErrors | None:
    """Load the files; any other exception fails the test."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            file = Path(folder) / name
            file.write_bytes(content)
            file.chmod(0o600)
        started = time.process_time()
        config, errors = load_tolerant(folder, SCHEMAS, environ={})
        repr(config)
        if errors:
            errors.render(color=True)
            errors.as_json()
            assert errors.errors
        assert time.process_time() - started < LONGEST_S
        return errors


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=400))
def test_random_bytes(content: bytes) -> None:
    outcome({"hub.yaml": content})


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=300), st.text(max_size=100))
def test_random_text_in_configuration_and_secrets(content: str, secrets: str) -> None:
    outcome(
        {
            "hub.yaml": content.encode("utf-8", "surrogatepass"),
            "secrets.yaml": secrets.encode("utf-8", "surrogatepass"),
        }
    )


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.sampled_from([*SPICES, "a: ", "hub: ", "http: ", "integrations:\n", "  - demo: ", "x"]),
        max_size=40,
    )
)
def test_yaml_shaped_noise(parts: list[str]) -> None:
    text = "".join(parts).encode()
    outcome({"hub.yaml": text, "part.yaml": text, "secrets.yaml": b"a: some-secret\n"})


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_mutated_configurations(data: st.DataObject) -> None:
    text = CONTRACT
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        gone = data.draw(st.integers(0, 12))
        text = text[:at] + data.draw(st.sampled_from([*SPICES, ""])) + text[at + gone :]
    outcome(
        {
            "hub.yaml": text.encode("utf-8", "surrogatepass"),
            "part.yaml": b"- demo: {}\n",
            "secrets.yaml": b"influx: some-secret\nsmtp: other-secret\na: third-secret\n",
        }
    )


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(10**9), 10**9), st.floats(), st.text(max_size=8))
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["id", "host", "port", "name", "x", "url", "users", "tls"]), inner, max_size=3
        ),
    ),
    max_leaves=12,
)
SECTION_NAMES = [
    "hub",
    "http",
    "storage",
    "mqtt_broker",
    "sinks",
    "integrations",
    "devices",
    "areas",
    "tariffs",
]
SECTION_NAMES += [
    "prices",
    "budgets",
    "alert_rules",
    "notify",
    "reports",
    "forecast",
    "discovery",
    "logging",
    "packages",
]


@settings(deadline=None, max_examples=80)
@given(st.dictionaries(st.sampled_from(SECTION_NAMES), TREES, max_size=4))
def test_any_kind_of_value_in_any_section(tree: dict[str, object]) -> None:
    outcome({"hub.yaml": json.dumps(tree).encode()})


@given(st.text(max_size=12))
def test_a_plain_scalar_is_a_core_value_or_refused(text: str) -> None:
    try:
        value = core_scalar(text)
    except ValueError:
        return
    assert value is None or isinstance(value, (bool, int, float, str))
    assert not isinstance(value, str) or value == text


@pytest.mark.parametrize(
    "unit", ["[", "{", "- ", "? ", "&a ", "!", "a: {", "[,", "'", "\\", "- - ", "%", "<<: "]
)
def test_repetition_does_not_hang(unit: str) -> None:
    assert outcome({"hub.yaml": ("forecast: " + unit * 60_000).encode()})
