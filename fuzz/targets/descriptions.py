"""Session descriptions: the parser, and the three who negotiate with them."""

from __future__ import annotations

import contextlib
import itertools

from channel_recorder.errors import ProtocolError
from channel_recorder.model import Codec
from channel_recorder.rtc.peer.negotiation import Negotiator
from channel_recorder.rtc.serve.answering import AnsweringNegotiator
from channel_recorder.rtc.serve.contract import PublishOptions
from channel_recorder.rtc.serve.offering import OfferingNegotiator
from channel_recorder.rtc.serve.outgoing import Outgoing
from channel_recorder.rtc.wire.sdp_parser import parse_session_description
from channel_recorder.rtc.wire.sdp_writer import write_session_description
from fuzz.records import unpack
from tests.rtc.serve.browser import LOCAL, PICTURES, SOUND, published


def sdp(data: bytes) -> None:
    """What was read is written as it means: reading it again gives the same."""
    with contextlib.suppress(ProtocolError):
        session = parse_session_description(data.decode("utf-8", "replace"))
        assert parse_session_description(write_session_description(session)) == session


def recorder_answers(data: bytes) -> None:
    """A server's offers, one after the other."""
    negotiator = Negotiator()
    for offer in unpack(data):
        with contextlib.suppress(ProtocolError):
            negotiator.receive_offer(offer.decode("utf-8", "replace"))
            parse_session_description(negotiator.answer(LOCAL))


def server_answers(data: bytes) -> None:
    """A browser's offers, while tracks come and go."""
    negotiator = AnsweringNegotiator(publish_options=lambda _kind, _id: PublishOptions(), ssrcs=itertools.count(1000))
    outgoing = [
        Outgoing(track=track, stream_id=f"PA_{number}|camera", track_id=f"TR_{number}")
        for number, track in enumerate((SOUND, PICTURES, published(Codec.H264, Codec.AV1)))
    ]
    for number, offer in enumerate(unpack(data)):
        track = outgoing[number % len(outgoing)]
        (negotiator.add if number // len(outgoing) % 2 == 0 else negotiator.remove)(track)
        with contextlib.suppress(ProtocolError):
            negotiator.receive_offer(offer.decode("utf-8", "replace"))
            parse_session_description(negotiator.answer(LOCAL).sdp)
        negotiator.sections_missing()


def server_offers(data: bytes) -> None:
    """A client's answers to our offer of sound and picture."""
    negotiator = OfferingNegotiator(ssrcs=itertools.count(1000))
    for number, track in enumerate((SOUND, PICTURES)):
        negotiator.add(Outgoing(track=track, stream_id=f"PA_{number}|camera", track_id=f"TR_{number}"))
    negotiator.offer(LOCAL)
    for answer in unpack(data):
        with contextlib.suppress(ProtocolError):
            negotiator.receive_answer(answer.decode("utf-8", "replace"))
            return
