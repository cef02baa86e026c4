"""A publisher made by hand: official signalling over the older path, aiortc's transport, and any packet one likes."""

from __future__ import annotations

import asyncio
import json
import re
from types import TracebackType
from typing import Any, Self

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp
from livekit.protocol import models
from livekit.protocol import rtc as pb
from websockets.asyncio.client import ClientConnection, connect

from testbed.server_process import ServerProcess

KINDS = {"audio": models.TrackType.AUDIO, "video": models.TrackType.VIDEO}
SOURCES = {"audio": models.TrackSource.MICROPHONE, "video": models.TrackSource.CAMERA}
LIMIT_SECONDS = 15.0
PING_SECONDS = 5.0


class HandMadePublisher:
    """`async with` joins, announces a track of each kind, and is there when its media may be sent."""

    def __init__(self, server: ServerProcess, channel: str, identity: str, kinds: tuple[str, ...] = ("audio",)) -> None:
        self._url = f"{server.url}/rtc?protocol=16&auto_subscribe=0"
        self._token = server.token(channel, identity)
        self._peer = RTCPeerConnection()
        self._subscriber = RTCPeerConnection()
        """For what the server offers: a channel for data. Who never answers is thrown out."""
        self._transceivers = {kind: self._peer.addTransceiver(kind, direction="sendonly") for kind in kinds}
        self._payload_types: dict[str, int] = {}
        self._socket: ClientConnection | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        headers = {"Authorization": f"Bearer {self._token}"}
        self._socket = await connect(self._url, additional_headers=headers)
        try:
            await self._publish()
        except BaseException:
            await self._leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave()

    async def _publish(self) -> None:
        for kind, transceiver in self._transceivers.items():
            cid: str = transceiver.sender._track_id  # type: ignore[attr-defined]
            track = pb.AddTrackRequest(cid=cid, name=kind, type=KINDS[kind], source=SOURCES[kind])
            await self._send(pb.SignalRequest(add_track=track))
        await self._peer.setLocalDescription(await self._peer.createOffer())
        offer = pb.SessionDescription(type="offer", sdp=self._peer.localDescription.sdp, id=1)
        await self._send(pb.SignalRequest(offer=offer))
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._ping())]
        async with asyncio.timeout(LIMIT_SECONDS):
            while self._peer.connectionState != "connected":  # noqa: ASYNC110 - aiortc tells by a callback only
                await asyncio.sleep(0.02)

    async def _leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self._peer.close()
        await self._subscriber.close()
        if self._socket is not None:
            await self._socket.close()

    async def _send(self, request: pb.SignalRequest) -> None:
        if self._socket is not None:
            await self._socket.send(request.SerializeToString())

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            await self._send(pb.SignalRequest(ping=1))

    async def _read(self) -> None:
        """Answers are taken, candidates too: livekit-server trickles its own."""
        assert self._socket is not None
        async for frame in self._socket:
            response = pb.SignalResponse.FromString(frame if isinstance(frame, bytes) else frame.encode())
            match response.WhichOneof("message"):
                case "answer":
                    self._payload_types = _payload_types(response.answer.sdp)
                    await self._peer.setRemoteDescription(RTCSessionDescription(response.answer.sdp, "answer"))
                case "offer":
                    await self._answer(response.offer)
                case "trickle":
                    await self._add(response.trickle)
                case _:
                    pass

    async def _answer(self, offer: pb.SessionDescription) -> None:
        await self._subscriber.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
        await self._subscriber.setLocalDescription(await self._subscriber.createAnswer())
        sdp = self._subscriber.localDescription.sdp
        await self._send(pb.SignalRequest(answer=pb.SessionDescription(type="answer", sdp=sdp, id=offer.id)))

    async def _add(self, trickle: pb.TrickleRequest) -> None:
        candidate = candidate_from_sdp(json.loads(trickle.candidateInit)["candidate"].partition(":")[2])
        candidate.sdpMid = "0"
        peer = self._peer if trickle.target == pb.SignalTarget.PUBLISHER else self._subscriber
        await peer.addIceCandidate(candidate)

    def ssrc(self, kind: str) -> int:
        """What its packets of a kind must carry."""
        return int(self._transceivers[kind].sender._ssrc)  # type: ignore[attr-defined]

    def payload_type(self, kind: str) -> int:
        """As answered."""
        return self._payload_types[kind]

    async def send(self, packet: bytes) -> None:
        """RTP or RTCP, encrypted on the way. Raises pylibsrtp.Error for what cannot be encrypted."""
        transport: Any = next(iter(self._transceivers.values())).sender.transport
        await transport._send_rtp(packet)


def _payload_types(sdp: str) -> dict[str, int]:
    """The first of each m-line."""
    return {match[1]: int(match[2]) for match in re.finditer(r"^m=(audio|video) \d+ \S+ (\d+)", sdp, re.MULTILINE)}
