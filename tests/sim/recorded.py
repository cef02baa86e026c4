"""The files of a simulated call, read back by another reader: which frame lies where, and what became of the rest."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import av
from av.video.stream import VideoStream

from channel_recorder.recording.manifest import Manifest, ManifestFile, ManifestStream, read_manifest
from tests.sim.content import LOOP_SECONDS, number_shown, sound_loop


@dataclass(frozen=True, slots=True)
class Played:
    """A frame of ours in a file. Fillers of sound are left out."""

    number: int
    at_seconds: float
    """Recording time."""
    key_frame: bool


@dataclass(frozen=True)
class RecordedFile:
    entry: ManifestFile
    pictures: list[Played] = field(default_factory=list[Played])
    sound: list[Played] = field(default_factory=list[Played])
    sound_ends: float = 0.0
    holes: list[float] = field(default_factory=list[float])
    """Of sound: where a packet does not begin where the one before ended."""

    def lane(self, kind: str) -> list[Played]:
        return self.sound if kind == "audio" else self.pictures

    def stream(self, kind: str) -> ManifestStream:
        return next(stream for stream in self.entry.streams if stream.kind == kind)


@dataclass(frozen=True)
class Recorded:
    manifest: Manifest
    journal: list[dict[str, Any]]
    files: list[RecordedFile]

    def of(self, uid: int, *, screen: bool = False) -> list[RecordedFile]:
        return [file for file in self.files if file.entry.uid == uid and ("screen" in file.entry.source) == screen]

    def facts(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.journal if line["fact"] == name]


@cache
def _loop_numbers(packet_ms: int) -> dict[bytes, int]:
    return {data: number for number, data in enumerate(sound_loop(packet_ms))}


def read_recording(folder: Path, sound_began: dict[int, float], packet_ms: int = 20) -> Recorded:
    """`sound_began`: of each uid, the true time of its packet 0."""
    manifest = read_manifest(folder / "manifest.json")
    journal = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    files = [_read_file(folder, entry, sound_began.get(entry.uid, 0.0), packet_ms) for entry in manifest.files]
    return Recorded(manifest, journal, files)


def _read_file(folder: Path, entry: ManifestFile, sound_began: float, packet_ms: int) -> RecordedFile:
    file = RecordedFile(entry)
    numbers = _loop_numbers(packet_ms)
    period = LOOP_SECONDS * 1000 // packet_ms
    end = None
    with av.open(str(folder / entry.name)) as container:
        for packet in container.demux():
            if isinstance(packet.stream, VideoStream):
                file.pictures.extend(
                    _shown(frame, entry.start) for frame in packet.decode() if isinstance(frame, av.VideoFrame)
                )
                continue
            if packet.pts is None:
                continue
            at = entry.start + float(packet.pts * packet.time_base)
            if end is not None and abs(at - end) > 0.0015:
                file.holes.append(at)
            end = at + float((packet.duration or 0) * packet.time_base)
            number = numbers.get(bytes(packet))
            if number is not None:
                expected = (at - sound_began) * 1000 / packet_ms
                number += period * round((expected - number) / period)
                file.sound.append(Played(number, at, True))
    return file


def _shown(frame: av.VideoFrame, start_seconds: float) -> Played:
    assert frame.time is not None
    return Played(number_shown(frame), start_seconds + frame.time, frame.key_frame)
