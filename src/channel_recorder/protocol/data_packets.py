"""LiveKit's DataPacket as `DataReceived`: what participants send beside their media."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from google.protobuf.message import DecodeError
from livekit.protocol import models as pb

from channel_recorder.events import DataReceived


def data_from(packet: pb.DataPacket, *, reliable: bool) -> DataReceived | None:
    """None for packets that are no message of a participant (speakers, metrics), or parts of a stream."""
    kind = packet.WhichOneof("value") or ""
    convert = _CONVERTERS.get(kind)
    if convert is None:
        return None
    topic, payload, attributes = convert(packet)
    return DataReceived(
        identity=sender_of(packet),
        kind=_NAMES.get(kind, kind),
        topic=topic,
        payload=payload,
        reliable=reliable,
        attributes=attributes,
    )


def sender_of(packet: pb.DataPacket) -> str:
    """The sender's identity; empty for hidden ones. Servers before 1.5 say it in the user packet only."""
    return packet.participant_identity or packet.user.participant_identity


def opened_packet(packet: pb.DataPacket, payload: bytes) -> pb.DataPacket | None:
    """The packet as it would have come in clear. `payload`: its decrypted content. None: that is nothing known."""
    content = pb.EncryptedPacketPayload()
    try:
        content.ParseFromString(payload)
    except DecodeError:
        return None
    kind = content.WhichOneof("value")
    if kind is None:
        return None
    opened = pb.DataPacket(participant_identity=sender_of(packet))
    getattr(opened, kind).CopyFrom(getattr(content, kind))
    return opened


_Content = tuple[str, bytes, Mapping[str, str]]


def _user(packet: pb.DataPacket) -> _Content:
    return packet.user.topic, packet.user.payload, _without_empty({"id": packet.user.id})


def _chat(packet: pb.DataPacket) -> _Content:
    message = packet.chat_message
    attributes = {
        "id": message.id,
        "timestamp": _number(message.timestamp),
        "edit_timestamp": _number(message.edit_timestamp),
        "deleted": _flag(message.deleted),
        "generated": _flag(message.generated),
    }
    return "", message.message.encode(), _without_empty(attributes)


def _transcription(packet: pb.DataPacket) -> _Content:
    said = packet.transcription
    attributes = {
        "participant": said.transcribed_participant_identity,
        "track_sid": said.track_id,
        "language": said.segments[0].language if said.segments else "",
        "final": _flag(all(segment.final for segment in said.segments)),
    }
    return "", "\n".join(segment.text for segment in said.segments).encode(), _without_empty(attributes)


def _dtmf(packet: pb.DataPacket) -> _Content:
    return "", packet.sip_dtmf.digit.encode(), {"code": str(packet.sip_dtmf.code)}


def _rpc_request(packet: pb.DataPacket) -> _Content:
    request = packet.rpc_request
    return request.method, request.compressed_payload or request.payload.encode(), _without_empty({"id": request.id})


def _rpc_response(packet: pb.DataPacket) -> _Content:
    response = packet.rpc_response
    payload = response.compressed_payload or response.payload.encode()
    return "", payload, _without_empty({"id": response.request_id, "error": response.error.message})


def _encrypted(packet: pb.DataPacket) -> _Content:
    sealed = packet.encrypted_packet
    return "", sealed.encrypted_value, {"iv": sealed.iv.hex(), "key_index": str(sealed.key_index)}


_CONVERTERS: dict[str, Callable[[pb.DataPacket], _Content]] = {
    "user": _user,
    "chat_message": _chat,
    "transcription": _transcription,
    "sip_dtmf": _dtmf,
    "rpc_request": _rpc_request,
    "rpc_response": _rpc_response,
    "encrypted_packet": _encrypted,
}
_NAMES = {"chat_message": "chat", "encrypted_packet": "encrypted"}


def _number(value: int) -> str:
    return str(value) if value else ""


def _flag(value: bool) -> str:
    return "true" if value else ""


def _without_empty(values: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in values.items() if value}
