"""The other end of a negotiation, as browsers behave (RFC 9429), for tests without packets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from channel_recorder.model import Codec
from channel_recorder.rtc.description import MediaDescription, PayloadType
from channel_recorder.rtc.peer.sections import LocalTransport
from channel_recorder.rtc.wire.sdp import (
    Extension,
    Fingerprint,
    MediaSection,
    Rid,
    RtpFormat,
    SessionDescription,
    Simulcast,
)
from channel_recorder.rtc.wire.sdp_parser import parse_session_description
from channel_recorder.rtc.wire.sdp_writer import write_session_description

LOCAL = LocalTransport(
    ice_ufrag="abcd",
    ice_pwd="0123456789012345678901",
    fingerprint=Fingerprint(algorithm="sha-256", value="AB:CD"),
    candidates=("1 1 udp 2130706431 192.0.2.1 7882 typ host", "2 1 tcp 1 192.0.2.1 7881 typ host tcptype passive"),
)

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RID = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
ORIENTATION = "urn:3gpp:video-orientation"
DEPENDENCY_DESCRIPTOR = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
AUDIO_EXTENSIONS = {1: AUDIO_LEVEL, 2: ABS_SEND_TIME, 3: TRANSPORT_CC, 4: MID}
VIDEO_EXTENSIONS = {
    14: "urn:ietf:params:rtp-hdrext:toffset",
    2: ABS_SEND_TIME,
    13: ORIENTATION,
    3: TRANSPORT_CC,
    4: MID,
    10: RID,
    11: REPAIRED_RID,
    12: DEPENDENCY_DESCRIPTOR,
}
VIDEO_FEEDBACK = ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")
H264 = "level-asymmetry-allowed=1;packetization-mode={};profile-level-id={}"


def video_format(number: int, name: str, fmtp: str = "") -> RtpFormat:
    return RtpFormat(payload_type=number, name=name, clock_rate_hz=90000, fmtp=fmtp, feedback=VIDEO_FEEDBACK)


def rtx(number: int, repeated: int) -> RtpFormat:
    return RtpFormat(payload_type=number, name="rtx", clock_rate_hz=90000, fmtp=f"apt={repeated}")


VIDEO_FORMATS = (
    *(video_format(96, "VP8"), rtx(97, 96)),
    *(video_format(102, "H264", H264.format(1, "42001f")), rtx(103, 102)),
    *(video_format(104, "H264", H264.format(0, "42001f")), rtx(107, 104)),
    *(video_format(108, "H264", H264.format(1, "42e01f")), rtx(109, 108)),
    *(video_format(127, "H264", H264.format(0, "42e01f")), rtx(125, 127)),
    *(video_format(39, "H264", H264.format(1, "4d001f")), rtx(40, 39)),
    *(video_format(45, "AV1", "level-idx=5;profile=0;tier=0"), rtx(46, 45)),
    *(video_format(98, "VP9", "profile-id=0"), rtx(99, 98)),
    *(video_format(100, "VP9", "profile-id=2"), rtx(101, 100)),
    *(video_format(112, "red"), rtx(113, 112)),
    *(video_format(114, "ulpfec"), video_format(49, "flexfec-03")),
)
AUDIO_FORMATS = (
    RtpFormat(
        payload_type=111,
        name="opus",
        clock_rate_hz=48000,
        channels=2,
        fmtp="minptime=10;useinbandfec=1",
        feedback=("transport-cc", "nack"),
    ),
    RtpFormat(payload_type=63, name="red", clock_rate_hz=48000, channels=2, fmtp="111/111"),
    RtpFormat(payload_type=9, name="G722", clock_rate_hz=8000),
    RtpFormat(payload_type=0, name="PCMU", clock_rate_hz=8000),
    RtpFormat(payload_type=110, name="telephone-event", clock_rate_hz=48000),
)


def section(kind: str, mid: str, direction: str, formats: tuple[RtpFormat, ...] | None = None) -> MediaSection:
    """An RTP section of a browser's offer."""
    formats = formats if formats is not None else VIDEO_FORMATS if kind == "video" else AUDIO_FORMATS
    extensions = VIDEO_EXTENSIONS if kind == "video" else AUDIO_EXTENSIONS
    return MediaSection(
        kind=kind,
        mid=mid,
        direction=direction,
        formats=tuple(str(each.payload_type) for each in formats),
        rtp_formats=formats,
        extensions=tuple(Extension(number=number, uri=uri) for number, uri in extensions.items()),
        extmap_allow_mixed=True,
        rtcp_mux=True,
        rtcp_rsize=kind == "video",
    )


def publishing(kind: str, mid: str, track_id: str, *, layers: str = "", ssrc: int = 1) -> MediaSection:
    """`layers` as in a=simulcast:send."""
    streams = tuple(tuple(stream.split(",")) for stream in layers.split(";")) if layers else ()
    names = [name.removeprefix("~") for stream in streams for name in stream]
    one_layer = () if layers else (ssrc,) if kind == "audio" else (ssrc, ssrc + 1)
    return replace(
        section(kind, mid, "sendonly"),
        msids=(("stream", track_id),),
        rids=tuple(Rid(name=name, direction="send") for name in names),
        simulcast=Simulcast(send=streams) if layers else None,
        ssrcs=one_layer,
        ssrc_groups=(("FID", one_layer),) if len(one_layer) == 2 else (),
        cname="browser" if one_layer else None,
    )


def data(mid: str) -> MediaSection:
    return MediaSection(
        kind="application",
        protocol="UDP/DTLS/SCTP",
        formats=("webrtc-datachannel",),
        mid=mid,
        sctp_port=5000,
        max_message_size=262144,
    )


def rejected(kind: str, mid: str) -> MediaSection:
    return replace(section(kind, mid, "inactive"), port=0)


def describe(*sections: MediaSection, setup: str = "actpass", ufrag: str = "remote", version: int = 1) -> str:
    """All sections that are not rejected in one bundle."""
    return write_session_description(
        SessionDescription(
            session_id=1,
            version=version,
            bundle=tuple(each.mid or "" for each in sections if not each.is_rejected),
            media=tuple(
                replace(
                    each,
                    ice_ufrag=ufrag,
                    ice_pwd="remote-password-of-22-chars",
                    fingerprints=(Fingerprint(algorithm="sha-256", value="AB:CD"),),
                    setup=setup,
                )
                for each in sections
            ),
        )
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class PublishedTrack:
    """An IncomingTrack that nothing comes in on."""

    media: MediaDescription
    codec: Codec | None = None

    def take_level(self) -> float:
        return 0.0

    def bitrate_bps(self) -> float:
        return 0.0


def published(
    *codecs: Codec, current: Codec | None = None, parameters: Mapping[Codec, Mapping[str, str]] | None = None
) -> PublishedTrack:
    """A track whose publisher may send these."""
    payload_types = tuple(
        PayloadType(
            number=96 + place,
            codec=codec,
            clock_rate_hz=codec.clock_rate_hz,
            parameters=(parameters or {}).get(codec, {}),
        )
        for place, codec in enumerate(codecs)
    )
    media = MediaDescription(mid="0", kind=codecs[0].kind, stream_id="s", track_id="t", payload_types=payload_types)
    return PublishedTrack(media=media, codec=current)


SOUND = published(Codec.OPUS)
PICTURES = published(Codec.VP8)


class OfferingBrowser:
    """Single peer connection: it offers, keeps its m-lines, and adds receiving ones when asked to."""

    def __init__(self, *sections: MediaSection) -> None:
        self.lines = list(sections)
        self._version = 0

    def add(self, kind: str, count: int = 1) -> None:
        for _ in range(count):
            self.lines.append(section(kind, str(len(self.lines)), "recvonly"))

    def offer(self) -> str:
        self._version += 1
        return describe(*self.lines, version=self._version)


class AnsweringBrowser:
    """A subscriber: takes every m-line it is offered, with what it knows of the formats."""

    def __init__(self, *, names: tuple[str, ...] = ("opus", "VP8", "H264", "VP9", "AV1", "rtx")) -> None:
        self.names = names
        self.lines: list[MediaSection] = []
        """As answered last."""

    def answer(self, offer: str) -> str:
        offered = parse_session_description(offer)
        self.check_order(offered)
        self.lines = [self._answer(line) for line in offered.media]
        return describe(*self.lines, setup="active")

    def check_order(self, offered: SessionDescription) -> None:
        """RFC 9429 section 5.2.2: lines stay, unless one was rejected by both sides, or by the answer."""
        assert len(offered.media) >= len(self.lines)
        for before, now in zip(self.lines, offered.media, strict=False):
            if before.mid != now.mid:
                assert before.is_rejected
                assert now.mid not in {line.mid for line in self.lines}
            else:
                assert before.kind == now.kind

    def _answer(self, line: MediaSection) -> MediaSection:
        if line.kind == "application" or line.is_rejected:
            return line
        formats = tuple(each for each in line.rtp_formats if each.name in self.names)
        return replace(
            section(line.kind, line.mid or "", "recvonly", formats),
            port=9 if formats else 0,
            formats=tuple(str(each.payload_type) for each in formats) or line.formats,
            extensions=line.extensions,
        )
