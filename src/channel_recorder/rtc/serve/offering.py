"""The server's offers to one far side that only receives (RFC 9429 sections 5.2, 5.8). Sans-IO.

Data channels first, then an m-line for each track. What a track leaves behind is rejected and then given to a later
track under a new mid, so a description does not grow with coming and going.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from channel_recorder.errors import ProtocolError, StateError
from channel_recorder.model import Codec, MediaKind
from channel_recorder.rtc.description import SendDescription
from channel_recorder.rtc.forward.dependency import DEPENDENCY_DESCRIPTOR_URI
from channel_recorder.rtc.peer.sections import (
    DataChannels,
    LocalTransport,
    RemoteTransport,
    bundled_sections,
    data_channels,
    is_media,
    payload_types,
    receives,
    rejection,
    remote_transport,
)
from channel_recorder.rtc.serve.offered_formats import offered_formats
from channel_recorder.rtc.serve.outgoing import (
    LAYERED_CODECS,
    MAX_DESCRIPTION_CHARACTERS,
    MAX_MESSAGE_BYTES,
    SEND_FEEDBACK,
    Outgoing,
    Sending,
    Ssrcs,
)
from channel_recorder.rtc.wire.extension_uris import MID_URI
from channel_recorder.rtc.wire.sdp import Extension, MediaSection, RtpFormat, SessionDescription
from channel_recorder.rtc.wire.sdp_parser import parse_session_description
from channel_recorder.rtc.wire.sdp_writer import write_session_description

DATA_MID = "0"
SCTP_PORT = 5000
_MID = Extension(number=1, uri=MID_URI)
_DEPENDENCY_DESCRIPTOR = Extension(number=2, uri=DEPENDENCY_DESCRIPTOR_URI)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerChanges:
    """What an answer changed, in the order in which to apply it."""

    transport: RemoteTransport
    unsent: tuple[Outgoing, ...]
    """The far side does not want them any more."""
    sent: tuple[Sending, ...]
    """New, or described anew."""
    data_channels: DataChannels | None


@dataclass(slots=True)
class _Line:
    """One of our m-lines behind the first."""

    kind: MediaKind
    mid: str
    outgoing: Outgoing | None
    """None: rejected, to be recycled."""
    formats: tuple[RtpFormat, ...]
    codecs: tuple[Codec, ...]
    ssrcs: Ssrcs
    is_agreed: bool = False
    """Rejected lines: both ends have said so, hence another may take the place."""
    sending: Sending | None = None

    @property
    def extensions(self) -> tuple[Extension, ...]:
        return (_MID, _DEPENDENCY_DESCRIPTOR) if LAYERED_CODECS.intersection(self.codecs) else (_MID,)


class OfferingNegotiator:
    """`add` and `remove` tracks at any time; `offer` while `needs_offer`, then `receive_answer`."""

    def __init__(self, *, ssrcs: Iterator[int], session_id: int = 1, cname: str = "server") -> None:
        """`ssrcs`: numbers of 32 bits that do not repeat."""
        self.is_dtls_client = False
        self._ssrcs = ssrcs
        self._session_id = session_id
        self._cname = cname
        self._version = 0
        self._last_mid = 0
        self._waiting: dict[Outgoing, None] = {}
        self._stopped: set[Outgoing] = set()
        """Those that still have an m-line."""
        self._lines: list[_Line] = []
        self._is_unanswered = False

    def add(self, outgoing: Outgoing) -> None:
        self._waiting[outgoing] = None

    def remove(self, outgoing: Outgoing) -> None:
        """Its m-line is rejected in the next offer."""
        self._waiting.pop(outgoing, None)
        if any(line.outgoing is outgoing for line in self._lines):
            self._stopped.add(outgoing)

    def needs_offer(self) -> bool:
        return not self._version or bool(self._waiting or self._stopped)

    def offer(self, local: LocalTransport) -> str | None:
        """None while one is unanswered, or if there is nothing new to say."""
        if self._is_unanswered or not self.needs_offer():
            return None
        self._reject_stopped()
        self._find_lines()
        self._version += 1
        self._is_unanswered = True
        sections = [self._data_section(), *(self._section(line) for line in self._lines)]
        session = SessionDescription(
            session_id=self._session_id,
            version=self._version,
            bundle=(DATA_MID, *(line.mid for line in self._lines if line.outgoing is not None)),
            ice_lite=True,
            media=tuple(_with_transport(section, local) for section in sections),
        )
        return write_session_description(session)

    def receive_answer(self, text: str) -> AnswerChanges:
        """Raises MalformedError, ProtocolError (nothing changed), or StateError if no offer is unanswered."""
        if not self._is_unanswered:
            raise StateError("no offer is waiting for an answer")
        answer = parse_session_description(text, max_characters=MAX_DESCRIPTION_CHARACTERS)
        self._check(answer)
        transport = remote_transport(answer, self.is_dtls_client)
        self._is_unanswered = False
        self.is_dtls_client = transport.dtls_client
        before = {line.mid: line.sending for line in self._lines if line.sending is not None}
        bundled = bundled_sections(answer)
        for index, line in enumerate(self._lines, 1):
            self._agree(line, answer.media[index], is_bundled=index in bundled)
        after = {line.mid: line.sending for line in self._lines if line.sending is not None}
        return AnswerChanges(
            transport=transport,
            unsent=tuple(before[mid].outgoing for mid in before if mid not in after),
            sent=tuple(after[mid] for mid in after if after[mid] != before.get(mid)),
            data_channels=data_channels(answer.media[0]) if not answer.media[0].is_rejected else None,
        )

    # The offer

    def _reject_stopped(self) -> None:
        for line in self._lines:
            if line.outgoing in self._stopped:
                line.outgoing, line.sending, line.is_agreed = None, None, False
        self._stopped.clear()

    def _find_lines(self) -> None:
        """An m-line for every track that waits, except for those with codecs that nobody knows."""
        waiting, self._waiting = self._waiting, {}
        free = [index for index, line in enumerate(self._lines) if line.outgoing is None and line.is_agreed]
        for outgoing in waiting:
            formats = offered_formats(outgoing)
            # Another kind in its place would be allowed, but is asking much of old clients.
            index = next((index for index in free if self._lines[index].kind is outgoing.kind), None)
            if not formats:
                continue
            if index is None:
                self._lines.append(self._new_line(outgoing, formats))
            else:
                free.remove(index)
                self._lines[index] = self._new_line(outgoing, formats)

    def _new_line(self, outgoing: Outgoing, formats: tuple[RtpFormat, ...]) -> _Line:
        self._last_mid += 1
        return _Line(
            kind=outgoing.kind,
            mid=str(self._last_mid),
            outgoing=outgoing,
            formats=formats,
            codecs=outgoing.codecs,
            ssrcs=Ssrcs.take(outgoing.kind, self._ssrcs),
        )

    def _data_section(self) -> MediaSection:
        return MediaSection(
            kind="application",
            protocol="UDP/DTLS/SCTP",
            formats=("webrtc-datachannel",),
            mid=DATA_MID,
            sctp_port=SCTP_PORT,
            max_message_size=MAX_MESSAGE_BYTES,
        )

    def _section(self, line: _Line) -> MediaSection:
        section = MediaSection(
            kind=line.kind,
            mid=line.mid,
            formats=tuple(str(each.payload_type) for each in line.formats),
            direction="sendonly",
            rtp_formats=line.formats,
            extensions=line.extensions,
            extmap_allow_mixed=True,
            rtcp_mux=True,
            rtcp_rsize=True,
        )
        if line.outgoing is None:
            return rejection(section)
        return replace(
            section,
            msids=(line.outgoing.msid,),
            ssrcs=line.ssrcs.all,
            ssrc_groups=line.ssrcs.groups,
            cname=self._cname,
        )

    # The answer

    def _check(self, answer: SessionDescription) -> None:
        """RFC 9429 section 5.3.1: section for section, in our order."""
        ours = [("application", DATA_MID), *((line.kind.value, line.mid) for line in self._lines)]
        if len(answer.media) != len(ours):
            raise ProtocolError(f"the answer has {len(answer.media)} sections instead of {len(ours)}")
        for section, (kind, mid) in zip(answer.media, ours, strict=True):
            if section.kind != kind or section.mid not in (None, mid):
                raise ProtocolError("the sections of the answer are not those of the offer")
            if section.setup == "actpass":
                raise ProtocolError("the answer leaves open who begins with DTLS")

    def _agree(self, line: _Line, section: MediaSection, *, is_bundled: bool) -> None:
        outgoing, before = line.outgoing, line.sending
        if outgoing is None or section.is_rejected:
            line.outgoing, line.sending, line.is_agreed = None, None, True
            self._stopped.discard(outgoing)
            return
        description = _description(line, section) if is_bundled and outgoing not in self._stopped else None
        line.sending = Sending(outgoing=outgoing, description=description) if description else None
        if before is not None and line.sending is None:
            # Should it be wanted again: an SSRC that was given up is not used again.
            line.ssrcs = Ssrcs.take(line.kind, self._ssrcs)


def _description(line: _Line, section: MediaSection) -> SendDescription | None:
    """What the far side takes. None if that is nothing."""
    accepted = payload_types(section, line.codecs, SEND_FEEDBACK[line.kind])
    if not accepted or not receives(section) or not is_media(section):
        return None
    return SendDescription(
        mid=line.mid,
        kind=line.kind,
        payload_types=accepted,
        ssrc=line.ssrcs.media,
        rtx_ssrc=line.ssrcs.rtx if any(each.retransmits is not None for each in accepted) else None,
        header_extensions={each.number: each.uri for each in section.extensions if each in line.extensions},
    )


def _with_transport(section: MediaSection, local: LocalTransport) -> MediaSection:
    if not section.port:
        return section
    is_first = section.mid == DATA_MID
    return replace(
        section,
        ice_ufrag=local.ice_ufrag,
        ice_pwd=local.ice_pwd,
        fingerprints=(local.fingerprint,),
        setup="actpass",
        candidates=local.candidates if is_first else (),
        end_of_candidates=is_first,
    )
