"""aiortc's SCTP association (RFC 9260), with bounds to what a far side can make it keep and compute.

aiortc trusts its far side: it reads a parameter of length 0 for ever, keeps any number of fragments and opens any
number of channels, and an acknowledgement may name 65535 packets in each of 300 blocks. What is replaced here are
private methods of it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Coroutine
from typing import Any, cast

from aiortc.rtcdatachannel import RTCDataChannel
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcsctptransport import (
    WEBRTC_BINARY,
    WEBRTC_BINARY_EMPTY,
    WEBRTC_DCEP,
    Chunk,
    DataChunk,
    ForwardTsnChunk,
    RTCSctpTransport,
    SackChunk,
)

from channel_recorder.errors import MalformedError, ProtocolError

MAX_STREAMS = 128
"""Channels are numbered from 0 or 1 in steps of two."""
MAX_OPEN_BYTES = 1024
"""Of the message that opens a channel: its label and protocol."""
MAX_CHUNKS_AHEAD = 1024
"""Behind a gap. More is not acknowledged, hence sent again later."""
MAX_HELD_CHUNKS = 512
"""Of messages that are not whole, or behind a gap."""
MAX_GAP_BLOCKS = 200
MAX_DUPLICATES = 50
"""In an acknowledgement of ours: what a datagram holds."""
CHUNKS_PER_SECOND = 4000.0
"""A packet counts as one, too. More than 15 Mbit/s; SCTP takes what is dropped for congestion."""
BURST_CHUNKS = 4000.0

_COMMON_HEADER_BYTES = 12
_CHUNK_HEADER = struct.Struct("!BBH")
_PARAMETER_HEADER = struct.Struct("!HH")
_PARAMETERS_AT = {1: 20, 2: 20, 4: 4, 5: 4, 6: 4, 9: 4, 130: 4}
"""Where parameters begin, by the type of the chunk."""
_HALF = 2**31
# What aiortc's parsers raise at bytes they did not expect.
_FOREIGN_BYTES_ERRORS = (AssertionError, LookupError, ValueError, TypeError, AttributeError, NameError, struct.error)


class Association(RTCSctpTransport):
    """One association over our DTLS."""

    def __init__(self, port: int, *, is_dtls_client: bool, send: Callable[[bytes], None]) -> None:
        # aiortc asks its DTLS transport for these few things only.
        adapter = _DtlsAdapter("client" if is_dtls_client else "server", send)
        super().__init__(cast("RTCDtlsTransport", adapter), port)
        self._inbound_streams_max = MAX_STREAMS
        self._held_chunks = 0
        self._budget_chunks = BURST_CHUNKS
        self._budget_seconds = 0.0

    def receive(self, packet: bytes, now_seconds: float) -> None:
        """Raises MalformedError for what can be passed over, ProtocolError for what ends the association."""
        elapsed_seconds = max(0.0, now_seconds - self._budget_seconds)
        self._budget_chunks = min(BURST_CHUNKS, self._budget_chunks + elapsed_seconds * CHUNKS_PER_SECOND) - 1
        self._budget_seconds = now_seconds
        if self._budget_chunks < 0:
            self._budget_chunks = 0.0
            raise MalformedError("more SCTP packets than anybody needs")
        _check_packet(packet)
        try:
            run_at_once(self._handle_data(packet))
        except _FOREIGN_BYTES_ERRORS as error:
            raise MalformedError("bad SCTP packet") from error

    def send_message(self, channel: RTCDataChannel, payload: bytes) -> None:
        """Without the task that `RTCDataChannel.send` makes for every message."""
        protocol, data = (WEBRTC_BINARY, payload) if payload else (WEBRTC_BINARY_EMPTY, b"\0")
        channel._addBufferedAmount(len(data))  # pyright: ignore[reportPrivateUsage]
        self._data_channel_queue.append((channel, protocol, data))
        run_at_once(self._data_channel_flush())

    # Replaced

    def _mark_received(self, tsn: int) -> bool:
        """Whether it is a duplicate. aiortc sorts and filters all numbers for each."""
        last = self._last_received_tsn or 0
        if not 0 < tsn - last & 0xFFFFFFFF < _HALF or tsn in self._sack_misordered:
            self._sack_duplicates.append(tsn)
            return True
        self._sack_misordered.add(tsn)
        while (following := last + 1 & 0xFFFFFFFF) in self._sack_misordered:
            self._sack_misordered.remove(following)
            last = following
        self._last_received_tsn = last
        return False

    async def _receive_data_chunk(self, chunk: DataChunk) -> None:
        if self._last_received_tsn is None:
            raise MalformedError("SCTP data before the association")
        if chunk.stream_id >= MAX_STREAMS:
            raise ProtocolError("SCTP data on a stream that was not agreed on")
        self._sack_needed = True
        if not self._has_room(chunk):
            return
        self._budget_chunks -= 1
        held_before = self._held_in(chunk.stream_id)
        await super()._receive_data_chunk(chunk)
        self._held_chunks += self._held_in(chunk.stream_id) - held_before

    async def _receive_forward_tsn_chunk(self, chunk: ForwardTsnChunk) -> None:
        if any(stream_id >= MAX_STREAMS for stream_id, _ in chunk.streams):
            raise ProtocolError("SCTP data skipped on a stream that was not agreed on")
        await super()._receive_forward_tsn_chunk(chunk)
        self._held_chunks = sum(map(self._held_in, self._inbound_streams))

    async def _reset_deferred_streams(self) -> None:
        before = len(self._inbound_streams)
        await super()._reset_deferred_streams()
        if len(self._inbound_streams) < before:
            self._held_chunks = sum(map(self._held_in, self._inbound_streams))

    async def _receive_sack_chunk(self, chunk: SackChunk) -> None:
        sent = self._local_tsn - 1 - chunk.cumulative_tsn & 0xFFFFFFFF
        if sent >= _HALF:
            raise MalformedError("SCTP acknowledgement of what was never sent")
        end = 0
        for first, last in cast("list[tuple[int, int]]", chunk.gaps):  # pyright: ignore[reportUnknownMemberType]
            if not end < first <= last <= sent:
                raise MalformedError("SCTP acknowledgement of what was never sent")
            end = last
        await super()._receive_sack_chunk(chunk)

    async def _send_chunk(self, chunk: Chunk) -> None:
        if isinstance(chunk, SackChunk):
            chunk.gaps = chunk.gaps[:MAX_GAP_BLOCKS]  # pyright: ignore[reportUnknownMemberType]
            chunk.duplicates = chunk.duplicates[:MAX_DUPLICATES]  # pyright: ignore[reportUnknownMemberType]
        await super()._send_chunk(chunk)

    async def _data_channel_receive(self, stream_id: int, pp_id: int, data: bytes) -> None:
        if pp_id == WEBRTC_DCEP and len(data) > MAX_OPEN_BYTES:
            raise ProtocolError("a data channel with too long a name")
        await super()._data_channel_receive(stream_id, pp_id, data)

    def _has_room(self, chunk: DataChunk) -> bool:
        """A chunk that closes a gap is always taken, unless so much is held that the far side can't know better."""
        ahead = chunk.tsn - (self._last_received_tsn or 0) & 0xFFFFFFFF
        if self._held_chunks >= 2 * MAX_HELD_CHUNKS or self._advertised_rwnd < -(1024 * 1024):
            raise ProtocolError("SCTP messages that never end")
        if self._budget_chunks <= 0 or MAX_CHUNKS_AHEAD < ahead < _HALF:
            return False
        is_full = self._held_chunks >= MAX_HELD_CHUNKS or self._advertised_rwnd <= 0
        return ahead == 1 or not is_full

    def _held_in(self, stream_id: int) -> int:
        stream = self._inbound_streams.get(stream_id)
        return len(stream.reassembly) if stream is not None else 0


class _DtlsAdapter:
    """The part of aiortc's RTCDtlsTransport that its SCTP uses."""

    state = "connected"

    def __init__(self, role: str, send: Callable[[bytes], None]) -> None:
        self._role = role
        self._send = send

    async def _send_data(self, data: bytes) -> None:
        self._send(data)

    def _register_data_receiver(self, receiver: object) -> None: ...

    def _unregister_data_receiver(self, receiver: object) -> None: ...


def run_at_once(coroutine: Coroutine[Any, Any, None]) -> None:
    """aiortc's SCTP is written as coroutines but waits for nothing except `_send_data`, and ours never waits:
    no task for each packet, and packets stay in order."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise RuntimeError("aiortc's SCTP waited for something")


def _check_packet(packet: bytes) -> None:
    """The chunks and their parameters end where they say (RFC 9260 sections 3.2 and 3.2.1)."""
    position = _COMMON_HEADER_BYTES
    while position + _CHUNK_HEADER.size <= len(packet):
        kind, _, length = _CHUNK_HEADER.unpack_from(packet, position)
        if length < _CHUNK_HEADER.size or position + length > len(packet):
            raise MalformedError("SCTP chunk longer than its packet")
        parameters_at = _PARAMETERS_AT.get(kind)
        if parameters_at is not None:
            _check_parameters(packet, position + parameters_at, position + length)
        position += length + (-length & 3)


def _check_parameters(packet: bytes, position: int, end: int) -> None:
    while position + _PARAMETER_HEADER.size <= end:
        _, length = _PARAMETER_HEADER.unpack_from(packet, position)
        if length < _PARAMETER_HEADER.size:
            raise MalformedError("SCTP parameter without length")
        position += length + (-length & 3)
