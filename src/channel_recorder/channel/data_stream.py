"""One stream of a participant (a text or a file, sent in chunks), put together within limits. Sans-IO."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from livekit.protocol import models as pb

from channel_recorder.events import DataReceived

_CHUNK_OVERHEAD_BYTES = 64
"""What keeping a chunk costs beside its content: empty ones count too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    open_streams: int = 256
    stream_bytes: int = 1024 * 1024
    """What is beyond is left out, and the stream told as incomplete."""


class DataStream:
    """From its header to its trailer. Chunks may be repeated, corrected or out of order.

    Senders compress if everybody they see can decompress; a hidden recorder is not among those they see.
    """

    def __init__(self, sender: str, header: pb.DataStream.Header, limits: Limits) -> None:
        self._sender = sender
        self._header = header
        self._limit_bytes = limits.stream_bytes
        self._budget_bytes = limits.stream_bytes
        self._chunks: dict[int, bytes] = {}
        self._is_cut = False
        self.is_whole_in_header = header.HasField("inline_content")
        if self.is_whole_in_header:
            self._keep(0, header.inline_content)

    def append(self, chunk: pb.DataStream.Chunk) -> bool:
        """False for a chunk that was there already and is no correction (version above 0)."""
        if chunk.chunk_index in self._chunks and chunk.version <= 0:
            return False
        self._keep(chunk.chunk_index, chunk.content)
        return True

    def complete(self, trailer_attributes: Mapping[str, str]) -> DataReceived:
        return self._told(trailer_attributes, "")

    def incomplete(self, why: str) -> DataReceived:
        return self._told({}, why)

    def _keep(self, index: int, content: bytes) -> None:
        cost_bytes = len(content) + _CHUNK_OVERHEAD_BYTES
        if cost_bytes > self._budget_bytes:
            self._is_cut = True
            return
        self._budget_bytes -= cost_bytes
        self._chunks[index] = content

    def _content(self) -> bytes:
        content = b"".join(content for _, content in sorted(self._chunks.items()))
        if self._header.compression != pb.DataStream.CompressionType.DEFLATE_RAW:
            return content
        inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
        try:
            return inflater.decompress(content, self._limit_bytes)
        except zlib.error:
            return b""

    def _what_is_missing(self, content: bytes) -> str:
        if self._is_cut:
            return "it is too long"
        if self._chunks and max(self._chunks) != len(self._chunks) - 1:
            return "chunks are missing"
        if self._header.HasField("total_length") and self._header.total_length != len(content):
            return "its length is not the one announced"
        return ""

    def _told(self, trailer_attributes: Mapping[str, str], incomplete: str) -> DataReceived:
        header, content = self._header, self._content()
        ours = {
            "stream.id": header.stream_id,
            "stream.bytes": str(len(content)),
            "stream.name": header.byte_header.name,
            "stream.mime_type": header.mime_type,
            "stream.reply_to": header.text_header.reply_to_stream_id,
            "stream.incomplete": incomplete or self._what_is_missing(content),
        }
        attributes = {**header.attributes, **trailer_attributes}
        return DataReceived(
            identity=self._sender,
            kind="byte_stream" if header.HasField("byte_header") else "text_stream",
            topic=header.topic,
            payload=content,
            attributes=attributes | {key: value for key, value in ours.items() if value},
        )
