"""A program that records in real time until it is killed; prints the recording time after every batch.

python -m tests.recording.live_writer FOLDER CODEC SPEED
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from channel_recorder.model import Codec, Source
from tests.recording.clips import pictures, sound
from tests.recording.stage import Stage

SECONDS = 8.0


def main(folder: str, codec_name: str, speed: str) -> None:
    stage = Stage(Path(folder))
    codec = Codec(codec_name)
    if codec is not Codec.OPUS:
        stage.send_pictures(stage.track(Source.CAMERA), codec, pictures(codec, 200), 0.1)
    stage.send_sound(stage.track(Source.MICROPHONE), sound(8.0), 0.0)
    begin = time.monotonic()
    for tick in range(1, round(SECONDS * 10)):
        time.sleep(max(0.0, begin + tick / 10 / float(speed) - time.monotonic()))
        stage.run(tick / 10)
        sys.stdout.write(f"{tick / 10}\n")
        sys.stdout.flush()
    time.sleep(60)


if __name__ == "__main__":
    main(*sys.argv[1:])
