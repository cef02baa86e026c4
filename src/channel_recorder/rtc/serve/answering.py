"""The server's answers to one far side's offers (RFC 9429, RFC 8843): what it publishes we receive, and tracks that
wait to be sent get the m-lines it keeps free for us. Sans-IO.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from channel_recorder.errors import ProtocolError
from channel_recorder.model import Codec, MediaKind
from channel_recorder.rtc.description import MediaDescription
from channel_recorder.rtc.peer.sections import (
    DataChannels,
    LocalTransport,
    RemoteTransport,
    bundled_sections,
    compare_media,
    data_channels,
    is_media,
    mid_of,
    rejection,
    remote_transport,
    sends,
)
from channel_recorder.rtc.serve.answer_sections import has_known_codec, idle_section, receiving_section, sending_section
from channel_recorder.rtc.serve.contract import Answer, PublishOptions
from channel_recorder.rtc.serve.outgoing import (
    MAX_DESCRIPTION_CHARACTERS,
    MAX_MESSAGE_BYTES,
    Outgoing,
    Sending,
    Ssrcs,
)
from channel_recorder.rtc.wire.sdp import MediaSection, SessionDescription
from channel_recorder.rtc.wire.sdp_parser import parse_session_description
from channel_recorder.rtc.wire.sdp_writer import write_session_description


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferChanges:
    """What an offer changed, in the order in which to apply it."""

    transport: RemoteTransport
    removed: tuple[MediaDescription, ...]
    changed: tuple[MediaDescription, ...]
    """The same track, but another SSRC, payload type or extension."""
    added: tuple[MediaDescription, ...]
    unsent: tuple[Outgoing, ...]
    """Their m-line is gone. They wait for another, unless somebody stopped them."""
    sent: tuple[Sending, ...]
    """New on an m-line, or described anew."""
    data_channels: DataChannels | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """An m-line of an offer that can be accepted."""

    index: int
    mid: str
    offered: MediaSection

    @property
    def is_free(self) -> bool:
        """The far side would receive on it, and does not send."""
        return self.offered.direction == "recvonly" and is_media(self.offered)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """An m-line that was given to a track. What does not depend on the offer stays the same from offer to offer."""

    outgoing: Outgoing
    codecs: tuple[Codec, ...]
    ssrcs: Ssrcs


@dataclass(slots=True)
class _Round:
    """One offer and what is answered to it."""

    offer: SessionDescription = field(default_factory=SessionDescription)
    accepted: dict[int, MediaSection] = field(default_factory=dict[int, MediaSection])
    """By index of the m-line."""
    media: dict[str, MediaDescription] = field(default_factory=dict[str, MediaDescription])
    """By mid, as all that follows."""
    sent: dict[str, Sending] = field(default_factory=dict[str, Sending])
    free: dict[str, MediaKind] = field(default_factory=dict[str, MediaKind])
    """m-lines that lie idle and that the far side would receive on."""
    data_channels: DataChannels | None = None


class AnsweringNegotiator:
    """`receive_offer`, then `answer`, again and again; `add` and `remove` tracks to send at any time between.

    An m-line whose track was taken away is answered inactive once before another track gets it: clients announce a
    new track only where nothing was received before.
    """

    def __init__(
        self,
        *,
        publish_options: Callable[[MediaKind, str], PublishOptions],
        ssrcs: Iterator[int],
        session_id: int = 1,
        cname: str = "server",
    ) -> None:
        """`ssrcs`: numbers of 32 bits that do not repeat."""
        self.is_dtls_client = False
        """We wait: the far side may begin as soon as it has a path."""
        self._publish_options = publish_options
        self._ssrcs = ssrcs
        self._session_id = session_id
        self._cname = cname
        self._version = 0
        self._waiting: dict[Outgoing, None] = {}
        self._refused: set[Outgoing] = set()
        """Those of the waiting whose codecs the far side does not take: no m-line would help them."""
        self._places: dict[str, _Place] = {}
        """By mid."""
        self._stopped: set[str] = set()
        """m-lines that we still send on, as far as the far side knows."""
        self._round = _Round()

    # Tracks to send

    def add(self, outgoing: Outgoing) -> None:
        self._waiting[outgoing] = None

    def remove(self, outgoing: Outgoing) -> None:
        """Its m-line is answered inactive the next time."""
        self._waiting.pop(outgoing, None)
        self._refused.discard(outgoing)
        self._stopped.update(mid for mid, place in self._places.items() if place.outgoing is outgoing)

    def sections_missing(self) -> dict[MediaKind, int]:
        """How many m-lines the far side must add for the tracks that wait."""
        wanted = [outgoing.kind for outgoing in self._waiting if outgoing not in self._refused]
        free = list(self._round.free.values())
        return {kind: max(0, wanted.count(kind) - free.count(kind)) for kind in MediaKind}

    def needs_offer(self) -> bool:
        return bool(self._stopped) or any(outgoing not in self._refused for outgoing in self._waiting)

    # Offer and answer

    def receive_offer(self, text: str) -> OfferChanges:
        """Raises MalformedError, or ProtocolError where no transport can come of it; then nothing changed."""
        offer = parse_session_description(text, max_characters=MAX_DESCRIPTION_CHARACTERS)
        _check_mids(offer)
        transport = remote_transport(offer, self.is_dtls_client)
        lines = _lines(offer)
        if not lines:
            raise ProtocolError("the offer has nothing that can be accepted")
        before, self._round = self._round, _Round(offer=offer)
        self._keep_places(lines)
        self._find_places([line for mid, line in lines.items() if line.is_free and mid not in self._stopped])
        for line in lines.values():
            self._accept(line)
        self._stopped.clear()
        self.is_dtls_client = transport.dtls_client
        return _changes(before, self._round, transport)

    def answer(self, local: LocalTransport) -> Answer:
        """To the offer taken last."""
        self._version += 1
        offer, accepted = self._round.offer, self._round.accepted
        indexes = {mid_of(section, index): index for index, section in enumerate(offer.media)}
        bundle = [mid for mid in dict.fromkeys(offer.bundle or indexes) if indexes.get(mid) in accepted]
        session = SessionDescription(
            session_id=self._session_id,
            version=self._version,
            bundle=tuple(bundle),
            ice_lite=True,
            media=tuple(
                self._with_transport(accepted[index], local, is_first=index == indexes[bundle[0]])
                if index in accepted
                else rejection(section)
                for index, section in enumerate(offer.media)
            ),
        )
        track_ids = {mid: sending.outgoing.track_id for mid, sending in self._round.sent.items()}
        return Answer(sdp=write_session_description(session), track_ids=track_ids)

    def _with_transport(self, section: MediaSection, local: LocalTransport, *, is_first: bool) -> MediaSection:
        return replace(
            section,
            ice_ufrag=local.ice_ufrag,
            ice_pwd=local.ice_pwd,
            fingerprints=(local.fingerprint,),
            setup="active" if self.is_dtls_client else "passive",
            candidates=local.candidates if is_first else (),
            end_of_candidates=is_first,
        )

    # Places

    def _keep_places(self, lines: Mapping[str, _Line]) -> None:
        """Tracks stay where they are while the far side lets them; those that lose their m-line are first again."""
        lost: list[Outgoing] = []
        for mid, place in list(self._places.items()):
            line = lines.get(mid)
            if mid in self._stopped:
                del self._places[mid]
            elif line is None or not line.is_free or not self._put(line, _refreshed(place)):
                del self._places[mid]
                lost.append(place.outgoing)
        self._waiting = dict.fromkeys([*lost, *self._waiting])

    def _find_places(self, free: list[_Line]) -> None:
        """Waiting tracks get what is free, in the order they were added."""
        free = [line for line in free if line.mid not in self._places]
        for outgoing in list(self._waiting):
            candidates = [line for line in free if line.offered.kind == outgoing.kind]
            taken = self._find_line(outgoing, candidates)
            if taken is not None:
                free.remove(taken)
                del self._waiting[outgoing]
                self._refused.discard(outgoing)
            elif candidates:
                self._refused.add(outgoing)

    def _find_line(self, outgoing: Outgoing, candidates: list[_Line]) -> _Line | None:
        if not candidates:
            return None
        ssrcs = Ssrcs.take(outgoing.kind, self._ssrcs)
        place = _Place(outgoing=outgoing, codecs=outgoing.codecs, ssrcs=ssrcs)
        return next((line for line in candidates if self._put(line, place)), None)

    def _put(self, line: _Line, place: _Place) -> bool:
        """Send `place` on `line`, if the far side takes its codecs there."""
        sending = sending_section(line.offered, line.mid, place.outgoing, place.codecs, place.ssrcs, self._cname)
        if sending is None:
            return False
        self._places[line.mid] = place
        self._round.accepted[line.index] = sending.section
        self._round.sent[line.mid] = Sending(outgoing=place.outgoing, description=sending.description)
        return True

    # Sections

    def _accept(self, line: _Line) -> None:
        if line.mid in self._round.sent or (sends(line.offered) and self._receive(line)):
            return
        if not is_media(line.offered):
            self._round.accepted[line.index] = _data_section(line.offered, line.mid)
            self._round.data_channels = data_channels(line.offered)
            return
        self._round.accepted[line.index] = idle_section(line.offered, line.mid)
        if line.is_free:
            self._round.free[line.mid] = MediaKind(line.offered.kind)

    def _receive(self, line: _Line) -> bool:
        offered = line.offered
        if not is_media(offered):
            return False
        options = self._publish_options(MediaKind(offered.kind), offered.msids[0][1] if offered.msids else "")
        receiving = receiving_section(offered, line.mid, options) if options.accepted else None
        if receiving is None:
            return False
        self._round.accepted[line.index] = receiving.section
        self._round.media[line.mid] = receiving.media
        return True


def _refreshed(place: _Place) -> _Place:
    """A publisher that went over to another codec is followed with the next offer."""
    codec = place.outgoing.track.codec
    return place if codec is None or codec in place.codecs else replace(place, codecs=place.outgoing.codecs)


def _changes(before: _Round, now: _Round, transport: RemoteTransport) -> OfferChanges:
    removed, changed, added = compare_media(before.media, now.media)
    stay = {each.outgoing for mid, each in now.sent.items() if _is_sent(each.outgoing, before.sent.get(mid))}
    return OfferChanges(
        transport=transport,
        removed=removed,
        changed=changed,
        added=added,
        unsent=tuple(each.outgoing for each in before.sent.values() if each.outgoing not in stay),
        sent=tuple(each for mid, each in now.sent.items() if each != before.sent.get(mid)),
        data_channels=now.data_channels,
    )


def _is_sent(outgoing: Outgoing, sending: Sending | None) -> bool:
    return sending is not None and sending.outgoing is outgoing


def _check_mids(offer: SessionDescription) -> None:
    mids = {mid_of(section, index) for index, section in enumerate(offer.media)}
    if len(mids) != len(offer.media):
        raise ProtocolError("two media sections of the offer have the same mid")


def _lines(offer: SessionDescription) -> dict[str, _Line]:
    """By mid; rejected and unknown ones are left out."""
    return {
        mid_of(section, index): _Line(index=index, mid=mid_of(section, index), offered=section)
        for index, section in bundled_sections(offer).items()
        if not section.is_rejected and (has_known_codec(section) if is_media(section) else data_channels(section))
    }


def _data_section(section: MediaSection, mid: str) -> MediaSection:
    return MediaSection(
        kind=section.kind,
        protocol=section.protocol,
        formats=section.formats,
        mid=mid,
        sctp_port=section.sctp_port,
        max_message_size=MAX_MESSAGE_BYTES,
    )
