"""From the datagram to the recorder's sink: what is held, recorded, dropped, and at which time."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.model import Codec, EncodedFrame, MediaKind
from channel_recorder.recording.track_pipe import HELD_FRAMES_LIMIT, TrackPipe
from channel_recorder.timeline import Timeline

JOINED = 100.0


@dataclass
class Sink:
    frames: list[EncodedFrame] = field(default_factory=list[EncodedFrame])
    closed_at: float | None = None

    def write(self, frame: EncodedFrame) -> None:
        self.frames.append(frame)

    def close(self, at_seconds: float) -> None:
        self.closed_at = at_seconds

    @property
    def numbers(self) -> list[int]:
        return [int.from_bytes(frame.data, "big") for frame in self.frames]


def sound(number: int, *, lost: int = 0) -> EncodedFrame:
    arrival = JOINED + number * 0.02
    return EncodedFrame(Codec.OPUS, number.to_bytes(4, "big"), number * 960, arrival, lost_packets=lost)


def picture(number: int, *, key: bool = False) -> EncodedFrame:
    size = (320, 240) if key else (0, 0)
    return EncodedFrame(Codec.VP8, number.to_bytes(4, "big"), number * 6000, JOINED + number / 15, key, *size)


def pipe_of(kind: MediaKind = MediaKind.AUDIO) -> TrackPipe:
    return TrackPipe(kind, Timeline(JOINED), "PA_1")


def test_what_came_before_the_announcement_is_recorded_once_and_first() -> None:
    pipe, sink = pipe_of(), Sink()
    for number in range(5):
        pipe.on_frame(sound(number))
    pipe.open(sink, 0.0, lambda _: None)
    for number in range(5, 10):
        pipe.on_frame(sound(number))
    assert sink.numbers == list(range(10))


def test_time_is_counted_from_the_beginning_of_the_recording_and_never_negative() -> None:
    pipe, sink = pipe_of(), Sink()
    for number in range(100):
        pipe.on_frame(sound(number))
    pipe.open(sink, 1.0, lambda _: None)
    times = [frame.time_seconds for frame in sink.frames]
    assert times[:51] == [0.0] * 51, "captured before the recording began: its beginning"
    assert times[51:] == pytest.approx([number / 50 - 1.0 for number in range(51, 100)], abs=1e-6)


def test_what_is_excluded_is_dropped_and_what_is_included_again_goes_on() -> None:
    pipe, before, after = pipe_of(), Sink(), Sink()
    pipe.on_frame(sound(0))
    pipe.open(before, 0.0, lambda _: None)
    pipe.on_frame(sound(1))
    pipe.discard()
    assert not pipe.is_open
    pipe.on_frame(sound(2))
    pipe.open(after, 0.0, lambda _: None)
    pipe.on_frame(sound(3))
    assert (before.numbers, after.numbers) == ([0, 1], [3])


def test_what_was_held_of_an_excluded_track_is_forgotten() -> None:
    pipe, sink = pipe_of(), Sink()
    pipe.on_frame(sound(0))
    pipe.discard()
    pipe.open(sink, 0.0, lambda _: None)
    assert sink.numbers == []


def test_everything_received_is_counted_and_only_what_is_recorded_as_recorded() -> None:
    pipe, sink = pipe_of(), Sink()
    pipe.open(sink, 0.0, lambda _: None)
    pipe.on_frame(sound(0, lost=2))
    pipe.discard()
    pipe.on_frame(sound(1, lost=1))
    assert (pipe.frames, pipe.bytes, pipe.recorded_bytes, pipe.lost_packets) == (2, 8, 4, 3)


def test_the_first_picture_is_told_with_its_size_and_once() -> None:
    pipe, sink = pipe_of(MediaKind.VIDEO), Sink()
    told: list[EncodedFrame] = []
    pipe.discard()
    pipe.open(sink, 0.0, told.append)
    pipe.on_frame(picture(0))
    assert told == [], "a picture without its key frame can't be shown"
    pipe.on_frame(picture(1, key=True))
    pipe.on_frame(picture(2, key=True))
    pipe.discard()
    pipe.open(sink, 0.0, told.append)
    pipe.on_frame(picture(3, key=True))
    assert [(frame.width, frame.height) for frame in told] == [(320, 240)]
    assert sink.numbers == [0, 1, 2, 3]


def test_pictures_held_too_long_go_on_at_a_key_frame_without_a_hole() -> None:
    pipe, sink = pipe_of(MediaKind.VIDEO), Sink()
    key_frames = {0, HELD_FRAMES_LIMIT + 10}
    for number in range(HELD_FRAMES_LIMIT + 20):
        pipe.on_frame(picture(number, key=number in key_frames))
    pipe.open(sink, 0.0, lambda _: None)
    assert sink.numbers == list(range(HELD_FRAMES_LIMIT + 10, HELD_FRAMES_LIMIT + 20))


@settings(deadline=None)
@given(st.lists(st.sampled_from(["frame", "open", "discard"]), max_size=60), st.floats(0.0, 3.0))
def test_no_frame_is_recorded_twice_or_out_of_order_or_before_the_beginning(steps: list[str], zero: float) -> None:
    pipe, sink, number, is_open = pipe_of(), Sink(), 0, False
    expected: list[int] = []
    held: list[int] | None = []
    for step in steps:
        match step:
            case "frame":
                pipe.on_frame(sound(number))
                if is_open:
                    expected.append(number)
                elif held is not None:
                    held.append(number)
                number += 1
            case "open" if not is_open:
                pipe.open(sink, zero, lambda _: None)
                expected += held or []
                held, is_open = None, True
            case "discard":
                pipe.discard()
                held, is_open = None, False
            case _:
                pass
    assert sink.numbers == expected
    assert all(frame.time_seconds >= 0.0 for frame in sink.frames)


def test_pictures_wait_for_what_a_decoder_of_sound_looks_ahead() -> None:
    """So that a beep is heard when its flash is seen."""
    heard, seen = Sink(), Sink()
    for kind, sink, first in ((MediaKind.AUDIO, heard, sound(50)), (MediaKind.VIDEO, seen, picture(15, key=True))):
        pipe = pipe_of(kind)
        pipe.open(sink, 0.0, lambda _: None)
        pipe.on_frame(first)
    assert heard.frames[0].time_seconds == pytest.approx(1.0)
    assert seen.frames[0].time_seconds == pytest.approx(1.0065)


def test_what_the_timeline_has_not_corrected_yet_goes_with_the_frame() -> None:
    pipe, sink = pipe_of(MediaKind.VIDEO), Sink()
    pipe.open(sink, 0.0, lambda _: None)
    for number in range(60):
        frame = picture(number, key=True)
        frame.arrival_seconds += 0.05 if number < 5 else 0.0
        pipe.on_frame(frame)
    errors = [frame.error_seconds for frame in sink.frames]
    assert max(errors) > 0.02 > errors[-1] == 0.0, "the first packets came late: what was made of it is slewed away"
