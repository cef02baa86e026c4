"""Protobuf messages from the network: signalling in WebSocket frames and calls of RoomService, binary or in JSON."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.json_format import Parse, ParseError
from google.protobuf.message import DecodeError, Message
from livekit.protocol import rtc as pb

from channel_recorder.errors import MalformedError

AnyMessage = TypeVar("AnyMessage", bound=Message)


def read_frame(frame: bytes | str) -> pb.SignalRequest:
    """Text is JSON. Raises MalformedError. What a newer client adds is passed over."""
    return read_binary(pb.SignalRequest, frame) if isinstance(frame, bytes) else read_json(pb.SignalRequest, frame)


def read_binary(kind: type[AnyMessage], data: bytes) -> AnyMessage:
    """Raises MalformedError."""
    try:
        return kind.FromString(data)
    except DecodeError:
        raise MalformedError(f"it is no {kind.DESCRIPTOR.name}") from None


def read_json(kind: type[AnyMessage], text: str | bytes) -> AnyMessage:
    """Raises MalformedError."""
    try:
        # The library takes an empty list for an empty message.
        text = text.decode() if isinstance(text, bytes) else text
        if not text.lstrip().startswith("{"):
            raise MalformedError("it is no JSON object")
        return Parse(text, kind(), ignore_unknown_fields=True)
    except (ParseError, ValueError, RecursionError):
        raise MalformedError(f"it is no {kind.DESCRIPTOR.name}") from None
