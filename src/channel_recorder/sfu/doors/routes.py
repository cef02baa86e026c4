"""Which door is at which path."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from channel_recorder.sfu.access import Access
from channel_recorder.sfu.doors.limits import DoorLimits, Refusals
from channel_recorder.sfu.doors.signalling import CORS, Rooms, SignalDoor
from channel_recorder.sfu.doors.twirp import RoomAdmin, TwirpDoor

_EVERY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
_PREFLIGHT = CORS | {
    "access-control-allow-methods": "GET, HEAD, POST, OPTIONS",
    "access-control-allow-headers": "*, Authorization",
    "access-control-max-age": "7200",
}
_NOT_FOUND = PlainTextResponse("not found", 404, headers=CORS)


def door_routes(
    rooms: Rooms, admin: RoomAdmin, access: Access, *, limits: DoorLimits, now: Callable[[], float]
) -> list[BaseRoute]:
    """Everything that LiveKit's clients and server SDKs ask for. Pages of any site may: tokens are what protects."""
    refusals = Refusals(limits)
    signalling = SignalDoor(rooms, access, limits, refusals, now)
    twirp = TwirpDoor(admin, access, refusals, now)
    paths = ("/rtc", "/rtc/v1", "/rtc/validate", "/rtc/v1/validate", "/twirp/{service}/{method}")
    return [
        WebSocketRoute("/rtc", signalling.v0),
        WebSocketRoute("/rtc/v1", signalling.v1),
        *(Route(path, _preflight, methods=["OPTIONS"]) for path in paths),
        Route("/rtc/validate", signalling.validate_v0),
        Route("/rtc/v1/validate", signalling.validate_v1),
        Route("/twirp/{service}/{method}", twirp.serve, methods=_EVERY_METHOD),
        # Without an upgrade there is nothing.
        Route("/rtc", _not_found, methods=_EVERY_METHOD),
        Route("/rtc/v1", _not_found, methods=_EVERY_METHOD),
        Route("/rtc/{rest:path}", _not_found, methods=_EVERY_METHOD),
        WebSocketRoute("/{rest:path}", _no_socket),
    ]


class OneSlash:
    """ASGI middleware: a server URL that ends with a slash makes clients ask for `//rtc`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        if path.startswith("//"):
            scope = dict(scope) | {"path": "/" + path.lstrip("/")}
        await self._app(scope, receive, send)


async def _preflight(_request: Request) -> Response:
    return Response(status_code=204, headers=_PREFLIGHT)


async def _no_socket(websocket: WebSocket) -> None:
    await websocket.send_denial_response(_NOT_FOUND)


async def _not_found(_request: Request) -> Response:
    return _NOT_FOUND
