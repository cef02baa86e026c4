"""Cost of a frame on the writer thread: queue, recorder, container, disk. Then the end of a 1-hour file.

    python -m bench.mux_path

Encoded data is random bytes of usual sizes behind one real key frame: passthrough never looks inside.
"""

from __future__ import annotations

import base64
import os
import tempfile
import time
from pathlib import Path

from channel_recorder.model import Codec, EncodedFrame, MediaKind, Source, User
from channel_recorder.recording.contract import RecordedTrack, TrackSink
from channel_recorder.recording.individual import IndividualRecorder
from channel_recorder.recording.writer import QueuedRecorder, WriterThread

FPS = 15
SOUND_HZ = 50
PICTURE_BYTES = 1500
SOUND_BYTES = 80
USER = User(uid=7, account="7")

_H264_KEY_FRAME = base64.b64decode(
    "AAAAAWdCwAraEehAAAADAEAAAAyjxImoAAAAAWjOD8gAAAABZYiEOhGKAAIx8cAAQt44AAhbycnJ111111114A=="
)
_KEY_FRAMES = {Codec.VP8: b"\x10\x02\x00\x9d\x01\x2a\x40\x01\xf0\x00" + bytes(200), Codec.H264: _H264_KEY_FRAME}


class Bench:
    """A user with camera and microphone, in virtual time."""

    def __init__(self, recorder: QueuedRecorder | IndividualRecorder, codec: Codec) -> None:
        self.recorder = recorder
        self.codec = codec
        self.camera = self._track("camera", MediaKind.VIDEO, Source.CAMERA)
        self.microphone = self._track("microphone", MediaKind.AUDIO, Source.MICROPHONE)
        prefix = b"\x00\x00\x00\x01\x41" if codec is Codec.H264 else b""
        self._picture = prefix + os.urandom(PICTURE_BYTES).replace(b"\x00", b"\x01")
        self._sound = b"\x78" + os.urandom(SOUND_BYTES)
        self.frames = 0

    def _track(self, sid: str, kind: MediaKind, source: Source) -> TrackSink:
        return self.recorder.add_track(RecordedTrack(sid=sid, user=USER, kind=kind, source=source), 0.0)

    def second(self, start: int) -> None:
        """Everything of one second of recording time, with ten batches."""
        for tenth in range(10):
            for n in range(SOUND_HZ // 10):
                self._send(self.microphone, Codec.OPUS, start + tenth / 10 + n / SOUND_HZ, True, self._sound)
            for n in range(tenth * FPS // 10, (tenth + 1) * FPS // 10):
                key = start % 2 == 0 and n == 0
                data = _KEY_FRAMES[self.codec] if key else self._picture
                self._send(self.camera, self.codec, start + n / FPS, key, data)
            self.recorder.advance(start + (tenth + 1) / 10)

    def _send(self, sink: TrackSink, codec: Codec, at_seconds: float, key: bool, data: bytes) -> None:
        size = (320, 240) if key and codec is not Codec.OPUS else (0, 0)
        frame = EncodedFrame(codec, data, round(at_seconds * codec.clock_rate_hz), at_seconds, key, *size)
        frame.time_seconds = at_seconds
        sink.write(frame)
        self.frames += 1


def recorder_in(folder: str) -> IndividualRecorder:
    def name_file(user: User, source: Source, extension: str, at_seconds: float) -> Path:
        return Path(folder) / f"{user.uid}_{source}_{at_seconds}.{extension}"

    return IndividualRecorder(name_file=name_file, on_event=lambda _: None, key_frame_wanted=lambda _: None)


def direct(codec: Codec, seconds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(recorder_in(folder), codec)
        begin = time.process_time()
        for second in range(seconds):
            bench.second(second)
        spent = time.process_time() - begin
        begin = time.process_time()
        bench.recorder.close(float(seconds))
        closing = time.process_time() - begin
    print(
        f"{codec}: {spent / bench.frames * 1e6:5.2f} us per muxed frame; "
        f"close after {seconds} s: {closing * 1e3:.1f} ms"
    )


def queued(codec: Codec, seconds: int) -> None:
    """With the queue and the thread; CPU of both threads."""
    with tempfile.TemporaryDirectory() as folder:
        writer = WriterThread()
        errors: list[BaseException] = []
        recorder = writer.open(recorder_in(folder), on_error=errors.append, limit_bytes=2**40)
        bench = Bench(recorder, codec)
        begin = time.process_time()
        for second in range(seconds):
            bench.second(second)
            recorder.flush().result()
        spent = time.process_time() - begin
        recorder.close(float(seconds))
        recorder.flush().result()
        writer.stop()
        if errors:
            raise errors[0]
    print(f"{codec}: {spent / bench.frames * 1e6:5.2f} us per muxed frame through the writer thread")


def main() -> None:
    for codec in (Codec.VP8, Codec.H264):
        direct(codec, 300)
        queued(codec, 300)
    for codec in (Codec.VP8, Codec.H264):
        direct(codec, 3600)


if __name__ == "__main__":
    main()
