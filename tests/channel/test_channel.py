"""Joining over a real WebSocket: what a user is told when it fails, and what is delivered when it does not."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from livekit.protocol import models
from livekit.protocol import rtc as pb
from websockets.asyncio.server import ServerConnection, serve

from channel_recorder import clock
from channel_recorder.channel.channel import Channel
from channel_recorder.channel.signal_events import OfferReceived, SignalEvent
from channel_recorder.errors import (
    AppIdError,
    ChannelNameError,
    ErrorCode,
    JoinError,
    ServerUnreachableError,
    TokenError,
    UidInUseError,
)
from channel_recorder.events import (
    DataReceived,
    Disconnected,
    Joined,
    LeaveReason,
    ParticipantJoined,
    ParticipantLeft,
    TrackPublished,
)
from channel_recorder.protocol.tokens import make_recorder_token
from tests.channel.fake_server import FakeServer, Script, raw_server, say
from tests.channel.server_side import audio, gone, join, leave, member, offer, response, update
from tests.channel.test_data import chunk, header, user

REASON = models.DisconnectReason
TOKEN = make_recorder_token("devkey", "s" * 32, identity="1001", room="r", now_seconds=clock.unix_seconds())
EXPIRED = make_recorder_token("devkey", "s" * 32, identity="1001", room="r", now_seconds=1_700_000_000.0)

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    return request.param


class Listener:
    """Keeps every event, and lets the test wait for one."""

    def __init__(self) -> None:
        self.events: list[SignalEvent] = []
        self._news = asyncio.Event()

    def on_event(self, event: SignalEvent) -> None:
        self.events.append(event)
        self._news.set()

    async def wait_for(self, kind: type[SignalEvent]) -> Any:
        async with asyncio.timeout(5):
            while not (found := [event for event in self.events if isinstance(event, kind)]):
                self._news.clear()
                await self._news.wait()
        return found[0]


def channel_at(url: str, listener: Listener, token: str = TOKEN) -> Channel:
    return Channel(url, token, auto_subscribe=False, listener=listener, version="1.0")


def running_tasks() -> list[str]:
    names = [str(task.get_coro()) for task in asyncio.all_tasks()]
    return [name for name in names if "Connection._read" in name or "Connection._write" in name]


async def fails(url: str, token: str = TOKEN, timeout_seconds: float = 5.0) -> JoinError:
    """How the join fails: with one sentence, no event, and nothing left behind."""
    listener = Listener()
    channel = channel_at(url, listener, token)
    with pytest.raises(JoinError) as caught:
        await channel.connect(timeout_seconds=timeout_seconds)
    assert listener.events == []
    assert running_tasks() == []
    assert token not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


# Failures


@pytest.mark.parametrize(
    ("status", "body", "expected", "told"),
    [
        (401, "invalid API key: devkey", AppIdError, "does not know the App ID"),
        (401, f"invalid token: {TOKEN}, error: signature is invalid", TokenError, "made with the App Certificate"),
        (401, f"invalid token: {TOKEN}, error: token is expired", TokenError, "says that the access token expired"),
        (401, "permissions denied", TokenError, "does not allow to join"),
        (403, "", TokenError, "refuses the access token"),
        (404, "requested room does not exist", ChannelNameError, "no such channel"),
        (404, "page not found", ServerUnreachableError, "is no channel server"),
        (200, "OK", ServerUnreachableError, "is no channel server"),
        (400, "identity cannot be empty", TokenError, "refuses the user"),
        (400, "room name exceeds limits: max length 256", ChannelNameError, "refuses the channel name"),
        (400, "Client sent an HTTP request to an HTTPS server.", ServerUnreachableError, "is wss:// meant"),
        (503, "", JoinError, "full or shutting down"),
        (500, "could not start", JoinError, "failed to let us in"),
    ],
)
def test_each_refusal_of_the_handshake_has_its_error(
    run: Run, status: int, body: str, expected: type[JoinError], told: str
) -> None:
    async def scenario() -> None:
        async with FakeServer(status=status, body=body) as server:
            error = await fails(server.url)
        assert type(error) is expected
        assert told in str(error)

    run(scenario())


def test_an_expired_token_is_told_with_its_time_whatever_the_server_says(run: Run) -> None:
    async def scenario() -> None:
        async with FakeServer(status=401, body="nope") as server:
            error = await fails(server.url, token=EXPIRED)
        assert error.code is ErrorCode.TOKEN_EXPIRED
        assert "expired at 2023-11-15 22:13:20 UTC" in str(error)

    run(scenario())


def test_a_token_in_another_format_may_be_tried(run: Run) -> None:
    async def scenario() -> None:
        async with FakeServer(status=401) as server:
            assert "refuses the access token" in str(await fails(server.url, token="007eJxTY+/BbA=="))
            assert server.requests[0].headers["Authorization"] == "Bearer 007eJxTY+/BbA=="

    run(scenario())


@pytest.mark.parametrize("token", ["", "two words", "line\r\nX-Evil: 1", "grün"])
def test_a_token_that_fits_no_header_is_never_sent(run: Run, token: str) -> None:
    async def scenario() -> None:
        async with FakeServer() as server:
            with pytest.raises(TokenError, match="characters that no token has"):
                await channel_at(server.url, Listener(), token).connect()
            assert server.requests == []

    run(scenario())


def test_a_redirect_is_not_followed_and_not_given_the_token(run: Run) -> None:
    async def scenario() -> None:
        async with FakeServer(say(join())) as other, FakeServer(status=302, location=f"{other.url}/rtc") as server:
            error = await fails(server.url)
            assert other.requests == []
        assert isinstance(error, ServerUnreachableError)
        assert "redirects elsewhere" in str(error)

    run(scenario())


def test_a_closed_port_is_told_so(run: Run, unused_tcp_port: int) -> None:
    async def scenario() -> None:
        error = await fails(f"ws://127.0.0.1:{unused_tcp_port}")
        assert isinstance(error, ServerUnreachableError)
        assert str(error).endswith(f"ws://127.0.0.1:{unused_tcp_port} cannot be joined: nothing listens at that port")

    run(scenario())


def test_an_unknown_host_is_told_so(run: Run) -> None:
    async def scenario() -> None:
        for host in ("nowhere.invalid", "x" * 64 + ".invalid"):
            error = await fails(f"ws://{host}")
            assert isinstance(error, ServerUnreachableError)
            assert "the host name is unknown" in str(error)

    run(scenario())


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9\r\n", b"", b"HTTP/1.1 101 Switching Protocols\r\n\r\n"])
@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_something_else_at_the_port_is_told_so(run: Run, answer: bytes, scheme: str) -> None:
    async def scenario() -> None:
        async with raw_server(answer) as address:
            error = await fails(f"{scheme}://{address}")
        assert isinstance(error, ServerUnreachableError)
        assert "what answers there" in str(error)

    run(scenario())


def test_a_server_that_never_answers_is_given_up(run: Run) -> None:
    async def silence(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async def scenario() -> None:
        async with FakeServer(silence) as server:
            error = await fails(server.url, timeout_seconds=0.05)
        assert isinstance(error, ServerUnreachableError)
        assert "no answer within 0.05 s" in str(error)

    run(scenario())


def test_a_certificate_nobody_vouches_for_is_told_so(run: Run, tmp_path: Path) -> None:
    context = _self_signed(tmp_path)

    async def scenario() -> None:
        async with serve(_hang, "127.0.0.1", 0, ssl=context) as server:
            error = await fails(f"wss://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}")
        assert isinstance(error, ServerUnreachableError)
        assert "its TLS certificate is not trusted" in str(error)

    run(scenario())


async def _hang(connection: ServerConnection) -> None:
    await connection.wait_closed()


def _self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    no_password = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_password)
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@pytest.mark.parametrize(
    ("reason", "expected", "told"),
    [
        (REASON.DUPLICATE_IDENTITY, UidInUseError, "has this uid"),
        (REASON.JOIN_FAILURE, JoinError, "refused the join (JOIN_FAILURE, DISCONNECT)"),
        (REASON.ROOM_DELETED, JoinError, "was deleted"),
        (REASON.ROOM_CLOSED, JoinError, "ended during the join"),
        (REASON.PARTICIPANT_REMOVED, JoinError, "was removed"),
        (REASON.SERVER_SHUTDOWN, JoinError, "is shutting down"),
    ],
)
def test_a_leave_instead_of_a_join_is_an_error_of_its_reason(
    run: Run, reason: models.DisconnectReason, expected: type[JoinError], told: str
) -> None:
    async def scenario() -> None:
        async with FakeServer(say(leave(reason))) as server:
            error = await fails(server.url)
        assert type(error) is expected
        assert told in str(error)

    run(scenario())


def test_a_hang_up_before_the_join_is_told_so(run: Run) -> None:
    async def hang_up(connection: ServerConnection) -> None:
        await connection.close(1011)

    async def scenario() -> None:
        async with FakeServer(hang_up) as server:
            error = await fails(server.url)
        assert isinstance(error, ServerUnreachableError)
        assert "closed the connection before the join" in str(error)
        assert "1011" in str(error)

    run(scenario())


def test_a_cancelled_join_leaves_nothing_behind(run: Run) -> None:
    async def scenario() -> None:
        async with FakeServer() as server:
            listener = Listener()
            joining = asyncio.create_task(channel_at(server.url, listener).connect())
            await server.asked.wait()
            joining.cancel()
            await asyncio.wait([joining])
            assert joining.cancelled()
            assert listener.events == []

    run(scenario())


def test_a_close_during_the_join_ends_it_with_an_error(run: Run) -> None:
    async def scenario() -> None:
        async with FakeServer() as server:
            for wait_for_the_handshake in (True, False):
                listener = Listener()
                channel = channel_at(server.url, listener)
                joining = asyncio.create_task(channel.connect())
                if wait_for_the_handshake:
                    await server.asked.wait()
                else:
                    await asyncio.sleep(0)
                await channel.close()
                with pytest.raises(JoinError, match="given up"):
                    await joining
                assert listener.events == []
                assert running_tasks() == []

    run(scenario())


# The join


def with_server(script: Script, scenario: Callable[[FakeServer, Channel, Listener], Awaitable[None]]) -> Any:
    async def joined() -> None:
        listener = Listener()
        async with FakeServer(script) as server:
            channel = channel_at(server.url, listener)
            await channel.connect(timeout_seconds=5)
            assert isinstance(listener.events[0], Joined)
            try:
                await scenario(server, channel, listener)
            finally:
                await channel.close()

    return joined()


def test_the_token_travels_in_the_header_only(run: Run) -> None:
    async def scenario(server: FakeServer, channel: Channel, listener: Listener) -> None:
        (request,) = server.requests
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        assert "permessage-deflate" in request.headers["Sec-WebSocket-Extensions"]
        assert TOKEN not in request.path
        assert request.path.startswith("/rtc?protocol=16&auto_subscribe=0&")

    run(with_server(say(join()), scenario))


def test_no_token_reaches_a_log_at_any_level(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(server: FakeServer, channel: Channel, listener: Listener) -> None:
        await listener.wait_for(TrackPublished)

    with caplog.at_level(logging.DEBUG):
        logging.getLogger("websockets.server").setLevel(logging.CRITICAL)
        run(with_server(say(join(member("alice", audio("TR_a")))), scenario))
    assert TOKEN not in caplog.text
    assert "auto_subscribe" not in caplog.text


def test_events_come_in_order_and_what_they_make_us_say_is_sent(run: Run) -> None:
    async def scenario() -> None:
        listener = Listener()

        class Answering(Listener):
            def on_event(self, event: SignalEvent) -> None:
                if isinstance(event, TrackPublished):
                    channel.subscribe([event.track.sid], True)
                elif isinstance(event, OfferReceived):
                    channel.send_answer("v=0", event.offer_id)
                super().on_event(event)

        listener = Answering()
        script = say(join(member("alice", audio("TR_a"))), "text is ignored", b"\xff", offer("TR_a", offer_id=3))
        async with FakeServer(script) as server:
            channel = channel_at(server.url, listener)
            await channel.connect(timeout_seconds=5)
            await listener.wait_for(OfferReceived)
            channel.send_candidate("candidate:1", "0", 0)
            channel.set_track_settings(["TR_a"])
            await channel.close()
        kinds = [request.WhichOneof("message") for request in server.received]
        assert [kind for kind in kinds if kind not in ("ping", "ping_req")] == [
            "subscription",
            "answer",
            "trickle",
            "track_setting",
            "leave",
        ]
        assert channel.counters["malformed_messages"] == 1

    run(scenario())


def test_a_close_says_good_bye_once_and_is_followed_by_nothing(run: Run) -> None:
    async def scenario(server: FakeServer, channel: Channel, listener: Listener) -> None:
        assert channel.is_joined
        await asyncio.gather(channel.close(), channel.close())
        await channel.close()
        channel.subscribe(["TR_a"], True)
        assert not channel.is_joined
        assert running_tasks() == []
        (good_bye,) = [request for request in server.received if request.WhichOneof("message") == "leave"]
        assert good_bye.leave.reason == REASON.CLIENT_INITIATED
        assert not any(isinstance(event, Disconnected) for event in listener.events)

    run(with_server(say(join()), scenario))


def test_a_close_does_not_wait_for_a_server_that_does_not_answer(run: Run) -> None:
    async def deaf(connection: ServerConnection) -> None:
        await connection.send(join())
        connection.transport.pause_reading()
        await connection.wait_closed()

    async def scenario(server: FakeServer, channel: Channel, listener: Listener) -> None:
        async with asyncio.timeout(5):
            await channel.close()

    run(with_server(deaf, scenario))


def test_the_server_ends_it_with_a_reason(run: Run) -> None:
    async def scenario(server: FakeServer, channel: Channel, listener: Listener) -> None:
        ended = await listener.wait_for(Disconnected)
        assert ended.reason is LeaveReason.PARTICIPANT_REMOVED
        await channel.close()
        assert listener.events[-1] is ended
        assert sum(isinstance(event, Disconnected) for event in listener.events) == 1

    run(with_server(say(join(), leave(REASON.PARTICIPANT_REMOVED)), scenario))


def test_a_broken_connection_ends_it(run: Run) -> None:
    async def break_off(connection: ServerConnection) -> None:
        await connection.send(join())
        connection.transport.abort()

    async def scenario(server: FakeServer, channel: Channel, listener: Listener) -> None:
        ended = await listener.wait_for(Disconnected)
        assert (ended.reason, ended.detail) == (LeaveReason.SIGNAL_CLOSED, "the WebSocket broke off")
        assert ended.can_rejoin

    run(with_server(break_off, scenario))


def test_a_message_beyond_the_limit_ends_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channel_recorder.channel.connection.MAX_MESSAGE_BYTES", 10_000)

    async def scenario(server: FakeServer, channel: Channel, listener: Listener) -> None:
        ended = await listener.wait_for(Disconnected)
        assert ended.reason is LeaveReason.SIGNAL_CLOSED

    run(with_server(say(join(), bytes(50_000)), scenario))


def test_a_silent_server_is_found_out_by_its_own_ping_settings(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channel_recorder.channel.signalling.Keepalive", _impatient)

    async def scenario(server: FakeServer, channel: Channel, listener: Listener) -> None:
        ended = await listener.wait_for(Disconnected)
        assert ended.reason is LeaveReason.SIGNAL_TIMEOUT

    run(with_server(say(join()), scenario))


def _impatient(interval_seconds: float, timeout_seconds: float, now_seconds: float) -> Any:
    from channel_recorder.channel.keepalive import Keepalive

    return Keepalive(interval_seconds / 1000, timeout_seconds / 1000, now_seconds)


def test_a_listener_that_fails_ends_this_connection_and_is_logged(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Listener):
        def on_event(self, event: SignalEvent) -> None:
            super().on_event(event)
            if isinstance(event, ParticipantJoined):
                raise RuntimeError("our own mistake")

    async def scenario() -> None:
        listener = Failing()
        async with FakeServer(say(join(), update(member("alice")))) as server:
            channel = channel_at(server.url, listener)
            await channel.connect(timeout_seconds=5)
            ended = await listener.wait_for(Disconnected)
            assert ended.reason is LeaveReason.SIGNAL_CLOSED
            await channel.close()

    run(scenario())
    assert "our own mistake" in caplog.text


def test_the_newest_token_is_at_hand_for_a_rejoin(run: Run) -> None:
    async def scenario(server: FakeServer, channel: Channel, listener: Listener) -> None:
        await listener.wait_for(ParticipantJoined)
        assert channel.token == "refreshed"

    run(with_server(say(join(), response(refresh_token="refreshed"), update(member("alice"))), scenario))

    async def before(server: FakeServer, channel: Channel, listener: Listener) -> None:
        assert channel.token == TOKEN

    run(with_server(say(join()), before))


def test_data_is_told_and_unfinished_streams_when_their_sender_leaves(run: Run) -> None:
    async def scenario(server: FakeServer, channel: Channel, listener: Listener) -> None:
        for payload in (user(b"hi"), header(), chunk(0, b"half a se")):
            channel.receive_data("_reliable", payload)
        await listener.wait_for(ParticipantLeft)
        told = [event for event in listener.events if isinstance(event, DataReceived | ParticipantLeft)]
        assert [type(event) for event in told] == [DataReceived, DataReceived, ParticipantLeft]
        assert [event.payload for event in told if isinstance(event, DataReceived)] == [b"hi", b"half a se"]

    async def leaves_after_a_ping(connection: ServerConnection) -> None:
        await connection.send(join(member("alice")))
        assert isinstance(message := await connection.recv(), bytes)
        assert pb.SignalRequest.FromString(message).WhichOneof("message") == "ping"
        await connection.send(update(gone("alice")))

    run(with_server(leaves_after_a_ping, scenario))
