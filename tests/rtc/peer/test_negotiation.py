"""What is answered to real and made-up offers, and what an offer changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.errors import ProtocolError
from channel_recorder.model import Codec, MediaKind
from channel_recorder.rtc.peer.negotiation import DataChannels, LocalTransport, Negotiator
from channel_recorder.rtc.wire.sdp import Fingerprint, MediaSection, SessionDescription
from channel_recorder.rtc.wire.sdp_parser import parse_session_description

VECTORS = Path(__file__).parents[2] / "vectors" / "sdp"
DATA_ONLY = (VECTORS / "livekit_1.13.5_1_data_only.sdp").read_text()
TWO_TRACKS = (VECTORS / "livekit_1.13.5_2_two_tracks.sdp").read_text()
AUDIO_GONE = (VECTORS / "livekit_1.13.5_3_audio_unpublished.sdp").read_text()
LITE = (VECTORS / "livekit_1.13.5_lite_send_side_bwe.sdp").read_text()
OLD_SERVER = (VECTORS / "livekit_1.8.4_two_tracks.sdp").read_text()

LOCAL = LocalTransport(
    ice_ufrag="abcd",
    ice_pwd="0123456789012345678901",
    fingerprint=Fingerprint(algorithm="sha-256", value="AB:CD"),
    candidates=("1 1 udp 2130706431 192.0.2.1 40000 typ host",),
)
TRANSPORT = (
    "a=ice-ufrag:remote",
    "a=ice-pwd:remote-password-of-22-chars",
    "a=fingerprint:sha-256 AB:CD",
    "a=setup:actpass",
)
AUDIO = ("a=sendonly", "a=rtcp-mux", "a=rtpmap:111 opus/48000/2", "a=msid:stream mic", "a=ssrc:1 cname:x")
VIDEO = ("a=sendonly", "a=rtcp-mux", "a=rtpmap:96 VP8/90000", "a=msid:stream camera", "a=ssrc:2 cname:x")


def offer(*sections: tuple[str, ...], bundle: str | None = "0 1 2 3", session: tuple[str, ...] = TRANSPORT) -> str:
    """Sections are given mids by their place."""
    lines = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", *session]
    if bundle is not None:
        lines.append(f"a=group:BUNDLE {bundle}")
    for index, (media_line, *attributes) in enumerate(sections):
        lines += [f"m={media_line}", f"a=mid:{index}", *attributes]
    return "\r\n".join(lines) + "\r\n"


def answer_to(text: str, negotiator: Negotiator | None = None) -> SessionDescription:
    negotiator = negotiator or Negotiator()
    negotiator.receive_offer(text)
    return parse_session_description(negotiator.answer(LOCAL))


def codecs_of(section: MediaSection) -> list[tuple[str, str]]:
    return [(rtp_format.name, rtp_format.fmtp) for rtp_format in section.rtp_formats]


# Real offers


def test_a_first_offer_with_data_channels_only_is_accepted():
    negotiator = Negotiator()
    changes = negotiator.receive_offer(DATA_ONLY)
    assert changes.data_channels == DataChannels(sctp_port=5000, max_message_size=65535)
    assert (changes.added, changes.changed, changes.removed) == ((), (), ())
    assert changes.transport.dtls_client
    (section,) = parse_session_description(negotiator.answer(LOCAL)).media
    assert (section.kind, section.port, section.sctp_port, section.direction) == ("application", 9, 5000, "sendrecv")
    assert section.formats == ("webrtc-datachannel",)


def test_the_tracks_of_a_real_offer_are_described():
    negotiator = Negotiator()
    video, audio = negotiator.receive_offer(TWO_TRACKS).added
    assert (video.mid, video.kind, video.ssrc, video.rtx_ssrc) == ("1", MediaKind.VIDEO, 2800701453, 3088114776)
    assert (video.stream_id, video.track_id) == ("PA_9sYQgAWdQqjp|TR_VCxjnQzFTPSWMe", "TR_VCxjnQzFTPSWMe")
    assert (audio.mid, audio.kind, audio.ssrc, audio.rtx_ssrc) == ("2", MediaKind.AUDIO, 165202585, None)
    numbers = {p.number: (p.codec, p.retransmits) for p in video.payload_types}
    assert numbers[96] == (Codec.VP8, None)
    assert numbers[97] == (None, 96)
    assert {codec for codec, _ in numbers.values()} == {Codec.VP8, Codec.VP9, Codec.H264, Codec.H265, Codec.AV1, None}
    assert video.payload_types[0].feedback == {"nack", "nack pli", "ccm fir", "goog-remb"}
    (opus,) = audio.payload_types
    assert (opus.number, opus.codec, opus.clock_rate_hz, opus.channels) == (111, Codec.OPUS, 48000, 2)
    assert opus.parameters == {"minptime": "10", "useinbandfec": "1"}


def test_lost_sound_is_asked_for_again_where_red_hides_that_the_server_repeats_it():
    changes = Negotiator().receive_offer(TWO_TRACKS)
    sound = next(media for media in changes.added if media.kind is MediaKind.AUDIO)
    assert sound.payload_types[0].feedback == {"nack"}
    without_red = TWO_TRACKS.replace("red/48000/2", "other/48000/2")
    sound = next(media for media in Negotiator().receive_offer(without_red).added if media.kind is MediaKind.AUDIO)
    assert sound.payload_types[0].feedback == set()


def test_a_real_offer_is_answered_section_by_section():
    answer = answer_to(TWO_TRACKS)
    data, video, audio = answer.media
    assert answer.bundle == ("0", "1", "2")
    assert [section.mid for section in answer.media] == ["0", "1", "2"]
    assert [section.direction for section in answer.media] == ["sendrecv", "recvonly", "recvonly"]
    assert {section.setup for section in answer.media} == {"active"}
    assert {section.ice_ufrag for section in answer.media} == {"abcd"}
    assert all(section.rtcp_mux and section.rtcp_rsize for section in (video, audio))
    assert data.candidates == LOCAL.candidates
    assert (video.candidates, audio.candidates) == ((), ())
    offered = parse_session_description(TWO_TRACKS).media[1]
    assert video.rtp_formats == offered.rtp_formats
    assert codecs_of(audio) == [("opus", "minptime=10;useinbandfec=1;stereo=1")]


def test_an_offer_with_send_side_estimation_gets_its_feedback():
    negotiator = Negotiator()
    changes = negotiator.receive_offer(LITE)
    assert changes.transport.ice_lite
    video = next(media for media in changes.added if media.kind is MediaKind.VIDEO)
    assert "transport-cc" in video.payload_types[0].feedback
    assert video.header_extensions == {3: "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"}
    answered = next(s for s in parse_session_description(negotiator.answer(LOCAL)).media if s.kind == "video")
    assert [(e.number, e.uri) for e in answered.extensions] == list(video.header_extensions.items())


def test_an_older_server_is_understood_too():
    changes = Negotiator().receive_offer(OLD_SERVER)
    assert [(media.kind, media.track_id[:3]) for media in changes.added] == [("audio", "TR_"), ("video", "TR_")]


def test_a_track_comes_and_goes_over_real_offers():
    negotiator = Negotiator()
    negotiator.receive_offer(DATA_ONLY)
    video, audio = negotiator.receive_offer(TWO_TRACKS).added
    changes = negotiator.receive_offer(AUDIO_GONE)
    assert (changes.added, changes.changed, changes.removed) == ((), (), (audio,))
    assert list(negotiator.media.values()) == [video]
    answer = parse_session_description(negotiator.answer(LOCAL))
    assert [section.direction for section in answer.media] == ["sendrecv", "recvonly", "inactive"]
    assert [section.port for section in answer.media] == [9, 9, 9]
    again = negotiator.receive_offer(TWO_TRACKS)
    assert (again.added, again.changed, again.removed) == ((audio,), (), ())


def test_nothing_changes_when_the_same_offer_comes_again():
    negotiator = Negotiator()
    negotiator.receive_offer(TWO_TRACKS)
    changes = negotiator.receive_offer(TWO_TRACKS)
    assert (changes.added, changes.changed, changes.removed) == ((), (), ())


def test_every_answer_has_a_higher_version():
    negotiator = Negotiator(session_id=7)
    versions = [answer_to(TWO_TRACKS, negotiator).version for _ in range(3)]
    assert versions == [1, 2, 3]


# Changes of an m-line


def test_an_m_line_reused_for_another_track_ends_the_old_one():
    negotiator = Negotiator()
    (old,) = negotiator.receive_offer(offer(("video 9 UDP/TLS/RTP/SAVPF 96", *VIDEO))).added
    other = [line.replace("camera", "screen").replace("ssrc:2", "ssrc:3") for line in VIDEO]
    changes = negotiator.receive_offer(offer(("video 9 UDP/TLS/RTP/SAVPF 96", *other)))
    assert changes.removed == (old,)
    assert [(media.track_id, media.ssrc) for media in changes.added] == [("screen", 3)]
    assert changes.changed == ()


def test_a_new_ssrc_of_the_same_track_is_a_change():
    negotiator = Negotiator()
    negotiator.receive_offer(offer(("video 9 UDP/TLS/RTP/SAVPF 96", *VIDEO)))
    other = [line.replace("ssrc:2", "ssrc:3") for line in VIDEO]
    changes = negotiator.receive_offer(offer(("video 9 UDP/TLS/RTP/SAVPF 96", *other)))
    assert [media.ssrc for media in changes.changed] == [3]
    assert (changes.added, changes.removed) == ((), ())


def test_a_section_that_is_rejected_later_ends_its_track():
    negotiator = Negotiator()
    negotiator.receive_offer(offer(("audio 9 UDP/TLS/RTP/SAVPF 111", *AUDIO), ("video 9 UDP/TLS/RTP/SAVPF 96", *VIDEO)))
    changes = negotiator.receive_offer(
        offer(("audio 9 UDP/TLS/RTP/SAVPF 111", *AUDIO), ("video 0 UDP/TLS/RTP/SAVPF 96", *VIDEO), bundle="0")
    )
    assert [media.mid for media in changes.removed] == ["1"]


# Codecs


def test_codecs_nobody_can_record_are_left_out():
    answer = answer_to(
        offer(
            (
                "audio 9 UDP/TLS/RTP/SAVPF 63 111 0",
                *AUDIO,
                "a=rtpmap:63 red/48000/2",
                "a=fmtp:63 111/111",
                "a=rtpmap:0 PCMU/8000",
            ),
            (
                "video 9 UDP/TLS/RTP/SAVPF 96 97 116 117 118 119",
                *VIDEO,
                "a=rtpmap:97 rtx/90000",
                "a=fmtp:97 apt=96",
                "a=rtpmap:116 red/90000",
                "a=rtpmap:117 rtx/90000",
                "a=fmtp:117 apt=116",
                "a=rtpmap:118 ulpfec/90000",
                "a=rtpmap:119 flexfec-03/90000",
            ),
        )
    )
    assert codecs_of(answer.media[0]) == [("opus", "stereo=1")]
    assert codecs_of(answer.media[1]) == [("VP8", ""), ("rtx", "apt=96")]
    assert answer.media[1].formats == ("96", "97")


def test_h264_is_taken_in_every_profile_but_not_interleaved():
    formats = {
        "100": "packetization-mode=1;profile-level-id=640c34",
        "101": "packetization-mode=0;profile-level-id=42e01f",
        "102": "profile-level-id=42001f",
        "103": "packetization-mode=2;profile-level-id=42001f",
    }
    lines = [
        line
        for number, fmtp in formats.items()
        for line in (f"a=rtpmap:{number} H264/90000", f"a=fmtp:{number} {fmtp}")
    ]
    answer = answer_to(offer((f"video 9 UDP/TLS/RTP/SAVPF {' '.join(formats)}", *VIDEO, *lines)))
    assert [(f.payload_type, f.fmtp) for f in answer.media[0].rtp_formats] == [
        (100, formats["100"]),
        (101, formats["101"]),
        (102, formats["102"]),
    ]


def test_the_codecs_taken_can_be_narrowed():
    negotiator = Negotiator(codecs=[Codec.OPUS, Codec.H264])
    answer = answer_to(TWO_TRACKS, negotiator)
    assert {name for name, _ in codecs_of(answer.media[1])} == {"H264", "rtx"}
    without_video = answer_to(TWO_TRACKS, Negotiator(codecs=[Codec.OPUS]))
    assert [section.port for section in without_video.media] == [9, 0, 9]
    assert without_video.bundle == ("0", "2")


def test_stereo_is_asked_for_unless_the_offer_speaks_of_it():
    said = offer(("audio 9 UDP/TLS/RTP/SAVPF 111", *AUDIO, "a=fmtp:111 stereo=0;usedtx=1"))
    assert codecs_of(answer_to(said).media[0]) == [("opus", "stereo=0;usedtx=1")]


def test_only_extensions_that_are_used_are_taken():
    section = answer_to(
        offer(
            (
                "video 9 UDP/TLS/RTP/SAVPF 96",
                *VIDEO,
                "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid",
                "a=extmap:2/sendonly urn:3gpp:video-orientation",
                "a=extmap:3 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            )
        )
    ).media[0]
    assert [e.number for e in section.extensions] == [1, 2]


# Sections that cannot be received


def test_one_bad_section_does_not_spoil_the_others():
    answer = answer_to(
        offer(
            ("audio 9 UDP/TLS/RTP/SAVPF 111", *AUDIO),
            ("video 9 UDP/TLS/RTP/SAVPF 96", *VIDEO),
            ("video 9 UDP/TLS/RTP/SAVPF 96", *[line for line in VIDEO if line != "a=rtcp-mux"]),
            ("text 9 UDP/TLS/RTP/SAVPF 98", "a=rtcp-mux", "a=rtpmap:98 t140/1000"),
            ("application 9 DTLS/SCTP 5000", "a=sctpmap:5000 webrtc-datachannel 1024"),
            bundle="0 2 3 4",
        )
    )
    assert [section.port for section in answer.media] == [9, 0, 0, 0, 0]
    assert answer.bundle == ("0",)
    assert answer.media[1].direction == "inactive"
    assert answer.media[1].ice_ufrag is None


def test_without_a_bundle_the_first_section_is_received():
    answer = answer_to(
        offer(("audio 9 UDP/TLS/RTP/SAVPF 111", *AUDIO), ("video 9 UDP/TLS/RTP/SAVPF 96", *VIDEO), bundle=None)
    )
    assert [section.port for section in answer.media] == [9, 0]


@pytest.mark.parametrize(
    ("offered", "answered"), [("recvonly", "inactive"), ("inactive", "inactive"), ("sendrecv", "recvonly")]
)
def test_the_direction_is_answered(offered: str, answered: str):
    lines = [line for line in AUDIO if line != "a=sendonly"]
    negotiator = Negotiator()
    changes = negotiator.receive_offer(offer(("audio 9 UDP/TLS/RTP/SAVPF 111", f"a={offered}", *lines)))
    assert len(changes.added) == (answered == "recvonly")
    assert parse_session_description(negotiator.answer(LOCAL)).media[0].direction == answered


# Transport


@pytest.mark.parametrize(("offered", "answered"), [("actpass", "active"), ("passive", "active"), ("active", "passive")])
def test_the_dtls_role_is_answered(offered: str, answered: str):
    session = (*TRANSPORT[:3], f"a=setup:{offered}")
    assert answer_to(offer(("audio 9 UDP/TLS/RTP/SAVPF 111", *AUDIO), session=session)).media[0].setup == answered


def test_the_dtls_role_stays_as_it_was():
    negotiator = Negotiator()
    waiting = offer(("audio 9 UDP/TLS/RTP/SAVPF 111", *AUDIO), session=(*TRANSPORT[:3], "a=setup:active"))
    assert answer_to(waiting, negotiator).media[0].setup == "passive"
    assert answer_to(offer(("audio 9 UDP/TLS/RTP/SAVPF 111", *AUDIO)), negotiator).media[0].setup == "passive"


def test_the_transport_is_that_of_the_first_section_of_the_bundle():
    first = ("a=ice-ufrag:one", *TRANSPORT[1:], "a=candidate:1 1 udp 1 192.0.2.1 1 typ host")
    second = ("a=ice-ufrag:two", *TRANSPORT[1:], "a=candidate:2 1 udp 1 192.0.2.2 2 typ host")
    text = offer(
        ("audio 9 UDP/TLS/RTP/SAVPF 111", *AUDIO, *first),
        ("video 9 UDP/TLS/RTP/SAVPF 96", *VIDEO, *second),
        bundle="1 0",
        session=(),
    )
    transport = Negotiator().receive_offer(text).transport
    assert transport.ice_ufrag == "two"
    assert transport.candidates == ("2 1 udp 1 192.0.2.2 2 typ host", "1 1 udp 1 192.0.2.1 1 typ host")


@pytest.mark.parametrize("missing", ["ice-ufrag", "ice-pwd", "fingerprint"])
def test_an_offer_without_transport_is_refused(missing: str):
    session = tuple(line for line in TRANSPORT if missing not in line)
    with pytest.raises(ProtocolError):
        Negotiator().receive_offer(offer(("audio 9 UDP/TLS/RTP/SAVPF 111", *AUDIO), session=session))


def test_a_refused_offer_changes_nothing():
    negotiator = Negotiator()
    negotiator.receive_offer(TWO_TRACKS)
    before = dict(negotiator.media)
    for refused in ("rubbish", offer(("text 9 UDP/TLS/RTP/SAVPF 98",)), offer(session=())):
        with pytest.raises(ProtocolError):
            negotiator.receive_offer(refused)
    assert dict(negotiator.media) == before
    assert negotiator.receive_offer(TWO_TRACKS).added == ()


@settings(deadline=None, max_examples=100)
@given(st.integers(0, len(TWO_TRACKS) - 1), st.integers(0, 60), st.text("0123456789 =:amv\r\n", max_size=10))
def test_a_damaged_offer_is_answered_or_refused(position: int, removed: int, inserted: str):
    negotiator = Negotiator()
    damaged = TWO_TRACKS[:position] + inserted + TWO_TRACKS[position + removed :]
    try:
        negotiator.receive_offer(damaged)
    except ProtocolError:
        return
    answer = parse_session_description(negotiator.answer(LOCAL))
    assert len(answer.media) == len(parse_session_description(damaged).media)
