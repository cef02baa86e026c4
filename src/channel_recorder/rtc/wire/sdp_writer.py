"""Session descriptions as text: the way back of `sdp_parser`."""

from __future__ import annotations

from collections.abc import Iterator

from channel_recorder.rtc.wire.sdp import MediaSection, RtpFormat, SessionDescription, Simulcast


def write_session_description(session: SessionDescription) -> str:
    """The text, lines ended by CRLF."""
    return "".join(line + "\r\n" for line in _session_lines(session))


def _session_lines(session: SessionDescription) -> Iterator[str]:
    yield "v=0"
    # No address of this host: RFC 9429 section 5.2.1 asks for a meaningless one.
    yield f"o=- {session.session_id} {session.version} IN IP4 0.0.0.0"
    yield "s=-"
    yield "t=0 0"
    if session.bundle:
        yield "a=group:BUNDLE " + " ".join(session.bundle)
    if session.ice_lite:
        yield "a=ice-lite"
    for section in session.media:
        yield from _section_lines(section)


def _section_lines(section: MediaSection) -> Iterator[str]:
    yield f"m={section.kind} {section.port} {section.protocol} {' '.join(section.formats)}"
    yield "c=IN IP4 0.0.0.0"
    if section.mid is not None:
        yield f"a=mid:{section.mid}"
    yield f"a={section.direction}"
    if section.bundle_only:
        yield "a=bundle-only"
    if section.rtcp_mux:
        yield "a=rtcp-mux"
    if section.rtcp_rsize:
        yield "a=rtcp-rsize"
    yield from _transport_lines(section)
    yield from _track_lines(section)
    for rtp_format in section.rtp_formats:
        yield from _format_lines(rtp_format)
    yield from _simulcast_lines(section)
    if section.sctp_port is not None:
        yield f"a=sctp-port:{section.sctp_port}"
    if section.max_message_size is not None:
        yield f"a=max-message-size:{section.max_message_size}"


def _transport_lines(section: MediaSection) -> Iterator[str]:
    if section.ice_ufrag is not None:
        yield f"a=ice-ufrag:{section.ice_ufrag}"
    if section.ice_pwd is not None:
        yield f"a=ice-pwd:{section.ice_pwd}"
    if section.ice_options:
        yield "a=ice-options:" + " ".join(section.ice_options)
    for fingerprint in section.fingerprints:
        yield f"a=fingerprint:{fingerprint.algorithm} {fingerprint.value}"
    if section.setup is not None:
        yield f"a=setup:{section.setup}"
    for candidate in section.candidates:
        yield f"a=candidate:{candidate}"
    if section.end_of_candidates:
        yield "a=end-of-candidates"


def _track_lines(section: MediaSection) -> Iterator[str]:
    for stream_id, track_id in section.msids:
        yield f"a=msid:{stream_id} {track_id}".rstrip()
    for extension in section.extensions:
        yield f"a=extmap:{extension.number} {extension.uri}"
    if section.extmap_allow_mixed:
        yield "a=extmap-allow-mixed"
    for semantics, ssrcs in section.ssrc_groups:
        yield f"a=ssrc-group:{semantics} " + " ".join(map(str, ssrcs))
    for ssrc in section.ssrcs:
        yield from _ssrc_lines(ssrc, section)


def _ssrc_lines(ssrc: int, section: MediaSection) -> Iterator[str]:
    if section.cname is None:
        yield f"a=ssrc:{ssrc}"
        return
    yield f"a=ssrc:{ssrc} cname:{section.cname}"
    # Twice said, for ends that look at the one or at the other.
    for stream_id, track_id in section.msids[:1]:
        yield f"a=ssrc:{ssrc} msid:{stream_id} {track_id}".rstrip()


def _simulcast_lines(section: MediaSection) -> Iterator[str]:
    for rid in section.rids:
        yield f"a=rid:{rid.name} {rid.direction} {rid.restrictions}".rstrip()
    if section.simulcast is not None:
        yield "a=simulcast:" + " ".join(_simulcast_words(section.simulcast))


def _simulcast_words(simulcast: Simulcast) -> Iterator[str]:
    for direction, streams in (("send", simulcast.send), ("recv", simulcast.receive)):
        if streams:
            yield direction
            yield ";".join(",".join(alternatives) for alternatives in streams)


def _format_lines(rtp_format: RtpFormat) -> Iterator[str]:
    number = rtp_format.payload_type
    channels = f"/{rtp_format.channels}" if rtp_format.channels > 1 else ""
    yield f"a=rtpmap:{number} {rtp_format.name}/{rtp_format.clock_rate_hz}{channels}"
    if rtp_format.fmtp:
        yield f"a=fmtp:{number} {rtp_format.fmtp}"
    for feedback in rtp_format.feedback:
        yield f"a=rtcp-fb:{number} {feedback}"
