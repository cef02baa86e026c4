"""What a media section of somebody else's description says: common to all negotiators (RFC 9429)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache

from channel_recorder.errors import ProtocolError
from channel_recorder.model import Codec
from channel_recorder.rtc.description import MediaDescription, PayloadType
from channel_recorder.rtc.wire.sdp import Fingerprint, MediaSection, RtpFormat, SessionDescription

MAX_DATA_MESSAGE_BYTES = 262_144
"""What a recorder takes on a data channel."""

_CODECS: Mapping[tuple[str, str], Codec] = {(codec.kind, codec.value): codec for codec in Codec}
_IS_DTLS_CLIENT = {"active": False, "passive": True}
"""What we are, by what the far side says of itself; actpass leaves it to us."""
_RTP_PROTOCOLS = frozenset({"UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF", "RTP/SAVP"})
_SCTP_PROTOCOLS = frozenset({"UDP/DTLS/SCTP", "TCP/DTLS/SCTP", "DTLS/SCTP"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteTransport:
    """How to reach and recognise the far side: ICE and DTLS parameters of the bundle."""

    ice_ufrag: str
    ice_pwd: str
    ice_lite: bool
    fingerprints: tuple[Fingerprint, ...]
    dtls_client: bool
    """Our role."""
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTransport:
    """What our description says of our own end."""

    ice_ufrag: str
    ice_pwd: str
    fingerprint: Fingerprint
    candidates: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataChannels:
    """The accepted application section."""

    sctp_port: int
    max_message_size: int


def remote_transport(session: SessionDescription, is_dtls_client: bool) -> RemoteTransport:
    """RFC 8843 section 7.3: the first section of the bundle carries the transport; the others repeat it or not.

    A far side that leaves the DTLS role to us gets the one we have (RFC 8842 section 5.5)."""
    sections = [section for section in bundled_sections(session).values() if not section.is_rejected]
    sections.sort(key=lambda section: section.mid != next(iter(session.bundle), None))
    tagged = next((s for s in sections if s.ice_ufrag and s.ice_pwd and s.fingerprints), None)
    if tagged is None or not tagged.ice_ufrag or not tagged.ice_pwd:
        raise ProtocolError("the description has no ICE credentials or no DTLS fingerprint")
    if tagged.setup not in ("actpass", "passive", "active", None):
        raise ProtocolError(f"unknown DTLS setup {tagged.setup[:20]!r}")
    return RemoteTransport(
        ice_ufrag=tagged.ice_ufrag,
        ice_pwd=tagged.ice_pwd,
        ice_lite=session.ice_lite,
        fingerprints=tagged.fingerprints,
        dtls_client=_IS_DTLS_CLIENT.get(tagged.setup or "", is_dtls_client),
        candidates=tuple(dict.fromkeys(candidate for section in sections for candidate in section.candidates)),
    )


def bundled_sections(session: SessionDescription) -> dict[int, MediaSection]:
    """By index. Without a bundle the first section that was not rejected gets the one transport we have."""
    if session.bundle:
        bundle = set(session.bundle)
        return {index: section for index, section in enumerate(session.media) if section.mid in bundle}
    first = next((index for index, section in enumerate(session.media) if not section.is_rejected), None)
    return {} if first is None else {first: session.media[first]}


def is_media(section: MediaSection) -> bool:
    """Sound or pictures over the one transport."""
    return section.kind in ("audio", "video") and section.protocol in _RTP_PROTOCOLS and section.rtcp_mux


def data_channels(section: MediaSection) -> DataChannels | None:
    if section.kind != "application" or section.protocol not in _SCTP_PROTOCOLS or section.sctp_port is None:
        return None
    # RFC 8841 section 6: 64 KB unless said otherwise.
    return DataChannels(sctp_port=section.sctp_port, max_message_size=section.max_message_size or 65536)


def payload_types(
    section: MediaSection, codecs: Collection[Codec], feedback: Collection[str]
) -> tuple[PayloadType, ...]:
    """Those of `codecs` and their retransmissions, in the order of the section; with what it has of `feedback`."""
    return _payload_types(section.kind, section.rtp_formats, frozenset(codecs), frozenset(feedback))


@lru_cache(maxsize=256)
def _payload_types(
    kind: str, rtp_formats: tuple[RtpFormat, ...], codecs: frozenset[Codec], feedback: frozenset[str]
) -> tuple[PayloadType, ...]:
    """Kept: dozens of m-lines have the same formats, and all of them come again with every offer."""
    media: dict[int, Codec] = {}
    for rtp_format in rtp_formats:
        codec = _CODECS.get((kind, rtp_format.name.lower()))
        if codec is not None and codec in codecs and _is_usable(codec, rtp_format):
            media[rtp_format.payload_type] = codec
    return tuple(
        _payload_type(rtp_format, media.get(rtp_format.payload_type), feedback)
        for rtp_format in rtp_formats
        if rtp_format.payload_type in media or _apt(rtp_format) in media
    )


def first_ssrcs(section: MediaSection) -> tuple[int | None, int | None]:
    """The SSRC of the media and the one of its retransmissions (RFC 5576 section 4.2, FID)."""
    for semantics, ssrcs in section.ssrc_groups:
        if semantics == "FID" and len(ssrcs) == 2:
            return ssrcs
    return next(iter(section.ssrcs), None), None


def rejection(section: MediaSection) -> MediaSection:
    """RFC 9429 section 5.3.1: port 0, outside the bundle."""
    return MediaSection(
        kind=section.kind,
        port=0,
        protocol=section.protocol,
        formats=section.formats,
        mid=section.mid,
        direction="inactive",
    )


def compare_media(
    before: Mapping[str, MediaDescription], after: Mapping[str, MediaDescription]
) -> tuple[tuple[MediaDescription, ...], tuple[MediaDescription, ...], tuple[MediaDescription, ...]]:
    """By mid: what was removed, changed and added. Another track on the same m-line is a removal and an addition."""
    same_track = {mid for mid in before if mid in after and _track(before[mid]) == _track(after[mid])}
    return (
        tuple(media for mid, media in before.items() if mid not in same_track),
        tuple(after[mid] for mid in before if mid in same_track and before[mid] != after[mid]),
        tuple(media for mid, media in after.items() if mid not in same_track),
    )


def sends(section: MediaSection) -> bool:
    return section.direction in ("sendonly", "sendrecv")


def receives(section: MediaSection) -> bool:
    return section.direction in ("recvonly", "sendrecv")


def mid_of(section: MediaSection, index: int) -> str:
    return section.mid if section.mid is not None else str(index)


def _track(media: MediaDescription) -> tuple[str, str, str]:
    return media.kind, media.stream_id, media.track_id


def _is_usable(codec: Codec, rtp_format: RtpFormat) -> bool:
    if rtp_format.clock_rate_hz != codec.clock_rate_hz:
        return False
    # RFC 6184 section 6.2: mode 2 sends NAL units out of order, which nobody in WebRTC does.
    return codec is not Codec.H264 or rtp_format.parameters.get("packetization-mode", "0") in ("0", "1")


def _apt(rtp_format: RtpFormat) -> int | None:
    if rtp_format.name.lower() != "rtx":
        return None
    apt = rtp_format.parameters.get("apt", "")
    return int(apt) if apt.isascii() and apt.isdigit() and len(apt) <= 3 else None


def _payload_type(rtp_format: RtpFormat, codec: Codec | None, feedback: frozenset[str]) -> PayloadType:
    return PayloadType(
        number=rtp_format.payload_type,
        codec=codec,
        clock_rate_hz=rtp_format.clock_rate_hz,
        channels=rtp_format.channels,
        parameters=rtp_format.parameters,
        feedback=feedback.intersection(rtp_format.feedback),
        retransmits=None if codec else _apt(rtp_format),
    )
