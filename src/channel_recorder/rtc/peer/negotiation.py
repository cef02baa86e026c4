"""Offer in, answer out, and what changed: the sans-IO half of a receiving peer connection (RFC 9429).

We only ever answer, only ever receive, and carry everything in one bundle. What cannot be received is
answered inactive or rejected section by section; it never spoils the rest of the offer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from channel_recorder.errors import ProtocolError
from channel_recorder.model import Codec, MediaKind
from channel_recorder.rtc.description import MediaDescription, PayloadType
from channel_recorder.rtc.peer.sections import (
    MAX_DATA_MESSAGE_BYTES,
    DataChannels,
    LocalTransport,
    RemoteTransport,
    bundled_sections,
    compare_media,
    data_channels,
    first_ssrcs,
    is_media,
    mid_of,
    payload_types,
    rejection,
    remote_transport,
    sends,
)
from channel_recorder.rtc.wire.extension_uris import MID_URI, TRANSPORT_CC_URI, VIDEO_ORIENTATION_URI
from channel_recorder.rtc.wire.sdp import Extension, MediaSection, RtpFormat, SessionDescription
from channel_recorder.rtc.wire.sdp_parser import parse_session_description
from channel_recorder.rtc.wire.sdp_writer import write_session_description

ACCEPTED_EXTENSIONS = frozenset({MID_URI, TRANSPORT_CC_URI, VIDEO_ORIENTATION_URI})
ACCEPTED_FEEDBACK = frozenset({"nack", "nack pli", "ccm fir", "goog-remb", "transport-cc"})


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
        transport = remote_transport(offer, self.is_dtls_client)
        accepted = {
            index: described
            for index, section in bundled_sections(offer).items()
            if (described := self._describe(index, section)) is not None
        }
        if not accepted:
            raise ProtocolError("the offer has nothing that can be received")
        active = {
            described.mid: described
            for index, described in accepted.items()
            if isinstance(described, MediaDescription) and sends(offer.media[index])
        }
        changes = _compare(self.media, active, transport, accepted)
        self._offer, self._accepted, self.media = offer, accepted, active
        self.bundle_index = min(accepted)
        self.bundle_mid = mid_of(offer.media[self.bundle_index], self.bundle_index)
        self.is_dtls_client = transport.dtls_client
        return changes

    def answer(self, local: LocalTransport) -> str:
        """The answer to the offer taken last."""
        self._version += 1
        answer = SessionDescription(
            session_id=self._session_id,
            version=self._version,
            bundle=tuple(mid_of(self._offer.media[index], index) for index in self._accepted),
            media=tuple(self._answer_section(index, section, local) for index, section in enumerate(self._offer.media)),
        )
        return write_session_description(answer)

    def _describe(self, index: int, section: MediaSection) -> MediaDescription | DataChannels | None:
        """What we accept of a section, None for nothing."""
        if section.is_rejected:
            return None
        if not is_media(section):
            return data_channels(section)
        return _media_description(index, section, self._codecs)

    def _answer_section(self, index: int, section: MediaSection, local: LocalTransport) -> MediaSection:
        described = self._accepted.get(index)
        if described is None:
            return rejection(section)
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
            mid=mid_of(section, index),
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
    removed, changed, added = compare_media(before, after)
    return Changes(
        transport=transport,
        removed=removed,
        changed=changed,
        added=added,
        data_channels=next((each for each in accepted.values() if isinstance(each, DataChannels)), None),
    )


def _media_description(index: int, section: MediaSection, codecs: Collection[Codec]) -> MediaDescription | None:
    accepted = payload_types(section, codecs, ACCEPTED_FEEDBACK)
    if not accepted:
        return None
    stream_id, track_id = section.msids[0] if section.msids else ("-", "")
    ssrc, rtx_ssrc = first_ssrcs(section)
    return MediaDescription(
        mid=mid_of(section, index),
        kind=MediaKind(section.kind),
        stream_id=stream_id,
        track_id=track_id,
        payload_types=tuple(map(_with_nack, accepted)) if _is_sound_with_red(section) else accepted,
        ssrc=ssrc,
        rtx_ssrc=rtx_ssrc,
        header_extensions={e.number: e.uri for e in section.extensions if e.uri in ACCEPTED_EXTENSIONS},
    )


def _is_sound_with_red(section: MediaSection) -> bool:
    """livekit-server takes NACK out of an offer of sound where it offers RED (RFC 2198), although it repeats what is
    asked for all the same (1.8.4, 1.13.5; at 10 % loss a tenth of the sound would be missing)."""
    return section.kind == MediaKind.AUDIO and any(each.name.lower() == "red" for each in section.rtp_formats)


def _with_nack(payload_type: PayloadType) -> PayloadType:
    return replace(payload_type, feedback=payload_type.feedback | {"nack"})


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


def _answer_direction(section: MediaSection) -> str:
    if section.kind == "application":
        return "sendrecv"  # data channels have no direction
    return "recvonly" if sends(section) else "inactive"
