"""The commands of the manual that send readings: each is taken by its integration as it is written."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import parse_qsl, urlsplit

import pytest

from hub.plugins.api import Endpoint, PushRequest
from hub.plugins.testing import MemoryIntake
from tests.docs.examples import ROOT, plugins

PAGES = (ROOT / "README.md", ROOT / "docs" / "integrations.md")
_SHELL = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Sent:
    """A curl command of a page."""

    place: str
    path: str
    query: dict[str, str]
    body: bytes


def commands() -> Iterator[Sent]:
    for page in PAGES:
        for block in _SHELL.findall(page.read_text(encoding="utf-8")):
            lines = block.replace("\\\n", " ").splitlines()
            yield from (sent(page.name, shlex.split(line)) for line in lines if line.startswith("curl "))


def sent(page: str, words: list[str]) -> Sent:
    url = urlsplit(next(word for word in words if word.startswith("http://")))
    data = [word for flag, word in pairwise(words) if flag in ("-d", "--data-binary")]
    return Sent(f"{page} {url.path}", url.path, dict(parse_qsl(url.query)), "".join(data).encode())


def endpoint_of(one: Sent) -> Endpoint | None:
    method = "POST" if one.body else "GET"
    found = [
        endpoint
        for plugin in plugins().plugins.values()
        if plugin.integration
        for endpoint in plugin.integration.endpoints
        if (endpoint.method, endpoint.path) == (method, one.path)
    ]
    return found[0] if found else None


PUSHED = [(one, endpoint) for one in commands() if (endpoint := endpoint_of(one)) is not None]


def test_json_line_protocol_and_emoncms_are_shown() -> None:
    assert {one.path for one, _ in PUSHED} == {"/api/v1/ingest", "/write", "/emoncms/input/post"}


@pytest.fixture(scope="module")
def intake() -> MemoryIntake:
    """One hub for all: an endpoint remembers the series of its hub."""
    return MemoryIntake(clock_ms=1_795_401_700_000)


def stored_rows(intake: MemoryIntake) -> int:
    return sum(len(rows) for rows in intake.rows.values())


@pytest.mark.parametrize(("one", "endpoint"), PUSHED, ids=[one.place for one, _ in PUSHED])
async def test_what_the_command_sends_is_stored_whole(
    one: Sent, endpoint: Endpoint, intake: MemoryIntake
) -> None:
    before = stored_rows(intake)
    method = "POST" if one.body else "GET"

    answer = await endpoint.handler(PushRequest(method, one.path, one.query, {}, one.body), intake)

    assert answer.status in (200, 204)
    assert intake.rejected == []
    assert stored_rows(intake) > before
