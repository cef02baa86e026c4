"""From the decision to stop to final files: a recording of an hour of two users, each with a camera of 200 kbit/s at
15 pictures/s and a microphone, as WebM (VP8) and as MP4 (H.264). Closing the files, hashing, manifest, done marker.

The hour is made in virtual time, through the product's recording, archive, writer thread and containers. Beside it:
how much memory an hour of an open file takes, most of it FFmpeg's index of an MP4.

python -m bench.stop
"""

from __future__ import annotations

import ctypes
import gc
import os
import tempfile
import time
from pathlib import Path

import uvloop

from bench import report
from bench.channels import rss_bytes
from bench.media import FPS, PICTURE_BYTES, SOUND_HZ, Stream, noise
from bench.paths import Virtual
from bench.recordings import check_recorded, open_recording, publish
from channel_recorder.codecs.registry import INSPECTORS
from channel_recorder.handler import LeavePath
from channel_recorder.model import Codec, EncodedFrame
from channel_recorder.recording.recording import Recording
from channel_recorder.recording.track_pipe import TrackPipe
from channel_recorder.recording.writer import WriterThread
from channel_recorder.rtc.receive.depacketize.formats import FORMATS

GOAL_MS = 500.0
SECONDS = 3600
USERS = 2
ROUNDS = 3
KEY_FRAME_SECONDS = 60


class User:
    """Frames of a camera and a microphone, past the receiver."""

    def __init__(self, recording: Recording, uid: int, codec: Codec, now: float) -> None:
        camera = Stream(codec, 2 * uid, mid=f"{uid}2", frame_bytes=PICTURE_BYTES)
        microphone = Stream(Codec.OPUS, 2 * uid + 1, mid=f"{uid}1")
        publish(recording, uid, [microphone, camera], now)
        self._codec = codec
        self._camera = self._begin(recording, camera, now)
        self._microphone = self._begin(recording, microphone, now)
        self._key_frame = _frame_of(camera, 0, key_frame=True)
        self._pictures = [_frame_of(camera, number) for number in range(1, 16)]
        self._sounds = [b"\x78" + noise(79) for _ in range(16)]
        self._info = INSPECTORS[codec](self._key_frame)

    def _begin(self, recording: Recording, stream: Stream, now: float) -> TrackPipe:
        return recording.begin_media(stream.description().track_id, stream.codec.kind, stream.description().mid, now)

    def tenth(self, number: int, begin: float) -> None:
        """What comes in 100 ms of a recording that began at `begin`."""
        for frame in range(number * FPS // 10, (number + 1) * FPS // 10):
            ticks, now = frame * 90_000 // FPS, begin + frame / FPS
            if frame % (KEY_FRAME_SECONDS * FPS) == 0:
                _, width, height = self._info
                self._camera.on_frame(EncodedFrame(self._codec, self._key_frame, ticks, now, True, width, height))
            else:
                self._camera.on_frame(EncodedFrame(self._codec, self._pictures[frame % 15], ticks, now, False))
        for frame in range(number * SOUND_HZ // 10, (number + 1) * SOUND_HZ // 10):
            now = begin + frame / SOUND_HZ
            self._microphone.on_frame(EncodedFrame(Codec.OPUS, self._sounds[frame % 16], frame * 960, now))


def _frame_of(stream: Stream, number: int, *, key_frame: bool = False) -> bytes:
    return FORMATS[stream.codec].assemble([packet[12:] for packet in stream.frame(number, key_frame=key_frame)])


async def record_an_hour(codec: Codec) -> tuple[float, float, float]:
    """Milliseconds to stop, MB written, MB of memory that an open file grew by."""
    clock = Virtual()
    writer = WriterThread()
    with tempfile.TemporaryDirectory() as folder:
        recording = open_recording(Path(folder), writer, clock())
        queue = recording._archive.recorder
        users = [User(recording, uid, codec, clock()) for uid in range(1, USERS + 1)]
        memory, begin = 0.0, clock.now
        for tenth in range(10 * SECONDS):
            for user in users:
                user.tenth(tenth, begin)
            clock.now = begin + (tenth + 1) / 10
            recording.advance(clock.now)
            if tenth % 10 == 9:
                await queue.drained()
            if tenth == 600:
                memory = _settled_rss()
        memory = _settled_rss() - memory
        stopped = time.monotonic()
        await recording.finish(LeavePath.CLIENT_INITIATED, clock.now)
        spent = time.monotonic() - stopped
        written = check_recorded(Path(folder), USERS * SECONDS * (FPS + SOUND_HZ))
    writer.stop()
    return spent * 1e3, written / 1e6, memory / 2**20 / USERS


def _settled_rss() -> float:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return rss_bytes()


def measure() -> list[report.Figure]:
    figures: list[report.Figure] = []
    for name, codec in (("WebM", Codec.VP8), ("MP4", Codec.H264)):
        os.sync()
        rounds = [uvloop.run(record_an_hour(codec)) for _ in range(ROUNDS)]
        stops = [stop for stop, _, _ in rounds]
        note = f"{rounds[0][1]:.0f} MB in 2 files; rounds: {', '.join(f'{stop:.0f}' for stop in stops)}"
        figures += [
            report.Figure(
                what=f"stop to final files, an hour of two users, {name}",
                value=report.median(stops),
                unit="ms",
                at_most=GOAL_MS,
                note=note,
            ),
            report.Figure(
                what=f"memory an hour of an open file takes, {name}",
                value=report.median(memory for _, _, memory in rounds),
                unit="MB",
            ),
        ]
    return figures


if __name__ == "__main__":
    report.run("Stop", measure)
