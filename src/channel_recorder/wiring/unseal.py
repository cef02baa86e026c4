"""Opening the sealed frames of a recording with the keys of a config."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from channel_recorder.config import RecordingConfig
from channel_recorder.recording.individual import IndividualOptions
from channel_recorder.recording.unsealing import Unsealed, unseal
from channel_recorder.wiring.keys import ChannelKeys


def unseal_folder(folder: Path, config: RecordingConfig) -> Unsealed:
    """Raises StorageError, MalformedError."""
    options = IndividualOptions(
        audio_codec=config.audio_codec,
        audio_only=config.is_audio_only,
        video_only=config.is_video_only,
        separate_tracks=config.separate_tracks,
    )
    return unseal(folder, ChannelKeys(config, _here).store, options)


def _here(work: Callable[[], None]) -> None:
    work()
