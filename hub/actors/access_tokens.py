"""Secrets that web clients carry: access tokens (JWT), refresh tokens, API tokens, and the key behind them.

One key, made at the first start, signs everything of this hub; the purpose of a token is part of what is
signed, so that a token for one purpose is never taken for another.

- Access token: JWT, HS256 only, 15 minutes. Its header is compared byte for byte before anything is parsed:
  no token can choose its algorithm, key or extensions.
- Refresh token: ``<session>.<generation>.<mac>``. The successor of a refresh token follows from the key, so two
  tabs that refresh at once get the same one, and a token that was genuine once is told from an invented one.
- API token: ``wl_`` and 256 random bits; only its SHA-256 is kept.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hub.errors import AskUser, Unauthenticated

ACCESS_TOKEN_S = 15 * 60
API_TOKEN_PREFIX = "wl_"
KEY_FILE = "auth.key"
KEY_BYTES = 32
MAX_CREDENTIAL_CHARS = 2048
LEEWAY_S = 30
ISSUER = "wattline"
AUDIENCE_ACCESS = "wattline:access"
_CLAIMS = ["iss", "aud", "sub", "typ", "jti", "sid", "exp", "nbf", "iat"]
_HEADER = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=").decode() + "."


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What a valid access token says: the user and the session it belongs to."""

    user_id: str
    session_id: str


@dataclass(frozen=True, slots=True)
class RefreshParts:
    """A genuine refresh token (its MAC is ours), which may still be out of date."""

    session_id: str
    generation: int


class SigningKey:
    """Signs and checks; it never shows its bytes."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) < KEY_BYTES or len(set(key)) < 8:
            raise AskUser(
                "WL-AUTH-001",
                f"the signing key has {len(key)} bytes or is a sample; {KEY_BYTES} random bytes are needed",
                where=KEY_FILE,
                hint=f"remove {KEY_FILE} in the data directory; a new key is made and everybody signs in again",
            )
        self._key = key

    def __repr__(self) -> str:
        return "SigningKey(••••)"

    def access_token(self, claims: AccessClaims, now_ms: int) -> str:
        """A JWT for :data:`ACCESS_TOKEN_S` seconds from now."""
        now_s = now_ms // 1000
        payload = {
            "iss": ISSUER,
            "aud": AUDIENCE_ACCESS,
            "sub": claims.user_id,
            "sid": claims.session_id,
            "typ": "access",
            "jti": secrets.token_hex(8),
            "iat": now_s,
            "nbf": now_s,
            "exp": now_s + ACCESS_TOKEN_S,
        }
        import jwt  # 90 ms and 30 MiB: not before somebody signs in

        return jwt.encode(payload, self._key, algorithm="HS256")

    def read_access_token(self, token: str, now_ms: int) -> AccessClaims:
        """Check everything about a JWT but whether its session still lives.

        Raises:
            Unauthenticated: ``WL-AUTH-011``, whatever is wrong with it.
        """
        if not token.startswith(_HEADER) or not token.isascii():
            raise bad_credential()
        import jwt  # as above

        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key,
                algorithms=["HS256"],
                issuer=ISSUER,
                audience=AUDIENCE_ACCESS,
                # the clock of the hub decides below, so that tests and the hub agree about now
                options={
                    "require": _CLAIMS,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "strict_aud": True,
                    "enforce_minimum_key_length": True,
                },
            )
        except jwt.PyJWTError as error:
            raise bad_credential() from error
        return _checked_claims(claims, now_ms // 1000)

    def refresh_token(self, session_id: str, generation: int) -> str:
        """The refresh token of a generation of a session; always the same one."""
        mac = self._mac(f"refresh:{session_id}:{generation}".encode())
        return f"{session_id}.{generation}.{_b64(mac)}"

    def read_refresh_token(self, token: str) -> RefreshParts:
        """Check that a refresh token was made by this hub.

        Raises:
            Unauthenticated: ``WL-AUTH-011``.
        """
        session_id, _, rest = token[:MAX_CREDENTIAL_CHARS].partition(".")
        generation, _, _ = rest.partition(".")
        if not token.isascii() or not generation.isdigit() or len(generation) > 9:
            raise bad_credential()
        parts = RefreshParts(session_id, int(generation))
        genuine = self.refresh_token(parts.session_id, parts.generation)
        if not hmac.compare_digest(digest(genuine), digest(token)):
            raise bad_credential()
        return parts

    def _mac(self, message: bytes) -> bytes:
        return hmac.digest(self._key, message, "sha256")


@dataclass(frozen=True, slots=True)
class NewApiToken:
    """An API token in clear, to be shown once."""

    secret: str = field(repr=False)
    hash: str = field(repr=False)


def new_api_token() -> NewApiToken:
    """256 random bits behind ``wl_``."""
    secret = API_TOKEN_PREFIX + secrets.token_urlsafe(32)
    return NewApiToken(secret, digest(secret))


def digest(secret: str) -> str:
    """SHA-256 in hex: enough for secrets of 128 random bits and more, which nobody can guess."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def bad_credential() -> Unauthenticated:
    """The one answer to every credential that does not hold, so that nothing can be learned from it."""
    return Unauthenticated(
        "WL-AUTH-011",
        "the token is not valid: unknown, expired, revoked or malformed",
        where="Authorization",
        hint="sign in again, or make a new token under 'me' or with `wattline token create`",
    )


def load_signing_key(data_dir: Path) -> SigningKey:
    """Read the key of this hub, or make it at the first start (mode 0600). Blocks: call it in a thread.

    Raises:
        AskUser: ``WL-AUTH-001`` too short or a sample, ``WL-AUTH-002`` readable by others,
            ``WL-AUTH-003`` not readable at all.
    """
    path = data_dir / KEY_FILE
    try:
        _refuse_open_doors(path)
        text = path.read_text("ascii").strip()
        return SigningKey(bytes.fromhex(text))
    except FileNotFoundError:
        return _make_key(path)
    except (OSError, ValueError) as error:
        raise AskUser(
            "WL-AUTH-003",
            "the signing key cannot be read",
            where=str(path),
            hint="restore it from a backup, or remove it; then a new one is made and everybody signs in again",
        ) from error


def _refuse_open_doors(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if os.name == "posix" and mode & 0o077:
        raise AskUser(
            "WL-AUTH-002",
            f"the signing key has mode {mode:04o}: other accounts of this machine can read it",
            where=str(path),
            hint=f"chmod 600 {path}; if others may have read it, remove it instead",
        )


def _make_key(path: Path) -> SigningKey:
    key = secrets.token_bytes(KEY_BYTES)
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(key.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    return SigningKey(key)


def _checked_claims(claims: dict[str, Any], now_s: int) -> AccessClaims:
    user_id, session_id = claims["sub"], claims["sid"]
    times = [claims["nbf"], claims["iat"], claims["exp"]]
    if claims["typ"] != "access" or not isinstance(user_id, str) or not isinstance(session_id, str):
        raise bad_credential()
    if not all(type(moment) is int for moment in times):
        raise bad_credential()
    nbf, iat, exp = times
    if nbf > now_s + LEEWAY_S or iat > now_s + LEEWAY_S or exp <= now_s or exp - iat > ACCESS_TOKEN_S:
        raise bad_credential()
    return AccessClaims(user_id, session_id)


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
