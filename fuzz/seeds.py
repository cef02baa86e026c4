"""Writes the first inputs of the corpus: what each entrance is made for, from the media vectors and from messages as
servers, browsers and our own writers make them.

    python -m fuzz.seeds

What the fuzzer found and what once failed is added beside them and kept.
"""

from __future__ import annotations

import base64
import itertools
import json
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from livekit.protocol import models, room
from livekit.protocol import rtc as pb

from channel_recorder.model import Codec, Source
from channel_recorder.protocol.access_token_006 import make_access_token_006
from channel_recorder.protocol.access_token_007 import make_access_token_007
from channel_recorder.protocol.tokens import make_access_token, make_recorder_token
from channel_recorder.recording.journal import encode
from channel_recorder.recording.manifest import Manifest, ManifestFile, ManifestStream
from channel_recorder.rtc.serve import stun
from channel_recorder.rtc.serve.answering import AnsweringNegotiator
from channel_recorder.rtc.serve.contract import PublishOptions
from channel_recorder.rtc.serve.offering import OfferingNegotiator
from channel_recorder.rtc.serve.outgoing import Outgoing
from channel_recorder.rtc.wire import rtcp
from channel_recorder.rtc.wire.rtp import RtpPacket
from fuzz.records import pack
from fuzz.targets.tokens import APP_ID, CERTIFICATE, KEYS, NOW
from tests import vectors
from tests.channel import server_side
from tests.e2ee import sealing
from tests.media.containers.test_repair import recorded
from tests.rtc.receive.packets import DELTA, KEY, RTX_SSRC, SSRC, VP8, VP8_RTX
from tests.rtc.serve import browser

CORPUS = Path(__file__).parent / "corpus"
MAX_SEED_BYTES = 6000
Seeds = Iterator[tuple[str, str, bytes]]
"""Target, name, content."""


def seeds() -> Seeds:
    for make in (wire, media, sealed, streams, descriptions, signalling, joins, tokens, books):
        yield from make()


def wire() -> Seeds:
    for codec in (Codec.VP8, Codec.OPUS):
        yield "rtp", codec.value, vectors.rtp_packets(codec)[0]
    extended = RtpPacket(payload_type=96, sequence=7, timestamp=9, ssrc=SSRC, payload=b"payload", marker=True)
    extended.extensions = {3: b"0", 10: b"h", 1: b"\x01\x02\x03"}
    extended.csrcs, extended.padding_bytes = (1, 2), 4
    yield "rtp", "one-byte", extended.to_bytes()
    extended.extensions = {3: b"0", 200: b"x" * 20}
    yield "rtp", "two-byte", extended.to_bytes()
    for name, packet in reports():
        yield "rtcp", name, packet
    request = stun._finish(1, stun_head(), attributes(), b"password")  # pyright: ignore[reportPrivateUsage]
    yield "stun", "signed", request
    yield "ice-candidate", "host", b"candidate:1 1 udp 2130706431 192.0.2.1 7882 typ host generation 0 ufrag abcd"
    yield "ice-candidate", "srflx", b"2 1 UDP 1694498815 2001:db8::7 5000 typ srflx raddr 10.0.0.7 rport 4000"
    yield "ice-candidate", "tcp", b"3 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active"
    yield "ice-server", "turn", b"turns:turn.example.org:443?transport=tcp"
    yield "ice-server", "stun", b"stun:[2001:db8::1]:3478"
    yield "dependency-descriptor", "start", bytes.fromhex("0010c0ffee8003d9")
    yield "vp8-counters", "all", bytes.fromhex("90f08123442110")


def stun_head() -> stun.BindingRequest:
    message = bytes.fromhex("000100002112a442") + b"transaction."
    return stun.BindingRequest(
        message=message, username=b"", priority=None, uses_candidate=False, from_controlled=False, unknown=(),
        integrity_offset=0,
    )  # fmt: skip


def attributes() -> bytes:
    make = stun._attribute  # pyright: ignore[reportPrivateUsage]
    return make(0x0006, b"ours:theirs") + make(0x0024, bytes(4)) + make(0x0025, b"") + make(0x802A, bytes(8))


def reports() -> Iterator[tuple[str, bytes]]:
    block = rtcp.ReportBlock(
        ssrc=SSRC, fraction_lost=3, packets_lost=7, highest_sequence=70_000, jitter_ticks=9, last_report=5
    )
    sender = rtcp.SenderReport(ssrc=SSRC, ntp=2**63 + 7, timestamp=90_000, reports=(block,)).to_bytes()
    yield "sender-report", sender + rtcp.SourceDescription(cnames=((SSRC, "somebody"),)).to_bytes()
    yield "receiver-report", rtcp.ReceiverReport(ssrc=9, reports=(block, block)).to_bytes()
    yield "goodbye", rtcp.Goodbye(ssrcs=(SSRC, 9)).to_bytes()
    yield "nack", rtcp.GenericNack(sender_ssrc=9, media_ssrc=0xA000, sequences=(1, 2, 17, 65_535)).to_bytes()
    yield "pli", rtcp.PictureLossIndication(sender_ssrc=9, media_ssrc=0xA000).to_bytes()
    feedback = rtcp.TransportFeedback(
        sender_ssrc=9,
        media_ssrc=SSRC,
        base_sequence=65_530,
        reference_time=77,
        feedback_count=3,
        deltas=(1, None, None, 300, -5, 0, None, *[4] * 9, None),
    )
    yield "transport-cc", feedback.to_bytes()


def media() -> Seeds:
    for codec in Codec:
        frames = vectors.frames(codec)
        whole = vectors.payloads_by_frame(codec)
        for name, payloads in (("key", whole[0]), ("delta", whole[1])):
            heads = [payload[:300] for payload in payloads]
            yield f"depacketize-{codec.name.lower()}", name, pack(heads[:6])
        yield f"frames-{codec.name.lower()}", "first", pack(frame[:400] for frame in frames[:4])
    yield "frames-vp9", "three-layers", pack(_layers(frame) for frame in vectors.frames("vp9_l3t1")[:3])


def _layers(frame: bytes) -> bytes:
    return frame if len(frame) < 1500 else frame[:400]


def sealed() -> Seeds:
    for number, codec in enumerate(Codec):
        frame = vectors.frames(codec)[0][:200]
        clear = sealing.seal_av1(frame, key_frame=True) if codec is Codec.AV1 else sealing.seal(frame, 10)
        yield "sealed-frames", codec.value, pack([bytes((number,)) + clear, bytes((0x8A | number,)) + frame])
    nonce = sealing.IV
    packet = sealing.seal(b"hello", 0)[:-14]
    yield "sealed-packets", "hello", bytes((0, len(nonce))) + nonce + packet


def streams() -> Seeds:
    played = list(_call())
    yield "receive", "call", pack(kind + record for kind, record in played)
    forwarded = [(b"\x80" if kind == b"\xa0" else kind, record) for kind, record in played]
    asked = [(b"\xa0", packet) for _, packet in reports()]
    yield "forward", "call", pack(kind + record for kind, record in forwarded + asked + forwarded[-4:])
    yield "sctp", "association", pack(_association())
    yield "data-packets", "all", pack(_data_messages())


def _call() -> Iterator[tuple[bytes, bytes]]:
    """A key frame, three pictures with one missing, its repetition, a report; then sound, and time that passes."""
    for sequence, payload in ((1, KEY), (2, DELTA), (4, DELTA)):
        yield b"\0", _packet(sequence, payload, VP8, SSRC)
    yield b"\xff", bytes(2)
    yield b"\0", _packet(9, b"\0\x03" + DELTA, VP8_RTX, RTX_SSRC, timestamp=3 * 3000)
    yield b"\xa0", next(packet for _, packet in reports())
    for sequence, packet in enumerate(vectors.frames(Codec.OPUS)[:3]):
        yield b"\0", _packet(sequence, packet[:80], 111, 0x3333, timestamp=960 * sequence)
    yield b"\xff", bytes(20)


def _packet(sequence: int, payload: bytes, number: int, ssrc: int, timestamp: int | None = None) -> bytes:
    stamp = 3000 * sequence if timestamp is None else timestamp
    packet = RtpPacket(payload_type=number, sequence=sequence, timestamp=stamp, ssrc=ssrc, payload=payload, marker=True)
    packet.extensions = {3: b"0" if ssrc != 0x3333 else b"1"}
    return packet.to_bytes()


def _association() -> Iterator[bytes]:
    """What comes after the handshake: an opened channel, a message, an acknowledgement, a reset."""
    opened = bytes.fromhex("0300000000000000") + b"\0\x09\0\0_reliable"
    yield b"\0\x03" + (16 + len(opened)).to_bytes(2, "big") + bytes.fromhex("000000640001000000000032") + opened
    yield b"\0\x03" + (16 + 4).to_bytes(2, "big") + bytes.fromhex("000000650001000100000035") + b"data"
    yield bytes.fromhex("03000010000000640002000000000000")
    yield bytes.fromhex("8200001c000d00120000000100000002000000640001000000000000")
    yield bytes.fromhex("c000000c0000006600010000")


def _data_messages() -> Iterator[bytes]:
    header = models.DataStream.Header(stream_id="s", topic="t", mime_type="text/plain", total_length=5)
    header.text_header.SetInParent()
    packets: list[dict[str, Any]] = [
        {"user": models.UserPacket(payload=b"hello", topic="chat"), "sequence": 1},
        {"chat_message": models.ChatMessage(id="1", message="hello", timestamp=7)},
        {"stream_header": header},
        {"stream_chunk": models.DataStream.Chunk(stream_id="s", chunk_index=0, content=b"hello")},
        {"stream_trailer": models.DataStream.Trailer(stream_id="s")},
        {"rpc_request": models.RpcRequest(id="1", method="m", payload="p")},
    ]
    for fields in packets:
        packet = models.DataPacket(participant_identity="alice", participant_sid="PA_x", **fields)
        yield b"\0" + packet.SerializeToString()


def descriptions() -> Seeds:
    folder = Path(vectors.__file__).parent / "sdp"
    for path in sorted(folder.glob("*.sdp")):
        yield "sdp", path.stem, path.read_bytes()
        yield "offer-to-recorder", path.stem, pack([path.read_bytes()])
    lines = (
        browser.publishing("audio", "0", "mic"),
        browser.publishing("video", "1", "camera", layers="q;h;f"),
        browser.section("video", "2", "recvonly", browser.VIDEO_FORMATS[:4]),
        browser.data("3"),
    )
    published = browser.describe(*lines)
    yield "sdp", "browser", published.encode()
    yield "offer-to-server", "browser", pack([published.encode()])
    answered = AnsweringNegotiator(publish_options=lambda _kind, _id: PublishOptions(), ssrcs=itertools.count(1000))
    answered.receive_offer(published)
    yield "sdp", "answer", answered.answer(browser.LOCAL).sdp.encode()
    offering = OfferingNegotiator(ssrcs=itertools.count(1000))
    for number, track in enumerate((browser.SOUND, browser.PICTURES)):
        offering.add(Outgoing(track=track, stream_id=f"PA_{number}|camera", track_id=f"TR_{number}"))
    answer = browser.AnsweringBrowser().answer(offering.offer(browser.LOCAL) or "")
    yield "answer-to-server", "browser", pack([answer.encode()])


def signalling() -> Seeds:
    alice = server_side.member("alice", server_side.audio("TR_a"), server_side.video("TR_v", width=1280, height=720))
    speaker = models.SpeakerInfo(sid="PA_alice", level=0.5, active=True)
    messages = (
        server_side.join(alice, ice_servers=[pb.ICEServer(urls=["turn:t:3478"], username="u", credential="c")]),
        server_side.update(alice),
        server_side.offer("TR_a", "TR_v"),
        pb.SignalResponse(trickle=_candidate()).SerializeToString(),
        pb.SignalResponse(speakers_changed=pb.SpeakersChanged(speakers=[speaker])).SerializeToString(),
        pb.SignalResponse(refresh_token="x.y.z").SerializeToString(),
        pb.SignalResponse(pong_resp=pb.Pong(last_ping_timestamp=1, timestamp=2)).SerializeToString(),
        pb.SignalResponse(leave=pb.LeaveRequest(action=pb.LeaveRequest.RECONNECT)).SerializeToString(),
    )  # fmt: skip
    yield "signalling-client", "call", pack(messages)
    requests = (
        pb.SignalRequest(add_track=pb.AddTrackRequest(cid="cam", type=models.TrackType.VIDEO, width=640, height=360)),
        pb.SignalRequest(offer=pb.SessionDescription(type="offer", sdp="0 application\n1 video send cam", id=1)),
        pb.SignalRequest(mute=pb.MuteTrackRequest(sid="TR_x", muted=True)),
        pb.SignalRequest(subscription=pb.UpdateSubscription(track_sids=["TR_x"], subscribe=True)),
        pb.SignalRequest(update_metadata=pb.UpdateParticipantMetadata(name="B", attributes={"a": "b"}, request_id=1)),
        pb.SignalRequest(sync_state=pb.SyncState(track_sids_disabled=["TR_x"])),
        pb.SignalRequest(ping_req=pb.Ping(timestamp=1, rtt=2)),
    )
    yield "signalling-server", "call", pack(request.SerializeToString() for request in requests)
    yield "signalling-json", "ping", b'{"pingReq": {"timestamp": "1", "rtt": 2}}'
    yield "signalling-json", "add", b'{"addTrack": {"cid": "cam", "type": "VIDEO", "layers": [{"width": 1}]}}'
    send = room.SendDataRequest(room="call", data=b"x", destination_identities=["a"]).SerializeToString()
    yield "room-service", "send-data", b"\x06" + send
    yield "room-service", "json", b'\0{"name": "call", "emptyTimeout": 30, "metadata": "m"}'


def _candidate() -> pb.TrickleRequest:
    init = {"candidate": "candidate:1 1 udp 1 192.0.2.4 5 typ host", "sdpMid": "0", "sdpMLineIndex": 0}
    return pb.TrickleRequest(candidateInit=json.dumps(init), target=pb.SignalTarget.SUBSCRIBER)


def joins() -> Seeds:
    query = b"access_token=x&auto_subscribe=0&protocol=16&sdk=js&version=2.15&attributes=eyJhIjogImIifQ"
    yield "join-query", "plain", query
    inner = pb.JoinRequest(metadata="m", participant_attributes={"a": "b"})
    inner.publisher_offer.sdp = "v=0"
    wrapped = pb.WrappedJoinRequest(join_request=inner.SerializeToString()).SerializeToString()
    yield "join-request", "plain", wrapped
    yield "join-query", "packed", b"join_request=CgBCAA=="


def tokens() -> Seeds:
    key, secret = next((key, secret) for key, secret in KEYS.items() if key == "key")
    recorder = make_recorder_token(key, secret, identity="1001", room="lesson-7", now_seconds=NOW)
    member = make_access_token(
        key, secret, identity="1001", room="lesson-7", now_seconds=NOW, valid_for_seconds=600, attributes={"a": "b"}
    )
    common: dict[str, Any] = {"channel": "lesson-7", "account": "1001", "salt": 7}
    soon = int(NOW) + 600
    classic_006 = make_access_token_006(APP_ID, CERTIFICATE, **common, privileges={1: soon}, expires_at=soon)
    classic_007 = make_access_token_007(
        APP_ID, CERTIFICATE, **common, privileges={1: 0, 2: 600}, issued_at=int(NOW), valid_for_seconds=600
    )
    for name, token in (("recorder", recorder), ("member", member), ("006", classic_006), ("007", classic_007)):
        yield "token", name, token.encode() + b"\n1001"
    yield "token", "open", b"open\n1001"
    yield (
        "token-claims",
        "member",
        (
            b'{"iss":"key","sub":"b","exp":1800000600,"nbf":0,"video":{"roomJoin":true,"room":"a","canPublishSources":["camera"]},'
            b'"attributes":{"a":"b"}}'
        ),
    )
    yield from _contents(classic_006, classic_007)


def _contents(classic_006: str, classic_007: str) -> Seeds:
    yield "token-006", "member", base64.b64decode(classic_006[3 + len(APP_ID) :])
    content = zlib.decompress(base64.b64decode(classic_007[3:]))
    yield "token-007", "member", content[34:]


def books() -> Seeds:
    at = datetime(2026, 1, 1, 10, 11, 12, 131415, UTC)
    name = "1001_20260101101112131.mp4"
    stream = {"kind": "video", "codec": "H264", "frames": 250, "width": 1280, "height": 720}
    facts: list[tuple[float, str, dict[str, Any]]] = [
        (0.0, "joined", {"channel": "lesson-7"}),
        (0.5, "file_created", {"name": name, "uid": 1001, "account": "alice", "source": "camera"}),
        (9.0, "file_closed", {"name": name, "duration": 8.5, "streams": [stream]}),
    ]
    yield "journal", "short", b"\n".join(encode(seconds, at, fact, fields) for seconds, fact, fields in facts)
    file = ManifestFile(
        name=name, uid=1001, account="alice", source=Source.CAMERA, start=0.5, duration=8.5, bytes=5, sha256="00" * 32,
        streams=[ManifestStream.model_validate(stream | {"codec": "H264"})],
    )  # fmt: skip
    whole = Manifest(channel="lesson-7", started_at=at, duration=9.0, reason="left", files=[file])
    yield "manifest", "short", whole.to_json()
    for label, text in (
        ("media", name),
        ("screen", "0_20260101101112131_screen.webm"),
        ("log", ".uid_1001_20260101101112131.txt"),
        ("folder", "20260101/lesson-7_101112_131415000"),
        ("outside", "../outside.txt"),
    ):
        yield "file-names", label, text.encode()
    yield "byte-range", "middle", (1000).to_bytes(8, "big") + b"bytes=100-199"
    yield "byte-range", "suffix", (1000).to_bytes(8, "big") + b"bytes=-5"
    yield "page-cookie", "other", b"1800043200.Zm9vYmFyMTIzNA.00112233"
    for kind in ("vp8-alone", "h264-alone", "opus", "m4a", "aac"):
        suffix, half = recorded(kind, 2.2)
        yield f"repair{suffix.replace('.', '-')}", kind, half[:MAX_SEED_BYTES]


def main() -> None:
    for target, name, content in seeds():
        assert len(content) <= MAX_SEED_BYTES or target in ("sdp", "offer-to-recorder", "offer-to-server")
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"seed-{name}").write_bytes(content)


if __name__ == "__main__":
    main()
