"""What members send beside their media."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.protocol import metrics
from livekit.protocol import models as pb

from channel_recorder.events import DataReceived
from channel_recorder.protocol.data_packets import data_from


def packet(**value: Any) -> pb.DataPacket:
    return pb.DataPacket(participant_identity="alice", **value)


@pytest.mark.parametrize(
    ("sent", "kind", "topic", "payload", "attributes"),
    [
        (packet(user=pb.UserPacket(payload=b"\x00\x01", topic="t", id="7")), "user", "t", b"\x00\x01", {"id": "7"}),
        (
            packet(chat_message=pb.ChatMessage(id="1", timestamp=5, message="grüß", deleted=True)),
            "chat",
            "",
            "grüß".encode(),
            {"id": "1", "timestamp": "5", "deleted": "true"},
        ),
        (
            packet(
                transcription=pb.Transcription(
                    transcribed_participant_identity="bob",
                    track_id="TR_1",
                    segments=[
                        pb.TranscriptionSegment(text="one", language="en", final=True),
                        pb.TranscriptionSegment(text="two", final=True),
                    ],
                )
            ),
            "transcription",
            "",
            b"one\ntwo",
            {"participant": "bob", "track_sid": "TR_1", "language": "en", "final": "true"},
        ),
        (packet(sip_dtmf=pb.SipDTMF(code=11, digit="#")), "sip_dtmf", "", b"#", {"code": "11"}),
        (packet(rpc_request=pb.RpcRequest(id="r", method="m", payload="p")), "rpc_request", "m", b"p", {"id": "r"}),
        (
            packet(rpc_response=pb.RpcResponse(request_id="r", error=pb.RpcError(message="no"))),
            "rpc_response",
            "",
            b"",
            {"id": "r", "error": "no"},
        ),
        (
            packet(encrypted_packet=pb.EncryptedPacket(encrypted_value=b"x", iv=b"\xab", key_index=2)),
            "encrypted",
            "",
            b"x",
            {"iv": "ab", "key_index": "2"},
        ),
    ],
)
def test_each_kind_of_packet(
    sent: pb.DataPacket, kind: str, topic: str, payload: bytes, attributes: dict[str, str]
) -> None:
    assert data_from(sent, reliable=True) == DataReceived(
        identity="alice", kind=kind, topic=topic, payload=payload, reliable=True, attributes=attributes
    )


def test_the_sender_is_found_where_old_servers_put_it() -> None:
    old = pb.DataPacket(user=pb.UserPacket(payload=b"x", participant_identity="bob"))
    assert data_from(old, reliable=False) == DataReceived(identity="bob", kind="user", payload=b"x", reliable=False)


@pytest.mark.parametrize(
    "sent",
    [
        pb.DataPacket(),
        packet(speaker=pb.ActiveSpeakerUpdate()),
        packet(metrics=metrics.MetricsBatch()),
        packet(rpc_ack=pb.RpcAck()),
        packet(stream_chunk=pb.DataStream.Chunk()),
    ],
)
def test_what_is_no_message_of_a_member_is_none(sent: pb.DataPacket) -> None:
    assert data_from(sent, reliable=True) is None
