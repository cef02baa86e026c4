"""Offers of real servers, read and written back; anything else is refused, never a crash."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.errors import MalformedError
from channel_recorder.rtc.wire.sdp import (
    Extension,
    Fingerprint,
    MediaSection,
    Rid,
    RtpFormat,
    SessionDescription,
    Simulcast,
)
from channel_recorder.rtc.wire.sdp_parser import (
    MAX_FEEDBACK_LINES,
    MAX_LINES,
    MAX_RIDS,
    MAX_SDP_CHARACTERS,
    MAX_SECTIONS,
    parse_session_description,
)
from channel_recorder.rtc.wire.sdp_writer import write_session_description

VECTORS = sorted((Path(__file__).parents[2] / "vectors" / "sdp").glob("*.sdp"))
TWO_TRACKS = next(path for path in VECTORS if path.name == "livekit_1.13.5_2_two_tracks.sdp").read_text()


def offer(*lines: str) -> SessionDescription:
    return parse_session_description("\r\n".join(("v=0", "o=- 1 2 IN IP4 0.0.0.0", "s=-", "t=0 0", *lines)) + "\r\n")


def test_an_offer_of_a_real_server_says_who_sends_what():
    session = parse_session_description(TWO_TRACKS)
    data, video, audio = session.media
    assert session.bundle == ("0", "1", "2")
    assert (session.session_id, session.version) == (5189936202709393940, 1795488977)
    assert not session.ice_lite
    assert (data.kind, data.sctp_port, data.max_message_size) == ("application", 5000, 65535)
    assert data.candidates[0] == "2878742611 1 udp 2130706431 127.0.0.1 7982 typ host ufrag FttsrNtUPJZIIhHU"
    assert data.end_of_candidates
    assert (video.kind, video.mid, video.direction) == ("video", "1", "sendrecv")
    assert video.rtcp_mux
    assert video.rtcp_rsize
    assert video.msids == (("PA_9sYQgAWdQqjp|TR_VCxjnQzFTPSWMe", "TR_VCxjnQzFTPSWMe"),)
    assert video.ssrcs == (2800701453, 3088114776)
    assert video.ssrc_groups == (("FID", (2800701453, 3088114776)),)
    assert [f.name for f in video.rtp_formats[:4]] == ["VP8", "rtx", "VP9", "rtx"]
    assert video.rtp_formats[1].parameters == {"apt": "96"}
    assert video.rtp_formats[0].feedback == ("ccm fir", "nack", "nack pli", "goog-remb")
    assert [f.name for f in audio.rtp_formats] == ["opus", "red", "PCMU", "PCMA"]
    assert (audio.rtp_formats[0].clock_rate_hz, audio.rtp_formats[0].channels) == (48000, 2)


def test_session_attributes_are_the_default_of_every_section():
    session = parse_session_description(TWO_TRACKS)
    assert [len(section.fingerprints) for section in session.media] == [1, 1, 1]
    assert session.media[2].fingerprints[0].algorithm == "sha-256"
    assert session.media[2].fingerprints[0].value.startswith("B7:9F:A4")
    lite = offer(
        "a=ice-lite", "a=setup:actpass", "a=recvonly", "m=audio 9 RTP/SAVPF 0", "m=audio 9 RTP/SAVPF 0", "a=sendonly"
    )
    assert lite.ice_lite
    assert [section.setup for section in lite.media] == ["actpass", "actpass"]
    assert [section.direction for section in lite.media] == ["recvonly", "sendonly"]


def test_feedback_for_all_formats_counts_for_each():
    section = offer(
        "m=video 9 UDP/TLS/RTP/SAVPF 97 96",
        "a=rtcp-fb:* nack",
        "a=rtcp-fb:96 nack  pli",
        "a=rtpmap:96 VP8/90000",
        "a=rtpmap:97 H264/90000",
    ).media[0]
    assert [(f.payload_type, f.feedback) for f in section.rtp_formats] == [(97, ("nack",)), (96, ("nack", "nack pli"))]


def test_several_streams_of_one_track_are_all_kept():
    section = offer("m=audio 9 RTP/SAVPF 0", "a=msid:a t", "a=msid:b t", "a=msid:- ", "a=ssrc:5 msid:c t").media[0]
    assert section.msids == (("a", "t"), ("b", "t"), ("-", ""))


def test_a_stream_named_by_its_ssrc_only_is_found():
    section = offer("m=audio 9 RTP/SAVPF 0", "a=ssrc:5 cname:x", "a=ssrc:5 msid:stream track").media[0]
    assert section.msids == (("stream", "track"),)


def test_the_layers_of_a_publisher_are_read():
    section = offer(
        "m=video 9 RTP/SAVPF 96",
        "a=rid:h send",
        "a=rid:q send pt=96;max-width=320",
        "a=rid:back recv",
        "a=simulcast:send h;~q recv back,~other",
    ).media[0]
    assert section.rids == (
        Rid(name="h", direction="send"),
        Rid(name="q", direction="send", restrictions="pt=96;max-width=320"),
        Rid(name="back", direction="recv"),
    )
    assert section.simulcast == Simulcast(send=(("h",), ("~q",)), receive=(("back", "~other"),))


def test_long_extension_headers_are_allowed_for_all_or_for_one():
    session = offer("a=extmap-allow-mixed", "m=audio 9 RTP/SAVPF 0", "m=audio 9 RTP/SAVPF 0")
    assert [section.extmap_allow_mixed for section in session.media] == [True, True]
    session = offer("m=audio 9 RTP/SAVPF 0", "m=audio 9 RTP/SAVPF 0", "a=extmap-allow-mixed")
    assert [section.extmap_allow_mixed for section in session.media] == [False, True]


def test_a_rejected_section_is_told_from_a_bundled_one():
    rejected, bundled = offer("m=audio 0 RTP/SAVPF 0", "m=audio 0 RTP/SAVPF 0", "a=bundle-only").media
    assert rejected.is_rejected
    assert not bundled.is_rejected


def test_formats_without_a_name_are_passed_over():
    section = offer("m=video 9 RTP/SAVPF 96 97 webrtc", "a=rtpmap:97 VP8/90000", "a=rtpmap:98 VP9/90000").media[0]
    assert [f.payload_type for f in section.rtp_formats] == [97]


@pytest.mark.parametrize(
    "line",
    [
        "m=video",
        "m=video 9 RTP/SAVPF",
        "m=video 65536 RTP/SAVPF 0",
        "m=video -1 RTP/SAVPF 0",
        "m=video 9 RTP/SAVPF " + "0 " * 129,
        "a=rtpmap:96 VP8",
        "a=rtpmap:96",
        "a=rtpmap:128 VP8/90000",
        "a=rtpmap:٣ VP8/90000",
        "a=rtpmap:96 VP8/9_0",
        "a=extmap:1",
        "a=extmap:x urn:x",
        "a=ssrc:4294967296 cname:x",
        "a=ssrc-group:FID 1 x",
        "a=sctp-port:70000",
        "a=max-message-size:",
        "a=fingerprint:sha-256",
        "a=rtcp-fb:96",
        "a=rid:q",
        "a=rid:q both",
        "a=rid:~q send",
        "a=simulcast:",
        "a=simulcast:send",
        "a=simulcast:send q;",
        "a=simulcast:send q,,h",
        "a=simulcast:send q send h",
        "a=simulcast:both q",
        "rubbish",
    ],
)
def test_a_line_that_is_wrong_is_named(line: str):
    with pytest.raises(MalformedError):
        offer("m=video 9 RTP/SAVPF 96", line)


def test_a_description_without_version_is_none():
    with pytest.raises(MalformedError, match="no v= line"):
        parse_session_description("")


def test_a_description_has_a_bound():
    with pytest.raises(MalformedError, match="characters"):
        parse_session_description("v=0\r\n" + "a" * MAX_SDP_CHARACTERS)
    with pytest.raises(MalformedError, match="too many lines"):
        parse_session_description("v=0\n" + "\n" * MAX_LINES)


SECTION = "m=video 9 RTP/SAVPF 96"
MANY_NUMBERS = " ".join(map(str, range(300)))


@pytest.mark.parametrize(
    "lines",
    [
        [SECTION] * (MAX_SECTIONS + 1),
        ["a=group:BUNDLE " + "x " * (MAX_SECTIONS + 1)],
        [SECTION, *["a=rtcp-fb:96 nack"] * (MAX_FEEDBACK_LINES + 1)],
        [SECTION, *[f"a=rtcp-fb:* {number}" for number in range(20)]],
        [SECTION, *[f"a=rid:{number} send" for number in range(MAX_RIDS + 1)]],
        [SECTION, "a=simulcast:send " + ";".join(map(str, range(MAX_RIDS + 1)))],
        [SECTION, "a=simulcast:send " + ",".join(map(str, range(MAX_RIDS + 1)))],
        [SECTION, *["a=extmap:1 urn:x"] * 300],
        [SECTION, *["a=candidate:x"] * 300],
        [SECTION, *["a=msid:x y"] * 300],
        [SECTION, *[f"a=ssrc:{number} cname:x" for number in range(300)]],
        [SECTION, *["a=ssrc-group:FID 1 2"] * 300],
        [SECTION, "a=ssrc-group:SIM " + MANY_NUMBERS],
        ["a=fingerprint:sha-256 AB"] * 300,
    ],
    ids=lambda lines: f"{lines[0][:12]} {lines[-1][:12]}",
)
def test_so_much_of_one_thing_is_refused(lines: list[str]):
    with pytest.raises(MalformedError):
        offer(*lines)


# Written and read back

words = st.text("abcXYZ019|_+-", min_size=1, max_size=12)
numbers32 = st.integers(0, 2**32 - 1)
rtp_formats = st.builds(
    RtpFormat,
    payload_type=st.integers(0, 127),
    name=words,
    clock_rate_hz=st.integers(1, 96000),
    channels=st.integers(1, 8),
    fmtp=st.one_of(st.just(""), st.builds("{}={};x".format, words, words)),
    feedback=st.lists(words, max_size=3, unique=True).map(tuple),
)
rids = st.builds(
    Rid,
    name=st.text("abcXYZ019_-", min_size=1, max_size=8),
    direction=st.sampled_from(["send", "recv"]),
    restrictions=st.just("") | words.map("max-width={}".format),
)
streams = st.lists(
    st.lists(st.from_regex(r"~?[a-z0-9_-]{1,4}", fullmatch=True), min_size=1, max_size=3).map(tuple), max_size=3
).map(tuple)
simulcasts = st.builds(Simulcast, send=streams, receive=streams).filter(lambda each: each.send or each.receive)
extensions = st.builds(Extension, number=st.integers(1, 255), uri=words.map("urn:{}".format))
fingerprints = st.builds(Fingerprint, algorithm=st.just("sha-256"), value=st.just("AB:CD"))


@st.composite
def sections(draw: st.DrawFn) -> MediaSection:
    ssrcs = draw(st.lists(numbers32, max_size=3, unique=True).map(tuple))
    formats = draw(st.lists(rtp_formats, min_size=1, max_size=4, unique_by=lambda f: f.payload_type))
    return MediaSection(
        kind=draw(st.sampled_from(["audio", "video", "application"])),
        port=draw(st.integers(0, 65535)),
        formats=tuple(str(f.payload_type) for f in formats),
        rtp_formats=tuple(formats),
        mid=draw(st.none() | words),
        direction=draw(st.sampled_from(["sendrecv", "sendonly", "recvonly", "inactive"])),
        msids=draw(st.lists(st.tuples(words, st.just("") | words), max_size=2).map(tuple)),
        extensions=draw(st.lists(extensions, max_size=3).map(tuple)),
        extmap_allow_mixed=draw(st.booleans()),
        rids=draw(st.lists(rids, max_size=3).map(tuple)),
        simulcast=draw(st.none() | simulcasts),
        ssrcs=ssrcs,
        cname=draw(st.none() | words) if ssrcs else None,
        ssrc_groups=draw(st.lists(st.tuples(words, st.tuples(numbers32, numbers32)), max_size=2).map(tuple)),
        rtcp_mux=draw(st.booleans()),
        rtcp_rsize=draw(st.booleans()),
        bundle_only=draw(st.booleans()),
        ice_ufrag=draw(st.none() | words),
        ice_pwd=draw(st.none() | words),
        ice_options=draw(st.lists(words, max_size=2).map(tuple)),
        fingerprints=draw(st.lists(fingerprints, max_size=2).map(tuple)),
        setup=draw(st.none() | st.sampled_from(["active", "passive", "actpass"])),
        candidates=draw(st.lists(words, max_size=2).map(tuple)),
        end_of_candidates=draw(st.booleans()),
        sctp_port=draw(st.none() | st.integers(0, 65535)),
        max_message_size=draw(st.none() | numbers32),
    )


@settings(deadline=None, max_examples=60)
@given(
    st.builds(
        SessionDescription,
        session_id=numbers32,
        version=numbers32,
        bundle=st.lists(words, max_size=3).map(tuple),
        ice_lite=st.booleans(),
        media=st.lists(sections(), max_size=3).map(tuple),
    )
)
def test_what_is_written_reads_back(session: SessionDescription):
    assert parse_session_description(write_session_description(session)) == session


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_real_offers_survive_being_written(path: Path):
    session = parse_session_description(path.read_text())
    assert len(session.media) >= 1
    assert parse_session_description(write_session_description(session)) == session


# Foreign bytes

ATTRIBUTES = (
    *("rtpmap", "fmtp", "rtcp-fb", "extmap", "ssrc", "ssrc-group", "msid"),
    *("candidate", "group", "mid", "rid", "simulcast"),
)


def parses_or_is_malformed(text: str) -> None:
    try:
        parse_session_description(text)
    except MalformedError:
        return


@settings(deadline=None, max_examples=200)
@given(st.text())
def test_any_text_parses_or_is_malformed(text: str):
    parses_or_is_malformed(text)
    parses_or_is_malformed("v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n" + text)


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(ATTRIBUTES),
    st.text("0123456789 /:*=;a~,sendrcv", max_size=20),
)
def test_any_attribute_value_parses_or_is_malformed(name: str, value: str):
    parses_or_is_malformed(f"v=0\r\na={name}:{value}\r\nm=audio 9 RTP/SAVPF 0 96\r\na={name}:{value}\r\na={name}\r\n")


@settings(deadline=None, max_examples=100)
@given(st.integers(0, len(TWO_TRACKS) - 1), st.integers(0, 40), st.text(max_size=8))
def test_a_damaged_offer_parses_or_is_malformed(position: int, removed: int, inserted: str):
    parses_or_is_malformed(TWO_TRACKS[:position] + inserted + TWO_TRACKS[position + removed :])
