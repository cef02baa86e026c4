"""Every entrance for foreign bytes, by the name of its folder in the corpus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from channel_recorder.model import Codec
from fuzz.target import Target
from fuzz.targets import books, descriptions, media, sealed, signalling, streams, tokens, wire

TARGETS: Final[Mapping[str, Target]] = {
    "rtp": wire.rtp_packet,
    "rtcp": wire.rtcp_compound,
    "stun": wire.stun_request,
    "ice-candidate": wire.ice_candidate,
    "ice-server": wire.ice_server_url,
    "dependency-descriptor": wire.dependency_descriptor,
    "vp8-counters": wire.vp8_counters,
    **{f"depacketize-{codec.name.lower()}": media.depacketizer(codec) for codec in Codec},
    **{f"frames-{codec.name.lower()}": media.frames(codec) for codec in Codec},
    "receive": streams.receive,
    "forward": streams.forward,
    "sctp": streams.sctp,
    "data-packets": streams.data_packets,
    "sealed-frames": sealed.frames,
    "sealed-packets": sealed.packets,
    "sdp": descriptions.sdp,
    "offer-to-recorder": descriptions.recorder_answers,
    "offer-to-server": descriptions.server_answers,
    "answer-to-server": descriptions.server_offers,
    "signalling-client": signalling.client,
    "signalling-server": signalling.server,
    "signalling-json": signalling.json_frame,
    "room-service": signalling.room_service,
    "join-query": signalling.join_query,
    "join-request": signalling.join_request,
    "token": tokens.join,
    "token-claims": tokens.jwt_claims,
    "token-006": tokens.access_token_006,
    "token-007": tokens.access_token_007,
    "journal": books.journal,
    "manifest": books.manifest,
    "file-names": books.file_names,
    "byte-range": books.byte_range,
    "page-cookie": books.page_cookie,
    **{f"repair{suffix.replace('.', '-')}": books.repaired(suffix) for suffix in books.SUFFIXES},
}
