"""Session descriptions (RFC 8866, RFC 9429) as values. `sdp_parser` reads them, `sdp_writer` makes text of them.

Only what a WebRTC end needs is kept; attributes of the session level are folded into the media sections they are
the default of.
"""

from __future__ import annotations

from dataclasses import dataclass

DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")


@dataclass(frozen=True, slots=True, kw_only=True)
class RtpFormat:
    """One payload type: a=rtpmap with its a=fmtp and a=rtcp-fb lines."""

    payload_type: int
    name: str
    clock_rate_hz: int
    channels: int = 1
    fmtp: str = ""
    """The parameters as written, to be echoed."""
    feedback: tuple[str, ...] = ()

    @property
    def parameters(self) -> dict[str, str]:
        """The fmtp line as keys (lower case) and values; a bare word has the value ""."""
        parameters: dict[str, str] = {}
        for item in self.fmtp.split(";"):
            key, _, value = item.strip().partition("=")
            if key:
                parameters[key.lower()] = value
        return parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """a=extmap (RFC 8285)."""

    number: int
    uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """a=fingerprint (RFC 8122)."""

    algorithm: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rid:
    """a=rid (RFC 8851). `direction`: "send" or "recv", as the one who wrote it sees it."""

    name: str
    direction: str
    restrictions: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulcast:
    """a=simulcast (RFC 8853): for each stream the rids it may have, the preferred one first; `~` marks a paused one."""

    send: tuple[tuple[str, ...], ...] = ()
    receive: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSection:
    """One m-line with its attributes."""

    kind: str
    port: int = 9
    protocol: str = "UDP/TLS/RTP/SAVPF"
    formats: tuple[str, ...] = ()
    mid: str | None = None
    direction: str = "sendrecv"
    msids: tuple[tuple[str, str], ...] = ()
    """(stream id, track id); "-" where there is no stream."""
    rtp_formats: tuple[RtpFormat, ...] = ()
    extensions: tuple[Extension, ...] = ()
    extmap_allow_mixed: bool = False
    """RFC 8285 section 6: packets with short and with long extension headers may alternate."""
    rids: tuple[Rid, ...] = ()
    simulcast: Simulcast | None = None
    ssrcs: tuple[int, ...] = ()
    ssrc_groups: tuple[tuple[str, tuple[int, ...]], ...] = ()
    cname: str | None = None
    """Of all SSRCs (RFC 5576 section 6.1)."""
    rtcp_mux: bool = False
    rtcp_rsize: bool = False
    bundle_only: bool = False
    ice_ufrag: str | None = None
    ice_pwd: str | None = None
    ice_options: tuple[str, ...] = ()
    fingerprints: tuple[Fingerprint, ...] = ()
    setup: str | None = None
    candidates: tuple[str, ...] = ()
    """As written after `candidate:`."""
    end_of_candidates: bool = False
    sctp_port: int | None = None
    max_message_size: int | None = None

    @property
    def is_rejected(self) -> bool:
        """RFC 9429 section 5.2.1: port 0, unless the port is that of the bundle."""
        return self.port == 0 and not self.bundle_only


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDescription:
    session_id: int = 0
    version: int = 0
    bundle: tuple[str, ...] = ()
    """The mids of the first a=group:BUNDLE."""
    ice_lite: bool = False
    media: tuple[MediaSection, ...] = ()
