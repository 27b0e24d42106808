"""Validators of single values, for the hub's own schema and for integrations.

Each raises :class:`ValueProblem` with a stable code, and carries ``json_schema`` for the exported schema.
"""

from __future__ import annotations

import ipaddress
import math
import re
import zoneinfo
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import voluptuous as vol

from hub.config.nearest import did_you_mean, nearest
from hub.config.secret import Secret
from hub.model.names import DEVICE_ID

_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*")
_SECONDS: Final = {"ms": 0.001, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_BYTES: Final = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12} | {
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": 1 << 30,
    "tib": 1 << 40,
}
MAX_DURATION_S: Final = 100 * 366 * 86400.0
_HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)\Z")
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*\Z")
_NO_ZONES = ("posix/", "right/", "localtime", "posixrules", "Factory")


class ValueProblem(vol.Invalid):
    """A value is refused, with the stable code and a hint for the reader."""

    def __init__(self, code: str, message: str, hint: str = "", *, path: list[Any] | None = None) -> None:
        super().__init__(message, path)
        self.code = code
        self.hint = hint


Validator = Callable[[Any], Any]
_F = TypeVar("_F", bound=Validator)


def described(**json_schema: Any) -> Callable[[_F], _F]:
    """Attach the JSON Schema of the values that a validator accepts."""

    def attach(function: _F) -> _F:
        function.json_schema = json_schema  # type: ignore[attr-defined]  # read by hub.config.json_schema
        return function

    return attach


def kind_of(value: object) -> str:
    """What a value is, in words for people."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str() | Secret():
            return "a text"
        case list():
            return "a list"
        case Mapping():
            return "a mapping"
    return type(value).__name__


def _short(value: object) -> str:
    shown = str(value)
    return shown if len(shown) <= 80 else shown[:80] + "…"


def _wrong_kind(expected: str, value: object) -> ValueProblem:
    hint = ""
    if (
        expected == "a number"
        and isinstance(value, str)
        and len(value) < 40
        and re.match(r"[-+]?\d+(\.\d+)?\Z", value)
    ):
        hint = "remove the quotes"
    if expected == "true or false" and isinstance(value, str):
        hint = {"yes": "write true", "on": "write true", "no": "write false", "off": "write false"}.get(
            value.lower(), ""
        )
    if expected == "a text" and isinstance(value, (int, float)):
        hint = "put quotes around it"
    return ValueProblem("WL-CFG-023", f"expected {expected}, found {kind_of(value)}", hint)


@described(type="string", minLength=1)
def text(value: Any) -> str:
    """A text that is not blank. Secrets become plain text here; use :func:`secret` where they must not."""
    if isinstance(value, Secret):
        value = value.reveal()
    if not isinstance(value, str):
        raise _wrong_kind("a text", value)
    if not value.strip():
        raise ValueProblem("WL-CFG-024", "the text is empty")
    if len(value) > 4096:
        raise ValueProblem("WL-CFG-024", "the text is longer than 4096 characters")
    return value


@described(type="string", format="password")
def secret(value: Any) -> Secret:
    """A password or token, by ``!secret`` or in the open; the result is always a :class:`Secret`."""
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise _wrong_kind("a text", value)
    if not value:
        raise ValueProblem("WL-CFG-024", "the secret is empty")
    return Secret(value)


@described(type="boolean")
def flag(value: Any) -> bool:
    """true or false, nothing else."""
    if not isinstance(value, bool):
        raise _wrong_kind("true or false", value)
    return value


def number(low: float, high: float, unit: str = "") -> Validator:
    """A finite number from ``low`` to ``high``, both included."""

    @described(type="number", minimum=low, maximum=high)
    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise _wrong_kind("a number", value)
        if not math.isfinite(value) or not low <= value <= high:
            raise ValueProblem(
                "WL-CFG-024", f"{value} is not between {low:g} and {high:g}{unit and ' ' + unit}"
            )
        return float(value)

    return check


def whole_number(low: int, high: int) -> Validator:
    """A whole number from ``low`` to ``high``, both included."""

    @described(type="integer", minimum=low, maximum=high)
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong_kind("a whole number" if isinstance(value, float) else "a number", value)
        if not low <= value <= high:
            raise ValueProblem("WL-CFG-024", f"{value} is not between {low} and {high}")
        return value

    return check


def one_of(*choices: str) -> Validator:
    """One of a few words."""

    @described(enum=list(choices))
    def check(value: Any) -> str:
        if isinstance(value, str) and value in choices:
            return value
        listed = ", ".join(choices)
        if isinstance(value, bool):
            raise ValueProblem("WL-CFG-021", f"expected one of {listed}, found {str(value).lower()}")
        if not isinstance(value, str):
            raise _wrong_kind(f"one of {listed}", value)
        hint = did_you_mean(value.lower(), choices)
        raise ValueProblem("WL-CFG-021", f'"{_short(value)}" is not one of {listed}', hint)

    return check


@described(type=["string", "number"], pattern=r"^\s*(\d+(\.\d+)?\s*(ms|s|sec|m|min|h|d|w)\s*)+$", minimum=0)
def duration_s(value: Any) -> float:
    """Seconds from ``5min``, ``48h``, ``90d``, ``1h30m`` or a number of seconds; at most 100 years."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueProblem(
            "WL-CFG-025", f"expected a duration, found {kind_of(value)}", "write for instance 5min"
        )
    seconds = float(value) if not isinstance(value, str) else _sum_of_parts(value, _SECONDS)
    if seconds is None or not math.isfinite(seconds):
        raise ValueProblem(
            "WL-CFG-025",
            f'"{_short(value)}" is not a duration',
            "write for instance 30s, 5min, 48h, 90d, 1h30m",
        )
    if not 0 <= seconds <= MAX_DURATION_S:
        raise ValueProblem("WL-CFG-025", f"{value} is not between 0 and 100 years")
    return seconds


@described(type=["string", "integer"], pattern=r"^\s*(\d+(\.\d+)?\s*([kKMGT]i?)?[bB]\s*)+$", minimum=0)
def size_bytes(value: Any) -> int:
    """Bytes from ``512kB``, ``2MB``, ``1GiB`` or a number of bytes."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueProblem("WL-CFG-026", f"expected a size, found {kind_of(value)}", "write for instance 2MB")
    size = float(value) if not isinstance(value, str) else _sum_of_parts(value, _BYTES)
    if size is None or not 0 <= size <= 1 << 60:
        raise ValueProblem(
            "WL-CFG-026", f'"{_short(value)}" is not a size', "write for instance 512kB, 2MB, 1GiB"
        )
    return round(size)


def _sum_of_parts(written: str, units: Mapping[str, float]) -> float | None:
    rest = written.strip()
    if not rest or len(rest) > 60:
        return None
    total, end = 0.0, 0
    seen: set[str] = set()
    while end < len(rest):
        part = _PART.match(rest, end)
        unit = part[2].lower() if part else ""
        if part is None or unit not in units or unit in seen:
            return None
        seen.add(unit)
        total += float(part[1]) * units[unit]
        end = part.end()
    return total


@described(type="string")
def time_zone(value: Any) -> str:
    """A name of the IANA time zone database."""
    if not isinstance(value, str):
        raise ValueProblem(
            "WL-CFG-027", f"expected a time zone, found {kind_of(value)}", "write for instance Europe/Paris"
        )
    if len(value) < 60 and _ZONE.match(value) and not value.startswith(_NO_ZONES):
        try:
            zoneinfo.ZoneInfo(value)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            pass
        else:
            return value
    near = _near_zone(value[:60])
    hint = f'did you mean "{near}"?' if near else "write region and city, such as Europe/Paris"
    raise ValueProblem("WL-CFG-027", f'"{_short(value)}" is not a time zone', hint)


@lru_cache(maxsize=64)
def _near_zone(value: str) -> str | None:
    names = zoneinfo.available_timezones()
    lowered = {name.lower(): name for name in names} | {
        name.rsplit("/", 1)[-1].lower(): name for name in names
    }
    near = nearest(value.lower().replace(" ", "_"), lowered, cutoff=0.7)
    return lowered[near] if near else None


_CURRENCY_CODES = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN "
    "BWP BYN BZD CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD "
    "FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY "
    "KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP "
    "MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR "
    "RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT "
    "TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER "
    "ZAR ZMW ZWG "
)
CURRENCIES: Final = frozenset(_CURRENCY_CODES.split())
"""Active codes of ISO 4217."""

_COUNTRY_CODES = (
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ "
    "BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM "
    "DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS "
    "GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN "
    "KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ "
    "MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM "
    "PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV "
    "SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI "
    "VN VU WF WS YE YT ZA ZM ZW "
)
COUNTRIES: Final = frozenset(_COUNTRY_CODES.split())
"""Codes of ISO 3166-1."""


def _code_from(codes: frozenset[str], what: str, example: str) -> Validator:
    @described(enum=sorted(codes))
    def check(value: Any) -> str:
        if isinstance(value, str) and value in codes:
            return value
        if not isinstance(value, str):
            raise ValueProblem(
                "WL-CFG-028",
                f"expected a {what} code, found {kind_of(value)}",
                f"write for instance {example}",
            )
        near = value[:20].strip().upper()
        hint = f'did you mean "{near}"?' if near in codes else f"write for instance {example}"
        raise ValueProblem("WL-CFG-028", f'"{_short(value)}" is not a {what} code', hint)

    return check


currency = _code_from(CURRENCIES, "currency", "EUR")
country = _code_from(COUNTRIES, "country", "FR")


@described(
    type="array",
    minItems=2,
    maxItems=2,
    prefixItems=[
        {"type": "number", "minimum": -90, "maximum": 90},
        {"type": "number", "minimum": -180, "maximum": 180},
    ],
)
def location(value: Any) -> tuple[float, float]:
    """Latitude and longitude in degrees."""
    pair = value if isinstance(value, list) else []
    if len(pair) != 2 or any(isinstance(part, bool) or not isinstance(part, (int, float)) for part in pair):
        raise ValueProblem(
            "WL-CFG-029", "expected [latitude, longitude] in degrees", "write for instance [48.85, 2.35]"
        )
    if not (-90 <= pair[0] <= 90 and -180 <= pair[1] <= 180):
        raise ValueProblem(
            "WL-CFG-029", f"[{pair[0]}, {pair[1]}] is not on the earth", "the latitude comes first"
        )
    return float(pair[0]), float(pair[1])


@described(type="string", minLength=1)
def host(value: Any) -> str:
    """A host name, an IPv4 or an IPv6 address, without scheme or port."""
    written = text(value)
    try:
        ipaddress.ip_address(written)
    except ValueError:
        labels = written.rstrip(".").split(".")
        numeric = all(label.isdigit() for label in labels)
        if len(written) > 253 or numeric or not all(_HOST_LABEL.match(label) for label in labels):
            hint = "write the name alone, without http:// and port"
            raise ValueProblem("WL-CFG-030", f'"{written}" is not a host name or address', hint) from None
    return written


port = whole_number(0, 65535)


@described(type="string")
def network(value: Any) -> str:
    """A network in CIDR notation, or one address; given back in its canonical form."""
    written = text(value)
    try:
        return str(ipaddress.ip_network(written))
    except ValueError as error:
        hint = "write for instance 192.168.1.0/24"
        if "host bits" in str(error):
            hint = f'did you mean "{ipaddress.ip_network(written, strict=False)}"?'
        raise ValueProblem("WL-CFG-030", f'"{written}" is not a network', hint) from None


@described(type="string", pattern="^https?://[^/]+$")
def origin(value: Any) -> str:
    """A web origin: scheme, host and an optional port, nothing behind."""
    written = text(value)
    try:
        parts = urlsplit(written)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        good = good and not (parts.path or parts.query or parts.fragment or parts.username)
    except ValueError:
        good = False
    if not good:
        raise ValueProblem(
            "WL-CFG-030", f'"{written}" is not an origin', "write for instance https://hub.example.org:8443"
        )
    return written.lower()


@described(type="string", pattern="^(sqlite:///.+|postgresql://.+)$")
def storage_url(value: Any) -> str:
    """``sqlite:///file`` (relative to the data directory) or ``postgresql://user:password@host/database``."""
    written = text(value)
    hint = "write sqlite:///hub.db or postgresql://user:password@host/database"
    if written.startswith("sqlite:///"):
        file = written.removeprefix("sqlite:///")
        if not file or file.endswith("/") or "?" in file or ".." in PurePosixPath(file).parts:
            raise ValueProblem(
                "WL-CFG-031", "the SQLite url has to name a file inside the data directory", hint
            )
        return written
    try:
        parts = urlsplit(written)
        good = (
            parts.scheme == "postgresql" and bool(parts.hostname) and len(parts.path) > 1 and parts.port != 0
        )
    except ValueError:
        good = False
    if not good:
        raise ValueProblem("WL-CFG-031", "this is not a storage url", hint)
    return written


@described(type="string", pattern="^[a-z0-9][a-z0-9_-]{0,63}$")
def identifier(value: Any) -> str:
    """An id: a-z, 0-9, ``-`` and ``_``, starting with a letter or digit, at most 64 characters."""
    if isinstance(value, str) and DEVICE_ID.match(value):
        return value
    if not isinstance(value, str):
        raise _wrong_kind("a text", value)
    slug = re.sub(r"[^a-z0-9_]+", "-", value[:200].lower()).strip("-_")[:64]
    hint = f'did you mean "{slug}"?' if slug else "use a-z, 0-9, - and _"
    raise ValueProblem("WL-CFG-035", f'"{_short(value)}" is not an id', hint)
