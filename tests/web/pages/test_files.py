"""The pages load from the hub alone, run nothing that stands in markup, and treat names as text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from tests.web.conftest import House
from web.handlers.outside import PAGES

ADDRESSES = {"/": "live.html", "/setup": "setup.html", "/api/docs": "docs.html"}
SCRIPTS = sorted(name for name in PAGES if name.endswith(".js"))
STYLES = sorted(name for name in PAGES if name.endswith(".css"))
MARKUP_SINKS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc"
)
IMPORT = re.compile(r'^import .* from "([^"]+)";$', re.MULTILINE)


class Outline(HTMLParser):
    """Tags with their attributes, and the text inside of ``script`` and ``style``."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.code = ""
        self._inside = ""
        self.feed(PAGES[name].decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style"):
            self.code += data.strip()

    def values(self, name: str) -> list[str]:
        """Values of an attribute, in order."""
        return [value for _, attributes in self.tags if (value := attributes.get(name)) is not None]


def loaded_by(name: str) -> Iterator[str]:
    """Addresses that a page or a script loads."""
    if name.endswith(".html"):
        outline = Outline(name)
        yield from outline.values("src")
        yield from (a["href"] or "" for tag, a in outline.tags if tag == "link")
    else:
        yield from IMPORT.findall(PAGES[name].decode())


@pytest.mark.parametrize("address", ADDRESSES)
async def test_a_page_and_all_it_loads_is_served_by_the_hub(new_house: House, address: str) -> None:
    page = await new_house.get(address, by=None)
    waiting, seen = [*loaded_by(ADDRESSES[address])], set[str]()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        answer = await new_house.get(path, by=None)
        assert (answer.status, path[0]) == (200, "/")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        if path.endswith(".js"):
            assert answer.headers["Content-Type"].startswith("text/javascript")
            waiting += loaded_by(path.rpartition("/")[2])

    policy = page.headers["Content-Security-Policy"]
    assert (page.status, page.body) == (200, PAGES[ADDRESSES[address]])
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert any(path.endswith(".js") for path in seen)


@pytest.mark.parametrize("name", ADDRESSES.values())
def test_nothing_in_the_markup_runs(name: str) -> None:
    outline = Outline(name)

    assert outline.code == ""
    assert not [key for _, attributes in outline.tags for key in attributes if key.startswith("on")]
    assert outline.values("style") == []


@pytest.mark.parametrize("name", ADDRESSES.values())
def test_a_page_is_made_for_people_and_their_helpers(name: str) -> None:
    outline = Outline(name)
    ids = outline.values("id")
    tags = [tag for tag, _ in outline.tags]
    levels = [int(tag[1]) for tag in tags if re.fullmatch("h[1-6]", tag)]

    assert outline.tags[0] == ("html", {"lang": "en"})
    assert "width=device-width" in str(outline.tags)
    assert len(ids) == len(set(ids))
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert tags.count("input") == sum(
        before == "label" and after == "input" for before, after in pairwise(tags)
    )
    assert set(outline.values("aria-labelledby") + outline.values("aria-describedby")) <= set(ids)
    assert all("alt" in attributes for tag, attributes in outline.tags if tag == "img")


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_write_text_and_never_markup(name: str) -> None:
    text = PAGES[name].decode()

    assert MARKUP_SINKS.findall(text) == []
    assert "http://" not in text
    assert "https://" not in text
    assert all(path.startswith("/assets/") for path in loaded_by(name))


@pytest.mark.parametrize("name", STYLES)
def test_styles_load_nothing(name: str) -> None:
    assert re.findall(r"url\(|@import|@font-face", PAGES[name].decode()) == []


@pytest.mark.parametrize(("address", "name"), ADDRESSES.items())
def test_every_element_that_the_scripts_look_for_is_there(address: str, name: str) -> None:
    waiting, scripts = [*loaded_by(name)], set[str]()
    while waiting:
        script = waiting.pop().rpartition("/")[2]
        if script.endswith(".js") and script not in scripts:
            scripts.add(script)
            waiting += loaded_by(script)
    wanted = {one for script in scripts for one in re.findall(r'byId\("([^"]+)"\)', PAGES[script].decode())}

    assert wanted
    assert wanted <= set(Outline(name).values("id"))
