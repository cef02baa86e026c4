"""The figures of a recording, every 2 seconds (classic onRecordingStats)."""

from __future__ import annotations

from channel_recorder import clock
from channel_recorder.handler import RecordingStats
from channel_recorder.recording.tracks import Reception


class StatsMeter:
    """Makes rates of totals: keeps what was before."""

    def __init__(self, now: float) -> None:
        self._at = now
        self._cpu_seconds = clock.process_cpu_seconds()
        self._reception = Reception()

    def measure(
        self,
        reception: Reception,
        now: float,
        *,
        duration_seconds: float,
        user_count: int,
        open_files: int,
        dropped_frames: int,
    ) -> RecordingStats:
        elapsed, self._at = max(now - self._at, 1e-3), now
        before, self._reception = self._reception, reception
        cpu_before, self._cpu_seconds = self._cpu_seconds, clock.process_cpu_seconds()
        audio_kbps = _kbps(reception.audio_bytes - before.audio_bytes, elapsed)
        video_kbps = _kbps(reception.video_bytes - before.video_bytes, elapsed)
        return RecordingStats(
            duration_seconds=duration_seconds,
            received_bytes=reception.audio_bytes + reception.video_bytes,
            received_kbps=audio_kbps + video_kbps,
            received_audio_kbps=audio_kbps,
            received_video_kbps=video_kbps,
            written_bytes=reception.recorded_bytes,
            lost_packets=reception.lost_packets,
            user_count=user_count + 1,
            open_files=open_files,
            dropped_frames=dropped_frames,
            cpu_percent=round(100 * (self._cpu_seconds - cpu_before) / elapsed, 1),
        )

    def is_receiving(self, reception: Reception) -> tuple[bool, bool]:
        """Whether sound, and pictures, came since the last measurement."""
        before = self._reception
        return reception.audio_frames > before.audio_frames, reception.video_frames > before.video_frames


def _kbps(count_bytes: int, seconds: float) -> int:
    return round(count_bytes * 8 / 1000 / seconds)
