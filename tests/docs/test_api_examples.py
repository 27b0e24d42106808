"""The requests and answers shown in docs/api.md fit the OpenAPI document, which other tests hold to the hub."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.docs.examples import ROOT, own_routes
from web.openapi import openapi_document

PAGE = ROOT / "docs" / "api.md"
_BLOCK = re.compile(r"^```http\n(.*?)^```", re.DOTALL | re.MULTILINE)
_EXCHANGE = re.compile(
    r"^(?P<method>GET|POST|PATCH|PUT|DELETE) (?P<path>\S+)\n(?P<body>[\[{].*?[\]}]\n)?\n"
    r"(?P<status>\d{3})(?P<answer>.*?)"
    r"(?=^Set-Cookie|^(?:GET|POST|PATCH|PUT|DELETE) |\Z)",
    re.DOTALL | re.MULTILINE,
)
INGEST = "/api/v1/ingest"
"""Its shapes belong to the integration; the page of integrations shows them."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request of the page and its answer; ``…`` stands for members that were left out."""

    method: str
    path: str
    body: Any
    status: str
    answer: Any
    complete: bool


def exchanges() -> Iterator[Exchange]:
    for block in _BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        for found in _EXCHANGE.finditer(block):
            answer = found["answer"].strip()
            plain = re.sub(r",\s*…", "", answer).replace("{…}", "{}")
            yield Exchange(
                found["method"],
                found["path"].partition("?")[0],
                json.loads(found["body"]) if found["body"] else None,
                found["status"],
                json.loads(plain) if plain else None,
                plain == answer,
            )


@cache
def document() -> dict[str, Any]:
    return openapi_document(own_routes(), "0")


def operation(exchange: Exchange) -> dict[str, Any]:
    """What the OpenAPI document says of the route of an exchange; literal paths come before templates."""
    for path in sorted(document()["paths"], key=lambda path: "{" in path):
        if re.fullmatch(re.sub(r"\{\w+\}", r"[^/]+", path), exchange.path):
            found: dict[str, Any] = document()["paths"][path][exchange.method.lower()]
            return found
    raise LookupError(exchange.path)


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": document()["components"]})


SHOWN = [one for one in exchanges() if one.path != INGEST]


def test_the_page_shows_many_exchanges() -> None:
    assert len(SHOWN) >= 20
    assert sum(one.complete for one in SHOWN) >= 15


@pytest.mark.parametrize("shown", SHOWN, ids=lambda one: f"{one.method} {one.path}")
def test_request_fits_its_route(shown: Exchange) -> None:
    body = operation(shown).get("requestBody")
    is_error = shown.status.startswith("4")

    assert (shown.body is None) == (body is None)
    assert (
        body is None
        or is_error
        or validator(body["content"]["application/json"]["schema"]).is_valid(shown.body)
    )


@pytest.mark.parametrize(
    "shown", [one for one in SHOWN if one.complete], ids=lambda one: f"{one.method} {one.path}"
)
def test_answer_fits_its_route(shown: Exchange) -> None:
    content = operation(shown)["responses"][shown.status].get("content", {})
    schemas = [one["schema"] for kind, one in content.items() if "json" in kind]

    assert [
        error.message for schema in schemas for error in validator(schema).iter_errors(shown.answer)
    ] == []
