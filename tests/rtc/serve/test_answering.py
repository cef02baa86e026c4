"""What the server answers to a browser's offers: what it receives, what it sends, and where."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.errors import MalformedError, ProtocolError
from channel_recorder.model import Codec, MediaKind
from channel_recorder.rtc.peer.sections import DataChannels
from channel_recorder.rtc.serve.answering import AnsweringNegotiator
from channel_recorder.rtc.serve.contract import Answer, IncomingTrack, PublishOptions
from channel_recorder.rtc.serve.outgoing import MAX_MESSAGE_BYTES, Outgoing
from channel_recorder.rtc.wire.sdp import MediaSection, Rid, SessionDescription, Simulcast
from channel_recorder.rtc.wire.sdp_parser import parse_session_description
from tests.rtc.serve.browser import (
    AUDIO_LEVEL,
    DEPENDENCY_DESCRIPTOR,
    LOCAL,
    MID,
    PICTURES,
    REPAIRED_RID,
    RID,
    SOUND,
    TRANSPORT_CC,
    VIDEO_FORMATS,
    OfferingBrowser,
    data,
    describe,
    published,
    publishing,
    rejected,
    section,
    video_format,
)


class Server:
    """An AnsweringNegotiator with an owner who accepts everything, unless told otherwise."""

    def __init__(self, **options: PublishOptions) -> None:
        self.asked: list[tuple[MediaKind, str]] = []
        self._options = options
        self.negotiator = AnsweringNegotiator(
            publish_options=self._publish_options, ssrcs=itertools.count(1000), cname="us"
        )

    def _publish_options(self, kind: MediaKind, track_id: str) -> PublishOptions:
        self.asked.append((kind, track_id))
        return self._options.get(track_id, PublishOptions())

    def answer(self, offer: str) -> Answer:
        self.changes = self.negotiator.receive_offer(offer)
        return self.negotiator.answer(LOCAL)

    def sections(self, *offered: MediaSection) -> tuple[MediaSection, ...]:
        self.sdp = self.answer(describe(*offered)).sdp
        return parse_session_description(self.sdp).media

    def send(self, track: IncomingTrack, track_id: str, stream_id: str = "PA_x|camera") -> Outgoing:
        outgoing = Outgoing(track=track, stream_id=stream_id, track_id=track_id)
        self.negotiator.add(outgoing)
        return outgoing


def names(answered: MediaSection) -> list[str]:
    return [each.name for each in answered.rtp_formats]


def numbers(answered: MediaSection) -> list[int]:
    return [each.payload_type for each in answered.rtp_formats]


def uris(answered: MediaSection) -> set[str]:
    return {each.uri for each in answered.extensions}


# What is published


def test_a_camera_is_received():
    server = Server()
    (camera,) = server.sections(publishing("video", "0", "camera", ssrc=5))
    assert (camera.direction, camera.mid, camera.port) == ("recvonly", "0", 9)
    (media,) = server.changes.added
    assert (media.kind, media.stream_id, media.track_id) == (MediaKind.VIDEO, "stream", "camera")
    assert (media.ssrc, media.rtx_ssrc) == (5, 6)
    assert numbers(camera) == [each.number for each in media.payload_types]
    assert server.asked == [(MediaKind.VIDEO, "camera")]
    assert server.negotiator.needs_offer() is False


def test_forward_correction_and_wrapped_sound_are_not_taken():
    camera, microphone = Server().sections(publishing("video", "0", "camera"), publishing("audio", "1", "mic"))
    assert set(names(camera)) == {"VP8", "VP9", "H264", "AV1", "rtx"}
    assert names(microphone) == ["opus"]


def test_every_format_keeps_its_retransmissions_behind_it():
    (camera,) = Server().sections(publishing("video", "0", "camera"))
    pairs = list(zip(camera.rtp_formats[::2], camera.rtp_formats[1::2], strict=True))
    assert [rtx.parameters["apt"] for _, rtx in pairs] == [str(media.payload_type) for media, _ in pairs]


def test_the_codec_that_was_announced_comes_first():
    server = Server(camera=PublishOptions(codec=Codec.VP9))
    (camera,) = server.sections(publishing("video", "0", "camera"))
    assert numbers(camera)[:4] == [98, 99, 100, 101]
    assert names(camera)[4] == "VP8"
    assert server.changes.added[0].payload_types[0].codec is Codec.VP9


def test_h264_is_asked_for_as_everybody_can_play_it():
    server = Server(camera=PublishOptions(codec=Codec.H264))
    (camera,) = server.sections(publishing("video", "0", "camera"))
    media = [each.payload_type for each in camera.rtp_formats if each.name == "H264"]
    assert media == [108, 102, 39, 127, 104]


def test_all_layers_of_a_camera_are_asked_for():
    server = Server()
    (camera,) = server.sections(publishing("video", "0", "camera", layers="q;~h;f"))
    assert camera.rids == tuple(Rid(name=name, direction="recv") for name in "qhf")
    assert camera.simulcast == Simulcast(receive=(("q",), ("h",), ("f",)))
    assert server.changes.added[0].rids == ("q", "h", "f")
    assert server.changes.added[0].ssrc is None


def test_of_alternative_layers_the_preferred_is_asked_for():
    server = Server()
    (camera,) = server.sections(publishing("video", "0", "camera", layers="f,h;q"))
    assert camera.simulcast == Simulcast(receive=(("f",), ("q",)))


def test_a_layer_without_simulcast_is_asked_for_by_its_name():
    server = Server()
    offered = replace(publishing("video", "0", "camera", layers="f"), simulcast=None)
    (camera,) = server.sections(offered)
    assert (camera.rids, camera.simulcast) == ((Rid(name="f", direction="recv"),), None)


def test_estimation_at_the_sender_is_taken_before_the_other():
    (camera,) = Server().sections(publishing("video", "0", "camera"))
    assert set(camera.rtp_formats[0].feedback) == {"transport-cc", "ccm fir", "nack", "nack pli"}
    assert uris(camera) == {MID, RID, REPAIRED_RID, TRANSPORT_CC}


def test_without_its_extension_estimation_is_left_to_the_receiver():
    offered = publishing("video", "0", "camera")
    extensions = tuple(each for each in offered.extensions if each.uri != TRANSPORT_CC)
    (camera,) = Server().sections(replace(offered, extensions=extensions))
    assert set(camera.rtp_formats[0].feedback) == {"goog-remb", "ccm fir", "nack", "nack pli"}


def test_the_newer_form_of_the_estimation_is_taken_too():
    newer = "http://www.webrtc.org/experiments/rtp-hdrext/transport-wide-cc-02"
    offered = publishing("video", "0", "camera")
    extensions = tuple(replace(e, uri=newer) if e.uri == TRANSPORT_CC else e for e in offered.extensions)
    (camera,) = Server().sections(replace(offered, extensions=extensions))
    assert newer in uris(camera)
    assert "transport-cc" in camera.rtp_formats[0].feedback


def test_loudness_comes_with_the_sound():
    server = Server()
    (microphone,) = server.sections(publishing("audio", "0", "mic"))
    assert uris(microphone) == {MID, AUDIO_LEVEL, TRANSPORT_CC}
    assert microphone.rtp_formats[0].feedback == ("transport-cc", "nack")
    assert server.changes.added[0].header_extensions[1] == AUDIO_LEVEL


@pytest.mark.parametrize(("codec", "wanted"), [(Codec.VP9, True), (Codec.AV1, True), (Codec.VP8, False)])
def test_layers_within_a_stream_are_described_where_there_are_any(codec: Codec, wanted: bool):
    (camera,) = Server(camera=PublishOptions(codec=codec)).sections(publishing("video", "0", "camera"))
    assert (DEPENDENCY_DESCRIPTOR in uris(camera)) is wanted


@pytest.mark.parametrize(
    ("options", "fmtp"),
    [
        (PublishOptions(), "minptime=10;useinbandfec=1;usedtx=1"),
        (PublishOptions(dtx=False), "minptime=10;useinbandfec=1"),
        (PublishOptions(dtx=False, stereo=True), "minptime=10;useinbandfec=1;stereo=1;maxaveragebitrate=510000"),
    ],
)
def test_sound_is_asked_for_as_it_was_announced(options: PublishOptions, fmtp: str):
    (microphone,) = Server(mic=options).sections(publishing("audio", "0", "mic"))
    assert microphone.rtp_formats[0].fmtp == fmtp


def test_what_the_owner_refuses_lies_idle():
    server = Server(camera=PublishOptions(accepted=False))
    (camera,) = server.sections(publishing("video", "0", "camera"))
    assert camera.direction == "inactive"
    assert server.changes.added == ()


def test_a_track_ends_when_its_line_stops_sending_and_begins_anew_with_another():
    server = Server()
    server.sections(publishing("video", "0", "camera"))
    server.sections(section("video", "0", "inactive"))
    assert [media.track_id for media in server.changes.removed] == ["camera"]
    server.sections(publishing("video", "0", "screen"))
    assert [media.track_id for media in server.changes.added] == ["screen"]
    server.sections(publishing("video", "0", "camera again"))
    assert [media.track_id for media in server.changes.removed] == ["screen"]
    assert [media.track_id for media in server.changes.added] == ["camera"]


def test_the_same_offer_again_changes_nothing():
    server = Server()
    server.sections(publishing("video", "0", "camera"), data("1"))
    server.sections(publishing("video", "0", "camera"), data("1"))
    assert (server.changes.added, server.changes.changed, server.changes.removed) == ((), (), ())


def test_a_new_ssrc_is_a_change():
    server = Server()
    server.sections(publishing("video", "0", "camera"))
    server.sections(publishing("video", "0", "camera", ssrc=8))
    assert [media.ssrc for media in server.changes.changed] == [8]


# What is sent


def test_waiting_tracks_get_the_lines_that_only_receive():
    server = Server()
    server.send(SOUND, "TR_a", "PA_x|mic")
    server.send(PICTURES, "TR_v")
    browser = OfferingBrowser(data("0"), publishing("audio", "1", "own"))
    browser.add("audio", 3)
    browser.add("video", 3)
    answer = server.answer(browser.offer())
    assert answer.track_ids == {"2": "TR_a", "5": "TR_v"}
    lines = parse_session_description(answer.sdp).media
    assert [line.direction for line in lines] == [
        *("sendrecv", "recvonly", "sendonly", "inactive", "inactive", "sendonly", "inactive", "inactive")
    ]
    assert lines[5].msids == (("PA_x|camera", "TR_v"),)
    assert lines[5].ssrc_groups == (("FID", lines[5].ssrcs),)
    assert lines[5].cname == "us"
    assert lines[2].ssrc_groups == ()
    assert len(lines[2].ssrcs) == 1
    audio, video = server.changes.sent
    assert (video.description.ssrc, video.description.rtx_ssrc) == lines[5].ssrcs
    assert (audio.description.mid, audio.description.rtx_ssrc) == ("2", None)
    assert server.negotiator.needs_offer() is False


def test_only_the_codec_of_a_track_is_answered_once_it_is_known():
    server = Server()
    server.send(published(Codec.VP8, Codec.H264, current=Codec.H264), "TR_v")
    (line,) = server.sections(section("video", "0", "recvonly"))
    assert set(names(line)) == {"H264", "rtx"}
    assert numbers(line)[:2] == [108, 109]
    (sending,) = server.changes.sent
    assert [each.number for each in sending.description.payload_types] == numbers(line)


def test_before_its_first_packet_a_track_may_come_in_all_its_publishers_codecs():
    server = Server()
    server.send(published(Codec.VP9, Codec.VP8), "TR_v")
    (line,) = server.sections(section("video", "0", "recvonly"))
    assert names(line) == ["VP9", "rtx", "VP9", "rtx", "VP8", "rtx"]


def test_a_publisher_that_changes_its_codec_is_followed_with_the_next_offer():
    server = Server()
    track = published(Codec.VP8, Codec.H264, current=Codec.VP8)
    server.send(track, "TR_v")
    server.sections(section("video", "0", "recvonly"))
    object.__setattr__(track, "codec", Codec.H264)
    (line,) = server.sections(section("video", "0", "recvonly"))
    assert set(names(line)) == {"H264", "rtx"}
    assert len(server.changes.sent) == 1


def test_a_track_that_stays_is_answered_alike_every_time():
    server = Server()
    server.send(PICTURES, "TR_v")
    (first,) = server.sections(section("video", "0", "recvonly"))
    server.send(SOUND, "TR_a")
    again, _ = server.sections(section("video", "0", "recvonly"), section("audio", "1", "recvonly"))
    assert replace(again, candidates=()) == replace(first, candidates=())
    assert [sending.outgoing.track_id for sending in server.changes.sent] == ["TR_a"]
    assert server.changes.unsent == ()


def test_nothing_is_promised_that_is_not_sent():
    server = Server()
    server.send(PICTURES, "TR_v")
    (line,) = server.sections(section("video", "0", "recvonly"))
    assert line.rtp_formats[0].feedback == ("ccm fir", "nack", "nack pli")
    assert server.changes.sent[0].description.header_extensions == {4: MID}


def test_layers_of_a_stream_are_described_to_its_subscribers():
    server = Server()
    server.send(published(Codec.AV1), "TR_v")
    server.sections(section("video", "0", "recvonly"))
    assert server.changes.sent[0].description.header_extensions == {4: MID, 12: DEPENDENCY_DESCRIPTOR}


def test_stereo_is_announced_to_subscribers():
    server = Server()
    server.send(published(Codec.OPUS, parameters={Codec.OPUS: {"stereo": "1"}}), "TR_a")
    (line,) = server.sections(section("audio", "0", "recvonly"))
    assert line.rtp_formats[0].fmtp == "minptime=10;useinbandfec=1;sprop-stereo=1"


def test_without_retransmissions_there_is_no_ssrc_for_them():
    server = Server()
    server.send(PICTURES, "TR_v")
    (line,) = server.sections(section("video", "0", "recvonly", (video_format(96, "VP8"),)))
    assert (len(line.ssrcs), line.ssrc_groups) == (1, ())
    assert server.changes.sent[0].description.rtx_ssrc is None


@pytest.mark.parametrize("way", ["recvonly", "inactive"])
def test_what_lines_to_come_shall_have_is_on_every_line(way: str):
    """Chromium offers no extension on a new line that the first answer did not take on another."""
    picture, sound = Server().sections(section("video", "0", way), section("audio", "1", way))
    assert uris(picture) == {MID, RID, REPAIRED_RID, TRANSPORT_CC, DEPENDENCY_DESCRIPTOR}
    assert uris(sound) == {MID, AUDIO_LEVEL, TRANSPORT_CC}


def test_a_freed_line_lies_idle_once_and_then_goes_to_another_track():
    server = Server()
    browser = OfferingBrowser()
    browser.add("video")
    first = server.send(PICTURES, "TR_1")
    server.answer(browser.offer())
    server.negotiator.remove(first)
    assert server.negotiator.needs_offer()
    server.send(PICTURES, "TR_2")
    answer = server.answer(browser.offer())
    assert answer.track_ids == {}
    assert parse_session_description(answer.sdp).media[0].direction == "inactive"
    assert server.changes.unsent == (first,)
    assert server.negotiator.needs_offer()
    assert server.negotiator.sections_missing()[MediaKind.VIDEO] == 0
    old = server.changes
    answer = server.answer(browser.offer())
    assert answer.track_ids == {"0": "TR_2"}
    assert server.changes.sent[0].description.ssrc not in [sending.description.ssrc for sending in old.sent]
    assert not server.negotiator.needs_offer()


def test_missing_lines_are_counted_by_kind():
    server = Server()
    server.send(SOUND, "TR_a")
    server.send(PICTURES, "TR_v")
    server.send(PICTURES, "TR_w")
    assert server.negotiator.sections_missing() == {MediaKind.AUDIO: 1, MediaKind.VIDEO: 2}
    browser = OfferingBrowser(data("0"))
    browser.add("video")
    server.answer(browser.offer())
    assert server.negotiator.sections_missing() == {MediaKind.AUDIO: 1, MediaKind.VIDEO: 1}
    browser.add("audio")
    browser.add("video", 2)
    server.answer(browser.offer())
    assert server.negotiator.sections_missing() == {MediaKind.AUDIO: 0, MediaKind.VIDEO: 0}
    server.send(PICTURES, "TR_x")
    assert server.negotiator.sections_missing()[MediaKind.VIDEO] == 0
    assert server.negotiator.needs_offer()


def test_a_track_whose_codec_nobody_takes_is_not_waited_for():
    server = Server()
    hopeless = server.send(published(Codec.H265), "TR_v")
    browser = OfferingBrowser()
    browser.add("video")
    assert server.answer(browser.offer()).track_ids == {}
    assert not server.negotiator.needs_offer()
    assert server.negotiator.sections_missing()[MediaKind.VIDEO] == 0
    server.send(PICTURES, "TR_w")
    assert server.answer(browser.offer()).track_ids == {"0": "TR_w"}
    assert not server.negotiator.needs_offer()
    server.negotiator.remove(hopeless)
    assert not server.negotiator.needs_offer()


@pytest.mark.parametrize("instead", [section("video", "0", "inactive"), rejected("video", "0")])
def test_a_track_that_loses_its_line_waits_for_another(instead: MediaSection):
    server = Server()
    server.send(PICTURES, "TR_v")
    assert server.answer(describe(section("video", "0", "recvonly"), data("1"))).track_ids == {"0": "TR_v"}
    assert server.answer(describe(instead, data("1"))).track_ids == {}
    assert [outgoing.track_id for outgoing in server.changes.unsent] == ["TR_v"]
    assert server.negotiator.sections_missing()[MediaKind.VIDEO] == 1
    assert server.answer(describe(instead, data("1"), section("video", "2", "recvonly"))).track_ids == {"2": "TR_v"}


def test_a_line_recycled_under_a_new_mid_is_a_new_line():
    server = Server()
    server.sections(publishing("video", "0", "camera"), data("1"))
    server.sections(rejected("video", "0"), data("1"))
    server.send(PICTURES, "TR_v")
    assert server.answer(describe(section("video", "7", "recvonly"), data("1"))).track_ids == {"7": "TR_v"}


def test_a_publishers_words_make_no_lines_of_their_own():
    server = Server()
    server.send(PICTURES, "TR_v", "PA_x|my stream\r\na=ice-pwd:mine")
    (line,) = server.sections(section("video", "0", "recvonly"))
    assert line.msids == (("PA_x|my_stream__a=ice-pwd:mine".replace("=", "_").replace(":", "_"), "TR_v"),)
    assert line.ice_pwd == LOCAL.ice_pwd


# Transport


def test_the_server_waits_to_be_called_and_names_all_its_addresses_at_once():
    server = Server()
    first, second = server.sections(data("0"), section("audio", "1", "recvonly"))
    session = parse_session_description(server.sdp)
    assert (session.ice_lite, session.bundle) == (True, ("0", "1"))
    assert [line.setup for line in session.media] == ["passive", "passive"]
    assert (first.candidates, first.end_of_candidates) == (LOCAL.candidates, True)
    assert (second.candidates, second.end_of_candidates) == ((), False)
    assert (first.sctp_port, first.max_message_size) == (5000, MAX_MESSAGE_BYTES)
    assert server.changes.data_channels == DataChannels(sctp_port=5000, max_message_size=262144)


def test_addresses_stand_in_the_first_section_of_the_bundle():
    server = Server()
    offer = describe(rejected("video", "0"), section("audio", "1", "recvonly"), data("2"))
    answer = parse_session_description(server.answer(offer.replace("BUNDLE 1 2", "BUNDLE 2 1")).sdp)
    assert answer.bundle == ("2", "1")
    assert [bool(line.candidates) for line in answer.media] == [False, False, True]


def test_new_credentials_are_passed_on():
    server = Server()
    server.answer(describe(data("0")))
    server.answer(describe(data("0"), ufrag="other"))
    assert server.changes.transport.ice_ufrag == "other"
    assert not server.changes.transport.dtls_client


@pytest.mark.parametrize(
    "offer",
    [
        "",
        "v=0\r\n",
        describe(rejected("video", "0")),
        describe(section("video", "0", "sendonly", (video_format(96, "H263"),))),
        describe(section("video", "0", "recvonly"), section("video", "0", "recvonly")),
        describe(data("0")).replace("a=fingerprint", "a=x"),
        describe(data("0"), setup="holdconn"),
        "v=0\r\n" + "a=x\r\n" * 300_000,
    ],
    ids=["empty", "no section", "rejected", "unknown codec", "mid twice", "no fingerprint", "setup", "large"],
)
def test_a_refused_offer_changes_nothing(offer: str):
    server = Server()
    server.send(PICTURES, "TR_v")
    good = describe(section("video", "0", "recvonly"), publishing("audio", "1", "mic"))
    server.answer(good)
    with pytest.raises((MalformedError, ProtocolError)):
        server.negotiator.receive_offer(offer)
    assert server.answer(good).track_ids == {"0": "TR_v"}
    assert (server.changes.added, server.changes.removed, server.changes.sent) == ((), (), ())


def test_sections_nobody_knows_are_rejected_one_by_one():
    lines = Server().sections(
        data("0"),
        replace(section("video", "1", "recvonly"), rtcp_mux=False),
        section("text", "2", "recvonly", VIDEO_FORMATS),
        replace(data("3"), protocol="DTLS/SCTP", sctp_port=None),
    )
    assert [line.port for line in lines] == [9, 0, 0, 0]


def session_of(answer: Answer) -> SessionDescription:
    return parse_session_description(answer.sdp)


def test_versions_count_up_and_lines_keep_their_order():
    server = Server()
    browser = OfferingBrowser(data("0"))
    for version in range(1, 5):
        browser.add("video")
        session = session_of(server.answer(browser.offer()))
        assert session.version == version
        assert [line.mid for line in session.media] == [line.mid for line in browser.lines]


def test_what_is_missing_names_every_kind():
    missing: Mapping[MediaKind, int] = Server().negotiator.sections_missing()
    assert missing == {MediaKind.AUDIO: 0, MediaKind.VIDEO: 0}


def test_a_newer_clients_words_about_its_data_channels_are_passed_over():
    server = Server()
    offer = describe(data("0")).replace("a=sctp-port:5000\r\n", "a=sctp-port:5000\r\na=sctp-init:AQAAXg==\r\n")
    (line,) = session_of(server.answer(offer)).media
    assert (line.port, line.sctp_port) == (9, 5000)


# Foreign bytes

WHOLE_OFFER = describe(
    data("0"),
    publishing("audio", "1", "mic"),
    publishing("video", "2", "camera", layers="q;h;f"),
    section("video", "3", "recvonly"),
)


@settings(deadline=None, max_examples=200)
@given(
    st.integers(0, len(WHOLE_OFFER) - 1),
    st.integers(0, 80),
    st.text("0123456789 =:;~amvrecvsend\r\n", max_size=12),
    st.integers(0, len(WHOLE_OFFER) - 1),
)
def test_a_damaged_offer_is_answered_or_refused(position: int, removed: int, inserted: str, repeated: int):
    damaged = WHOLE_OFFER[:position] + inserted + WHOLE_OFFER[position + removed :] + WHOLE_OFFER[repeated:]
    server = Server()
    server.send(PICTURES, "TR_v")
    server.answer(WHOLE_OFFER)
    try:
        answer = session_of(server.answer(damaged))
    except ProtocolError:
        return
    offered = parse_session_description(damaged)
    assert [line.kind for line in answer.media] == [line.kind for line in offered.media]
    assert all(not line.is_rejected for line in answer.media if line.mid in answer.bundle)
    assert all(line.direction != "sendonly" or line.ssrcs for line in answer.media)


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "vectors" / "sdp").glob("*.sdp")), ids=lambda path: path.stem
)
def test_offers_of_other_servers_are_answered(path: Path):
    server = Server()
    offered = parse_session_description(path.read_text())
    answer = session_of(server.answer(path.read_text()))
    assert [line.mid for line in answer.media] == [line.mid for line in offered.media]
    sending = [line for line in offered.media if line.kind != "application" and line.direction.startswith("send")]
    assert len(server.changes.added) == len(sending)
