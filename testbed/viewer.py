"""Watches a room of the official Python SDK: reads the counters of pictures and the tones of what is received."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from typing import Any

import numpy as np
from livekit import rtc

from testbed import picture, sound

SOURCE_NAMES = {
    rtc.TrackSource.SOURCE_CAMERA: "camera",
    rtc.TrackSource.SOURCE_MICROPHONE: "microphone",
    rtc.TrackSource.SOURCE_SCREENSHARE: "screen_share",
    rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO: "screen_share_audio",
}
QUALITY_NAMES = {
    rtc.ConnectionQuality.QUALITY_POOR: "poor",
    rtc.ConnectionQuality.QUALITY_GOOD: "good",
    rtc.ConnectionQuality.QUALITY_EXCELLENT: "excellent",
    rtc.ConnectionQuality.QUALITY_LOST: "lost",
}
MAX_MESSAGES = 500
TEXT_TOPICS = ("lk.chat", "chat", "notes")
EVENTS = {
    "participant_connected": "joined",
    "participant_disconnected": "left",
    "track_published": "published",
    "track_unpublished": "unpublished",
    "track_subscribed": "subscribed",
    "track_unsubscribed": "unsubscribed",
    "track_muted": "muted",
    "track_unmuted": "unmuted",
    "reconnecting": "reconnecting",
    "reconnected": "reconnected",
    "disconnected": "disconnected",
}


class SeenPictures:
    """The statistics of one picture track; the page's `viewer.js` keeps the same."""

    def __init__(self) -> None:
        self.size = (0, 0)
        self.forget()

    def forget(self) -> None:
        self._count = self._unreadable = self._skipped = self._repeated = 0
        self._counter: int | None = None
        self._last: float | None = None
        self._longest_pause = 0.0

    def show(self, luma: picture.Luma) -> None:
        now = time.monotonic()
        if self._last is not None:
            self._longest_pause = max(self._longest_pause, now - self._last)
        self._last = now
        self._count += 1
        self.size = (luma.shape[1], luma.shape[0])
        if (reading := picture.read(luma)) is None:
            self._unreadable += 1
        else:
            self._follow(reading.counter)

    def _follow(self, counter: int) -> None:
        if self._counter is not None:
            self._repeated += counter <= self._counter
            self._skipped += max(0, counter - self._counter - 1)
        self._counter = counter

    def told(self) -> dict[str, Any]:
        return {
            "pictures": self._count,
            "unreadable": self._unreadable,
            "counter": self._counter,
            "skipped": self._skipped,
            "repeated": self._repeated,
            "longest_pause_seconds": self._longest_pause,
            "width": self.size[0],
            "height": self.size[1],
        }


class HeardSound:
    """The last tenths of a second of one sound track."""

    def __init__(self) -> None:
        self._samples: sound.Samples = np.zeros(sound.LISTEN_SAMPLES, np.float32)

    def hear(self, frame: rtc.AudioFrame) -> None:
        heard = np.frombuffer(frame.data, np.int16).astype(np.float32)
        joined = np.concatenate([self._samples, heard / 32768])[-sound.LISTEN_SAMPLES :]
        self._samples = joined.astype(np.float32, copy=False)

    def tone_hz(self) -> float:
        return sound.loudest_hz(self._samples)


class Viewer:
    """Listens in on a room from before it is joined."""

    def __init__(self, room: rtc.Room) -> None:
        self._room = room
        self._pictures: dict[str, SeenPictures] = {}
        self._sounds: dict[str, HeardSound] = {}
        """By sid."""
        self._readers: dict[str, asyncio.Task[None]] = {}
        self._writers: set[asyncio.Task[None]] = set()
        self._speakers: list[str] = []
        self._joining_at = self._joined_in = 0.0
        self._first_picture_in: float | None = None
        self._messages: deque[dict[str, Any]] = deque(maxlen=MAX_MESSAGES)
        self._events: list[str] = []
        for event, word in EVENTS.items():
            self._room.on(event, lambda *told, word=word: self._note(word, told))  # type: ignore[arg-type]
        room.on("track_subscribed", self._on_subscribed)
        room.on("track_unsubscribed", self._on_unsubscribed)
        room.on("active_speakers_changed", self._on_speakers)
        room.on("data_received", self._on_data)
        for topic in TEXT_TOPICS:
            room.register_text_stream_handler(topic, self._on_text)

    def note_joining(self) -> None:
        self._joining_at = time.monotonic()

    def note_joined(self) -> None:
        self._joined_in = time.monotonic() - self._joining_at

    def forget(self) -> None:
        for pictures in self._pictures.values():
            pictures.forget()

    def told(self) -> dict[str, Any]:
        return {
            "identity": self._room.local_participant.identity,
            "sid": self._room.local_participant.sid,
            "is_connected": self._room.connection_state == rtc.ConnectionState.CONN_CONNECTED,
            "joined_in_seconds": self._joined_in,
            "first_picture_in_seconds": self._first_picture_in,
            "is_recorded": self._room.is_recording,
            "people": {one.identity: self._person(one) for one in self._room.remote_participants.values()},
            "messages": list(self._messages),
            "events": self._events,
        }

    def publication(self, identity: str, source: str) -> rtc.RemoteTrackPublication:
        person = self._room.remote_participants[identity]
        return next(one for one in person.track_publications.values() if SOURCE_NAMES.get(one.source) == source)

    def _person(self, person: rtc.RemoteParticipant) -> dict[str, Any]:
        return {
            "identity": person.identity,
            "sid": person.sid,
            "name": person.name,
            "metadata": person.metadata,
            "attributes": dict(person.attributes),
            "speaking": person.identity in self._speakers,
            "quality": QUALITY_NAMES.get(person.connection_quality, "unknown"),
            "tracks": {
                SOURCE_NAMES.get(one.source, "unknown"): self._track(one) for one in person.track_publications.values()
            },
        }

    def _track(self, publication: rtc.RemoteTrackPublication) -> dict[str, Any]:
        sounds = self._sounds.get(publication.sid)
        return {
            "sid": publication.sid,
            "muted": publication.muted,
            "subscribed": publication.track is not None,
            "mime_type": publication.mime_type.lower(),
            "encrypted": publication.encryption_type != rtc.EncryptionType.NONE,
            "tone_hz": sounds.tone_hz() if sounds else 0.0,
            **self._pictures.get(publication.sid, SeenPictures()).told(),
        }

    def _note(self, word: str, told: tuple[Any, ...]) -> None:
        """Participants by identity, publications by source, the rest as it prints."""
        words = [word]
        for one in sorted(told, key=lambda each: not isinstance(each, rtc.Participant)):
            if isinstance(one, rtc.Participant):
                words.append(one.identity)
            elif isinstance(one, rtc.TrackPublication):
                words.append(SOURCE_NAMES.get(one.source, "unknown"))
            elif isinstance(one, int):
                words.append(rtc.DisconnectReason.Name(one))  # type: ignore[arg-type]
        self._events.append(" ".join(words))

    def _on_subscribed(
        self, track: rtc.Track, publication: rtc.RemoteTrackPublication, person: rtc.RemoteParticipant
    ) -> None:
        if isinstance(track, rtc.RemoteVideoTrack):
            reading = self._read_pictures(track, self._pictures.setdefault(publication.sid, SeenPictures()))
        else:
            reading = self._read_sound(track, self._sounds.setdefault(publication.sid, HeardSound()))
        self._readers[publication.sid] = asyncio.create_task(reading)

    def _on_unsubscribed(
        self, track: rtc.Track, publication: rtc.RemoteTrackPublication, person: rtc.RemoteParticipant
    ) -> None:
        if task := self._readers.pop(publication.sid, None):
            task.cancel()
        self._sounds.pop(publication.sid, None)

    async def _read_pictures(self, track: rtc.Track, seen: SeenPictures) -> None:
        stream = rtc.VideoStream(track, format=rtc.VideoBufferType.I420)
        async with contextlib.aclosing(stream):
            async for event in stream:
                if self._first_picture_in is None:
                    self._first_picture_in = time.monotonic() - self._joining_at
                frame = event.frame
                plane = np.frombuffer(frame.data, np.uint8, frame.width * frame.height)
                seen.show(plane.reshape(frame.height, frame.width))

    async def _read_sound(self, track: rtc.Track, heard: HeardSound) -> None:
        stream = rtc.AudioStream(track, sample_rate=sound.SAMPLE_RATE_HZ, num_channels=1)
        async with contextlib.aclosing(stream):
            async for event in stream:
                heard.hear(event.frame)

    def _on_speakers(self, speakers: list[rtc.Participant]) -> None:
        self._speakers = [one.identity for one in speakers]

    def _on_data(self, packet: rtc.DataPacket) -> None:
        self._messages.append(
            {
                "sender": packet.participant.identity if packet.participant else "",
                "kind": "data",
                "topic": packet.topic or "",
                "text": packet.data.decode(errors="replace"),
                "reliable": packet.kind == rtc.DataPacketKind.KIND_RELIABLE,
            }
        )

    def _on_text(self, reader: rtc.TextStreamReader, identity: str) -> None:
        task = asyncio.create_task(self._read_text(reader, identity))
        self._writers.add(task)
        task.add_done_callback(self._writers.discard)

    async def _read_text(self, reader: rtc.TextStreamReader, identity: str) -> None:
        text = await reader.read_all()
        message = {"sender": identity, "kind": "text", "topic": reader.info.topic, "text": text, "reliable": True}
        self._messages.append(message)
