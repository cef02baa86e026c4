"""Signalling against real servers: what they tell, what they send, and how they end it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from livekit import api
from livekit.protocol.room import (
    DeleteRoomRequest,
    ListParticipantsRequest,
    RoomParticipantIdentity,
    UpdateRoomMetadataRequest,
)

from channel_recorder import clock
from channel_recorder.channel.channel import Channel
from channel_recorder.channel.signal_events import (
    CandidateReceived,
    IceServersReceived,
    OfferReceived,
    SignalEvent,
    TokenRefreshed,
)
from channel_recorder.errors import AppIdError, ErrorCode, JoinError, TokenError
from channel_recorder.events import (
    DataReceived,
    Disconnected,
    Joined,
    LeaveReason,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    RoomUpdated,
    TrackPublished,
    TrackUnpublished,
    TrackUpdated,
)
from channel_recorder.model import EncodedFrame, MediaKind, Source
from channel_recorder.protocol.tokens import make_recorder_token, read_unverified
from channel_recorder.rtc.description import MediaDescription
from channel_recorder.rtc.peer.connection import SubscriberPeer
from channel_recorder.rtc.peer.contract import PeerState
from testbed.publisher import Publisher
from testbed.server import OLD_VERSION, LiveKitServer
from testbed.server_process import API_KEY, API_SECRET, ServerProcess
from tests.interop.conftest import SERVERS, make_server

LIMIT_SECONDS = 15
RECORDER = "4711"

Event = TypeVar("Event", bound=SignalEvent)


class Frames:
    """Counts the frames of one track."""

    def __init__(self, happened: Callable[[], None]) -> None:
        self._happened = happened
        self.count = 0

    def on_frame(self, frame: EncodedFrame) -> None:
        self.count += 1
        self._happened()

    def on_sender_report(self, timestamp: int, ntp_seconds: float, arrival_seconds: float) -> None:
        pass

    def on_restart(self) -> None:
        pass


class Member:
    """A silent member: a channel and the peer connection that its offers ask for."""

    def __init__(self, url: str, channel: str, *, identity: str = RECORDER, auto_subscribe: bool = True) -> None:
        token = make_recorder_token(
            API_KEY, API_SECRET, identity=identity, room=channel, now_seconds=clock.unix_seconds()
        )
        self.channel = Channel(url, token, auto_subscribe=auto_subscribe, listener=self)
        self.events: list[SignalEvent] = []
        self.frames: dict[str, Frames] = {}
        """Of the tracks that are being sent, by sid."""
        self.is_connected = False
        self._peer = SubscriberPeer(listener=self)
        self._answers: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Member:
        await self.channel.connect(timeout_seconds=LIMIT_SECONDS)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.channel.close()
        await self._peer.close()

    def on_event(self, event: SignalEvent) -> None:
        self.events.append(event)
        if isinstance(event, OfferReceived):
            task = asyncio.get_running_loop().create_task(self._answer(event))
            self._answers.add(task)
            task.add_done_callback(self._answers.discard)
        elif isinstance(event, CandidateReceived):
            self._peer.add_remote_candidate(event.candidate)
        self._happened()

    def on_media_added(self, media: MediaDescription) -> Frames:
        frames = self.frames[media.track_id] = Frames(self._happened)
        self._happened()
        return frames

    def on_media_removed(self, media: MediaDescription) -> None:
        self.frames.pop(media.track_id, None)
        self._happened()

    def on_state(self, state: PeerState, detail: str) -> None:
        self.is_connected = state is PeerState.CONNECTED
        self._happened()

    def on_data(self, label: str, payload: bytes) -> None:
        self.channel.receive_data(label, payload)

    def on_local_candidate(self, candidate: str, mid: str, m_line_index: int) -> None:
        self.channel.send_candidate(candidate, mid, m_line_index)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_SECONDS):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def next(self, kind: type[Event], condition: Callable[[Event], bool] = lambda event: True) -> Event:
        """The first event of the kind that fits; it and all before it are taken."""
        found: list[Event] = []

        def take() -> bool:
            while self.events and not found:
                event = self.events.pop(0)
                if isinstance(event, kind) and condition(event):
                    found.append(event)
            return bool(found)

        await self.until(take)
        return found[0]

    async def _answer(self, offer: OfferReceived) -> None:
        self.channel.send_answer(await self._peer.answer(offer.sdp), offer.offer_id)

    def _happened(self) -> None:
        self._changed.set()


@asynccontextmanager
async def administration(server: ServerProcess) -> AsyncGenerator[api.LiveKitAPI]:
    async with server.admin() as admin:
        yield admin


async def test_a_call_is_told_from_join_to_good_bye(any_server: ServerProcess) -> None:
    room = "signalling-call"
    async with Member(any_server.url, room) as recorder:
        joined = await recorder.next(Joined)
        assert (joined.room_name, joined.identity, joined.server_version) == (room, RECORDER, any_server.version)
        urls = [url for server in (await recorder.next(IceServersReceived)).servers for url in server.urls]
        # Our own server is reached at the address it names, whatever is in between.
        assert [url.partition(":")[0] for url in urls] == (["stun"] if isinstance(any_server, LiveKitServer) else [])
        async with Publisher(any_server, room, "alice", metadata="host") as alice:
            camera = await alice.publish_camera("vp8")
            told = await recorder.next(ParticipantJoined)
            assert (told.participant.identity, told.participant.metadata) == ("alice", "host")
            assert (told.participant.can_publish, told.participant.is_recorder) == (True, False)
            published = await recorder.next(TrackPublished)
            assert (published.track.sid, published.track.source) == (camera, Source.CAMERA)
            assert (published.track.mime_type.lower(), published.track.width) == ("video/vp8", 320)
            microphone = await alice.publish_microphone()
            assert (await recorder.next(TrackPublished)).track.kind is MediaKind.AUDIO
            await recorder.until(lambda: set(recorder.frames) == {camera, microphone})
            await recorder.until(lambda: all(frames.count > 5 for frames in recorder.frames.values()))

            await alice.mute("microphone")
            assert (await recorder.next(TrackUpdated, lambda event: event.track.sid == microphone)).track.muted
            await alice.unmute("microphone")
            assert not (await recorder.next(TrackUpdated, lambda event: event.track.sid == microphone)).track.muted

            await alice.set_metadata("changed")
            assert (await recorder.next(ParticipantUpdated)).participant.metadata == "changed"
        unpublished = [await recorder.next(TrackUnpublished), await recorder.next(TrackUnpublished)]
        assert {event.track.sid for event in unpublished} == {camera, microphone}
        left = await recorder.next(ParticipantLeft)
        assert (left.participant.identity, left.dropped) == ("alice", False)
        counters = recorder.channel.counters
    assert counters["malformed_messages"] == counters["ignored_messages"] == counters["stale_updates"] == 0


async def test_data_of_every_kind_arrives_whole(any_server: ServerProcess) -> None:
    room = "signalling-data"
    text = "a long text that senders compress, ä€😀 " * 2000
    async with Member(any_server.url, room) as recorder, Publisher(any_server, room, "alice") as alice:
        # Data flows to a member once its peer connection stands: media shows that it does.
        await alice.publish_microphone()
        await recorder.until(lambda: any(frames.count for frames in recorder.frames.values()))
        await alice.send_data("hello", topic="greeting")
        sent = await recorder.next(DataReceived)
        assert (sent.identity, sent.kind, sent.topic, sent.payload) == ("alice", "user", "greeting", b"hello")
        assert sent.reliable
        await alice.send_data("maybe", reliable=False)
        assert not (await recorder.next(DataReceived)).reliable
        await alice.send_text(text, topic="chat")
        stream = await recorder.next(DataReceived)
        assert (stream.kind, stream.topic, stream.payload.decode()) == ("text_stream", "chat", text)
        assert "stream.incomplete" not in stream.attributes


async def test_the_recorder_is_hidden_and_marks_the_room_as_recorded(any_server: ServerProcess) -> None:
    room = "signalling-hidden"
    async with Member(any_server.url, room) as first, administration(any_server) as admin:
        async with Publisher(any_server, room, "alice") as alice:
            await alice.sees(lambda view: view.is_recorded)
        async with Member(any_server.url, room, identity="4712") as second:
            listed = await admin.room.list_participants(ListParticipantsRequest(room=room))
            assert {member.identity for member in listed.participants} == {RECORDER, "4712"}
            assert all(member.permission.hidden for member in listed.participants)
            await second.next(TokenRefreshed)
            assert not [event for event in second.events if isinstance(event, ParticipantJoined)]
        await admin.room.update_room_metadata(UpdateRoomMetadataRequest(room=room, metadata="title"))
        assert (await first.next(RoomUpdated, lambda event: event.metadata != "")).metadata == "title"


async def test_what_is_not_subscribed_is_never_sent(any_server: ServerProcess) -> None:
    room = "signalling-subscribe"
    async with Publisher(any_server, room, "alice") as alice:
        camera, microphone = await alice.publish_camera("vp8"), await alice.publish_microphone()
        async with Member(any_server.url, room, auto_subscribe=False) as recorder:
            await recorder.next(TrackPublished, lambda event: event.track.sid == microphone)
            recorder.channel.subscribe([microphone], True)
            await recorder.until(lambda: recorder.frames.get(microphone, Frames(lambda: None)).count > 20)
            assert list(recorder.frames) == [microphone]
            recorder.channel.subscribe([camera], True)
            recorder.channel.subscribe([microphone], False)
            await recorder.until(lambda: list(recorder.frames) == [camera] and recorder.frames[camera].count > 5)
            recorder.channel.set_track_settings([camera], disabled=True)
            recorder.channel.set_track_settings([camera])
            so_far = recorder.frames[camera].count
            await recorder.until(lambda: recorder.frames[camera].count > so_far + 5)


async def test_the_refreshed_token_joins_again(any_server: ServerProcess) -> None:
    room = "signalling-refresh"
    async with Member(any_server.url, room) as recorder:
        token = (await recorder.next(TokenRefreshed)).token
        assert recorder.channel.token == token
    content = read_unverified(token)
    # 1.8.4 forgets that it is an egress; the grants say all that matters.
    assert (content.identity, content.room) == (RECORDER, room)
    assert content.grants.hidden
    assert content.grants.recorder
    again = Channel(any_server.url, token, auto_subscribe=False, listener=recorder)
    await again.connect(timeout_seconds=LIMIT_SECONDS)
    await again.close()


async def test_each_way_to_be_thrown_out_has_its_reason(any_server: ServerProcess) -> None:
    room = "signalling-out"
    async with administration(any_server) as admin:
        async with Member(any_server.url, room) as recorder, Member(any_server.url, room):
            assert await _why(recorder) is LeaveReason.DUPLICATE_IDENTITY
        async with Member(any_server.url, room) as recorder:
            # Before its media stands a member is now and then thrown out without a word.
            await recorder.until(lambda: recorder.is_connected)
            await admin.room.remove_participant(RoomParticipantIdentity(room=room, identity=RECORDER))
            assert await _why(recorder) is LeaveReason.PARTICIPANT_REMOVED
        async with Member(any_server.url, room) as recorder:
            await recorder.until(lambda: recorder.is_connected)
            await admin.room.delete_room(DeleteRoomRequest(room=room))
            assert await _why(recorder) is LeaveReason.ROOM_DELETED


@pytest.mark.parametrize("which", [*SERVERS, OLD_VERSION])
async def test_a_server_that_goes_down_wants_us_back(which: str) -> None:
    with make_server(which) as server:
        async with Member(server.url, "signalling-down") as recorder:
            await recorder.until(lambda: recorder.is_connected)
            await asyncio.to_thread(server.terminate)
            ended = await recorder.next(Disconnected)
            # 1.8.4 sometimes ends before its good-bye is out.
            hasty = {LeaveReason.SIGNAL_CLOSED} if which == OLD_VERSION else set[LeaveReason]()
            assert ended.reason in {LeaveReason.SERVER_SHUTDOWN} | hasty
            assert ended.can_rejoin
    with make_server(which) as server:
        async with Member(server.url, "signalling-crash") as recorder:
            server.kill()
            ended = await recorder.next(Disconnected)
            assert ended.reason is LeaveReason.SIGNAL_CLOSED
            assert ended.can_rejoin


async def _why(recorder: Member) -> LeaveReason:
    ended = await recorder.next(Disconnected)
    assert not ended.can_rejoin
    return ended.reason


async def test_each_refusal_of_a_real_server_has_its_error(any_server: ServerProcess) -> None:
    expired = any_server.token("r", "1", valid_for=timedelta(minutes=-5))
    foreign = make_recorder_token(API_KEY, "x" * 40, identity="1", room="r", now_seconds=clock.unix_seconds())
    unknown = make_recorder_token("nobody", API_SECRET, identity="1", room="r", now_seconds=clock.unix_seconds())
    nameless = make_recorder_token(API_KEY, API_SECRET, identity="", room="r", now_seconds=clock.unix_seconds())
    assert (await _refusal(any_server, expired)).code is ErrorCode.TOKEN_EXPIRED
    assert "App Certificate" in str(await _refusal(any_server, foreign))
    assert isinstance(await _refusal(any_server, unknown), AppIdError)
    assert "refuses the user" in str(await _refusal(any_server, nameless))
    assert isinstance(await _refusal(any_server, "no.jwt.atall"), TokenError)
    elsewhere = await _refusal(any_server, any_server.token("r", "1"), path="/somewhere")
    assert "is no channel server (status 404" in str(elsewhere)


async def _refusal(server: ServerProcess, token: str, path: str = "") -> JoinError:
    class Nobody:
        def on_event(self, event: Any) -> None:
            raise AssertionError("no event without a join")

    channel = Channel(server.url + path, token, auto_subscribe=False, listener=Nobody())
    with pytest.raises(JoinError) as caught:
        await channel.connect(timeout_seconds=LIMIT_SECONDS)
    assert token not in str(caught.value)
    return caught.value
