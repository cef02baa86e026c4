"""Who may use the API: the bearer of an access token that may record, or a user of the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from channel_recorder.errors import RecorderError
from channel_recorder.protocol.tokens import verify_access_token
from channel_recorder.service.problems import ProblemError
from channel_recorder.service.sessions import COOKIE, PageSessions
from channel_recorder.service.settings import PageDoor, ServiceSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    room: str | None = None
    """The only channel the visitor may record and see; None: all."""

    def may(self, channel: str) -> bool:
        return self.room is None or self.room == channel

    def check(self, channel: str) -> None:
        """Raises ProblemError."""
        if not self.may(channel):
            raise ProblemError(403, "the access token is for another channel", reason="foreign_channel")


class Access:
    def __init__(self, settings: ServiceSettings, sessions: PageSessions, unix_seconds: Callable[[], float]) -> None:
        self._settings = settings
        self._sessions = sessions
        self._unix_seconds = unix_seconds

    def visitor(self, connection: HTTPConnection) -> Visitor:
        """Raises ProblemError."""
        authorization = connection.headers.get("authorization")
        if authorization is not None:
            return self._bearer(authorization)
        if not self.is_signed_in(connection):
            raise self._refusal()
        return Visitor()

    def is_signed_in(self, connection: HTTPConnection) -> bool:
        """Whether the page may be used: with the cookie, or where it is open to everybody."""
        if self._settings.page_door is PageDoor.OPEN:
            return True
        cookie = connection.cookies.get(COOKIE, "")
        is_closed = self._settings.page_door is PageDoor.CLOSED
        return not is_closed and self._sessions.is_cookie(cookie, self._unix_seconds())

    def check_page(self, connection: HTTPConnection) -> None:
        """Raises ProblemError if the page may not be used."""
        if not self.is_signed_in(connection):
            raise self._refusal()

    def _refusal(self) -> ProblemError:
        if self._settings.page_door is PageDoor.CLOSED:
            return ProblemError(
                403,
                "the page is closed: the server can be reached from other machines and has no page password",
                reason="page_closed",
            )
        return ProblemError(401, "this page needs its password", reason="password_needed", headers=_CHALLENGE)

    def _bearer(self, authorization: str) -> Visitor:
        scheme, _, token = authorization.partition(" ")
        certificate = self._settings.app_certificate
        if scheme.lower() != "bearer" or not token:
            raise ProblemError(401, "Authorization must be Bearer and an access token", headers=_CHALLENGE)
        if not certificate:
            raise ProblemError(401, "access tokens can't be checked: the App ID has no certificate", headers=_CHALLENGE)
        try:
            content = verify_access_token(
                token.strip(), {self._settings.app_id: certificate}, now_seconds=self._unix_seconds()
            )
        except RecorderError as error:
            raise ProblemError(401, str(error), code=error.code, headers=_CHALLENGE) from None
        if content.grants.room_record:
            return Visitor()
        if content.grants.room_admin and content.room:
            return Visitor(room=content.room)
        raise ProblemError(403, "the access token allows neither roomRecord nor roomAdmin of a channel")


_CHALLENGE = {"WWW-Authenticate": "Bearer"}
