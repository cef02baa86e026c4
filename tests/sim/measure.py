"""What must hold for every recording, and how good it is: the files against what was sent."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from channel_recorder.codecs.opus import LOOK_AHEAD_SECONDS
from tests.sim.bench import Person
from tests.sim.live import LiveStream
from tests.sim.recorded import Played, Recorded, RecordedFile

PACKET_SECONDS = 0.02
ROUNDING_SECONDS = 0.0015
"""WebM counts milliseconds."""


@dataclass(frozen=True)
class Sync:
    """Sound against pictures, in seconds; positive: sound is late."""

    errors: list[float]

    @property
    def p50(self) -> float:
        return self._share(0.5)

    @property
    def p95(self) -> float:
        return self._share(0.95)

    @property
    def worst(self) -> float:
        return self._share(1.0)

    def _share(self, share: float) -> float:
        ordered = sorted(abs(error) for error in self.errors)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]

    def __str__(self) -> str:
        return f"p50 {self.p50 * 1000:.1f}, p95 {self.p95 * 1000:.1f}, worst {self.worst * 1000:.1f} ms"


def sync(files: Iterable[RecordedFile], person: Person, since_seconds: float) -> Sync:
    """Over all pictures from the true instant on."""
    errors: list[float] = []
    sound_true, picture_true = _true_times(person.microphone), _true_times(person.camera)
    for file in files:
        sounds = [(sound_true[each.number], each.at_seconds) for each in file.sound]
        times = [true for true, _ in sounds]
        for picture in file.pictures:
            true = picture_true[picture.number]
            index = bisect_left(times, true)
            nearest = min(sounds[max(index - 1, 0) : index + 1], key=lambda each: abs(each[0] - true), default=None)
            if true >= since_seconds and nearest is not None and abs(nearest[0] - true) <= PACKET_SECONDS:
                heard = nearest[1] + LOOK_AHEAD_SECONDS - nearest[0]
                errors.append(heard - (picture.at_seconds - true))
    return Sync(errors)


def offsets(played: Sequence[Played], stream: LiveStream) -> list[float]:
    """How much later than true each frame lies."""
    true = _true_times(stream)
    return [each.at_seconds - true[each.number] for each in played]


def missing(played: Sequence[Played], stream: LiveStream) -> list[int]:
    """Sent between the first and the last frame recorded, and not there."""
    recorded = {each.number for each in played}
    first, last = min(recorded), max(recorded)
    return [sent.number for sent in stream.sent if first <= sent.number <= last and sent.number not in recorded]


def check_files(recorded: Recorded, people: Iterable[Person], *, steps: bool = True, losses: bool = True) -> None:
    """The invariants. Without `steps` places may jump; without `losses` nobody need know them.

    `read_recording` decoded every picture: none is smeared, or it had raised.
    """
    for person in people:
        files = recorded.of(person.uid, screen=person.screen)
        for file in files:
            _check_gaps(recorded, file)
            _check_order(file)
            _check_references(file, person)
            if steps:
                _check_steps(file, person)
            assert file.holes == [], "sound has no holes"
        for lane in ("pictures", "sound"):
            numbers = [each.number for file in files for each in getattr(file, lane)]
            assert numbers == sorted(set(numbers)), f"{lane} out of order or twice"
        for stream in person.streams if losses else ():
            _check_losses(recorded, files, stream)


def _check_order(file: RecordedFile) -> None:
    for lane in (file.pictures, file.sound):
        assert all(before.at_seconds < after.at_seconds for before, after in pairwise(lane))
        assert not lane or lane[0].at_seconds >= file.entry.start - ROUNDING_SECONDS
        assert not lane or lane[-1].at_seconds <= file.entry.start + file.entry.duration + ROUNDING_SECONDS


def _check_gaps(recorded: Recorded, file: RecordedFile) -> None:
    """The manifest sums up what the journal tells."""
    for stream in file.entry.streams:
        told = [
            line["duration"]
            for line in recorded.facts("gap")
            if line["name"] == file.entry.name and line["kind"] == stream.kind
        ]
        assert stream.gaps == len(told)
        assert abs(stream.gap_seconds - sum(told)) < 0.001


def _check_references(file: RecordedFile, person: Person) -> None:
    if not file.pictures:
        return
    assert file.pictures[0].key_frame
    made_from = {after.number: before.number for before, after in pairwise(person.camera.sent)}
    for before, after in pairwise(file.pictures):
        assert after.key_frame or before.number == made_from[after.number], "a picture without the one it is made from"


def _check_steps(file: RecordedFile, person: Person) -> None:
    """What is placed anew moves by no more than a frame from one frame to the next."""
    streams = {stream.settings.is_sound: stream for stream in person.streams}
    for lane, is_sound in ((file.pictures, False), (file.sound, True)):
        if not lane:
            continue
        stream = streams[is_sound]
        most = max(stream.settings.interval_seconds, PACKET_SECONDS) + ROUNDING_SECONDS
        moves = offsets(lane, stream)
        for (before, after), (one, other) in zip(pairwise(moves), pairwise(lane), strict=True):
            if other.number == one.number + 1:
                assert abs(after - before) <= most, f"a step of {after - before:.3f} s at {other.at_seconds:.3f}"


def _check_losses(recorded: Recorded, files: list[RecordedFile], stream: LiveStream) -> None:
    """Whatever is missing is counted in the manifest and journalled, or lies in a journalled gap without packets."""
    kind = stream.settings.codec.kind
    files = [file for file in files if file.lane(kind)]
    lane = [each for file in files for each in file.lane(kind)]
    if not lane:
        return
    entries = [file.stream(kind) for file in files]
    assert sum(entry.frames for entry in entries) == len(lane)
    names = {file.entry.name for file in files}
    gaps = [line for line in recorded.facts("gap") if line["name"] in names and line["kind"] == kind]
    gone, all_gone = len(_missing_outside(gaps, lane, stream)), len(missing(lane, stream))
    counted = sum(entry.lost_frames for entry in entries)
    if stream.live.new_ssrcs or len(files) > 1:
        return  # what was lost last before something new began, nobody can know
    if stream.settings.is_sound:
        most = len(stream.sent) - len(lane)
        assert gone <= counted <= most, f"{gone} to {most} packets are missing, not {counted}"
        return
    assert not gone or (counted and any(line["lost_packets"] for line in gaps)), "lost pictures are journalled"
    assert all_gone or not counted, f"no pictures are missing, not {counted}"


def _missing_outside(gaps: list[dict[str, Any]], lane: list[Played], stream: LiveStream) -> list[int]:
    """What is missing beside the gaps for which nobody was to send: the connection was another one then."""
    gone = missing(lane, stream)
    for gap in gaps:
        if not gap["lost_packets"]:
            before = max((each.number for each in lane if each.at_seconds < gap["at"] + ROUNDING_SECONDS), default=-1)
            after = min(each.number for each in lane if each.at_seconds > gap["at"] + ROUNDING_SECONDS)
            gone = [number for number in gone if not before < number < after]
    return gone


def _true_times(stream: LiveStream) -> dict[int, float]:
    return {sent.number: sent.sent_seconds for sent in stream.sent}
