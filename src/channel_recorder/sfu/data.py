"""Data packets between members: chat, RPC, streams and whatever applications send (LiveKit DataPacket).

Who sent a packet is what we say, not what the packet says.
"""

from __future__ import annotations

from google.protobuf.message import DecodeError
from livekit.protocol import models as pb

from channel_recorder.rtc.serve.contract import LOSSY_LABEL, RELIABLE_LABEL
from channel_recorder.sfu.limits import Limits, RateLimit

_KINDS: dict[str, pb.DataPacket.Kind] = {RELIABLE_LABEL: pb.DataPacket.RELIABLE, LOSSY_LABEL: pb.DataPacket.LOSSY}
LABELS: dict[int, str] = {kind: label for label, kind in _KINDS.items()}
_FORWARDED = frozenset(
    {
        "user",
        "sip_dtmf",
        "transcription",
        "chat_message",
        "rpc_request",
        "rpc_ack",
        "rpc_response",
        "stream_header",
        "stream_chunk",
        "stream_trailer",
        "encrypted_packet",
    }
)
"""Speakers are the server's to tell; metrics are for servers that collect them."""
FORGIVEN_DROPS_PER_SECOND = 100.0


class DataInlet:
    """What one member sends: read, and held to the limits."""

    def __init__(self, limits: Limits, now_seconds: float) -> None:
        self._longest = limits.data_packet_bytes
        self._packets = RateLimit(limits.data_packets_per_second, limits.data_packet_burst, now_seconds)
        self._bytes = RateLimit(limits.data_bytes_per_second, limits.data_byte_burst, now_seconds)
        self._patience = RateLimit(FORGIVEN_DROPS_PER_SECOND, limits.data_drops, now_seconds)
        self.dropped_packets = 0
        self.is_flooding = False

    def read(self, label: str, payload: bytes, now_seconds: float) -> pb.DataPacket | None:
        """None: it is not forwarded."""
        kind = _KINDS.get(label)
        if kind is None or len(payload) > self._longest or not self._is_in_time(payload, now_seconds):
            return self._drop(now_seconds)
        try:
            packet = pb.DataPacket.FromString(payload)
        except DecodeError:
            return self._drop(now_seconds)
        packet.kind = kind
        return packet if packet.WhichOneof("value") in _FORWARDED else None

    def _is_in_time(self, payload: bytes, now_seconds: float) -> bool:
        return self._packets.allows(1, now_seconds) and self._bytes.allows(len(payload), now_seconds)

    def _drop(self, now_seconds: float) -> None:
        self.dropped_packets += 1
        if not self._patience.allows(1, now_seconds):
            self.is_flooding = True


def sign(packet: pb.DataPacket, identity: str, sid: str) -> None:
    """Empty for hidden senders, and for the server itself."""
    packet.participant_identity = identity
    packet.participant_sid = sid
    if packet.WhichOneof("value") == "user":
        packet.user.participant_identity = identity
        packet.user.participant_sid = sid
        _unite_destinations(packet)


class Destinations:
    """For whom a packet is. Old clients name them in the user packet."""

    def __init__(self, packet: pb.DataPacket) -> None:
        user = packet.user if packet.WhichOneof("value") == "user" else None
        self._identities = frozenset(packet.destination_identities)
        self._sids = frozenset(user.destination_sids) if user else frozenset[str]()
        self._everybody = not self._identities and not self._sids

    def include(self, identity: str, sid: str) -> bool:
        return self._everybody or identity in self._identities or sid in self._sids


def _unite_destinations(packet: pb.DataPacket) -> None:
    """Receivers of either age find them where they look."""
    if packet.destination_identities:
        del packet.user.destination_identities[:]
        packet.user.destination_identities.extend(packet.destination_identities)
    else:
        packet.destination_identities.extend(packet.user.destination_identities)
