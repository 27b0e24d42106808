"""Who is at the other end: forwarding headers only ever take something away."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from aiohttp.test_utils import make_mocked_request

from web.peer import (
    FORWARDING,
    client_address,
    host_name,
    is_encrypted,
    is_local,
    is_loopback,
    peer_address,
    same_origin,
)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "::1", "hub.localhost"])
def test_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "localhost.example", "127.0.0.1.example", "0.0.0.0", "10.0.0.1", "2130706433"]
)
def test_not_this_machine(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("header", "host"),
    [("Hub.lan:8321", "hub.lan"), ("[::1]:8321", "::1"), ("127.0.0.1", "127.0.0.1"), ("", ""), ("[", "")],
)
def test_the_host_that_was_asked_for(header: str, host: str) -> None:
    assert host_name(make_mocked_request("GET", "/", headers={"Host": header})) == host


@pytest.mark.parametrize(
    ("peer", "headers", "local"),
    [
        ("127.0.0.1", {"Host": "localhost:8321"}, True),
        ("::ffff:127.0.0.1", {"Host": "127.0.0.1"}, True),
        ("192.0.2.1", {"Host": "localhost"}, False),
        ("127.0.0.1", {"Host": "evil.example"}, False),
        *(("127.0.0.1", {"Host": "localhost", name: "127.0.0.1"}, False) for name in FORWARDING),
    ],
)
def test_local_is_a_peer_of_this_machine_that_speaks_for_itself(
    peer: str, headers: dict[str, str], local: bool
) -> None:
    transport = Mock()
    transport.get_extra_info.side_effect = {"peername": (peer, 5)}.get
    request = make_mocked_request("GET", "/", headers=headers, transport=transport)

    assert is_local(request) is local
    assert peer_address(request) == peer.removeprefix("::ffff:")


@pytest.mark.parametrize(
    ("headers", "same"),
    [
        ({}, True),
        ({"Origin": "http://hub.lan:8321"}, True),
        ({"Origin": "https://hub.lan:8321", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "http://hub.lan"}, False),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
    ],
)
def test_origin_and_fetch_metadata(headers: dict[str, str], same: bool) -> None:
    request = make_mocked_request("POST", "/", headers={"Host": "hub.lan:8321", **headers})

    assert same_origin(request) is same


def behind(peer: str, **headers: str) -> Any:
    """A request that a peer hands on; ``X_Forwarded_For`` stands for ``X-Forwarded-For``."""
    transport = Mock()
    transport.get_extra_info = lambda name, default=None: (peer, 5) if name == "peername" else default
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return make_mocked_request("GET", "/", headers=named, transport=transport)


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("10.0.0.5", "192.0.2.9", "192.0.2.9"),
        ("10.0.0.5", "198.51.100.1, 192.0.2.9", "192.0.2.9"),
        ("10.0.0.5", "192.0.2.9, 10.0.0.7", "192.0.2.9"),
        ("10.0.0.5", "nonsense", "10.0.0.5"),
        ("10.0.0.5", "", "10.0.0.5"),
        ("192.0.2.1", "198.51.100.1", "192.0.2.1"),
    ],
)
def test_the_client_behind_trusted_proxies(peer: str, forwarded: str, address: str) -> None:
    assert client_address(behind(peer, X_Forwarded_For=forwarded), ["10.0.0.0/24"]) == address


@pytest.mark.parametrize(
    ("peer", "said", "encrypted"),
    [
        ("10.0.0.5", "https", True),
        ("10.0.0.5", "http", False),
        ("10.0.0.5", "https, http", False),
        ("192.0.2.1", "https", False),
        ("10.0.0.5", "", False),
    ],
)
def test_only_a_trusted_proxy_speaks_tls_for_the_hub(peer: str, said: str, encrypted: bool) -> None:
    assert is_encrypted(behind(peer, X_Forwarded_Proto=said), ["10.0.0.0/24"]) is encrypted
    assert not is_encrypted(behind(peer, X_Forwarded_Proto=said), [])
