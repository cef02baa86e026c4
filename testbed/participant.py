"""A synthetic participant in a process of its own: the official SDK, driven by JSON lines on stdin.

Each line is `{"do": method, ...arguments}`; each answer, on stdout, `{"result": ...}` or `{"error": text}`.
`testbed.publisher` is the other end.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

from livekit import rtc

from testbed.capture import Camera, Microphone
from testbed.looks import Look, card, plain
from testbed.viewer import Viewer

SOURCES = {
    "camera": rtc.TrackSource.SOURCE_CAMERA,
    "microphone": rtc.TrackSource.SOURCE_MICROPHONE,
    "screen_share": rtc.TrackSource.SOURCE_SCREENSHARE,
    "screen_share_audio": rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO,
}
CODECS = {
    "vp8": rtc.VideoCodec.VP8,
    "vp9": rtc.VideoCodec.VP9,
    "h264": rtc.VideoCodec.H264,
    "av1": rtc.VideoCodec.AV1,
}
"""H.265 is missing: without a graphics card the SDK has no encoder for it and silently sends VP8."""
QUALITIES = {
    "low": rtc.VideoQuality.VIDEO_QUALITY_LOW,
    "medium": rtc.VideoQuality.VIDEO_QUALITY_MEDIUM,
    "high": rtc.VideoQuality.VIDEO_QUALITY_HIGH,
}
ANSWERED_METHOD = "backwards"


@dataclass(slots=True)
class Published:
    device: Camera | Microphone
    track: rtc.LocalVideoTrack | rtc.LocalAudioTrack


class Participant:
    """The methods that a line can name."""

    def __init__(self) -> None:
        self._room = rtc.Room()
        self._viewer = Viewer(self._room)
        self._epoch = time.monotonic()
        self._name = ""
        self._published: dict[str, Published] = {}

    async def join(self, url: str, token: str, subscribes: bool, single_peer: bool, encryption_key: str) -> str:
        key = rtc.KeyProviderOptions(shared_key=encryption_key.encode())
        options = rtc.RoomOptions(
            auto_subscribe=subscribes,
            # Its own default is the newer path, and the older one where a server does not know it.
            single_peer_connection=None if single_peer else False,
            encryption=rtc.E2EEOptions(key_provider_options=key) if encryption_key else None,
        )
        self._viewer.note_joining()
        await self._room.connect(url, token, options)
        self._viewer.note_joined()
        self._name = self._room.local_participant.name
        self._room.local_participant.register_rpc_method(ANSWERED_METHOD, _backwards)
        return self._room.local_participant.sid

    async def leave(self) -> dict[str, Any]:
        reports = {source: await self.unpublish(source) for source in list(self._published)}
        await self._room.disconnect()
        return reports

    async def publish_video(
        self,
        source: str,
        codec: str,
        width: int,
        height: int,
        fps: int,
        simulcast: bool,
        max_bitrate: int,
        look: str,
        scalability_mode: str,
        rotation: int,
    ) -> str:
        options = rtc.TrackPublishOptions(
            source=SOURCES[source],
            video_codec=CODECS[codec],
            simulcast=simulcast,
        )
        # Its default adapts the size to a busy machine, which a test must not depend on.
        keep: Any = rtc.DegradationPreference.MAINTAIN_FRAMERATE_AND_RESOLUTION
        options.degradation_preference = keep
        options.video_encoding.max_bitrate = max_bitrate
        options.video_encoding.max_framerate = fps
        if scalability_mode:
            options.scalability_mode = scalability_mode
        camera = Camera(self._epoch, self._look(look, width, height), width, height, fps)
        camera.rotation = rotation
        track = rtc.LocalVideoTrack.create_video_track(source, camera.source)
        publication = await self._room.local_participant.publish_track(track, options)
        self._published[source] = Published(camera, track)
        return publication.sid

    def _look(self, look: str, width: int, height: int) -> Look:
        return card(width, height, self._name) if look == "card" else plain(width, height)

    async def publish_audio(self, source: str, hz: float, has_voice: bool, dtx: bool, red: bool) -> str:
        microphone = Microphone(self._epoch, hz, has_voice)
        track = rtc.LocalAudioTrack.create_audio_track(source, microphone.source)
        options = rtc.TrackPublishOptions(source=SOURCES[source], dtx=dtx, red=red)
        publication = await self._room.local_participant.publish_track(track, options)
        self._published[source] = Published(microphone, track)
        return publication.sid

    async def use_key(self, key: str, key_index: int) -> None:
        """Encrypts what is published with another key from now on."""
        manager = self._room.e2ee_manager
        provider = manager.key_provider
        if provider is None:
            raise ValueError("joined without a key")
        provider.set_shared_key(key.encode(), key_index)
        for cryptor in manager.frame_cryptors():
            if cryptor.participant_identity == self._room.local_participant.identity:
                cryptor.set_key_index(key_index)

    async def ratchet_key(self) -> None:
        """Encrypts with the key derived from the one in use."""
        provider = self._room.e2ee_manager.key_provider
        if provider is None:
            raise ValueError("joined without a key")
        provider.ratchet_shared_key(0)

    async def mute(self, source: str) -> None:
        self._published[source].track.mute()

    async def unmute(self, source: str) -> None:
        self._published[source].track.unmute()

    async def resize(self, source: str, width: int, height: int) -> None:
        camera = self._camera(source)
        camera.show(plain(width, height), width, height)

    async def rotate(self, source: str, degrees: int) -> None:
        self._camera(source).rotation = degrees

    def _camera(self, source: str) -> Camera:
        device = self._published[source].device
        if not isinstance(device, Camera):
            raise ValueError(f"{source} is no picture")
        return device

    async def unpublish(self, source: str) -> dict[str, Any]:
        """Stops the capture, lets the encoder send what it has, and tells what was captured and encoded."""
        published = self._published.pop(source)
        published.device.task.cancel()
        await asyncio.sleep(0.1)
        report = await self._report(published)
        await self._room.local_participant.unpublish_track(self._sid(source))
        return report

    def _sid(self, source: str) -> str:
        """Another one after a reconnection."""
        publications = self._room.local_participant.track_publications.values()
        return next(one.sid for one in publications if one.source == SOURCES[source])

    async def report(self, source: str) -> dict[str, Any]:
        return await self._report(self._published[source])

    async def _report(self, published: Published) -> dict[str, Any]:
        stats = await published.track.get_stats()
        layers = [entry.outbound_rtp.outbound for entry in stats if entry.WhichOneof("stats") == "outbound_rtp"]
        encoded = max((layer.frames_encoded for layer in layers), default=0)
        return {**asdict(published.device.report), "encoded": encoded}

    async def send_data(self, payload: str, topic: str, reliable: bool, to: list[str]) -> None:
        await self._room.local_participant.publish_data(
            payload, topic=topic, reliable=reliable, destination_identities=to
        )

    async def flood_data(self, count: int, size: int) -> None:
        """As fast as the SDK takes it."""
        for number in range(count):
            await self._room.local_participant.publish_data(b"x" * size, topic="flood", reliable=number % 2 == 0)

    async def send_text(self, text: str, topic: str) -> None:
        await self._room.local_participant.send_text(text, topic=topic)

    async def call(self, identity: str, payload: str) -> str:
        return await self._room.local_participant.perform_rpc(
            destination_identity=identity, method=ANSWERED_METHOD, payload=payload
        )

    async def set_metadata(self, metadata: str) -> None:
        await self._room.local_participant.set_metadata(metadata)

    async def set_name(self, name: str) -> None:
        await self._room.local_participant.set_name(name)

    async def set_attributes(self, attributes: dict[str, str]) -> None:
        await self._room.local_participant.set_attributes(attributes)

    async def subscribe(self, identity: str, source: str, wanted: bool) -> None:
        self._viewer.publication(identity, source).set_subscribed(wanted)

    async def set_quality(self, identity: str, source: str, quality: str) -> None:
        self._viewer.publication(identity, source).set_video_quality(QUALITIES[quality])

    async def forget(self) -> None:
        self._viewer.forget()

    async def look(self) -> dict[str, Any]:
        return self._viewer.told()


def _backwards(asked: rtc.RpcInvocationData) -> str:
    return asked.payload[::-1]


async def _answer(participant: Participant, line: str) -> dict[str, Any]:
    command = json.loads(line)
    method = getattr(participant, command.pop("do"))
    try:
        return {"result": await method(**command)}
    except Exception as error:  # noqa: BLE001  it is the other end that raises it
        return {"error": f"{type(error).__name__}: {error}"}


async def main() -> None:
    participant = Participant()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        sys.stdout.write(json.dumps(await _answer(participant, line)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
