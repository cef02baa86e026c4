"""Frames and data packets of encrypted channels: as they come, and sealed with the key that we have."""

from __future__ import annotations

import functools

from channel_recorder.e2ee.frames import FrameOpener
from channel_recorder.e2ee.packets import open_packet
from channel_recorder.e2ee.store import KeyStore
from channel_recorder.model import Codec
from fuzz.records import unpack
from tests.e2ee import sealing

CODECS = tuple(Codec)
TRAILER = b"made up by the server"


@functools.cache
def keys() -> KeyStore:
    return sealing.store(sealing.given(), sealing.given("second", account="7", key_index=5))


def frames(data: bytes) -> None:
    """The first byte of a record names codec and what follows: a frame as it comes, or so many bytes in clear."""
    openers = {codec: FrameOpener(keys(), "7", TRAILER) for codec in CODECS}
    for record in unpack(data):
        kind, frame = (record[:1] or b"\0")[0], record[1:]
        codec = CODECS[kind % len(CODECS)]
        opener = openers[codec]
        if kind >= 128:
            frame = sealing.seal(frame, min(kind & 15, len(frame)), escapes=codec in (Codec.H264, Codec.H265))
        opened = opener.open(codec, frame)
        assert len(opened) <= len(frame)
        assert bool(opened) == (not opener.failures)
        assert not opener.is_injected(frame) or frame.endswith(TRAILER)


def packets(data: bytes) -> None:
    """Key index, nonce of any length, and what is sealed."""
    key_index, length, rest = (data[:1] or b"\0")[0], (data[1:2] or b"\0")[0] % 20, data[2:]
    opened = open_packet(keys(), "7", key_index, rest[:length], rest[length:])
    assert opened is None or len(opened) <= len(rest)
