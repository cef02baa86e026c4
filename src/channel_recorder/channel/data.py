"""LiveKit's data channels: packets in, `DataReceived` out. Sans-IO.

A stream (text or file) is put together and told once, as `text_stream` or `byte_stream`; packets of streams are not.
Its attributes are the sender's and ours: stream.id, stream.bytes, stream.name, stream.mime_type, and
stream.incomplete where something is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from google.protobuf.message import DecodeError
from livekit.protocol import models as pb

from channel_recorder.channel.data_stream import DataStream, Limits
from channel_recorder.events import DataReceived
from channel_recorder.protocol.data_packets import data_from, opened_packet, sender_of

RELIABLE_LABEL = "_reliable"
LOSSY_LABEL = "_lossy"
MAX_SENDERS = 10_000
OpenPacket = Callable[[str, int, bytes, bytes], bytes | None]


class DataReceiver:
    """Both data channels of one connection."""

    def __init__(self, limits: Limits | None = None, open_packet: OpenPacket | None = None) -> None:
        """`open_packet(account, key_index, iv, sealed)`: what members encrypted; None: no key opens it."""
        self._limits = limits or Limits()
        self._open_packet = open_packet
        self._streams: dict[tuple[str, str], DataStream] = {}
        """By sender and stream id, the oldest first."""
        self._last_sequences: dict[str, int] = {}
        """Of reliable packets, by participant sid."""
        self.malformed_packets = 0
        self.ignored_packets = 0
        self.duplicate_packets = 0

    def receive(self, label: str, payload: bytes) -> Iterator[DataReceived]:
        """One message of the data channel `label`. What is malformed is counted and ignored."""
        if label not in (RELIABLE_LABEL, LOSSY_LABEL):
            self.ignored_packets += 1
            return
        try:
            packet = pb.DataPacket.FromString(payload)
        except DecodeError:
            self.malformed_packets += 1
            return
        reliable = label == RELIABLE_LABEL
        if reliable and self._is_duplicate(packet):
            self.duplicate_packets += 1
            return
        yield from self._accept(packet, reliable)

    def forget(self, participant_sid: str, identity: str) -> Iterator[DataReceived]:
        """The sender left: its unfinished streams are told as far as they came."""
        self._last_sequences.pop(participant_sid, None)
        for key in [key for key in self._streams if key[0] == identity]:
            yield self._streams.pop(key).incomplete("the sender left")

    def _is_duplicate(self, packet: pb.DataPacket) -> bool:
        """A server that resends after a migration may send again what was there. Old servers number nothing."""
        if not packet.sequence or not packet.participant_sid:
            return False
        if packet.sequence <= self._last_sequences.get(packet.participant_sid, 0):
            return True
        self._last_sequences[packet.participant_sid] = packet.sequence
        if len(self._last_sequences) > MAX_SENDERS:
            del self._last_sequences[next(iter(self._last_sequences))]
        return False

    def _accept(self, packet: pb.DataPacket, reliable: bool) -> Iterator[DataReceived]:
        sender = sender_of(packet)
        match packet.WhichOneof("value"):
            case "stream_header":
                yield from self._open(sender, packet.stream_header)
            case "stream_chunk":
                self._append(sender, packet.stream_chunk)
            case "stream_trailer":
                yield from self._close(sender, packet.stream_trailer)
            case "encrypted_packet" if (plain := self._opened(sender, packet)) is not None:
                yield from self._accept(plain, reliable)
            case _:
                data = data_from(packet, reliable=reliable)
                if data is None:
                    self.ignored_packets += 1
                else:
                    yield data

    def _opened(self, sender: str, packet: pb.DataPacket) -> pb.DataPacket | None:
        """None: it stays sealed, and is told as it came."""
        if self._open_packet is None:
            return None
        sealed = packet.encrypted_packet
        payload = self._open_packet(sender, sealed.key_index, sealed.iv, sealed.encrypted_value)
        return None if payload is None else opened_packet(packet, payload)

    def _open(self, sender: str, header: pb.DataStream.Header) -> Iterator[DataReceived]:
        key = (sender, header.stream_id)
        previous = self._streams.pop(key, None)
        if previous is not None:
            yield previous.incomplete("the sender began it again")
        if len(self._streams) >= self._limits.open_streams:
            oldest = next(iter(self._streams))
            yield self._streams.pop(oldest).incomplete("too many are open")
        stream = self._streams[key] = DataStream(sender, header, self._limits)
        if stream.is_whole_in_header:
            yield self._streams.pop(key).complete({})

    def _append(self, sender: str, chunk: pb.DataStream.Chunk) -> None:
        stream = self._streams.get((sender, chunk.stream_id))
        if stream is None or not stream.append(chunk):
            self.ignored_packets += 1

    def _close(self, sender: str, trailer: pb.DataStream.Trailer) -> Iterator[DataReceived]:
        stream = self._streams.pop((sender, trailer.stream_id), None)
        if stream is None:
            self.ignored_packets += 1
        elif trailer.reason:
            yield stream.incomplete(trailer.reason)
        else:
            yield stream.complete(trailer.attributes)
