"""A whole connection on loopback: aiortc offers, we answer, and what it sends arrives."""

from __future__ import annotations

import asyncio
import itertools
import re

import aioice.ice
import aiortc.rtcdtlstransport
import numpy as np
import pytest
from aiortc import RTCRtpSender

from channel_recorder.errors import MalformedError, ProtocolError, StateError
from channel_recorder.model import Codec
from channel_recorder.rtc.peer import ice as ice_module
from channel_recorder.rtc.peer.contract import PeerState
from channel_recorder.rtc.peer.ice import IceTransport
from channel_recorder.rtc.wire.sdp_parser import parse_session_description
from tests.rtc.peer.far_side import SAMPLE_RATE_HZ, TONE_HZ, Call, GrayTrack, ToneTrack, call, decode


async def test_pictures_and_sound_arrive_as_they_were_sent():
    async with call() as both:
        video, audio = both.send(GrayTrack(200)), both.send(ToneTrack())
        await both.negotiate()
        await both.owner.until_state(PeerState.CONNECTED)
        pictures, sounds = both.frames_of(video), both.frames_of(audio)
        await both.owner.until(lambda: len(pictures) >= 5 and len(sounds) >= 25)
        assert pictures[0].key_frame
        assert (pictures[0].codec, pictures[0].width, pictures[0].height) == (Codec.VP8, 64, 48)
        assert all(abs(float(luma.mean()) - 200) < 5 for luma in decode(pictures))
        assert sounds[0].codec is Codec.OPUS
        assert {b.timestamp - a.timestamp for a, b in itertools.pairwise(sounds)} == {960}
        samples = np.concatenate([each.reshape(-1, 2)[:, 0] for each in decode(sounds)])[-4800:]
        assert abs(np.argmax(np.abs(np.fft.rfft(samples))) * SAMPLE_RATE_HZ / 4800 - TONE_HZ) <= 10
        mid = next(iter(both.owner.media))
        assert both.peer.statistics(mid).frames >= 5
        assert both.peer.drops["not_genuine"] == 0
        assert [state for state, _ in both.owner.states] == [PeerState.CONNECTING, PeerState.CONNECTED]
    assert both.peer.state is PeerState.CLOSED


async def test_sender_reports_arrive():
    async with call() as both:
        audio = both.send(ToneTrack())
        await both.negotiate()
        reports = both.owner.reports[audio.id]
        await both.owner.until(lambda: reports)
        assert reports[0] > 0


@pytest.mark.parametrize("profile", aiortc.rtcdtlstransport.SRTP_PROFILES, ids=lambda p: p.openssl_profile.decode())
async def test_every_srtp_profile_carries_media(
    profile: aiortc.rtcdtlstransport.SRTPProtectionProfile, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(aiortc.rtcdtlstransport, "SRTP_PROFILES", [profile])
    async with call() as both:
        audio = both.send(ToneTrack())
        await both.negotiate()
        await both.owner.until(lambda: len(both.frames_of(audio)) >= 3)


async def test_we_wait_for_a_far_side_that_wants_to_be_the_dtls_client():
    async with call() as both:
        audio = both.send(ToneTrack())
        both.far_side.createDataChannel("_reliable").on("open", lambda: None)
        answer = await both.negotiate(lambda sdp: sdp.replace("setup:actpass", "setup:active"))
        assert {section.setup for section in parse_session_description(answer).media} == {"passive"}
        await both.owner.until(lambda: both.frames_of(audio))


async def test_h264_arrives_where_it_is_offered():
    async with call() as both:
        video = both.send(GrayTrack(60))
        codecs = [codec for codec in RTCRtpSender.getCapabilities("video").codecs if codec.mimeType != "video/VP8"]
        both.far_side.getTransceivers()[0].setCodecPreferences(codecs)
        await both.negotiate()
        pictures = both.frames_of(video)
        await both.owner.until(lambda: len(pictures) >= 3)
        assert pictures[0].codec is Codec.H264
        assert pictures[0].data.startswith(b"\0\0\0\1")
        assert all(abs(float(luma.mean()) - 60) < 5 for luma in decode(pictures))


async def test_a_track_added_later_arrives():
    async with call() as both:
        audio = both.send(ToneTrack())
        await both.negotiate()
        await both.owner.until(lambda: both.frames_of(audio))
        video = both.send(GrayTrack(90))
        await both.negotiate()
        assert len(both.owner.media) == 2
        heard = len(both.frames_of(audio))
        await both.owner.until(lambda: both.frames_of(video) and len(both.frames_of(audio)) > heard)
        assert abs(float(decode(both.frames_of(video))[0].mean()) - 90) < 5
        assert both.owner.states == [(PeerState.CONNECTING, ""), (PeerState.CONNECTED, "")]


async def test_a_track_that_ends_is_told():
    async with call() as both:
        audio, video = both.send(ToneTrack()), both.send(GrayTrack(90))
        await both.negotiate()
        await both.owner.until(lambda: both.frames_of(audio) and both.frames_of(video))
        both.far_side.getTransceivers()[1].direction = "inactive"
        answer = await both.negotiate()
        assert [media.track_id for media in both.owner.removed] == [video.id]
        assert [section.direction for section in parse_session_description(answer).media] == ["recvonly", "inactive"]
        with pytest.raises(KeyError):
            both.peer.statistics("1")
        seen = len(both.frames_of(video))
        heard = len(both.frames_of(audio))
        await both.owner.until(lambda: len(both.frames_of(audio)) > heard + 3)
        assert len(both.frames_of(video)) == seen


async def test_a_track_nobody_wants_never_reaches_another():
    async with call() as both:
        both.owner.wanted = lambda media: media.track_id == kept.id
        unwanted, kept = both.send(GrayTrack(20)), both.send(GrayTrack(220))
        await both.negotiate()
        await both.owner.until(lambda: len(both.frames_of(kept)) >= 5)
        assert both.frames_of(unwanted) == []
        assert all(abs(float(luma.mean()) - 220) < 5 for luma in decode(both.frames_of(kept)))


async def test_a_key_frame_comes_when_asked_for():
    async with call() as both:
        video = both.send(GrayTrack(90))
        await both.negotiate()
        pictures = both.frames_of(video)
        await both.owner.until(lambda: len(pictures) >= 3)
        both.peer.request_key_frame("0")
        await both.owner.until(lambda: sum(picture.key_frame for picture in pictures) >= 2)
        assert both.peer.statistics("0").key_frame_requests >= 1


async def test_messages_of_data_channels_arrive():
    async with call() as both:
        reliable = both.far_side.createDataChannel("_reliable")
        lossy = both.far_side.createDataChannel("_lossy", ordered=False, maxRetransmits=0)
        reliable.on("open", lambda: reliable.send(b"hello"))
        lossy.on("open", lambda: lossy.send("text"))
        await both.negotiate()
        await both.owner.until(lambda: len(both.owner.data) == 2)
        assert sorted(both.owner.data) == [("_lossy", b"text"), ("_reliable", b"hello")]


async def test_data_channels_offered_later_are_opened():
    async with call() as both:
        audio = both.send(ToneTrack())
        await both.negotiate()
        await both.owner.until(lambda: both.frames_of(audio))
        channel = both.far_side.createDataChannel("_reliable")
        channel.on("open", lambda: channel.send(b"later"))
        await both.negotiate()
        await both.owner.until(lambda: both.owner.data)
        assert both.owner.data == [("_reliable", b"later")]


# When it fails


async def test_a_far_side_with_another_certificate_is_refused():
    async with call() as both:
        audio = both.send(ToneTrack())
        await both.negotiate(lambda sdp: re.sub(r"(fingerprint:sha-\d+ )(?:\w\w:){4}", r"\1AA:BB:CC:DD:", sdp))
        detail = await both.owner.until_state(PeerState.FAILED)
        assert detail == "the far side's certificate does not match the fingerprint of its offer"
        assert both.frames_of(audio) == []
        with pytest.raises(StateError):
            await both.peer.answer(both.far_side.localDescription.sdp)


async def test_a_far_side_that_vanishes_is_noticed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.001)
    monkeypatch.setattr(ice_module, "_CONSENT_INTERVALS_SECONDS", (0.001,))
    async with call() as both:
        audio = both.send(ToneTrack())
        await both.negotiate()
        await both.owner.until(lambda: both.frames_of(audio))
        both.cut()
        assert await both.owner.until_state(PeerState.FAILED) == "ICE: the far side no longer answers"


async def test_a_far_side_that_says_good_bye_is_noticed():
    async with call() as both:
        audio = both.send(ToneTrack())
        await both.negotiate()
        await both.owner.until(lambda: both.frames_of(audio))
        await both.far_side.close()
        assert await both.owner.until_state(PeerState.FAILED) == "the far side closed the DTLS association"


async def test_nobody_there_is_noticed_in_time():
    async with call(connect_timeout_seconds=0.01) as both:
        both.send(ToneTrack())
        await both.far_side.setLocalDescription(await both.far_side.createOffer())
        await both.peer.answer(re.sub(r"a=candidate.*\r\n", "", both.far_side.localDescription.sdp))
        assert await both.owner.until_state(PeerState.FAILED) == "ICE found no working path within 0.01 s"


async def test_a_lost_first_flight_is_sent_again(monkeypatch: pytest.MonkeyPatch):
    sent: list[bytes] = []

    def send(self: IceTransport, data: bytes) -> None:
        sent.append(data)
        if len(sent) > 1:
            self._connection.send_now(data)

    monkeypatch.setattr(IceTransport, "send", send)
    async with call() as both:
        audio = both.send(ToneTrack())
        await both.negotiate()
        await both.owner.until(lambda: both.frames_of(audio))
        assert sent[0][0] == sent[1][0] == 22


async def test_bad_offers_are_refused_and_the_call_goes_on():
    async with call() as both:
        audio = both.send(ToneTrack())
        await both.negotiate()
        with pytest.raises(MalformedError):
            await both.peer.answer("rubbish")
        with pytest.raises(ProtocolError):
            await both.peer.answer("v=0\r\n")
        heard = len(both.frames_of(audio))
        await both.owner.until(lambda: len(both.frames_of(audio)) > heard)


async def test_a_peer_closes_before_and_during_connecting():
    async with call() as both:
        both.send(ToneTrack())
        await both.negotiate()
        await both.peer.close()
        assert both.owner.states[-1][0] is PeerState.CLOSED
    async with call() as both:
        await both.peer.close()
        with pytest.raises(StateError):
            await both.peer.answer("v=0\r\n")


async def test_a_peer_closed_while_answering_leaves_nothing_behind():
    async with call() as both:
        both.send(ToneTrack())
        await both.far_side.setLocalDescription(await both.far_side.createOffer())
        answering = asyncio.ensure_future(both.peer.answer(both.far_side.localDescription.sdp))
        await asyncio.sleep(0)
        await both.peer.close()
        with pytest.raises(StateError):
            await answering
        assert both.peer.state is PeerState.CLOSED
        assert both.owner.media == {}


async def test_candidates_before_the_offer_are_kept():
    async with call() as both:
        audio = both.send(ToneTrack())
        await both.far_side.setLocalDescription(await both.far_side.createOffer())
        offer = both.far_side.localDescription.sdp
        for candidate in re.findall(r"a=(candidate.*)\r\n", offer):
            both.peer.add_remote_candidate(candidate, "0", 0)
        answer = await both.peer.answer(re.sub(r"a=candidate.*\r\n", "", offer))
        await both.accept(answer)
        await both.owner.until(lambda: both.frames_of(audio))


def test_it_runs_on_uvloop():
    uvloop = pytest.importorskip("uvloop")

    async def main() -> Call:
        async with call() as both:
            audio, video = both.send(ToneTrack()), both.send(GrayTrack(150))
            await both.negotiate()
            await both.owner.until(lambda: both.frames_of(audio) and len(both.frames_of(video)) >= 2)
        return both

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(main()).peer.state is PeerState.CLOSED
