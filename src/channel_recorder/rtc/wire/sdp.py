"""Session descriptions (RFC 8866, RFC 9429): values and the parser. `sdp_writer` makes text of them again.

Only what a receiving WebRTC end needs is kept; unknown lines are skipped, attributes of the session level
are folded into the media sections they are the default of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from channel_recorder.errors import MalformedError

MAX_SDP_CHARACTERS = 2 * 1024 * 1024
"""A channel with hundreds of tracks needs some 3 KB for each."""
MAX_FORMATS = 128
MAX_FEEDBACK_LINES = 512
_FLAGS = frozenset({"rtcp-mux", "rtcp-rsize", "bundle-only", "end-of-candidates"})
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
    ssrcs: tuple[int, ...] = ()
    ssrc_groups: tuple[tuple[str, tuple[int, ...]], ...] = ()
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


def parse_session_description(text: str) -> SessionDescription:
    """Parse an offer or an answer. Raises MalformedError."""
    if len(text) > MAX_SDP_CHARACTERS:
        raise MalformedError(f"session description of {len(text)} characters")
    session = _Session()
    sections: list[_Section] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        if len(line) < 2 or line[1] != "=":
            if line.strip():
                raise MalformedError(f"no SDP line: {line[:40]!r}")
        elif line[0] == "m":
            sections.append(_Section(line[2:]))
        elif sections:
            sections[-1].read(line[0], line[2:])
        else:
            session.read(line[0], line[2:])
    if not session.seen_version:
        raise MalformedError("no v= line")
    return SessionDescription(
        session_id=session.session_id,
        version=session.version,
        bundle=session.bundle,
        ice_lite=session.ice_lite,
        media=tuple(section.finish(session) for section in sections),
    )


class _Transport:
    """The attributes that may stand at the session level as well as in a media section."""

    def __init__(self) -> None:
        self.ice_ufrag: str | None = None
        self.ice_pwd: str | None = None
        self.ice_options: tuple[str, ...] = ()
        self.fingerprints: list[Fingerprint] = []
        self.setup: str | None = None
        self.direction: str | None = None

    def read_attribute(self, name: str, value: str) -> bool:
        if name == "ice-ufrag":
            self.ice_ufrag = value.strip()
        elif name == "ice-pwd":
            self.ice_pwd = value.strip()
        elif name == "ice-options":
            self.ice_options = tuple(value.split())
        elif name == "fingerprint":
            self.fingerprints.append(_parse_fingerprint(value))
        elif name == "setup":
            self.setup = value.strip()
        elif name in DIRECTIONS:
            self.direction = name
        else:
            return False
        return True


class _Session(_Transport):
    def __init__(self) -> None:
        super().__init__()
        self.seen_version = False
        self.session_id = 0
        self.version = 0
        self.bundle: tuple[str, ...] = ()
        self.ice_lite = False

    def read(self, kind: str, value: str) -> None:
        if kind == "v":
            self.seen_version = True
        elif kind == "o":
            self._read_origin(value)
        elif kind == "a":
            name, _, rest = value.partition(":")
            if name == "ice-lite":
                self.ice_lite = True
            elif name == "group" and not self.bundle:
                semantics, *mids = rest.split() or [""]
                self.bundle = tuple(mids) if semantics == "BUNDLE" else ()
            else:
                self.read_attribute(name, rest)

    def _read_origin(self, value: str) -> None:
        words = value.split()
        if len(words) >= 3:
            self.session_id = _number(words[1], 2**64 - 1, "origin")
            self.version = _number(words[2], 2**64 - 1, "origin")


class _Section(_Transport):
    """Collects the lines of one media section; they come in any order."""

    def __init__(self, media_line: str) -> None:
        super().__init__()
        words = media_line.split()
        if len(words) < 4 or len(words) > 3 + MAX_FORMATS:
            _malformed("m", media_line)
        self.kind = words[0]
        self.port = _number(words[1].partition("/")[0], 65535, "port")
        self.protocol = words[2]
        self.formats = tuple(words[3:])
        self.mid: str | None = None
        self.msids: list[tuple[str, str]] = []
        self.ssrc_msids: list[tuple[str, str]] = []
        self.rtpmaps: dict[int, tuple[str, int, int]] = {}
        self.fmtps: dict[int, str] = {}
        self.feedback: list[tuple[str, str]] = []
        self.extensions: list[Extension] = []
        self.ssrcs: dict[int, None] = {}
        self.ssrc_groups: list[tuple[str, tuple[int, ...]]] = []
        self.candidates: list[str] = []
        self.sctp_port: int | None = None
        self.max_message_size: int | None = None
        self.flags: set[str] = set()

    def read(self, kind: str, value: str) -> None:
        if kind != "a":
            return
        name, _, rest = value.partition(":")
        reader = _READERS.get(name)
        if reader is not None:
            reader(self, rest)
        elif name in _FLAGS:
            self.flags.add(name)
        else:
            self.read_attribute(name, rest)

    def read_mid(self, value: str) -> None:
        self.mid = value.strip()

    def read_msid(self, value: str) -> None:
        words = value.split()
        if words:
            self.msids.append((words[0], words[1] if len(words) > 1 else ""))

    def read_rtpmap(self, value: str) -> None:
        number, encoding = _two_words("rtpmap", value)
        name, *numbers = encoding.split("/")
        if not numbers:
            _malformed("rtpmap", value)
        channels = _number(numbers[1], 255, "channels") if len(numbers) > 1 and numbers[1] else 1
        payload_type = _number(number, 127, "payload type")
        self.rtpmaps[payload_type] = (name, _number(numbers[0], 10_000_000, "clock rate"), channels)

    def read_fmtp(self, value: str) -> None:
        number, _, parameters = value.partition(" ")
        # Formats that are no RTP payload types (sctpmap's fmtp, for one) are not for us.
        if number.isascii() and number.isdigit():
            self.fmtps[_number(number, 127, "payload type")] = parameters.strip()

    def read_feedback(self, value: str) -> None:
        number, feedback = _two_words("rtcp-fb", value)
        if len(self.feedback) >= MAX_FEEDBACK_LINES:
            raise MalformedError("too many rtcp-fb lines")
        self.feedback.append((number, " ".join(feedback.split())))

    def read_extension(self, value: str) -> None:
        words = value.split()
        if len(words) < 2:
            _malformed("extmap", value)
        number = _number(words[0].partition("/")[0], 4351, "extension id")
        self.extensions.append(Extension(number=number, uri=words[1]))

    def read_ssrc(self, value: str) -> None:
        number, _, attribute = value.partition(" ")
        self.ssrcs[_number(number, 2**32 - 1, "SSRC")] = None
        name, _, rest = attribute.partition(":")
        words = rest.split()
        if name == "msid" and words:
            self.ssrc_msids.append((words[0], words[1] if len(words) > 1 else ""))

    def read_ssrc_group(self, value: str) -> None:
        semantics, *numbers = value.split() or [""]
        self.ssrc_groups.append((semantics, tuple(_number(number, 2**32 - 1, "SSRC") for number in numbers)))

    def read_candidate(self, value: str) -> None:
        self.candidates.append(value.strip())

    def read_sctp_port(self, value: str) -> None:
        self.sctp_port = _number(value.strip(), 65535, "sctp-port")

    def read_max_message_size(self, value: str) -> None:
        self.max_message_size = _number(value.strip(), 2**64 - 1, "max-message-size")

    def finish(self, session: _Transport) -> MediaSection:
        return MediaSection(
            kind=self.kind,
            port=self.port,
            protocol=self.protocol,
            formats=self.formats,
            mid=self.mid,
            direction=self.direction or session.direction or "sendrecv",
            # Before a=msid there was only the one of the SSRC (RFC 5576 style, still sent for old ends).
            msids=tuple(self.msids or self.ssrc_msids[:1]),
            rtp_formats=tuple(self._rtp_formats()),
            extensions=tuple(self.extensions),
            ssrcs=tuple(self.ssrcs),
            ssrc_groups=tuple(self.ssrc_groups),
            rtcp_mux="rtcp-mux" in self.flags,
            rtcp_rsize="rtcp-rsize" in self.flags,
            bundle_only="bundle-only" in self.flags,
            ice_ufrag=self.ice_ufrag or session.ice_ufrag,
            ice_pwd=self.ice_pwd or session.ice_pwd,
            ice_options=self.ice_options or session.ice_options,
            fingerprints=tuple(self.fingerprints or session.fingerprints),
            setup=self.setup or session.setup,
            candidates=tuple(self.candidates),
            end_of_candidates="end-of-candidates" in self.flags,
            sctp_port=self.sctp_port,
            max_message_size=self.max_message_size,
        )

    def _rtp_formats(self) -> list[RtpFormat]:
        """In the order of the m-line, which is the order of preference."""
        numbers = dict.fromkeys(int(word) for word in self.formats if word.isascii() and word.isdigit())
        return [self._rtp_format(number) for number in numbers if number in self.rtpmaps]

    def _rtp_format(self, number: int) -> RtpFormat:
        name, clock_rate_hz, channels = self.rtpmaps[number]
        words = ("*", str(number))
        return RtpFormat(
            payload_type=number,
            name=name,
            clock_rate_hz=clock_rate_hz,
            channels=channels,
            fmtp=self.fmtps.get(number, ""),
            feedback=tuple(dict.fromkeys(feedback for word, feedback in self.feedback if word in words)),
        )


_READERS: Mapping[str, Callable[[_Section, str], None]] = {
    "mid": _Section.read_mid,
    "msid": _Section.read_msid,
    "rtpmap": _Section.read_rtpmap,
    "fmtp": _Section.read_fmtp,
    "rtcp-fb": _Section.read_feedback,
    "extmap": _Section.read_extension,
    "ssrc": _Section.read_ssrc,
    "ssrc-group": _Section.read_ssrc_group,
    "candidate": _Section.read_candidate,
    "sctp-port": _Section.read_sctp_port,
    "max-message-size": _Section.read_max_message_size,
}


def _parse_fingerprint(value: str) -> Fingerprint:
    algorithm, digest = _two_words("fingerprint", value)
    return Fingerprint(algorithm=algorithm.lower(), value=digest.strip().upper())


def _two_words(attribute: str, value: str) -> tuple[str, str]:
    first, _, rest = value.strip().partition(" ")
    if not first or not rest:
        _malformed(attribute, value)
    return first, rest


def _number(text: str, limit: int, what: str) -> int:
    # int() alone would take signs, underscores and other scripts' digits.
    if not (text.isascii() and text.isdigit()) or len(text) > 20 or int(text) > limit:
        raise MalformedError(f"bad {what} in SDP: {text[:20]!r}")
    return int(text)


def _malformed(attribute: str, value: str) -> NoReturn:
    raise MalformedError(f"bad {attribute} in SDP: {value[:40]!r}")
