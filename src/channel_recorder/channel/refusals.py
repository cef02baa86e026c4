"""Why a join failed, as the exception that says so in one sentence. Never quotes the token or a server's answer:
livekit-server repeats the whole token in its refusals."""

from __future__ import annotations

import socket
import ssl

from websockets.exceptions import InvalidHandshake, InvalidMessage, InvalidStatus

from channel_recorder.errors import (
    AppIdError,
    ChannelNameError,
    ErrorCode,
    JoinError,
    ServerUnreachableError,
    TokenError,
    UidInUseError,
)
from channel_recorder.events import Disconnected, LeaveReason
from channel_recorder.protocol.classic_tokens import is_classic_token
from channel_recorder.protocol.tokens import check_times, read_unverified


def unreachable(error: Exception, server: str, timeout_seconds: float) -> ServerUnreachableError:
    """Nothing that speaks WebSocket answered at `server` (scheme, host and port)."""
    return ServerUnreachableError(f"{server} cannot be joined: {_why(error, timeout_seconds)}")


def refused(error: InvalidStatus, server: str, token: str, now_unix_seconds: float) -> JoinError:
    """The server answered the handshake with an HTTP status (livekit-server, pkg/service/rtcservice.go)."""
    status = error.response.status_code
    body = (error.response.body or b"").decode("utf-8", "replace").lower()
    if status in (401, 403):
        return _unauthorized(body, token, now_unix_seconds)
    if status == 400:
        return _bad_request(body, server)
    if status == 404 and "room does not exist" in body:
        return ChannelNameError("the server has no such channel, and does not make channels on demand")
    if status in (429, 503):
        return JoinError(f"{server} takes no more members now (status {status}): it is full or shutting down")
    if status >= 500:
        return JoinError(f"{server} failed to let us in (status {status}): its log tells why")
    if 300 <= status < 400:
        return ServerUnreachableError(f"{server} redirects elsewhere (status {status}): give the URL it redirects to")
    return ServerUnreachableError(f"{server} answers, but is no channel server (status {status} at its path /rtc)")


def turned_away(disconnected: Disconnected) -> JoinError:
    """The server ended the connection before the join was complete."""
    reason = disconnected.reason
    if reason is LeaveReason.DUPLICATE_IDENTITY:
        return UidInUseError("another member of the channel has this uid")
    if reason is LeaveReason.SIGNAL_CLOSED:
        return ServerUnreachableError(f"the server closed the connection before the join ({disconnected.detail})")
    sentences = {
        LeaveReason.PARTICIPANT_REMOVED: "the recorder was removed from the channel while it joined",
        LeaveReason.ROOM_DELETED: "the channel was deleted during the join",
        LeaveReason.ROOM_CLOSED: "the channel ended during the join",
        LeaveReason.SERVER_SHUTDOWN: "the server is shutting down",
    }
    return JoinError(sentences.get(reason, f"the server refused the join ({disconnected.detail})"))


def _unauthorized(body: str, token: str, now_unix_seconds: float) -> JoinError:
    check = _check_token(token, now_unix_seconds)
    if check is not None:
        return check
    if "." not in token and not is_classic_token(token):
        return TokenError(
            "the server does not let in with the App ID alone: give the App Certificate, or an access token"
        )
    if "invalid api key" in body:
        return AppIdError("the server does not know the App ID (API key) that the access token was made with")
    if "expired" in body:
        return TokenError("the server says that the access token expired", code=ErrorCode.TOKEN_EXPIRED)
    if "permission" in body:
        return TokenError("the server refuses the access token: it does not allow to join the channel")
    return TokenError("the server refuses the access token: was it made with the App Certificate of this App ID?")


def _check_token(token: str, now_unix_seconds: float) -> TokenError | None:
    """What we can tell ourselves. A token in another format tells nothing."""
    try:
        access_token = read_unverified(token)
    except TokenError:
        return None
    try:
        check_times(access_token, now_unix_seconds)
    except TokenError as error:
        return error
    return None


def _bad_request(body: str, server: str) -> JoinError:
    if "room" in body:
        return ChannelNameError("the server refuses the channel name: it is missing in the token, or too long")
    if "identity" in body:
        return TokenError("the server refuses the user of the access token: it is missing or too long")
    return ServerUnreachableError(f"{server} does not understand the join (status 400): is wss:// meant?")


def _why(error: Exception, timeout_seconds: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout_seconds:g} s"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its TLS certificate is not trusted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return "what answers there does not speak TLS: is ws:// meant?"
    if isinstance(error, socket.gaierror | UnicodeError):
        return "the host name is unknown"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens at that port"
    if isinstance(error, InvalidMessage | EOFError | ConnectionResetError | ConnectionAbortedError):
        return "what answers there is no WebSocket server"
    if isinstance(error, InvalidHandshake):
        return "what answers there does not speak WebSocket as it should"
    if isinstance(error, OSError) and "111" in str(error):
        return "nothing listens at that port"
    return _system_message(error)


def _system_message(error: Exception) -> str:
    strerror = error.strerror if isinstance(error, OSError) else None
    return strerror or type(error).__name__
