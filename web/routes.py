"""Declaring routes: every handler says who may call it, what it takes and what it answers.

The gate reads the declaration off the *resolved handler* (never off the path), and the OpenAPI document is made
of the same declarations. A handler without one cannot be mounted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from hub.errors import Bug
from hub.model.access import PERMISSION_NAMES
from web.schemas import Body, Param, Shape

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
API_BODY_BYTES = 1 << 20
_MARK = "wattline_route"


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call a handler: a named permission, or ``None`` for the explicitly public ones.

    ``credentials`` are further places of a token and ``denied`` the words of a refusal, both as an
    :class:`hub.plugins.api.Endpoint` wants them; ``local_ok`` lets a loopback peer in without a token;
    ``audited`` writes are recorded by the gate (others record themselves, readings are not recorded).
    """

    permission: str | None
    credentials: tuple[str, ...] = ()
    local_ok: bool = False
    audited: bool = True
    denied: Callable[[int, str], web.Response] | None = None

    @property
    def public(self) -> bool:
        """True where no credential is asked for."""
        return self.permission is None


@dataclass(frozen=True, slots=True)
class Answer:
    """One documented answer."""

    meaning: str
    schema: Mapping[str, Any] | None = None
    content_types: tuple[str, ...] = ("application/json",)


@dataclass(frozen=True, slots=True)
class Route:
    """A declared route."""

    method: str
    path: str
    handler: Handler
    access: Access
    summary: str
    tag: str
    params: tuple[Param, ...] = ()
    body: Body | Shape | None = None
    answers: Mapping[int, Answer] = field(default_factory=dict)
    in_openapi: bool = True


class Routes:
    """The routes of one resource; ``tag`` is its heading in the API's documentation."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.all: list[Route] = []

    def add(
        self,
        method: str,
        path: str,
        *,
        permission: str | None = None,
        public: bool = False,
        params: Sequence[Param] = (),
        body: Body | Shape | None = None,
        answers: Mapping[int, Answer] | None = None,
        local_ok: bool = False,
        audited: bool = True,
        in_openapi: bool = True,
    ) -> Callable[[Handler], Handler]:
        """Declare a handler; exactly one of ``permission`` and ``public`` is given."""

        def declare(handler: Handler) -> Handler:
            if public == (permission is not None):
                raise Bug("WL-API-901", "a route is public or needs a permission", where=f"{method} {path}")
            access = Access(permission, local_ok=local_ok, audited=audited)
            summary = (handler.__doc__ or "").strip().partition("\n")[0]
            route = Route(
                method,
                path,
                handler,
                access,
                summary,
                self.tag,
                tuple(params),
                body,
                answers or {},
                in_openapi,
            )
            mark(handler, access)
            self.all.append(route)
            return handler

        return declare

    def get(self, path: str, **declared: Any) -> Callable[[Handler], Handler]:
        """Declare a GET."""
        return self.add("GET", path, **declared)

    def post(self, path: str, **declared: Any) -> Callable[[Handler], Handler]:
        """Declare a POST."""
        return self.add("POST", path, **declared)

    def put(self, path: str, **declared: Any) -> Callable[[Handler], Handler]:
        """Declare a PUT."""
        return self.add("PUT", path, **declared)

    def patch(self, path: str, **declared: Any) -> Callable[[Handler], Handler]:
        """Declare a PATCH."""
        return self.add("PATCH", path, **declared)

    def delete(self, path: str, **declared: Any) -> Callable[[Handler], Handler]:
        """Declare a DELETE."""
        return self.add("DELETE", path, **declared)


def mark(handler: Handler, access: Access) -> None:
    """Hang who may call it on a handler.

    Raises:
        Bug: ``WL-API-902``, the permission is not in the table of permissions.
    """
    if access.permission is not None and access.permission not in PERMISSION_NAMES:
        raise Bug("WL-API-902", f"there is no permission {access.permission}", where=repr(handler))
    setattr(handler, _MARK, access)


def access_of(handler: object) -> Access | None:
    """Who may call this handler; ``None`` where nobody declared it."""
    found = getattr(handler, _MARK, None)
    return found if isinstance(found, Access) else None


def mount(app: web.Application, routes: Iterable[Route]) -> None:
    """Add routes to an application; a GET answers HEAD too, unless somebody declared that."""
    wanted = list(routes)
    heads = {route.path for route in wanted if route.method == "HEAD"}
    for route in wanted:
        app.router.add_route(route.method, route.path, route.handler)
        if route.method == "GET" and route.path not in heads:
            app.router.add_route("HEAD", route.path, route.handler)


def refuse_undeclared(app: web.Application) -> None:
    """Fail the start where a mounted handler says nothing about who may call it.

    Raises:
        Bug: ``WL-API-900``.
    """
    for route in app.router.routes():
        if access_of(route.handler) is None:
            raise Bug("WL-API-900", "a handler without declared access is mounted", where=repr(route))
