"""The whole server in one process: who gets in with what, what is refused at the start, what is left at the end."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from livekit import api
from websockets.asyncio.client import connect

from channel_recorder import clock
from channel_recorder.channel.channel import Channel
from channel_recorder.channel.signal_events import SignalEvent
from channel_recorder.config import RecordingConfig
from channel_recorder.errors import AppIdError, ConfigError, ErrorCode, JoinError, StorageError, TokenError
from channel_recorder.events import Disconnected, Joined, LeaveReason
from channel_recorder.model import User
from channel_recorder.protocol.classic_tokens import make_classic_token
from channel_recorder.protocol.privileges import SUBSCRIBER
from channel_recorder.protocol.tokens import Grants, make_access_token
from channel_recorder.sfu.access import Keys
from channel_recorder.sfu.doors.server import listen
from channel_recorder.sfu.settings import ServerSettings
from channel_recorder.wiring.join import JoinRequest
from channel_recorder.wiring.serve import ServeSettings, ServingProcess, serve

KEY, SECRET = "devkey", "a-secret-of-at-least-32-characters-xx"
APP_ID, CERTIFICATE = "970ca35de60c44645bbae8a215061b33", "5cfd2fd1755d40ecb72977518be15d3b"
OPEN = "0061b33970ca35de60c44645bbae8a21"
PATIENCE_SECONDS = 20.0


def settings(tmp_path: Path, **fields: Any) -> ServeSettings:
    defaults: dict[str, Any] = {
        "keys": Keys({KEY: SECRET, APP_ID: CERTIFICATE, OPEN: None}),
        "port": 0,
        "recordings": tmp_path / "recordings",
    }
    return ServeSettings(**defaults | fields)


@pytest.fixture
async def process(tmp_path: Path) -> AsyncGenerator[ServingProcess]:
    async with serve(settings(tmp_path)) as process:
        yield process


class Listener:
    def __init__(self) -> None:
        self.joined: Joined | None = None
        self.ended: asyncio.Future[Disconnected] = asyncio.get_running_loop().create_future()

    def on_event(self, event: SignalEvent) -> None:
        if isinstance(event, Joined):
            self.joined = event
        elif isinstance(event, Disconnected):
            self.ended.set_result(event)


@asynccontextmanager
async def recorder(
    process: ServingProcess, app_id: str, key: str | None, *, uid: int = 9, certificate: str | None = None
) -> AsyncGenerator[Listener]:
    """Joins as a recorder of this package does."""
    request = JoinRequest(
        server_url=process.url,
        app_id=app_id,
        app_certificate=certificate,
        channel_key=key,
        channel_id="lesson",
        user=User(uid=uid, account=str(uid)),
        config=RecordingConfig(),
    )
    token = request.make_token()
    listener = Listener()
    channel = Channel(process.url, token, auto_subscribe=False, listener=listener, query=request.query(token))
    try:
        await channel.connect()
        yield listener
    finally:
        await channel.close()


def classic(version: str, *, account: str = "9") -> str:
    return make_classic_token(
        version,
        APP_ID,
        CERTIFICATE,
        channel="lesson",
        account=account,
        privileges=SUBSCRIBER,
        now_seconds=clock.unix_seconds(),
        valid_for_seconds=3600,
        salt=5,
    )


def livekit(identity: str = "7", **fields: Any) -> str:
    defaults: Mapping[str, Any] = {"room": "lesson", "now_seconds": clock.unix_seconds(), "valid_for_seconds": 3600}
    return make_access_token(KEY, SECRET, identity=identity, **defaults | fields)


@asynccontextmanager
async def sdk(process: ServingProcess) -> AsyncGenerator[api.LiveKitAPI]:
    async with api.LiveKitAPI(process.page_url, KEY, SECRET) as client:
        yield client


@pytest.mark.parametrize(
    ("app_id", "key", "certificate"),
    [
        (KEY, None, SECRET),
        (APP_ID, None, CERTIFICATE),
        (APP_ID, classic("006"), None),
        (APP_ID, classic("007"), None),
        (APP_ID, classic("006", account=""), None),
        (OPEN, None, None),
        (OPEN, None, "any secret"),
    ],
    ids=["LiveKit", "LiveKit, App ID", "006", "007", "006 for anybody", "App ID alone", "token of an App ID alone"],
)
async def test_a_recorder_joins_unseen_with_every_kind_of_key(
    process: ServingProcess, app_id: str, key: str | None, certificate: str | None
) -> None:
    async with recorder(process, app_id, key, certificate=certificate) as listener, sdk(process) as admin:
        assert listener.joined is not None
        rooms = (await admin.room.list_rooms(api.ListRoomsRequest())).rooms
        assert [(room.name, room.active_recording, room.num_participants) for room in rooms] == [("lesson", True, 0)]
        member = await admin.room.get_participant(api.RoomParticipantIdentity(room="lesson", identity="9"))
        assert (member.permission.hidden, member.permission.recorder, member.permission.can_publish) == (
            True,
            True,
            False,
        )


@pytest.mark.parametrize(
    ("app_id", "key", "certificate", "error", "code"),
    [
        (KEY, None, SECRET[::-1], TokenError, ErrorCode.TOKEN_INVALID),
        ("other", None, SECRET, AppIdError, ErrorCode.BAD_APP_ID),
        (KEY, None, None, TokenError, ErrorCode.TOKEN_INVALID),
    ],
    ids=["certificate", "App ID", "nothing"],
)
async def test_a_recorder_with_a_wrong_key_is_told_what_is_wrong(
    process: ServingProcess,
    app_id: str,
    key: str | None,
    certificate: str | None,
    error: type[JoinError],
    code: ErrorCode,
) -> None:
    with pytest.raises(error) as caught:
        async with recorder(process, app_id, key, certificate=certificate):
            pass
    assert caught.value.code is code


async def test_everything_is_behind_one_port(process: ServingProcess) -> None:
    async with httpx.AsyncClient(base_url=process.page_url) as client:
        assert (await client.get("/")).status_code == 200
        assert (await client.get("/api/recordings")).json()
        assert (
            await client.get(f"{process.page_url}//rtc/validate", params={"access_token": livekit()})
        ).text == "success"
        assert (await client.get("/rtc/v1/validate")).status_code == 401
        assert (await client.get("/nothing")).status_code == 404
    async with sdk(process) as admin:
        assert (await admin.room.create_room(api.CreateRoomRequest(name="hall"))).sid.startswith("RM_")
    assert process.address.is_loopback
    assert process.media.udp_port and process.media.tcp_port


async def test_a_server_that_ends_says_so_to_everybody_and_frees_its_ports(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        process = await ServingProcess.open(settings(tmp_path))
        listener = await stack.enter_async_context(recorder(process, KEY, None, certificate=SECRET))
        await process.close()
        await process.close()
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert (await listener.ended).reason is LeaveReason.SERVER_SHUTDOWN
    again = settings(
        tmp_path,
        port=process.address.port,
        rtc_port=process.media.udp_port,
        rtc_tcp_port=process.media.tcp_port,
    )
    async with serve(again) as second:
        assert second.address.port == process.address.port


async def test_rooms_are_kept_in_order_as_time_goes_by(tmp_path: Path) -> None:
    rooms = ServerSettings(empty_timeout_seconds=0)
    async with serve(settings(tmp_path, rooms=rooms)) as process, sdk(process) as admin:
        await admin.room.create_room(api.CreateRoomRequest(name="hall"))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await admin.room.list_rooms(api.ListRoomsRequest())).rooms:
                pass


async def test_webhooks_are_signed_with_the_first_key(tmp_path: Path) -> None:
    got: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        body = await reader.readexactly(int(length.split(b":")[1]))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()
        if not got.done():
            got.set_result(head + body)

    async with await asyncio.start_server(receive, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        async with serve(settings(tmp_path, webhook_urls=(url,))) as process, recorder(process, OPEN, None):
            async with asyncio.timeout(PATIENCE_SECONDS):
                head, _, body = (await got).partition(b"\r\n\r\n")
    token = next(line for line in head.decode().split("\r\n") if line.lower().startswith("authorization:"))
    receiver = api.WebhookReceiver(api.TokenVerifier(KEY, SECRET))
    event = receiver.receive(body.decode(), token.partition(":")[2].strip())
    assert (event.event, event.room.name) == ("room_started", "lesson")


async def test_without_udp_clients_are_told_of_tcp_only(tmp_path: Path) -> None:
    async with serve(settings(tmp_path, rtc_port=0)) as process:
        assert process.media.candidates
        assert all(" tcptype passive" in candidate for candidate in process.media.candidates)


async def test_without_tcp_clients_are_told_of_udp_only(tmp_path: Path) -> None:
    async with serve(settings(tmp_path, rtc_tcp_port=0)) as process:
        assert process.media.tcp_port is None
        assert not any("tcptype" in candidate for candidate in process.media.candidates)


async def test_an_advertised_address_comes_first_and_our_own_is_there_too(tmp_path: Path) -> None:
    async with serve(settings(tmp_path, advertise=("203.0.113.7",))) as process:
        addresses = [candidate.split()[4] for candidate in process.media.candidates if "tcptype" not in candidate]
    assert addresses == ["203.0.113.7", "127.0.0.1"]


@pytest.mark.parametrize(
    ("fields", "error", "told"),
    [
        ({"host": "0.0.0.0"}, ConfigError, f"may join with the App ID {OPEN}"),
        ({"host": "no.such.host.invalid"}, ConfigError, "no address of the name 'no.such.host.invalid'"),
        ({"host": "192.0.2.1"}, ConfigError, "can't listen at 192.0.2.1"),
        ({"rtc_port": 0, "rtc_tcp_port": 0}, ConfigError, "no way for media"),
        ({"advertise": ("here",)}, ConfigError, "no IP address to advertise"),
        ({"webhook_urls": ("ftp://a",)}, ConfigError, "webhook URL"),
        ({"webhook_urls": ("http://a",), "keys": Keys({OPEN: None})}, ConfigError, "webhooks are signed"),
        ({"tls_certificate": Path("none.pem"), "tls_key": Path("none.pem")}, ConfigError, "TLS certificate"),
        ({"recordings": Path("/proc/recordings")}, StorageError, "/proc can.t be written"),
    ],
)
async def test_what_cannot_be_served_is_told_and_leaves_nothing_open(
    tmp_path: Path, fields: dict[str, Any], error: type[Exception], told: str
) -> None:
    port, media_port = free_port(), free_port()
    ports = {"port": port, "rtc_port": media_port, "rtc_tcp_port": media_port}
    with pytest.raises(error, match=told):
        await ServingProcess.open(settings(tmp_path, **ports | fields))
    for kind, number in (
        (socket.SOCK_STREAM, port),
        (socket.SOCK_STREAM, media_port),
        (socket.SOCK_DGRAM, media_port),
    ):
        with socket.socket(socket.AF_INET, kind) as free:
            free.bind(("127.0.0.1", number))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
async def test_a_media_port_that_is_taken_is_told(tmp_path: Path, kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        number = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"can't open the media ports .*{number}.*: address already in use"):
            await ServingProcess.open(settings(tmp_path, rtc_port=number, rtc_tcp_port=number))


async def test_an_open_app_id_is_served_to_others_only_where_that_is_wanted(tmp_path: Path) -> None:
    async with serve(settings(tmp_path, host="0.0.0.0", anyone_may_join=True)) as process:
        assert not process.address.is_loopback
        async with recorder(process, OPEN, None) as listener:
            assert listener.joined is not None
        async with httpx.AsyncClient(base_url=process.page_url) as client:
            assert (await client.get("/api/recordings")).status_code == 403, "no password: the page is closed"


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "calls.example")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    files = tmp_path / "certificate.pem", tmp_path / "key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


async def test_tls_is_for_others_and_our_own_recorders_need_none(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    tls_certificate, tls_key = certificate
    async with serve(settings(tmp_path, tls_certificate=tls_certificate, tls_key=tls_key)) as process:
        assert (process.url[:6], process.page_url[:8]) == ("wss://", "https://")
        async with httpx.AsyncClient(base_url=process.page_url, verify=False) as client:
            assert (await client.get("/")).status_code == 200
        assert process.address.recorder_url.startswith("ws://127.0.0.1:")
        async with connect(f"{process.address.recorder_url}/rtc?access_token={livekit()}") as inner:
            assert await inner.recv()


async def test_a_certificate_that_does_not_fit_its_key_is_told(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    tls_certificate, _ = certificate
    with pytest.raises(ConfigError, match="they do not fit"):
        await ServingProcess.open(settings(tmp_path, tls_certificate=tls_certificate, tls_key=tls_certificate))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_free_port_is_the_same_at_every_address_of_a_name(host: str) -> None:
    sockets = await listen(host, 0)
    try:
        assert len({each.getsockname()[1] for each in sockets}) == 1
    finally:
        for each in sockets:
            each.close()


async def test_grants_of_members_are_kept(process: ServingProcess) -> None:
    token = livekit("anna", grants=Grants(can_publish=False))
    async with connect(f"{process.url}/rtc?access_token={token}") as socket, sdk(process) as admin:
        assert await socket.recv()
        member = await admin.room.get_participant(api.RoomParticipantIdentity(room="lesson", identity="anna"))
        assert (member.permission.can_publish, member.permission.hidden) == (False, False)
