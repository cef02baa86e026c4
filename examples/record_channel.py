"""Record one channel until nobody is left: the SDK in twenty lines.

CHANNEL_RECORDER_APP_CERTIFICATE=... python examples/record_channel.py ws://127.0.0.1:7880 devkey lesson-7
"""

import os
import sys

from channel_recorder import RecordingConfig, RecordingEngine, RecordingHandler, UserJoinInfo
from channel_recorder.handler import RecordedFile


class Handler(RecordingHandler):
    def on_user_joined(self, uid: int, info: UserJoinInfo) -> None:
        print(f"{info.account} ({uid}) is recorded in {info.storage_dir}")

    def on_file_closed(self, file: RecordedFile) -> None:
        print(f"{file.path.name}: {file.duration_seconds:.1f} s, {file.bytes} bytes, {', '.join(file.codecs)}")


server_url, app_id, channel = sys.argv[1:4]
certificate = os.environ["CHANNEL_RECORDER_APP_CERTIFICATE"]
with RecordingEngine(app_id, Handler(), server_url=server_url, app_certificate=certificate) as engine:
    engine.join_channel(None, channel, 1001, RecordingConfig(record_file_root_dir="recordings", idle_limit_sec=30))
    print("recording into", engine.get_properties().storage_dir)
    engine.wait_left()
