"""What the server offers to a subscriber, and what it makes of the answers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.errors import ProtocolError, StateError
from channel_recorder.model import Codec
from channel_recorder.rtc.peer.sections import DataChannels
from channel_recorder.rtc.serve.contract import IncomingTrack
from channel_recorder.rtc.serve.offering import AnswerChanges, OfferingNegotiator
from channel_recorder.rtc.serve.outgoing import Outgoing
from channel_recorder.rtc.wire.sdp import MediaSection, SessionDescription
from channel_recorder.rtc.wire.sdp_parser import parse_session_description
from channel_recorder.rtc.wire.sdp_writer import write_session_description
from tests.rtc.serve.browser import (
    DEPENDENCY_DESCRIPTOR,
    H264,
    LOCAL,
    MID,
    PICTURES,
    SOUND,
    AnsweringBrowser,
    PublishedTrack,
    describe,
    published,
)


class Server:
    def __init__(self) -> None:
        self.negotiator = OfferingNegotiator(ssrcs=itertools.count(1000), cname="us")

    def send(self, track: IncomingTrack, track_id: str, stream_id: str = "PA_x|camera") -> Outgoing:
        outgoing = Outgoing(track=track, stream_id=stream_id, track_id=track_id)
        self.negotiator.add(outgoing)
        return outgoing

    def offer(self) -> str:
        offer = self.negotiator.offer(LOCAL)
        assert offer is not None
        return offer

    def negotiate(self, browser: AnsweringBrowser | None = None) -> AnswerChanges:
        self.sdp = self.offer()
        return self.negotiator.receive_answer((browser or AnsweringBrowser()).answer(self.sdp))

    @property
    def session(self) -> SessionDescription:
        return parse_session_description(self.sdp)


def formats_of(line: MediaSection) -> list[tuple[int, str, str]]:
    return [(each.payload_type, each.name, each.fmtp) for each in line.rtp_formats]


def offered_line(track: PublishedTrack) -> MediaSection:
    server = Server()
    server.send(track, "TR_x")
    return parse_session_description(server.offer()).media[1]


# What is offered


def test_data_channels_are_offered_even_if_there_is_nothing_to_send():
    server = Server()
    assert server.negotiator.needs_offer()
    changes = server.negotiate()
    (data,) = server.session.media
    assert (data.kind, data.mid, data.sctp_port, data.setup) == ("application", "0", 5000, "actpass")
    assert (data.candidates, data.end_of_candidates) == (LOCAL.candidates, True)
    assert server.session.ice_lite
    assert changes.data_channels == DataChannels(sctp_port=5000, max_message_size=data.max_message_size or 0)
    assert changes.sent == ()
    assert not server.negotiator.needs_offer()
    assert server.negotiator.offer(LOCAL) is None


def test_every_track_gets_a_line_of_its_own():
    server = Server()
    server.send(SOUND, "TR_a", "PA_x|mic")
    server.send(PICTURES, "TR_v")
    changes = server.negotiate()
    _, audio, video = server.session.media
    assert server.session.bundle == ("0", "1", "2")
    assert (audio.kind, audio.direction, audio.msids) == ("audio", "sendonly", (("PA_x|mic", "TR_a"),))
    assert formats_of(audio) == [(111, "opus", "minptime=10;useinbandfec=1")]
    assert audio.rtp_formats[0].feedback == ("nack",)
    assert formats_of(video) == [(96, "VP8", ""), (97, "rtx", "apt=96")]
    assert video.rtp_formats[0].feedback == ("nack", "nack pli", "ccm fir")
    assert video.ssrc_groups == (("FID", video.ssrcs),)
    assert [each.uri for each in video.extensions] == [MID]
    assert (audio.cname, video.cname) == ("us", "us")
    assert [sending.outgoing.track_id for sending in changes.sent] == ["TR_a", "TR_v"]
    description = changes.sent[1].description
    assert (description.mid, description.ssrc, description.rtx_ssrc) == ("2", *video.ssrcs)
    assert [each.number for each in description.payload_types] == [96, 97]
    assert description.payload_types[0].feedback == {"nack", "nack pli", "ccm fir"}


def test_h264_is_offered_in_the_publishers_profile():
    profile = {"packetization-mode": "1", "profile-level-id": "42c033"}
    line = offered_line(published(Codec.H264, parameters={Codec.H264: profile}))
    assert formats_of(line) == [(102, "H264", H264.format(1, "42e01f")), (103, "rtx", "apt=102")]


@pytest.mark.parametrize(
    ("codec", "parameters", "number"),
    [
        (Codec.H264, {"packetization-mode": "0", "profile-level-id": "64001f"}, 41),
        (Codec.H264, {"packetization-mode": "1", "profile-level-id": "640c34"}, 116),
        (Codec.VP9, {"profile-id": "2"}, 100),
        (Codec.VP9, {}, 98),
        (Codec.H265, {"profile-id": "2"}, 122),
        (Codec.AV1, {"profile": "1"}, 126),
        (Codec.AV1, {}, 124),
    ],
)
def test_every_codec_has_its_number(codec: Codec, parameters: dict[str, str], number: int):
    line = offered_line(published(codec, parameters={codec: parameters}))
    assert formats_of(line)[0][0] == number
    assert formats_of(line)[1][2] == f"apt={number}"


def test_numbers_are_unique_and_none_looks_like_rtcp():
    from channel_recorder.rtc.serve import offered_formats

    numbers = [each.payload_type for row in offered_formats._FORMATS.values() for each in row]
    assert len(set(numbers)) == len(numbers)
    assert all(35 <= number <= 63 or 96 <= number <= 127 for number in numbers)


def test_a_codec_is_offered_alone_once_it_is_known():
    assert len(offered_line(published(Codec.VP8, Codec.VP9, current=Codec.VP9)).rtp_formats) == 2
    line = offered_line(published(Codec.VP8, Codec.VP9))
    assert [name for _, name, _ in formats_of(line)] == ["VP8", "rtx", "VP9", "rtx"]


def test_layers_within_a_stream_are_described():
    extensions = [each.uri for each in offered_line(published(Codec.VP9)).extensions]
    assert extensions == [MID, DEPENDENCY_DESCRIPTOR]


def test_stereo_is_announced():
    line = offered_line(published(Codec.OPUS, parameters={Codec.OPUS: {"stereo": "1"}}))
    assert line.rtp_formats[0].fmtp == "minptime=10;useinbandfec=1;sprop-stereo=1"


def test_a_track_nobody_can_name_is_left_out():
    server = Server()
    server.send(published(Codec.H264, parameters={Codec.H264: {"profile-level-id": "f4001f"}}), "TR_v")
    server.negotiate()
    assert len(server.session.media) == 1
    assert not server.negotiator.needs_offer()


# Coming and going


def test_one_offer_at_a_time():
    server = Server()
    first = server.offer()
    server.send(SOUND, "TR_a")
    assert server.negotiator.needs_offer()
    assert server.negotiator.offer(LOCAL) is None
    server.negotiator.receive_answer(AnsweringBrowser().answer(first))
    assert "TR_a" in server.offer()


def test_the_line_of_a_track_that_left_goes_to_a_later_one_under_a_new_mid():
    server, browser = Server(), AnsweringBrowser()
    first = server.send(PICTURES, "TR_1")
    server.negotiate(browser)
    server.negotiator.remove(first)
    changes = server.negotiate(browser)
    assert (changes.sent, changes.unsent) == ((), ())
    assert [(line.mid, line.port, line.direction) for line in server.session.media[1:]] == [("1", 0, "inactive")]
    assert server.session.bundle == ("0",)
    server.send(PICTURES, "TR_2")
    changes = server.negotiate(browser)
    assert [line.mid for line in server.session.media] == ["0", "2"]
    assert changes.sent[0].description.mid == "2"


def test_a_line_of_sound_is_not_given_to_pictures():
    server, browser = Server(), AnsweringBrowser()
    sound = server.send(SOUND, "TR_a")
    server.negotiate(browser)
    server.negotiator.remove(sound)
    server.negotiate(browser)
    server.send(PICTURES, "TR_v")
    server.negotiate(browser)
    assert [(line.kind, line.port) for line in server.session.media[1:]] == [("audio", 0), ("video", 9)]


def test_a_track_stopped_before_it_was_offered_is_never_offered():
    server = Server()
    server.negotiate()
    server.negotiator.remove(server.send(PICTURES, "TR_v"))
    assert not server.negotiator.needs_offer()


def test_a_track_stopped_while_its_offer_is_under_way_is_taken_back():
    server, browser = Server(), AnsweringBrowser()
    outgoing = server.send(PICTURES, "TR_v")
    offer = server.offer()
    server.negotiator.remove(outgoing)
    assert server.negotiator.receive_answer(browser.answer(offer)).sent == ()
    assert server.negotiator.needs_offer()
    server.negotiate(browser)
    assert server.session.media[1].port == 0


def test_stopping_twice_is_stopping_once():
    server = Server()
    outgoing = server.send(PICTURES, "TR_v")
    server.negotiate()
    server.negotiator.remove(outgoing)
    server.negotiator.remove(outgoing)
    server.negotiate()
    server.negotiator.remove(outgoing)
    assert not server.negotiator.needs_offer()


def test_other_tracks_are_not_touched_by_a_change():
    server, browser = Server(), AnsweringBrowser()
    server.send(PICTURES, "TR_1")
    server.negotiate(browser)
    line = server.session.media[1]
    server.send(PICTURES, "TR_2")
    changes = server.negotiate(browser)
    assert server.session.media[1] == line
    assert [sending.outgoing.track_id for sending in changes.sent] == ["TR_2"]


# Answers


def test_a_codec_the_far_side_does_not_know_is_not_sent():
    server, browser = Server(), AnsweringBrowser(names=("opus", "VP8"))
    refused = server.send(published(Codec.AV1), "TR_1")
    server.send(PICTURES, "TR_2")
    changes = server.negotiate(browser)
    (sending,) = changes.sent
    assert (sending.outgoing.track_id, sending.description.rtx_ssrc) == ("TR_2", None)
    assert not server.negotiator.needs_offer()
    server.negotiator.remove(refused)
    assert not server.negotiator.needs_offer()
    server.send(PICTURES, "TR_3")
    server.negotiate(browser)
    assert [line.mid for line in server.session.media] == ["0", "3", "2"]


@pytest.mark.parametrize("direction", ["inactive", "sendonly"])
def test_a_line_the_far_side_does_not_receive_on_carries_nothing(direction: str):
    server = Server()
    server.send(PICTURES, "TR_v")
    answer = AnsweringBrowser().answer(server.offer()).replace("a=recvonly", f"a={direction}")
    assert server.negotiator.receive_answer(answer).sent == ()


def test_a_far_side_that_pauses_a_line_takes_it_back():
    server, browser = Server(), AnsweringBrowser()
    outgoing = server.send(PICTURES, "TR_v")
    server.negotiate(browser)
    server.send(SOUND, "TR_a")
    ssrcs = server.session.media[1].ssrcs
    answer = browser.answer(server.offer()).replace("a=recvonly", "a=inactive")
    assert server.negotiator.receive_answer(answer).unsent == (outgoing,)
    server.send(SOUND, "TR_b")
    again = next(each for each in server.negotiate(browser).sent if each.outgoing is outgoing)
    assert again.description.ssrc not in ssrcs


def test_a_line_outside_the_bundle_carries_nothing():
    server = Server()
    server.send(PICTURES, "TR_v")
    answer = AnsweringBrowser().answer(server.offer()).replace("BUNDLE 0 1", "BUNDLE 0")
    assert server.negotiator.receive_answer(answer).sent == ()


@pytest.mark.parametrize(("setup", "is_client"), [("active", False), ("passive", True)])
def test_the_far_side_says_who_begins(setup: str, is_client: bool):
    server = Server()
    answer = AnsweringBrowser().answer(server.offer()).replace("a=setup:active", f"a=setup:{setup}")
    assert server.negotiator.receive_answer(answer).transport.dtls_client is is_client
    assert server.negotiator.is_dtls_client is is_client


def _rewritten(change: Callable[[list[MediaSection]], list[MediaSection]]) -> Callable[[str], str]:
    def rewrite(answer: str) -> str:
        session = parse_session_description(answer)
        return write_session_description(replace(session, media=tuple(change(list(session.media)))))

    return rewrite


@pytest.mark.parametrize(
    "damage",
    [
        lambda answer: "",
        lambda answer: answer.replace("a=setup:active", "a=setup:actpass"),
        lambda answer: answer.replace("a=ice-pwd", "a=x"),
        lambda answer: answer.replace("a=mid:1", "a=mid:2"),
        _rewritten(lambda media: media[:-1]),
        _rewritten(lambda media: [*media, media[-1]]),
        _rewritten(lambda media: media[::-1]),
    ],
    ids=["empty", "role", "credentials", "mid", "fewer", "more", "order"],
)
def test_a_refused_answer_changes_nothing(damage: Callable[[str], str]):
    server = Server()
    server.send(PICTURES, "TR_v")
    good = AnsweringBrowser().answer(server.offer())
    with pytest.raises(ProtocolError):
        server.negotiator.receive_answer(damage(good))
    assert len(server.negotiator.receive_answer(good).sent) == 1


def test_an_answer_to_nothing_is_refused():
    server = Server()
    with pytest.raises(StateError):
        server.negotiator.receive_answer(describe())
    server.negotiate()
    with pytest.raises(StateError):
        server.negotiator.receive_answer(describe())


# Foreign bytes

FIRST = Server()
FIRST.send(PICTURES, "TR_v")
GOOD_ANSWER = AnsweringBrowser().answer(FIRST.offer())


@settings(deadline=None, max_examples=200)
@given(st.integers(0, len(GOOD_ANSWER) - 1), st.integers(0, 60), st.text("0123456789 =:amv\r\n", max_size=10))
def test_a_damaged_answer_is_taken_or_refused(position: int, removed: int, inserted: str):
    server = Server()
    server.send(PICTURES, "TR_v")
    server.offer()
    try:
        changes = server.negotiator.receive_answer(
            GOOD_ANSWER[:position] + inserted + GOOD_ANSWER[position + removed :]
        )
    except ProtocolError:
        return
    assert len(changes.sent) <= 1
