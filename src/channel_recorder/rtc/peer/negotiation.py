"""Offer in, answer out, and what changed: the sans-IO half of a receiving peer connection (RFC 9429).

We only ever answer, only ever receive, and carry everything in one bundle. What cannot be received is
answered inactive or rejected section by section; it never spoils the rest of the offer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from channel_recorder.errors import ProtocolError
from channel_recorder.model import Codec, MediaKind
from channel_recorder.rtc.description import MediaDescription, PayloadType
from channel_recorder.rtc.wire.sdp import (
    Extension,
    Fingerprint,
    MediaSection,
    RtpFormat,
    SessionDescription,
)
from channel_recorder.rtc.wire.sdp_parser import parse_session_description
from channel_recorder.rtc.wire.sdp_writer import write_session_description

MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
TRANSPORT_CC_URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
VIDEO_ORIENTATION_URI = "urn:3gpp:video-orientation"
ACCEPTED_EXTENSIONS = frozenset({MID_URI, TRANSPORT_CC_URI, VIDEO_ORIENTATION_URI})
ACCEPTED_FEEDBACK = frozenset({"nack", "nack pli", "ccm fir", "goog-remb", "transport-cc"})
MAX_DATA_MESSAGE_BYTES = 262_144

_CODECS: Mapping[tuple[str, str], Codec] = {(codec.kind, codec.value): codec for codec in Codec}
_ROLES = {"active": False, "passive": True}
"""Whether we are the DTLS client, by what the offer says of the far side; actpass leaves it to us."""
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
    """What the answer says of our own end."""

    ice_ufrag: str
    ice_pwd: str
    fingerprint: Fingerprint
    candidates: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataChannels:
    """The accepted application section."""

    sctp_port: int
    max_message_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What an offer changed, in the order in which to apply it: removed, changed, added."""

    transport: RemoteTransport
    removed: tuple[MediaDescription, ...]
    changed: tuple[MediaDescription, ...]
    """The same track, but another SSRC, payload type or extension."""
    added: tuple[MediaDescription, ...]
    data_channels: DataChannels | None


class Negotiator:
    """Answers one far side's offers. `receive_offer`, then `answer`, again and again."""

    def __init__(self, *, codecs: Collection[Codec] = tuple(Codec), session_id: int = 1) -> None:
        self._codecs = frozenset(codecs)
        self._session_id = session_id
        self._version = 0
        self._offer = SessionDescription()
        self._accepted: Mapping[int, MediaDescription | DataChannels] = {}
        self.media: Mapping[str, MediaDescription] = {}
        """Active m-lines by mid."""
        self.bundle_mid = "0"
        """mid and index of the m-line that our candidates belong to."""
        self.bundle_index = 0
        self.is_dtls_client = True
        """RFC 8842 section 5.3: the answerer should be active."""

    def receive_offer(self, text: str) -> Changes:
        """Take an offer. Raises MalformedError, or ProtocolError where no transport can come of it; then nothing
        changed."""
        offer = parse_session_description(text)
        transport = _remote_transport(offer, self.is_dtls_client)
        accepted = {
            index: described
            for index, section in enumerate(offer.media)
            if (described := self._describe(offer, index, section)) is not None
        }
        if not accepted:
            raise ProtocolError("the offer has nothing that can be received")
        active = {
            described.mid: described
            for index, described in accepted.items()
            if isinstance(described, MediaDescription) and _sends(offer.media[index])
        }
        changes = _compare(self.media, active, transport, accepted)
        self._offer, self._accepted, self.media = offer, accepted, active
        self.bundle_index = min(accepted)
        self.bundle_mid = _mid(offer.media[self.bundle_index], self.bundle_index)
        self.is_dtls_client = transport.dtls_client
        return changes

    def answer(self, local: LocalTransport) -> str:
        """The answer to the offer taken last."""
        self._version += 1
        answer = SessionDescription(
            session_id=self._session_id,
            version=self._version,
            bundle=tuple(_mid(self._offer.media[index], index) for index in self._accepted),
            media=tuple(self._answer_section(index, section, local) for index, section in enumerate(self._offer.media)),
        )
        return write_session_description(answer)

    def _describe(
        self, offer: SessionDescription, index: int, section: MediaSection
    ) -> MediaDescription | DataChannels | None:
        """What we accept of a section, None for nothing."""
        if section.is_rejected or not _in_bundle(offer, index, section):
            return None
        if section.kind == "application":
            return _data_channels(section)
        if section.kind not in ("audio", "video") or section.protocol not in _RTP_PROTOCOLS or not section.rtcp_mux:
            return None
        payload_types = _payload_types(section, self._codecs)
        return _media_description(index, section, payload_types) if payload_types else None

    def _answer_section(self, index: int, section: MediaSection, local: LocalTransport) -> MediaSection:
        described = self._accepted.get(index)
        if described is None:
            return _rejection(section)
        if isinstance(described, DataChannels):
            formats, rtp_formats, extensions = section.formats, (), ()
        else:
            numbers = {payload_type.number for payload_type in described.payload_types}
            rtp_formats = tuple(_answer_format(f) for f in section.rtp_formats if f.payload_type in numbers)
            formats = tuple(str(rtp_format.payload_type) for rtp_format in rtp_formats)
            extensions = tuple(Extension(number=n, uri=uri) for n, uri in described.header_extensions.items())
        return MediaSection(
            kind=section.kind,
            protocol=section.protocol,
            formats=formats,
            mid=_mid(section, index),
            direction=_answer_direction(section),
            rtp_formats=rtp_formats,
            extensions=extensions,
            rtcp_mux=section.rtcp_mux,
            rtcp_rsize=section.rtcp_rsize,
            ice_ufrag=local.ice_ufrag,
            ice_pwd=local.ice_pwd,
            ice_options=("trickle",),
            fingerprints=(local.fingerprint,),
            setup="active" if self.is_dtls_client else "passive",
            # Never the end of them: a new route may add one at any time.
            candidates=local.candidates if index == self.bundle_index else (),
            sctp_port=described.sctp_port if isinstance(described, DataChannels) else None,
            max_message_size=MAX_DATA_MESSAGE_BYTES if isinstance(described, DataChannels) else None,
        )


def _compare(
    before: Mapping[str, MediaDescription],
    after: Mapping[str, MediaDescription],
    transport: RemoteTransport,
    accepted: Mapping[int, MediaDescription | DataChannels],
) -> Changes:
    same_track = {mid for mid in before if mid in after and _track(before[mid]) == _track(after[mid])}
    return Changes(
        transport=transport,
        removed=tuple(media for mid, media in before.items() if mid not in same_track),
        changed=tuple(after[mid] for mid in before if mid in same_track and before[mid] != after[mid]),
        added=tuple(media for mid, media in after.items() if mid not in same_track),
        data_channels=next((each for each in accepted.values() if isinstance(each, DataChannels)), None),
    )


def _track(media: MediaDescription) -> tuple[str, str, str]:
    return media.kind, media.stream_id, media.track_id


def _remote_transport(offer: SessionDescription, is_dtls_client: bool) -> RemoteTransport:
    """RFC 8843 section 7.3: the first section of the bundle carries the transport; the others repeat it or not.

    A far side that leaves the DTLS role to us gets the one we have (RFC 8842 section 5.5)."""
    sections = [s for i, s in enumerate(offer.media) if not s.is_rejected and _in_bundle(offer, i, s)]
    sections.sort(key=lambda section: section.mid != next(iter(offer.bundle), None))
    tagged = next((s for s in sections if s.ice_ufrag and s.ice_pwd and s.fingerprints), None)
    if tagged is None or not tagged.ice_ufrag or not tagged.ice_pwd:
        raise ProtocolError("the offer has no ICE credentials or no DTLS fingerprint")
    if tagged.setup not in ("actpass", "passive", "active", None):
        raise ProtocolError(f"unknown DTLS setup {tagged.setup[:20]!r}")
    return RemoteTransport(
        ice_ufrag=tagged.ice_ufrag,
        ice_pwd=tagged.ice_pwd,
        ice_lite=offer.ice_lite,
        fingerprints=tagged.fingerprints,
        dtls_client=_ROLES.get(tagged.setup or "", is_dtls_client),
        candidates=tuple(dict.fromkeys(candidate for section in sections for candidate in section.candidates)),
    )


def _in_bundle(offer: SessionDescription, index: int, section: MediaSection) -> bool:
    """Without a bundle the first section that was not rejected gets the one transport we have."""
    if offer.bundle:
        return section.mid in offer.bundle
    return index == next((i for i, other in enumerate(offer.media) if not other.is_rejected), None)


def _data_channels(section: MediaSection) -> DataChannels | None:
    if section.protocol not in _SCTP_PROTOCOLS or section.sctp_port is None:
        return None
    # RFC 8841 section 6: 64 KB unless said otherwise.
    return DataChannels(sctp_port=section.sctp_port, max_message_size=section.max_message_size or 65536)


def _media_description(index: int, section: MediaSection, payload_types: tuple[PayloadType, ...]) -> MediaDescription:
    stream_id, track_id = section.msids[0] if section.msids else ("-", "")
    ssrc, rtx_ssrc = _ssrcs(section)
    return MediaDescription(
        mid=_mid(section, index),
        kind=MediaKind(section.kind),
        stream_id=stream_id,
        track_id=track_id,
        payload_types=payload_types,
        ssrc=ssrc,
        rtx_ssrc=rtx_ssrc,
        header_extensions={e.number: e.uri for e in section.extensions if e.uri in ACCEPTED_EXTENSIONS},
    )


def _ssrcs(section: MediaSection) -> tuple[int | None, int | None]:
    """The SSRC of the media and the one of its retransmissions (RFC 5576 section 4.2, FID)."""
    for semantics, ssrcs in section.ssrc_groups:
        if semantics == "FID" and len(ssrcs) == 2:
            return ssrcs
    return next(iter(section.ssrcs), None), None


def _payload_types(section: MediaSection, codecs: Collection[Codec]) -> tuple[PayloadType, ...]:
    media: dict[int, Codec] = {}
    for rtp_format in section.rtp_formats:
        codec = _CODECS.get((section.kind, rtp_format.name.lower()))
        if codec is not None and codec in codecs and _is_receivable(codec, rtp_format):
            media[rtp_format.payload_type] = codec
    return tuple(
        _payload_type(rtp_format, media.get(rtp_format.payload_type))
        for rtp_format in section.rtp_formats
        if rtp_format.payload_type in media or _apt(rtp_format) in media
    )


def _is_receivable(codec: Codec, rtp_format: RtpFormat) -> bool:
    if rtp_format.clock_rate_hz != codec.clock_rate_hz:
        return False
    # RFC 6184 section 6.2: mode 2 sends NAL units out of order, which nobody in WebRTC does.
    return codec is not Codec.H264 or rtp_format.parameters.get("packetization-mode", "0") in ("0", "1")


def _apt(rtp_format: RtpFormat) -> int | None:
    apt = rtp_format.parameters.get("apt", "")
    is_rtx = rtp_format.name.lower() == "rtx" and apt.isascii() and apt.isdigit() and len(apt) <= 3
    return int(apt) if is_rtx else None


def _payload_type(rtp_format: RtpFormat, codec: Codec | None) -> PayloadType:
    return PayloadType(
        number=rtp_format.payload_type,
        codec=codec,
        clock_rate_hz=rtp_format.clock_rate_hz,
        channels=rtp_format.channels,
        parameters=rtp_format.parameters,
        feedback=ACCEPTED_FEEDBACK.intersection(rtp_format.feedback),
        retransmits=None if codec else _apt(rtp_format),
    )


def _answer_format(rtp_format: RtpFormat) -> RtpFormat:
    """Every parameter as offered: recording takes any profile, level and rate, and an end that compares the
    answer with its offer (pion does) finds its own words."""
    fmtp = rtp_format.fmtp
    if rtp_format.name.lower() == Codec.OPUS and "stereo" not in rtp_format.parameters:
        # RFC 7587 section 6.1: without it a publisher's end may mix down to mono for us.
        fmtp = f"{fmtp};stereo=1" if fmtp else "stereo=1"
    return RtpFormat(
        payload_type=rtp_format.payload_type,
        name=rtp_format.name,
        clock_rate_hz=rtp_format.clock_rate_hz,
        channels=rtp_format.channels,
        fmtp=fmtp,
        feedback=tuple(feedback for feedback in rtp_format.feedback if feedback in ACCEPTED_FEEDBACK),
    )


def _rejection(section: MediaSection) -> MediaSection:
    """RFC 9429 section 5.3.1: port 0, outside the bundle."""
    return MediaSection(
        kind=section.kind,
        port=0,
        protocol=section.protocol,
        formats=section.formats,
        mid=section.mid,
        direction="inactive",
    )


def _answer_direction(section: MediaSection) -> str:
    if section.kind == "application":
        return "sendrecv"  # data channels have no direction
    return "recvonly" if _sends(section) else "inactive"


def _sends(section: MediaSection) -> bool:
    return section.direction in ("sendonly", "sendrecv")


def _mid(section: MediaSection, index: int) -> str:
    return section.mid if section.mid is not None else str(index)
