"""Whole peer connections: what one browser publishes, others see, hear and read; over loopback sockets."""

from __future__ import annotations

import av
import numpy as np
import pytest

from channel_recorder.errors import ProtocolError, StateError
from channel_recorder.model import Codec, MediaKind
from channel_recorder.rtc.peer.contract import PeerState
from channel_recorder.rtc.serve.contract import IncomingTrack, OutgoingTrack, PeerRole, PublishOptions
from tests.rtc.peer.far_side import TONE_HZ, GrayTrack, ToneTrack, decode
from tests.rtc.serve.room import Browser, FarSide, Room, room

ANSWERS, OFFERS = PeerRole.ANSWERS, PeerRole.OFFERS
LUMA = 90


async def publisher(opened: Room, *, luma: int = LUMA) -> Browser:
    """Camera, microphone and data channels, connected."""
    browser = opened.join(ANSWERS)
    browser.far_side.addTransceiver(GrayTrack(luma), direction="sendonly")
    browser.far_side.addTransceiver(ToneTrack(), direction="sendonly")
    browser.open_channels()
    await browser.offer()
    await browser.owner.until_state(PeerState.CONNECTED)
    await browser.until(lambda: browser.far_side.connectionState == "connected")
    return browser


def track_of(browser: Browser, kind: MediaKind) -> IncomingTrack:
    return next(track for track in browser.owner.tracks.values() if track.media.kind is kind)


def send(track: IncomingTrack, to: FarSide, track_id: str) -> OutgoingTrack:
    return to.server.send_track(track, stream_id="PA_x|camera", track_id=track_id)


async def check_picture(browser: Browser, luma: int = LUMA) -> None:
    for frame in await browser.frames("video", 5):
        assert isinstance(frame, av.VideoFrame)
        assert abs(float(frame.to_ndarray()[: frame.height].mean()) - luma) < 3


async def check_tone(browser: Browser) -> None:
    frames = await browser.frames("audio", 30)
    samples = np.concatenate([frame.to_ndarray().reshape(-1, 2)[:, 0] for frame in frames[10:]]).astype(float)
    rate = frames[0].sample_rate if isinstance(frames[0], av.AudioFrame) else 0
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    assert abs(int(spectrum.argmax()) * rate / len(samples) - TONE_HZ) < 10


async def test_a_subscriber_sees_and_hears_what_was_published():
    async with room() as opened:
        first, second = await publisher(opened), opened.join(OFFERS)
        outgoing = send(track_of(first, MediaKind.VIDEO), second, "TR_v")
        send(track_of(first, MediaKind.AUDIO), second, "TR_a")
        assert outgoing.layer is None
        await second.accept_offer()
        await second.owner.until_state(PeerState.CONNECTED)
        await check_picture(second)
        await check_tone(second)
        assert outgoing.layer == 0
        assert track_of(first, MediaKind.VIDEO).codec is Codec.VP8
        assert track_of(first, MediaKind.AUDIO).codec is Codec.OPUS


async def test_a_client_with_one_connection_publishes_and_receives_on_it():
    async with room() as opened:
        first, second = await publisher(opened), opened.join(ANSWERS)
        second.far_side.addTransceiver(GrayTrack(200), direction="sendonly")
        for kind in ("video", "video", "audio"):
            second.far_side.addTransceiver(kind, direction="recvonly")
        second.open_channels()
        send(track_of(first, MediaKind.VIDEO), second, "TR_v")
        send(track_of(first, MediaKind.AUDIO), second, "TR_a")
        track_ids = await second.offer()
        assert sorted(track_ids.values()) == ["TR_a", "TR_v"]
        await check_picture(second)
        await check_tone(second)
        assert not second.server.needs_offer()


async def test_data_goes_both_ways():
    async with room() as opened:
        first, second = await publisher(opened), opened.join(OFFERS)
        await second.accept_offer()
        await second.owner.until_state(PeerState.CONNECTED)
        for browser in (first, second):
            await browser.until(lambda browser=browser: browser.open_labels == {"_reliable", "_lossy"})
        first.channels["_reliable"].send(b"up")
        await first.owner.until(lambda: first.owner.data)
        assert first.owner.data == [("_reliable", b"up")]
        assert second.server.send_data("_reliable", b"down" * 10_000)
        assert second.server.send_data("_lossy", b"quick")
        assert not second.server.send_data("_data_track", b"nobody")
        await second.until(lambda: len(second.data) == 2)
        assert sorted(second.data) == [("_lossy", b"quick"), ("_reliable", b"down" * 10_000)]
        assert first.server.send_data("_reliable", b"back on the far side's channel")
        await first.until(lambda: first.data)
        assert first.data == [("_reliable", b"back on the far side's channel")]


async def test_a_recorder_follows_tracks_that_come_and_go():
    async with room() as opened:
        first, other = await publisher(opened), await publisher(opened, luma=200)
        recorder = opened.record()
        outgoing = send(track_of(first, MediaKind.VIDEO), recorder, "TR_1")
        send(track_of(first, MediaKind.AUDIO), recorder, "TR_a")
        await recorder.accept_offer()
        await recorder.notes.until(lambda: len(recorder.notes.frames["TR_1"]) > 5)
        recorder.server.stop_track(outgoing)
        recorder.server.stop_track(outgoing)
        assert recorder.server.needs_offer()
        await recorder.accept_offer()
        assert [media.track_id for media in recorder.notes.removed] == ["TR_1"]
        send(track_of(other, MediaKind.VIDEO), recorder, "TR_2")
        await recorder.accept_offer()
        assert [(each.mid, each.track_id) for each in recorder.notes.media.values()] == [("2", "TR_a"), ("3", "TR_2")]
        await recorder.notes.until(lambda: len(recorder.notes.frames["TR_2"]) > 5)
        await recorder.notes.until(lambda: len(recorder.notes.frames["TR_a"]) > 30)
        assert all(abs(float(picture.mean()) - LUMA) < 3 for picture in decode(recorder.notes.frames["TR_1"]))
        assert all(abs(float(picture.mean()) - 200) < 3 for picture in decode(recorder.notes.frames["TR_2"]))
        await recorder.notes.until(lambda: recorder.notes.reports["TR_2"] and recorder.notes.reports["TR_a"])
        assert not recorder.server.needs_offer()


async def test_a_paused_track_goes_on_with_a_whole_picture():
    async with room() as opened:
        first, viewer = await publisher(opened), opened.join(OFFERS)
        outgoing = send(track_of(first, MediaKind.VIDEO), viewer, "TR_1")
        await viewer.accept_offer()
        await check_picture(viewer)
        outgoing.set_paused(True)
        assert outgoing.layer is None
        outgoing.set_paused(False)
        await check_picture(viewer)


async def test_a_track_that_is_unpublished_ends_and_another_begins():
    async with room() as opened:
        first = await publisher(opened)
        camera = track_of(first, MediaKind.VIDEO)
        transceiver = first.far_side.getTransceivers()[0]
        transceiver.direction = "inactive"
        await first.offer()
        assert first.owner.ended == [camera]
        transceiver.direction = "sendonly"
        await first.offer()
        assert track_of(first, MediaKind.VIDEO) is not camera


async def test_an_offer_that_changes_nothing_keeps_the_tracks():
    async with room() as opened:
        first = await publisher(opened)
        before = dict(first.owner.tracks)
        await first.offer()
        assert first.owner.tracks == before
        assert first.owner.ended == []


async def test_the_owner_chooses_what_is_published():
    async with room() as opened:
        browser = opened.join(ANSWERS)
        browser.owner.options = PublishOptions(accepted=False)
        browser.far_side.addTransceiver(GrayTrack(LUMA), direction="sendonly")
        browser.open_channels()
        await browser.offer()
        assert browser.owner.tracks == {}
        await browser.owner.until_state(PeerState.CONNECTED)


async def test_missing_lines_are_told():
    async with room() as opened:
        first, second = await publisher(opened), opened.join(ANSWERS)
        second.open_channels()
        await second.offer()
        await second.until(lambda: second.far_side.connectionState == "connected")
        outgoing = send(track_of(first, MediaKind.VIDEO), second, "TR_v")
        assert second.server.needs_offer()
        assert second.server.sections_missing()[MediaKind.VIDEO] == 1
        second.far_side.addTransceiver("video", direction="recvonly")
        assert list((await second.offer()).values()) == ["TR_v"]
        # aiortc heard nothing before the answer was set, and asks for no key frame.
        outgoing.set_paused(True)
        outgoing.set_paused(False)
        await check_picture(second)


async def test_figures_become_known():
    async with room() as opened:
        first, viewer = await publisher(opened), opened.join(OFFERS)
        assert viewer.server.figures().round_trip_seconds is None
        send(track_of(first, MediaKind.VIDEO), viewer, "TR_v")
        await viewer.accept_offer()
        while viewer.server.figures().fraction_lost_down is None or first.server.figures().fraction_lost_up is None:
            await viewer.frames("video", 1)
        assert viewer.server.figures().fraction_lost_down == 0.0
        assert first.server.figures().fraction_lost_up == 0.0


async def test_nothing_is_heard_after_the_end():
    async with room() as opened:
        first, viewer = await publisher(opened), opened.join(OFFERS)
        camera = track_of(first, MediaKind.VIDEO)
        send(camera, viewer, "TR_v")
        await viewer.accept_offer()
        await check_picture(viewer)
        viewer.server.close()
        first.server.close()
        assert viewer.server.state is PeerState.CLOSED
        assert first.owner.states[-1][0] is PeerState.CONNECTED
        assert first.owner.ended == []
        assert viewer.server.offer() is None
        assert not viewer.server.needs_offer()
        with pytest.raises(StateError):
            first.server.answer(first.far_side.localDescription.sdp)


async def test_a_far_side_that_says_goodbye_has_closed():
    async with room() as opened:
        first = await publisher(opened)
        await first.far_side.close()
        assert "closed" in await first.owner.until_state(PeerState.CLOSED)
        with pytest.raises(StateError):
            first.server.answer("")


async def test_a_far_side_that_never_comes_has_failed():
    async with room() as opened:
        browser = opened.join(ANSWERS, connect_timeout_seconds=0.05)
        browser.open_channels()
        await browser.far_side.setLocalDescription(await browser.far_side.createOffer())
        browser.server.answer(browser.far_side.localDescription.sdp)
        assert "within 0.05 s" in await browser.owner.until_state(PeerState.FAILED)


async def test_each_role_refuses_what_is_the_others():
    async with room() as opened:
        answers, offers = opened.join(ANSWERS), opened.join(OFFERS)
        assert answers.server.offer() is None
        with pytest.raises(StateError):
            answers.server.accept_answer("")
        with pytest.raises(StateError):
            offers.server.answer("")
        with pytest.raises(StateError):
            offers.server.accept_answer("")
        with pytest.raises(ProtocolError):
            answers.server.answer("rubbish")
        answers.server.add_remote_candidate("rubbish")
        assert offers.server.sections_missing() == {}
