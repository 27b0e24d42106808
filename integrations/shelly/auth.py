"""The answer to a Shelly challenge on a websocket: digest authentication with SHA-256 inside JSON. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

USER = "admin"
"""The only user a Shelly knows."""


class UnknownChallenge(ValueError):
    """The device asks for something else than a SHA-256 digest."""


def auth_object(challenge: Mapping[str, object], password: str, cnonce: int) -> dict[str, object]:
    """The ``auth`` member of a request frame.

    Formula: Shelly Gen2+ API, "Authentication over WebSocket": HTTP's digest with fixed stand-ins for method
    and address. The password itself does not travel.

    Raises:
        UnknownChallenge: another algorithm, or no realm and nonce.
    """
    realm, nonce = challenge.get("realm"), challenge.get("nonce")
    if not isinstance(realm, str) or not isinstance(nonce, int | str):
        raise UnknownChallenge("the challenge has no realm and nonce")
    if challenge.get("algorithm", "SHA-256") != "SHA-256":
        raise UnknownChallenge("the challenge wants another algorithm than SHA-256")
    count = challenge.get("nc", 1)
    secret = _sha256(f"{USER}:{realm}:{password}")
    place = _sha256("dummy_method:dummy_uri")
    return {
        "realm": realm,
        "username": USER,
        "nonce": nonce,
        "cnonce": cnonce,
        "response": _sha256(f"{secret}:{nonce}:{count}:{cnonce}:auth:{place}"),
        "algorithm": "SHA-256",
    }


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
