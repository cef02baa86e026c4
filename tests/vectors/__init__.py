"""Reads the media vectors that `make.py` wrote."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

_FOLDER = Path(__file__).parent


def frames(name: str) -> list[bytes]:
    """What the encoder gave, packet by packet."""
    return list(_parts((_FOLDER / f"{name}.frames").read_bytes(), 4))


def rtp_packets(name: str) -> list[bytes]:
    return list(_parts((_FOLDER / f"{name}.rtp").read_bytes(), 2))


def payloads_by_frame(name: str) -> list[list[bytes]]:
    """RTP payloads, those of one time stamp together. The headers have neither CSRCs nor extensions."""
    grouped = groupby(rtp_packets(name), key=lambda packet: packet[4:8])
    return [[packet[12:] for packet in packets] for _, packets in grouped]


def _parts(data: bytes, length_bytes: int) -> Iterator[bytes]:
    position = 0
    while position < len(data):
        start = position + length_bytes
        position = start + int.from_bytes(data[position:start], "big")
        yield data[start:position]
