"""The routes that the page needs for itself: what there is, the password, a seat in a channel."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Protocol

from fastapi import APIRouter, Depends, Request, Response

import channel_recorder
from channel_recorder import arguments
from channel_recorder.errors import ConfigError
from channel_recorder.protocol.tokens import Grants, make_access_token
from channel_recorder.service.access import Access
from channel_recorder.service.gate import origin_of
from channel_recorder.service.models import MODES, Login, OpenSession, ServiceInfo, Session
from channel_recorder.service.problems import ProblemError
from channel_recorder.service.recording_api import problem_answers
from channel_recorder.service.sessions import COOKIE, VALID_SECONDS, PageSessions, PasswordAttempts
from channel_recorder.service.settings import PageDoor, ServiceSettings

SEAT_VALID_SECONDS = 12 * 3600.0

IdentityCheck = Callable[[str, str], Awaitable[bool]]
"""Channel and identity: whether somebody of that identity is in the channel."""


class Clocks(Protocol):
    """What the service needs of `channel_recorder.clock`."""

    def monotonic_seconds(self) -> float: ...

    def unix_seconds(self) -> float: ...


class FrontDesk:
    """Gives out cookies and seats. Methods raise ProblemError and RecorderError."""

    def __init__(
        self,
        settings: ServiceSettings,
        access: Access,
        sessions: PageSessions,
        clocks: Clocks,
        is_taken: IdentityCheck,
    ) -> None:
        self._settings = settings
        self._access = access
        self._sessions = sessions
        self._clocks = clocks
        self._is_taken = is_taken
        self._attempts = PasswordAttempts()

    def info(self, request: Request) -> ServiceInfo:
        return ServiceInfo(
            version=channel_recorder.__version__,
            modes=list(MODES),
            needs_password=self._settings.page_door is PageDoor.PASSWORD,
            is_signed_in=self._access.is_signed_in(request),
            is_page_closed=self._settings.page_door is PageDoor.CLOSED,
            max_recordings=self._settings.max_recordings,
        )

    def login(self, password: str, address: str) -> str:
        """A cookie."""
        now = self._clocks.monotonic_seconds()
        wait_seconds = self._attempts.wait_seconds(address, now)
        if wait_seconds:
            raise ProblemError(
                429,
                "too many wrong passwords: try again in a few minutes",
                headers={"Retry-After": str(int(wait_seconds) + 1)},
            )
        if not self._sessions.is_password(password):
            self._attempts.failed(address, now)
            raise ProblemError(403, "that is not the password of this page", reason="wrong_password")
        return self._sessions.make_cookie(self._clocks.unix_seconds())

    async def seat(self, wish: OpenSession, request: Request) -> Session:
        self._access.check_page(request)
        name = _checked_name(wish.name)
        arguments.check_channel_id(wish.channel)
        if not wish.take_over and await self._is_taken(wish.channel, name):
            raise ProblemError(
                409, f"somebody named {name} is in the channel already: choose another name", reason="name_taken"
            )
        url = self._settings.client_url or _own_url(request)
        return Session(url=url, token=self._token(name, wish.channel), identity=name)

    def _token(self, name: str, channel: str) -> str:
        return make_access_token(
            self._settings.app_id,
            # An App ID without a certificate has nothing to sign with, and nobody to check it.
            self._settings.app_certificate or self._settings.app_id,
            identity=name,
            name=name,
            room=channel,
            now_seconds=self._clocks.unix_seconds(),
            valid_for_seconds=SEAT_VALID_SECONDS,
            grants=Grants(can_update_own_metadata=True),
        )


async def _desk(request: Request) -> FrontDesk:
    return request.app.state.front_desk


Desk = Annotated[FrontDesk, Depends(_desk)]

router = APIRouter(prefix="/api", tags=["page"])


@router.get("/service")
async def get_service(request: Request, desk: Desk) -> ServiceInfo:
    """What this service can do, and whether the caller has to log in."""
    return desk.info(request)


@router.post("/login", status_code=204, responses=problem_answers(403, 429))
async def login(wish: Login, request: Request, response: Response, desk: Desk) -> None:
    """The page's password, for a cookie."""
    response.set_cookie(
        COOKIE,
        desk.login(wish.password, request.client.host if request.client else ""),
        max_age=VALID_SECONDS,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


@router.post("/logout", status_code=204)
async def logout(response: Response) -> None:
    """Forgets the cookie."""
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


@router.post("/session", responses=problem_answers(401, 403, 409, 422))
async def open_session(wish: OpenSession, request: Request, desk: Desk) -> Session:
    """A seat in a channel: where to connect, and an access token for it."""
    return await desk.seat(wish, request)


def _checked_name(name: str) -> str:
    """Raises ConfigError."""
    name = " ".join(name.split())
    if not name:
        raise ConfigError("the name is empty: say who you are")
    arguments.check_user_account(name)
    return name


def _own_url(request: Request) -> str:
    """Of the channel server beside us, at the address that the browser used."""
    scheme = "wss" if request.url.scheme == "https" else "ws"
    return f"{scheme}://{origin_of(request) or request.url.netloc}"
