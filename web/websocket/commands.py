"""What a client may ask: the commands of Home Assistant's websocket API that mean something here, and our own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from hub.errors import NotFound
from web.websocket.attributes import area_rows, device_row
from web.websocket.channels import (
    Channel,
    EntityChannel,
    SeriesChannel,
    SilentChannel,
    StateChangeChannel,
    full_state,
)
from web.websocket.client import Client
from web.websocket.fanout import Fanout
from web.websocket.frames import event_message
from web.websocket.states import StateBook

HA_VERSION = "2026.11.0"
"""The version whose envelope this is; clients switch features by it (coalescing from 2022.9)."""
MAX_NAME_CHARS = 255

Message = Mapping[str, Any]


class CommandError(Exception):
    """A command that cannot be carried out: ``code`` and a text for people."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Conversation(Protocol):
    """What a command needs of the connection it came by."""

    fanout: Fanout
    client: Client

    async def result(self, command_id: int, result: object) -> None:
        """Answer with success."""
        ...

    async def send(self, message: bytes) -> None:
        """Send one message that is JSON already."""
        ...


Run = Callable[[Conversation, int, Message], Awaitable[None]]
Check = Callable[[object], bool]


@dataclass(frozen=True, slots=True)
class Command:
    """A command: what its message holds (``?`` behind a name = may be absent) and what it does."""

    run: Run
    fields: Mapping[str, Check]

    def problem_with(self, message: Message) -> str | None:
        """What is wrong with a message; ``None`` if nothing."""
        wanted = {name.rstrip("?"): check for name, check in self.fields.items()}
        for name in self.fields:
            if not name.endswith("?") and name not in message:
                return f"required key not provided @ data['{name}']"
        for name, value in message.items():
            if name in ("id", "type"):
                continue
            if name not in wanted:
                return f"extra keys not allowed @ data['{name[:40]}']"
            if not wanted[name](value):
                return f"unexpected value @ data['{name}']"
        return None


COMMANDS: dict[str, Command] = {}


def command(kind: str, **fields: Check) -> Callable[[Run], Run]:
    """Register a command; ``name_`` declares a field that may be absent."""

    def register(run: Run) -> Run:
        named = {name[:-1] + "?" if name.endswith("_") else name: check for name, check in fields.items()}
        COMMANDS[kind] = Command(run, named)
        return run

    return register


def _name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME_CHARS


def _names(value: object) -> bool:
    return isinstance(value, list) and all(map(_name, value))


def _names_or_none(value: object) -> bool:
    return value is None or _names(value)


def _whole(value: object) -> bool:
    return type(value) is int


def _mapping(value: object) -> bool:
    return isinstance(value, dict)


def _mapping_or_none(value: object) -> bool:
    return value is None or _mapping(value)


def _flag(value: object) -> bool:
    return isinstance(value, bool)


# --- the connection


@command("supported_features", features=_mapping)
async def _supported_features(talk: Conversation, command_id: int, message: Message) -> None:
    talk.client.coalesce = bool(message["features"].get("coalesce_messages"))
    await talk.result(command_id, None)


@command("ping")
async def _ping(talk: Conversation, command_id: int, message: Message) -> None:
    await talk.send(b'{"id":%d,"type":"pong"}' % command_id)


@command("auth/current_user")
async def _current_user(talk: Conversation, command_id: int, message: Message) -> None:
    who = talk.client.principal
    admin = "admin" in who.roles
    user = {"id": who.user_id, "name": who.name, "is_owner": admin, "is_admin": admin}
    await talk.result(command_id, user | {"credentials": [], "mfa_modules": []})


# --- the hub


@command("get_config")
async def _get_config(talk: Conversation, command_id: int, message: Message) -> None:
    hub = talk.fanout.hub
    site = hub.config.site
    latitude, longitude = site.location or (None, None)
    await talk.result(
        command_id,
        {
            "location_name": site.name,
            "time_zone": site.time_zone,
            "currency": site.currency,
            "country": site.country,
            "language": "en",
            "latitude": latitude,
            "longitude": longitude,
            "elevation": 0,
            "radius": 100,
            "unit_system": {
                "length": "km",
                "accumulated_precipitation": "mm",
                "area": "m²",
                "mass": "g",
                "pressure": "Pa",
                "temperature": "°C",
                "volume": "L",
                "wind_speed": "m/s",
            },
            "components": ["sensor", "wattline"],
            "version": HA_VERSION,
            "wattline_version": hub.version,
            "config_dir": "",
            "config_source": "yaml",
            "allowlist_external_dirs": [],
            "allowlist_external_urls": [],
            "external_url": None,
            "internal_url": None,
            "recovery_mode": False,
            "safe_mode": hub.safe_mode is not None,
            "state": "RUNNING",
        },
    )


@command("get_services")
@command("get_panels")
async def _nothing(talk: Conversation, command_id: int, message: Message) -> None:
    await talk.result(command_id, {})


@command(
    "call_service",
    domain=_name,
    service=_name,
    service_data_=_mapping_or_none,
    target_=_mapping_or_none,
    return_response_=_flag,
)
async def _call_service(talk: Conversation, command_id: int, message: Message) -> None:
    name = f"{message['domain'][:40]}.{message['service'][:40]}"
    raise CommandError("not_found", f"Service {name} not found.")


@command("config/entity_registry/list")
async def _entity_registry(talk: Conversation, command_id: int, message: Message) -> None:
    await talk.result(command_id, talk.fanout.book.entity_rows())


@command("config/entity_registry/get", entity_id=_name)
async def _entity_registry_entry(talk: Conversation, command_id: int, message: Message) -> None:
    row = talk.fanout.book.entity_row(message["entity_id"])
    if row is None:
        raise CommandError("not_found", "Entity not found")
    await talk.result(command_id, row)


@command("config/device_registry/list")
async def _device_registry(talk: Conversation, command_id: int, message: Message) -> None:
    await talk.result(command_id, [device_row(one) for one in talk.fanout.hub.registry.devices.values()])


@command("config/area_registry/list")
async def _area_registry(talk: Conversation, command_id: int, message: Message) -> None:
    await talk.result(command_id, area_rows(talk.fanout.hub.registry.devices.values()))


# --- states


@command("get_states")
async def _get_states(talk: Conversation, command_id: int, message: Message) -> None:
    states = talk.fanout.states(_all_states)
    await talk.send(b'{"id":%d,"type":"result","success":true,"result":%b}' % (command_id, states))


def _all_states(book: StateBook) -> bytes:
    return orjson.dumps([full_state(one.entity_id, one.shown) for one in book.all()])


@command("subscribe_entities", entity_ids_=_names_or_none)
async def _subscribe_entities(talk: Conversation, command_id: int, message: Message) -> None:
    # as in Home Assistant no names at all are everything
    wanted = frozenset(message.get("entity_ids") or ()) or None
    key, book = ("entities", wanted), talk.fanout.book
    channel = talk.fanout.channel(key, lambda: EntityChannel(key, book, wanted))
    await _subscribe(talk, command_id, channel)


@command("subscribe_events", event_type_=_name)
async def _subscribe_events(talk: Conversation, command_id: int, message: Message) -> None:
    fanout = talk.fanout
    if message.get("event_type", "*") in ("*", "state_changed"):
        key: tuple[object, ...] = ("state_changed",)
        channel = fanout.channel(key, lambda: StateChangeChannel(key, fanout.book, fanout.clock.now_ms))
    else:
        key = ("silent",)
        channel = fanout.channel(key, lambda: SilentChannel(key))
    await _subscribe(talk, command_id, channel)


@command("unsubscribe_events", subscription=_whole)
async def _unsubscribe(talk: Conversation, command_id: int, message: Message) -> None:
    if not talk.fanout.unsubscribe(talk.client, message["subscription"]):
        raise CommandError("not_found", "Subscription not found.")
    await talk.result(command_id, None)


# --- our own


@command("wattline/subscribe_series", series_=_names_or_none)
async def _subscribe_series(talk: Conversation, command_id: int, message: Message) -> None:
    names: Sequence[str] | None = message.get("series")
    wanted = None if names is None else frozenset(names)
    for public_id in wanted or ():
        try:
            talk.fanout.hub.registry.by_public_id(public_id)
        except NotFound as error:
            raise CommandError("not_found", error.message) from error
    key, book = ("series", wanted), talk.fanout.book
    await _subscribe(talk, command_id, talk.fanout.channel(key, lambda: SeriesChannel(key, book, wanted)))


@command("wattline/live")
async def _live(talk: Conversation, command_id: int, message: Message) -> None:
    await _subscribe(talk, command_id, talk.fanout.live)


async def _subscribe(talk: Conversation, command_id: int, channel: Channel) -> None:
    if len(talk.client.subscriptions) >= talk.fanout.limits.subscriptions:
        raise CommandError("limit_reached", "too many subscriptions on this connection")
    talk.fanout.settle()
    since, snapshot = talk.fanout.book.seq, channel.snapshot()
    await talk.result(command_id, None)
    for event in snapshot:
        await talk.send(event_message(command_id, event))
    # only now, so that no change can overtake the snapshot; what happened meanwhile follows from ``since``
    talk.fanout.subscribe(talk.client, command_id, channel, since)
