"""Random comings and goings: whatever happens, every track finds its m-line and descriptions stay small."""

from __future__ import annotations

import itertools
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.model import Codec, MediaKind
from channel_recorder.rtc.serve.answering import AnsweringNegotiator
from channel_recorder.rtc.serve.contract import Answer, PublishOptions
from channel_recorder.rtc.serve.offering import OfferingNegotiator
from channel_recorder.rtc.serve.outgoing import Outgoing
from channel_recorder.rtc.wire.sdp import SessionDescription
from channel_recorder.rtc.wire.sdp_parser import parse_session_description
from tests.rtc.serve.browser import (
    LOCAL,
    SOUND,
    AnsweringBrowser,
    OfferingBrowser,
    data,
    published,
    publishing,
    section,
)

TRACKS = (SOUND, published(Codec.VP8), published(Codec.VP9, Codec.VP8), published(Codec.H264, current=Codec.H264))
KINDS = ("audio", "video")
steps = st.lists(
    st.tuples(st.sampled_from(["send", "stop", "publish", "unpublish", "round"]), st.integers(0, 99)), max_size=40
)


class Wanted:
    """The tracks that are to be sent, and how many there ever were at a time."""

    def __init__(self, negotiator: AnsweringNegotiator | OfferingNegotiator) -> None:
        self._negotiator = negotiator
        self._names = itertools.count()
        self.tracks: list[Outgoing] = []
        self.peak = dict.fromkeys(MediaKind, 0)

    def send(self, choice: int) -> None:
        name = f"TR_{next(self._names)}"
        self.tracks.append(Outgoing(track=TRACKS[choice % len(TRACKS)], stream_id="PA_x|s", track_id=name))
        self._negotiator.add(self.tracks[-1])
        for kind in MediaKind:
            self.peak[kind] = max(self.peak[kind], sum(track.kind is kind for track in self.tracks))

    def stop(self, choice: int) -> None:
        if self.tracks:
            self._negotiator.remove(self.tracks.pop(choice % len(self.tracks)))

    @property
    def names(self) -> list[str]:
        return sorted(track.track_id for track in self.tracks)


class SinglePeer:
    """A client that publishes and receives over one connection."""

    def __init__(self) -> None:
        self.negotiator = AnsweringNegotiator(
            publish_options=lambda kind, track_id: PublishOptions(), ssrcs=itertools.count(1000)
        )
        self.wanted = Wanted(self.negotiator)
        self.browser = OfferingBrowser(data("0"))
        self.own: dict[int, str] = {}
        """Published, by index of the m-line."""
        self.received: set[str] = set()
        """What the server receives, as it was told."""

    def publish(self, choice: int) -> None:
        lines = self.browser.lines
        kind = KINDS[choice % 2]
        free = [i for i, line in enumerate(lines) if line.direction == "inactive" and line.kind == kind]
        index = free[0] if free else len(lines)
        line = publishing(kind, str(index), f"cid{choice}", ssrc=index + 1)
        lines[index : index + 1] = [line]
        self.own[index] = kind

    def unpublish(self, choice: int) -> None:
        if self.own:
            index = list(self.own)[choice % len(self.own)]
            self.browser.lines[index] = section(self.own.pop(index), str(index), "inactive")

    def round(self) -> Answer:
        for kind, count in self.negotiator.sections_missing().items():
            self.browser.add(kind, count)
        changes = self.negotiator.receive_offer(self.browser.offer())
        self.received -= {media.mid for media in changes.removed}
        self.received |= {media.mid for media in changes.added}
        answer = self.negotiator.answer(LOCAL)
        self.check(parse_session_description(answer.sdp), answer)
        return answer

    def check(self, answered: SessionDescription, answer: Answer) -> None:
        lines = self.browser.lines
        assert [(line.kind, line.mid) for line in answered.media] == [(line.kind, line.mid) for line in lines]
        assert self.received == {str(index) for index in self.own}
        sent = {line.mid: line.msids[0][1] for line in answered.media if line.direction == "sendonly"}
        assert sent == answer.track_ids
        assert len(set(sent.values())) == len(sent)
        ssrcs = [ssrc for line in answered.media for ssrc in line.ssrcs]
        assert len(set(ssrcs)) == len(ssrcs)
        for kind in MediaKind:
            receiving = sum(line.direction == "recvonly" and line.kind == kind for line in lines)
            assert receiving <= 2 * self.wanted.peak[kind]


@settings(deadline=None, max_examples=60)
@given(steps)
def test_a_client_with_one_connection_gets_every_track_within_two_rounds(taken: list[tuple[str, int]]):
    client = SinglePeer()
    client.round()
    for step, choice in taken:
        if step == "round":
            client.round()
        else:
            {
                "send": client.wanted.send,
                "stop": client.wanted.stop,
                "publish": client.publish,
                "unpublish": client.unpublish,
            }[step](choice)
    client.round()
    answer = client.round()
    assert sorted(answer.track_ids.values()) == client.wanted.names
    assert not client.negotiator.needs_offer()
    assert not any(client.negotiator.sections_missing().values())


@settings(deadline=None, max_examples=60)
@given(steps, st.booleans())
def test_a_subscriber_gets_every_track_within_two_rounds(taken: list[tuple[str, int]], knows_all: bool):
    negotiator = OfferingNegotiator(ssrcs=itertools.count(1000))
    browser = AnsweringBrowser() if knows_all else AnsweringBrowser(names=("opus", "VP8", "rtx"))
    wanted = Wanted(negotiator)
    sent: dict[str, str] = {}
    stopped: set[str] = set()

    def take_round() -> None:
        offer = negotiator.offer(LOCAL)
        if offer is None:
            assert not negotiator.needs_offer()
            return
        session = parse_session_description(offer)
        mids = [line.mid for line in session.media]
        assert len(set(mids)) == len(mids)
        for kind in MediaKind:
            assert sum(line.kind == kind for line in session.media) <= 2 * wanted.peak[kind]
        for sending in negotiator.receive_answer(browser.answer(offer)).sent:
            sent[sending.outgoing.track_id] = sending.description.mid
        assert not stopped & set(sent)

    for step, choice in taken:
        if step == "send":
            wanted.send(choice)
        elif step == "stop":
            before = set(wanted.names)
            wanted.stop(choice)
            stopped |= before - set(wanted.names) - set(sent)
        elif step == "round":
            take_round()
    take_round()
    take_round()
    assert not negotiator.needs_offer()
    known = [track for track in wanted.tracks if knows_all or track.kind is MediaKind.AUDIO or "vp8" in track.codecs]
    assert set(sent) >= {track.track_id for track in known}
    assert len({sent[track.track_id] for track in known}) == len(known)


def test_a_year_of_comings_and_goings_leaves_a_small_description():
    client = SinglePeer()
    negotiator = OfferingNegotiator(ssrcs=itertools.count(1000))
    browser, offered = AnsweringBrowser(), Wanted(negotiator)
    sizes: list[tuple[int, int]] = []
    for number in range(100):
        for wanted in (client.wanted, offered):
            wanted.send(number)
            wanted.send(number + 1)
            if number >= 5:
                wanted.stop(0)
                wanted.stop(number)
        client.round()
        offer = negotiator.offer(LOCAL)
        if offer is not None:
            negotiator.receive_answer(browser.answer(offer))
        sizes.append((len(client.browser.lines), len(browser.lines)))
    assert max(browser_lines for browser_lines, _ in sizes) <= 21
    assert max(subscriber_lines for _, subscriber_lines in sizes) <= 21


def test_a_line_taken_from_a_publisher_may_receive():
    """Chromium turns lines over like this when a sender is reused."""
    client = SinglePeer()
    client.publish(1)
    client.round()
    client.own.clear()
    client.browser.lines[1] = replace(section("video", "1", "recvonly"))
    client.wanted.send(1)
    assert client.round().track_ids == {"1": "TR_0"}
