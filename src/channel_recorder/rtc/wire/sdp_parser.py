"""Session descriptions from text: offers and answers of anybody, so everything in them has a bound.

The time it takes is linear in the number of characters; unknown lines are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sized
from typing import NoReturn, TypeVar

from channel_recorder.errors import MalformedError
from channel_recorder.rtc.wire.sdp import (
    DIRECTIONS,
    Extension,
    Fingerprint,
    MediaSection,
    Rid,
    RtpFormat,
    SessionDescription,
    Simulcast,
)

MAX_SDP_CHARACTERS = 2 * 1024 * 1024
"""A channel with hundreds of tracks needs some 3 KB and 100 lines for each."""
MAX_LINES = 100_000
MAX_SECTIONS = 1000
MAX_FORMATS = 128
MAX_FEEDBACK_LINES = 512
MAX_FEEDBACK_FOR_ALL = 16
"""Different rtcp-fb values for `*`: each counts for every format."""
MAX_ATTRIBUTES = 256
"""Lines of one other kind in one section."""
MAX_RIDS = 32
Item = TypeVar("Item")
_RID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FLAGS = frozenset({"rtcp-mux", "rtcp-rsize", "bundle-only", "end-of-candidates", "extmap-allow-mixed"})


def parse_session_description(text: str, *, max_characters: int = MAX_SDP_CHARACTERS) -> SessionDescription:
    """Parse an offer or an answer. Raises MalformedError."""
    if len(text) > max_characters:
        raise MalformedError(f"session description of {len(text)} characters")
    if text.count("\n") > MAX_LINES:
        raise MalformedError("session description of too many lines")
    session = _Session()
    sections: list[_Section] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        if len(line) < 2 or line[1] != "=":
            if line.strip():
                raise MalformedError(f"no SDP line: {line[:40]!r}")
        elif line[0] == "m":
            _add(sections, _Section(line[2:]), MAX_SECTIONS)
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
        self.flags: set[str] = set()

    def read_attribute(self, name: str, value: str) -> None:
        if name == "ice-ufrag":
            self.ice_ufrag = value.strip()
        elif name == "ice-pwd":
            self.ice_pwd = value.strip()
        elif name == "ice-options":
            self.ice_options = tuple(value.split(maxsplit=MAX_ATTRIBUTES))
        elif name == "fingerprint":
            _add(self.fingerprints, _parse_fingerprint(value))
        elif name == "setup":
            self.setup = value.strip()
        elif name in DIRECTIONS:
            self.direction = name
        elif name in _FLAGS:
            self.flags.add(name)


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
                semantics, *mids = rest.split(maxsplit=MAX_SECTIONS + 1) or [""]
                _check_length(mids, MAX_SECTIONS)
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
        words = media_line.split(maxsplit=3 + MAX_FORMATS)
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
        self.feedback: dict[str, dict[str, None]] = {}
        """By payload type or `*`."""
        self.feedback_lines = 0
        self.extensions: list[Extension] = []
        self.rids: list[Rid] = []
        self.simulcast: Simulcast | None = None
        self.ssrcs: dict[int, None] = {}
        self.ssrc_groups: list[tuple[str, tuple[int, ...]]] = []
        self.cname: str | None = None
        self.candidates: list[str] = []
        self.sctp_port: int | None = None
        self.max_message_size: int | None = None

    def read(self, kind: str, value: str) -> None:
        if kind != "a":
            return
        name, _, rest = value.partition(":")
        reader = _READERS.get(name)
        if reader is not None:
            reader(self, rest)
        else:
            self.read_attribute(name, rest)

    def read_mid(self, value: str) -> None:
        self.mid = value.strip()

    def read_msid(self, value: str) -> None:
        words = value.split()
        if words:
            _add(self.msids, (words[0], words[1] if len(words) > 1 else ""))

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
        self.feedback_lines += 1
        if self.feedback_lines > MAX_FEEDBACK_LINES:
            raise MalformedError("too many rtcp-fb lines")
        self.feedback.setdefault(number, {})[" ".join(feedback.split())] = None

    def read_extension(self, value: str) -> None:
        words = value.split()
        if len(words) < 2:
            _malformed("extmap", value)
        number = _number(words[0].partition("/")[0], 4351, "extension id")
        _add(self.extensions, Extension(number=number, uri=words[1]))

    def read_rid(self, value: str) -> None:
        name, rest = _two_words("rid", value)
        direction, _, restrictions = rest.strip().partition(" ")
        if not _RID.fullmatch(name) or direction not in ("send", "recv"):
            _malformed("rid", value)
        _add(self.rids, Rid(name=name, direction=direction, restrictions=restrictions.strip()), MAX_RIDS)

    def read_simulcast(self, value: str) -> None:
        words = value.split()
        streams = {direction: _parse_streams(word) for direction, word in zip(words[::2], words[1::2], strict=False)}
        if len(words) != 2 * len(streams) or not streams or not streams.keys() <= {"send", "recv"}:
            _malformed("simulcast", value)
        self.simulcast = Simulcast(send=streams.get("send", ()), receive=streams.get("recv", ()))

    def read_ssrc(self, value: str) -> None:
        number, _, attribute = value.partition(" ")
        self.ssrcs[_number(number, 2**32 - 1, "SSRC")] = None
        _check_length(self.ssrcs)
        name, _, rest = attribute.partition(":")
        words = rest.split()
        if name == "cname" and words:
            self.cname = self.cname or words[0]
        elif name == "msid" and words and not self.ssrc_msids:
            self.ssrc_msids.append((words[0], words[1] if len(words) > 1 else ""))

    def read_ssrc_group(self, value: str) -> None:
        semantics, *numbers = value.split(maxsplit=MAX_ATTRIBUTES + 1) or [""]
        _check_length(numbers)
        _add(self.ssrc_groups, (semantics, tuple(_number(number, 2**32 - 1, "SSRC") for number in numbers)))

    def read_candidate(self, value: str) -> None:
        _add(self.candidates, value.strip())

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
            msids=tuple(self.msids or self.ssrc_msids),
            rtp_formats=tuple(self._rtp_formats()),
            extensions=tuple(self.extensions),
            extmap_allow_mixed="extmap-allow-mixed" in self.flags | session.flags,
            rids=tuple(self.rids),
            simulcast=self.simulcast,
            ssrcs=tuple(self.ssrcs),
            ssrc_groups=tuple(self.ssrc_groups),
            cname=self.cname,
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
        numbers = dict.fromkeys(
            int(word) for word in self.formats if len(word) < 4 and word.isascii() and word.isdigit()
        )
        for_all = self.feedback.get("*", {})
        _check_length(for_all, MAX_FEEDBACK_FOR_ALL)
        return [self._rtp_format(number, for_all) for number in numbers if number in self.rtpmaps]

    def _rtp_format(self, number: int, feedback_for_all: dict[str, None]) -> RtpFormat:
        name, clock_rate_hz, channels = self.rtpmaps[number]
        return RtpFormat(
            payload_type=number,
            name=name,
            clock_rate_hz=clock_rate_hz,
            channels=channels,
            fmtp=self.fmtps.get(number, ""),
            feedback=tuple(feedback_for_all | self.feedback.get(str(number), {})),
        )


_READERS: Mapping[str, Callable[[_Section, str], None]] = {
    "mid": _Section.read_mid,
    "msid": _Section.read_msid,
    "rtpmap": _Section.read_rtpmap,
    "fmtp": _Section.read_fmtp,
    "rtcp-fb": _Section.read_feedback,
    "extmap": _Section.read_extension,
    "rid": _Section.read_rid,
    "simulcast": _Section.read_simulcast,
    "ssrc": _Section.read_ssrc,
    "ssrc-group": _Section.read_ssrc_group,
    "candidate": _Section.read_candidate,
    "sctp-port": _Section.read_sctp_port,
    "max-message-size": _Section.read_max_message_size,
}


def _parse_fingerprint(value: str) -> Fingerprint:
    algorithm, digest = _two_words("fingerprint", value)
    return Fingerprint(algorithm=algorithm.lower(), value=digest.strip().upper())


def _parse_streams(value: str) -> tuple[tuple[str, ...], ...]:
    """RFC 8853 section 5.1: streams by `;`, alternatives of one by `,`."""
    streams = tuple(tuple(stream.split(",")) for stream in value.split(";", MAX_RIDS))
    names = [name.removeprefix("~") for stream in streams for name in stream[:MAX_RIDS]]
    if sum(map(len, streams)) > MAX_RIDS or not all(_RID.fullmatch(name) for name in names):
        _malformed("simulcast", value)
    return streams


def _two_words(attribute: str, value: str) -> tuple[str, str]:
    first, _, rest = value.strip().partition(" ")
    if not first or not rest:
        _malformed(attribute, value)
    return first, rest


def _add(items: list[Item], item: Item, limit: int = MAX_ATTRIBUTES) -> None:
    items.append(item)
    _check_length(items, limit)


def _check_length(items: Sized, limit: int = MAX_ATTRIBUTES) -> None:
    if len(items) > limit:
        raise MalformedError("too many lines or values of one kind in SDP")


def _number(text: str, limit: int, what: str) -> int:
    # int() alone would take signs, underscores and other scripts' digits.
    if not (text.isascii() and text.isdigit()) or len(text) > 20 or int(text) > limit:
        raise MalformedError(f"bad {what} in SDP: {text[:20]!r}")
    return int(text)


def _malformed(attribute: str, value: str) -> NoReturn:
    raise MalformedError(f"bad {attribute} in SDP: {value[:40]!r}")
