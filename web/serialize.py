"""Answers → JSON, in one place per thing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
import orjson
from aiohttp import web

from hub.actors.device_requests import DeviceView, LatestRow
from hub.actors.registry import InboxItem
from hub.config.secret import DOTS, Secret
from hub.config.settings import SiteConfig
from hub.entries import EntryView
from hub.model.series import Series, SeriesInfo
from hub.storage.quarantine import Quarantined
from hub.storage.sites import SITE_ID
from hub.storage.users import AuditRow, TokenRow, UserRow

T = TypeVar("T")
_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS


def json_response(content: Any, *, status: int = 200) -> web.Response:
    """JSON from plain objects and numpy columns (NaN becomes null)."""
    body = orjson.dumps(content, default=_plain, option=_OPTIONS)
    return web.Response(body=body, status=status, content_type="application/json")


def page_response(items: Iterable[T], shape: Callable[[T], Any], cursor: str | None = None) -> web.Response:
    """One page of a list."""
    return json_response({"items": [shape(item) for item in items], "next": cursor})


def no_content() -> web.Response:
    """Done, nothing to say."""
    return web.Response(status=204)


def series_json(series: Series) -> dict[str, Any]:
    """A registered series; ``unit`` is the unit of its stored values."""
    return {
        "id": series.public_id,
        "device": series.device_id,
        "key": series.key,
        "name": series.name,
        "quantity": series.quantity,
        "unit": series.unit,
        "kind": series.behaviour,
        "direction": series.direction,
        "physical_limit": series.physical_limit,
        "register_width": series.register_width,
        "resolution": series.resolution,
        "in_balance": series.in_balance,
    }


def site_json(site: SiteConfig) -> dict[str, Any]:
    """The site; ``location`` is latitude and longitude in degrees."""
    return {
        "id": SITE_ID,
        "name": site.name,
        "time_zone": site.time_zone,
        "currency": site.currency,
        "country": site.country,
        "location": site.location,
    }


def device_json(view: DeviceView) -> dict[str, Any]:
    """A device with its series."""
    device = view.device
    return {
        "id": device.id,
        "name": device.name,
        "integration": device.integration,
        "kind": device.kind,
        "maker": device.maker,
        "model": device.model,
        "firmware": device.firmware,
        "serial": device.serial,
        "role": device.role,
        "area": device.area,
        "parent": device.parent,
        "site": device.site,
        "created_ms": device.created_ms,
        "availability": view.availability,
        "last_ms": view.last_ms,
        "series": [series_json(one) for one in view.series],
    }


def latest_json(row: LatestRow) -> dict[str, Any]:
    """The newest value of a series."""
    return {
        "series": row.series.public_id,
        "value": row.value,
        "unit": row.series.unit,
        "ts": row.ts_ms,
        "age_s": round(row.age_s, 3),
        "quality": row.quality,
    }


def inbox_json(item: InboxItem) -> dict[str, Any]:
    """A found device."""
    device = item.device
    return {
        "id": device.id,
        "device": {
            "name": device.name,
            "kind": device.kind,
            "maker": device.maker,
            "model": device.model,
            "firmware": device.firmware,
            "serial": device.serial,
        },
        "entry": item.entry_id,
        "domain": item.domain,
        "state": item.state,
        "series": [_info_json(info) for info in item.series],
        "sample": item.sample,
        "first_ms": item.first_ms,
        "last_ms": item.last_ms,
        "count": item.count,
    }


def _info_json(info: SeriesInfo) -> dict[str, Any]:
    return {"key": info.key, "quantity": info.quantity, "kind": info.behaviour, "unit": info.unit}


def entry_json(entry: EntryView, *, with_stack: bool = False) -> dict[str, Any]:
    """A configured integration entry, without its options; the stack of its last failure for admins only."""
    return {
        "id": entry.entry_id,
        "domain": entry.domain,
        "name": entry.name,
        "state": entry.state,
        "code": entry.code,
        "detail": entry.detail,
        "since_ms": entry.since_ms,
        "version": entry.version,
        "quality": entry.quality,
        "readings": entry.readings,
        "stack": entry.stack if with_stack else "",
    }


def user_json(user: UserRow) -> dict[str, Any]:
    """A user as admins see it."""
    return {
        "id": user.id,
        "username": user.name,
        "roles": user.roles,
        "disabled": user.disabled,
        "created_ms": user.created_ms,
    }


def token_json(token: TokenRow) -> dict[str, Any]:
    """An API token without its secret, which nobody has any more."""
    return {
        "id": token.id,
        "name": token.name,
        "user": token.user_id,
        "scopes": token.scopes,
        "created_ms": token.created_ms,
        "expires_ms": token.expires_ms,
        "last_used_ms": token.last_used_ms,
    }


def audit_json(row: AuditRow) -> dict[str, Any]:
    """A line of the audit trail."""
    return {
        "id": row.id,
        "ts": row.ts_ms,
        "user_id": row.user_id,
        "action": row.action,
        "object": row.target,
        "detail": dict(row.detail),
        "address": row.address,
    }


def quarantined_json(row: Quarantined, series: Callable[[int], Series | None]) -> dict[str, Any]:
    """A reading that was kept aside; what was sent is shown as text, cut to 4 kB."""
    known = series(row.series) if row.series is not None else None
    return {
        "id": row.id,
        "source": row.source,
        "arrival_ms": row.arrival_ms,
        "series": known.public_id if known else None,
        "ts_ms": row.ts_ms,
        "value": row.value,
        "code": row.code,
        "detail": row.text,
        "field": row.field,
        "payload": row.payload[:4096].decode("utf-8", "replace") if row.payload else None,
    }


def _plain(value: object) -> object:
    if isinstance(value, Secret):
        return DOTS
    if hasattr(value, "as_json"):
        return value.as_json()
    if hasattr(value, "items"):
        return dict(value.items())
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def shares_text(shares: Mapping[str, Any]) -> str:
    """Shares of a quality for a table: ``measured=0.999997 missing=0.000003``, never with an exponent."""
    return " ".join(
        f"{name}={np.format_float_positional(share, trim='0')}"
        for name, share in shares.items()
        if name != "flags"
    )
