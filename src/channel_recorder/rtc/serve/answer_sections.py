"""The sections of an answer, a function for each use of an m-line: we receive, we send, or it lies idle.

Nothing of the transport is in them yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from channel_recorder.model import Codec, MediaKind
from channel_recorder.rtc.description import MediaDescription, PayloadType, SendDescription
from channel_recorder.rtc.forward.dependency import DEPENDENCY_DESCRIPTOR_URI
from channel_recorder.rtc.forward.uplink_track import MAX_LAYERS
from channel_recorder.rtc.peer.sections import first_ssrcs, payload_types
from channel_recorder.rtc.serve.contract import PublishOptions
from channel_recorder.rtc.serve.outgoing import (
    LAYERED_CODECS,
    SEND_FEEDBACK,
    Outgoing,
    Ssrcs,
)
from channel_recorder.rtc.serve.preference import in_order
from channel_recorder.rtc.wire.extension_uris import (
    AUDIO_LEVEL_URI,
    MID_URI,
    REPAIRED_RID_URI,
    RID_URI,
    TRANSPORT_CC_2_URI,
    TRANSPORT_CC_URI,
)
from channel_recorder.rtc.wire.sdp import Extension, MediaSection, Rid, RtpFormat, Simulcast

_STEREO_BITRATE_BPS = 510_000
_KEPT_OPUS_PARAMETERS = ("minptime", "useinbandfec")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivingSection:
    section: MediaSection
    media: MediaDescription


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingSection:
    section: MediaSection
    description: SendDescription


def receiving_section(offered: MediaSection, mid: str, options: PublishOptions) -> ReceivingSection | None:
    """For what the far side publishes. None if we know none of its codecs."""
    transport_cc_uri = _transport_cc_uri(offered)
    feedback = {*SEND_FEEDBACK[MediaKind(offered.kind)], "transport-cc" if transport_cc_uri else "goog-remb"}
    wanted = [options.codec] if options.codec is not None else []
    accepted = in_order(payload_types(offered, Codec, feedback), wanted)
    if not accepted:
        return None
    uris = _line_uris(offered) | _layer_uris(accepted[0].codec)
    rids = _published_rids(offered)
    section = replace(
        _section(offered, mid, accepted, _opus_parameters(options)),
        direction="recvonly",
        extensions=_extensions(offered, uris),
        rids=tuple(Rid(name=name, direction="recv") for name in rids),
        simulcast=Simulcast(receive=tuple((name,) for name in rids)) if rids and offered.simulcast else None,
    )
    return ReceivingSection(section=section, media=_media_description(offered, section, mid, feedback))


def sending_section(
    offered: MediaSection, mid: str, outgoing: Outgoing, codecs: Sequence[Codec], ssrcs: Ssrcs, cname: str
) -> SendingSection | None:
    """For a track, on an m-line where the far side only receives. None if it takes none of `codecs` there."""
    accepted = in_order(payload_types(offered, codecs, SEND_FEEDBACK[outgoing.kind]), codecs)
    if not accepted:
        return None
    sent_uris: set[str | None] = {MID_URI} | _layer_uris(*codecs)
    if all(each.retransmits is None for each in accepted):
        ssrcs = replace(ssrcs, rtx=None)
    section = replace(
        _section(offered, mid, accepted, {"sprop-stereo": "1"} if outgoing.is_stereo else {}),
        direction="sendonly",
        extensions=_extensions(offered, _line_uris(offered) | sent_uris),
        msids=(outgoing.msid,),
        ssrcs=ssrcs.all,
        ssrc_groups=ssrcs.groups,
        cname=cname,
    )
    description = SendDescription(
        mid=mid,
        kind=outgoing.kind,
        payload_types=payload_types(section, codecs, SEND_FEEDBACK[outgoing.kind]),
        ssrc=ssrcs.media,
        rtx_ssrc=ssrcs.rtx,
        header_extensions={each.number: each.uri for each in section.extensions if each.uri in sent_uris},
    )
    return SendingSection(section=section, description=description)


def has_known_codec(offered: MediaSection) -> bool:
    return bool(payload_types(offered, Codec, SEND_FEEDBACK[MediaKind(offered.kind)]))


def idle_section(offered: MediaSection, mid: str) -> MediaSection:
    """Nothing flows yet, or no longer, on an m-line with a known codec."""
    accepted = in_order(payload_types(offered, Codec, SEND_FEEDBACK[MediaKind(offered.kind)]), ())
    return replace(
        _section(offered, mid, accepted, {}),
        direction="inactive",
        extensions=_extensions(offered, _line_uris(offered) | {DEPENDENCY_DESCRIPTOR_URI}),
    )


def _section(
    offered: MediaSection, mid: str, accepted: Sequence[PayloadType], opus_parameters: Mapping[str, str]
) -> MediaSection:
    """What every answer to `offered` has in common."""
    formats = {each.payload_type: each for each in offered.rtp_formats}
    return MediaSection(
        kind=offered.kind,
        protocol=offered.protocol,
        formats=tuple(str(each.number) for each in accepted),
        mid=mid,
        rtp_formats=tuple(_format(formats[each.number], each, opus_parameters) for each in accepted),
        extmap_allow_mixed=offered.extmap_allow_mixed,
        rtcp_mux=True,
        rtcp_rsize=offered.rtcp_rsize,
    )


def _format(offered: RtpFormat, accepted: PayloadType, opus_parameters: Mapping[str, str]) -> RtpFormat:
    fmtp = offered.fmtp
    if accepted.codec is Codec.OPUS:
        kept = {key: accepted.parameters[key] for key in _KEPT_OPUS_PARAMETERS if key in accepted.parameters}
        fmtp = ";".join(f"{key}={value}" for key, value in {**kept, **opus_parameters}.items())
    feedback = tuple(each for each in offered.feedback if each in accepted.feedback)
    return replace(offered, fmtp=fmtp, feedback=feedback)


def _opus_parameters(options: PublishOptions) -> dict[str, str]:
    """RFC 7587 section 7: what we would like to receive."""
    parameters: dict[str, str] = {}
    if options.stereo:
        # Browsers make music mono and 32 kbit/s unless told otherwise.
        parameters |= {"stereo": "1", "maxaveragebitrate": str(_STEREO_BITRATE_BPS)}
    if options.dtx:
        parameters["usedtx"] = "1"
    return parameters


def _line_uris(offered: MediaSection) -> set[str | None]:
    """On every m-line, whatever it is for: Chromium offers on lines to come what any line agreed on, and nothing else;
    native clients publish no simulcast unless all video lines have the rids."""
    if offered.kind == MediaKind.AUDIO:
        return {MID_URI, AUDIO_LEVEL_URI, _transport_cc_uri(offered)}
    return {MID_URI, RID_URI, REPAIRED_RID_URI, _transport_cc_uri(offered)}


def _layer_uris(*codecs: Codec | None) -> set[str | None]:
    return {DEPENDENCY_DESCRIPTOR_URI} if LAYERED_CODECS.intersection(codecs) else set()


def _extensions(offered: MediaSection, uris: set[str | None]) -> tuple[Extension, ...]:
    return tuple(each for each in offered.extensions if each.uri in uris and 0 < each.number < 256)


def _transport_cc_uri(offered: MediaSection) -> str | None:
    """The estimation at the sending side, where both its parts are offered; the older form if there are two."""
    uris = {each.uri for each in offered.extensions}
    if any("transport-cc" in each.feedback for each in offered.rtp_formats):
        return next((uri for uri in (TRANSPORT_CC_URI, TRANSPORT_CC_2_URI) if uri in uris), None)
    return None


def _published_rids(offered: MediaSection) -> list[str]:
    """Of alternatives the first, and paused ones as if they were not: they may come at any time."""
    names = dict.fromkeys(rid.name for rid in offered.rids if rid.direction == "send")
    if offered.simulcast is None:
        return list(names)[:MAX_LAYERS]
    streams = dict.fromkeys(stream[0].removeprefix("~") for stream in offered.simulcast.send)
    return [name for name in streams if name in names][:MAX_LAYERS]


def _media_description(offered: MediaSection, answered: MediaSection, mid: str, feedback: set[str]) -> MediaDescription:
    stream_id, track_id = offered.msids[0] if offered.msids else ("-", "")
    ssrc, rtx_ssrc = first_ssrcs(offered)
    return MediaDescription(
        mid=mid,
        kind=MediaKind(offered.kind),
        stream_id=stream_id,
        track_id=track_id,
        payload_types=payload_types(answered, Codec, feedback),
        ssrc=ssrc,
        rtx_ssrc=rtx_ssrc,
        header_extensions={each.number: each.uri for each in answered.extensions},
        rids=tuple(rid.name for rid in answered.rids),
    )
