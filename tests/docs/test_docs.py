"""The manual is complete: whatever can be configured, called, typed or met as an error is in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import click
import pytest

from hub.actors.history import COLUMNS, RESOLUTIONS
from hub.cli.explain import all_codes
from hub.cli.main import main
from hub.config.explain import keys_at, parts_at
from hub.config.schema import KNOWN_SECTIONS, SECTIONS
from hub.model.access import UserRole
from hub.model.series import Behaviour, Role
from tests.docs.blocks import Configuration, configurations, unmarked
from tests.docs.examples import ROOT, load_text, own_routes, plugins
from web.websocket import routes as websocket_routes
from web.websocket.commands import COMMANDS

DOCS = ROOT / "docs"
CONFIGURATION = DOCS / "configuration.md"
INTEGRATIONS = [DOCS / "integrations.md", *sorted((DOCS / "integrations").glob("*.md"))]
API = DOCS / "api.md"
CLI = DOCS / "cli.md"
_CODE = re.compile(r"WL-[A-Z]{2,5}-\d{3}\b")
_LINK = re.compile(r"\]\((?!https?://|mailto:)([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def text_of(*pages: Path) -> str:
    return "\n".join(page.read_text(encoding="utf-8") for page in pages)


def quoted(page: str) -> set[str]:
    """What stands in single backticks, and the words inside."""
    spans = re.findall(r"`([^`\n]+)`", page)
    return {word for span in spans for word in [span, *re.findall(r"[\w./{}-]+", span)]}


# --- error codes


def sources() -> Iterator[Path]:
    for package in ("hub", "web", "integrations"):
        yield from (ROOT / package).rglob("*.py")


def test_every_code_of_the_source_is_explained() -> None:
    met = {code for path in sources() for code in _CODE.findall(path.read_text(encoding="utf-8"))}

    assert sorted(met - set(all_codes())) == []


def test_what_the_http_library_refuses_is_explained() -> None:
    assert {"WL-API-404", "WL-API-405", "WL-API-413"} <= set(all_codes())


def test_the_page_of_errors_is_what_explain_says() -> None:
    loader = SourceFileLoader("errors_page", str(ROOT / "scripts" / "errors-page"))
    spec = spec_from_loader("errors_page", loader)
    assert spec is not None
    script = module_from_spec(spec)
    loader.exec_module(script)

    assert (DOCS / "errors.md").read_text(encoding="utf-8") == script.page(), "run scripts/errors-page"


def test_no_explained_code_has_left_the_source() -> None:
    tables = [path for path in sources() if path.name.startswith("meanings") or path.name == "codes.py"]
    texts = [path.read_text(encoding="utf-8") for path in sources() if path not in tables]
    met = {code for text in texts for code in _CODE.findall(text)}
    # the answers of the HTTP library itself are numbered by their status
    met |= {code for code in all_codes() if re.fullmatch(r"WL-API-4\d\d", code)}

    assert sorted(set(all_codes()) - met) == []


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_codes_named_in_the_manual_exist(page: Path) -> None:
    named = set(_CODE.findall(page.read_text(encoding="utf-8")))

    assert sorted(named - set(all_codes())) == []


# --- configuration


def option_paths(schema: object, path: tuple[str | int, ...] = (), depth: int = 0) -> Iterator[str]:
    """Names of all keys of a schema, at any depth."""
    for name in keys_at(schema, path):
        yield name
        yield from option_paths(schema, (*path, name), depth + 1)
    if depth < 8 and any(isinstance(part, list | tuple) for part in parts_at(schema, path)):
        yield from option_paths(schema, (*path, 0), depth + 1)


def test_every_section_is_in_the_manual() -> None:
    assert sorted(set(KNOWN_SECTIONS) - quoted(text_of(CONFIGURATION))) == []


@pytest.mark.parametrize("section", sorted(SECTIONS))
def test_every_key_of_a_section_is_in_the_manual(section: str) -> None:
    keys = set(option_paths(SECTIONS[section]))

    assert sorted(keys - quoted(text_of(CONFIGURATION))) == []


def test_the_walk_through_schemas_finds_nested_keys() -> None:
    assert {"users", "username", "password"} <= set(option_paths(SECTIONS["mqtt_broker"]))
    assert {"id", "role", "labels"} <= set(option_paths(SECTIONS["devices"]))
    assert {"topics", "qos", "unit"} <= set(option_paths(plugins().schemas()["mqtt"]))


@pytest.mark.parametrize("domain", sorted(plugins().plugins))
def test_every_option_of_an_integration_is_in_the_manual(domain: str) -> None:
    own = DOCS / "integrations" / f"{domain}.md"
    page = own if own.exists() else DOCS / "integrations.md"
    options = set(option_paths(plugins().schemas()[domain]))

    assert domain in quoted(text_of(DOCS / "integrations.md"))
    assert sorted(options - quoted(text_of(page))) == []


def test_roles_and_kinds_are_in_the_manual() -> None:
    words = quoted(text_of(CONFIGURATION, *INTEGRATIONS))

    assert sorted({role.value for role in Role} - words) == []
    assert sorted({kind.value for kind in Behaviour} - words) == []


def test_documentation_that_manifests_name_exists() -> None:
    named = [one.manifest.documentation for one in plugins().plugins.values() if one.manifest]

    assert [page for page in named if page and not (ROOT / page).is_file()] == []


SHOWN = [one for page in (CONFIGURATION, *INTEGRATIONS) for one in configurations(page)]


@pytest.mark.parametrize("shown", SHOWN, ids=lambda shown: shown.place)
def test_configuration_in_the_manual_loads(shown: Configuration, tmp_path: Path) -> None:
    shown.write_files(tmp_path)

    load_text(shown.text, tmp_path)


@pytest.mark.parametrize("page", [CONFIGURATION, *INTEGRATIONS], ids=lambda page: page.stem)
def test_every_yaml_block_of_these_pages_is_checked(page: Path) -> None:
    assert unmarked(page) == 0


# --- HTTP API


def test_every_route_is_in_the_manual() -> None:
    shown = text_of(API)
    pairs = [(route.method, route.path) for route in own_routes()]
    pushed = [
        (endpoint.method, endpoint.path)
        for plugin in plugins().plugins.values()
        if plugin.integration
        for endpoint in plugin.integration.endpoints
    ]
    missing = [f"{method} {path}" for method, path in pairs if f"{method} {path}" not in shown]
    missing += [f"{method} {path}" for method, path in pushed if path not in quoted(shown)]
    pages = {"/", "/setup", "/favicon.ico", "/assets/{name}", "/api/docs"}

    assert [one for one in missing if one.partition(" ")[2] not in pages] == []


def test_every_command_of_the_websocket_is_in_the_manual() -> None:
    assert [route.path for route in websocket_routes.all] == ["/api/websocket"]
    assert sorted(set(COMMANDS) - quoted(text_of(API))) == []


def test_resolutions_columns_and_roles_are_in_the_manual() -> None:
    shown = text_of(API)

    assert sorted({*RESOLUTIONS, *COLUMNS} - quoted(shown)) == []
    assert [role for role in UserRole if f"| {role.value} |" not in shown] == []


# --- command line


def commands(group: click.Group, before: str = "wattline") -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        path = f"{before} {name}"
        if isinstance(command, click.Group):
            yield from commands(command, path)
        else:
            yield path


def test_every_command_is_in_the_manual() -> None:
    shown = text_of(CLI)

    assert [command for command in commands(main) if command not in shown] == []


# --- links


@pytest.mark.parametrize(
    "page",
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))],
    ids=lambda page: page.stem,
)
def test_links_lead_somewhere(page: Path) -> None:
    broken = [link for link in _LINK.findall(page.read_text(encoding="utf-8")) if not leads(page, link)]

    assert broken == []


def leads(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists():
        return False
    return not anchor or target.suffix != ".md" or anchor in anchors(target)


def anchors(page: Path) -> set[str]:
    text = page.read_text(encoding="utf-8")
    made = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(text)}
    return made | set(re.findall(r'<a id="([^"]+)"', text))
