"""The websocket digest, checked against a computation by hand."""

from __future__ import annotations

import hashlib

import pytest

from integrations.shelly.auth import UnknownChallenge, auth_object

CHALLENGE = {
    "auth_type": "digest",
    "nonce": 1725185413,
    "nc": 1,
    "realm": "shellyplus2pm-485519992590",
    "algorithm": "SHA-256",
}


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_answer_is_the_digest_of_the_specification() -> None:
    answer = auth_object(CHALLENGE, "pa:ss wörd", 42)
    ha1 = sha("admin:shellyplus2pm-485519992590:pa:ss wörd")
    ha2 = sha("dummy_method:dummy_uri")
    assert answer == {
        "realm": "shellyplus2pm-485519992590",
        "username": "admin",
        "nonce": 1725185413,
        "cnonce": 42,
        "response": sha(f"{ha1}:1725185413:1:42:auth:{ha2}"),
        "algorithm": "SHA-256",
    }
    assert "pa:ss" not in str(answer)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"realm": 7, "nonce": 1},
        {"realm": "x"},
        {**CHALLENGE, "algorithm": "MD5"},
        {**CHALLENGE, "nonce": None},
    ],
)
def test_other_challenges_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UnknownChallenge):
        auth_object(wrong, "x", 1)
