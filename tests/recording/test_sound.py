"""Sound without holes, packet by packet."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.codecs import opus
from channel_recorder.errors import MalformedError
from channel_recorder.recording.sound import SILENCE_10MS, SoundTimeline

PACKET = b"\xf8" + bytes(40)
"""20 ms."""


class Tape:
    """Takes packets as a container does, and insists that they touch."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.positions: list[int] = []
        self.end = 0
        self.timeline = SoundTimeline(self.put)

    def put(self, data: bytes, position_samples: int, samples: int) -> None:
        assert position_samples == self.end
        assert opus.duration_ticks(data) == samples
        self.packets.append(data)
        self.positions.append(position_samples)
        self.end += samples


def test_jitter_moves_nothing() -> None:
    tape = Tape()
    for number, jitter in enumerate([0, 400, -700, 900, -900]):
        assert tape.timeline.write(PACKET, number * 960 + jitter, number) == 0
    assert tape.packets == [PACKET] * 5


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_short_holes_are_concealed(missing: int) -> None:
    tape = Tape()
    tape.timeline.write(PACKET, 0, 0)
    assert tape.timeline.write(PACKET, 960 * (1 + missing), 1) == 960 * missing
    assert tape.packets == [PACKET, *[b"\xf8"] * missing, PACKET]


def test_long_holes_become_silence_to_within_10_ms() -> None:
    tape = Tape()
    tape.timeline.write(PACKET, 0, 0)
    tape.timeline.write(PACKET, 960 * 10 + 700, 1)
    assert tape.packets == [PACKET, *[opus.SILENCE_20MS] * 9, SILENCE_10MS, PACKET]


def test_what_was_filled_stays_filled() -> None:
    tape = Tape()
    tape.timeline.write(PACKET, 0, 0)
    tape.timeline.fill_to(960 * 5)
    assert tape.timeline.write(PACKET, 960 * 2, 1) == -1
    assert tape.timeline.write(PACKET, 960 * 5, 2) == 960 * 4
    assert (tape.timeline.packets, tape.timeline.dropped_packets) == (2, 1)


def test_doubled_packet_is_no_loss() -> None:
    tape = Tape()
    tape.timeline.write(PACKET, 0, 77)
    assert tape.timeline.write(PACKET, 0, 77) == -1
    assert tape.timeline.dropped_packets == 0


def test_slow_sender_gets_a_filler_and_a_fast_one_loses_a_packet_now_and_then() -> None:
    for drift, written, fillers in [(1e-3, 10_000, 10), (-1e-3, 9_990, 0)]:
        tape = Tape()
        for number in range(10_000):
            tape.timeline.write(PACKET, round(number * 960 * (1 + drift)), number)
        assert tape.timeline.packets == pytest.approx(written, abs=1)
        assert tape.timeline.filled_packets == pytest.approx(fillers, abs=1)


def test_silence_decodes_to_10_ms() -> None:
    assert opus.duration_ticks(SILENCE_10MS) == 480


packet_kinds = st.sampled_from([bytes((configuration << 3,)) + b"x" for configuration in range(32)])
steps = st.tuples(packet_kinds, st.integers(0, 3), st.integers(0, 48_000), st.integers(-300, 300), st.booleans())


@settings(deadline=None, max_examples=200)
@given(st.lists(steps, max_size=60))
def test_sound_touches_and_stays_within_30_ms_of_its_place(sent: list[tuple[bytes, int, int, int, bool]]) -> None:
    tape, place = Tape(), 0
    for number, (packet, lost, gap, jitter, advances) in enumerate(sent):
        samples = opus.duration_ticks(packet)
        place += lost * samples + (gap if gap > 24_000 else 0)
        if advances:
            tape.timeline.fill_to(place)
        if tape.timeline.write(packet, place + jitter, number) >= 0:
            off = tape.positions[-1] - (place + jitter)
            assert -960 < off < max(960, samples // 2 + 1)
        place += samples
    assert tape.timeline.packets + tape.timeline.dropped_packets == len(sent)
    assert tape.timeline.dropped_packets == 0 or any(advances for *_, advances in sent) or jittery(sent)


def jittery(sent: list[tuple[bytes, int, int, int, bool]]) -> bool:
    """Jitter alone can put a 2.5-ms packet where others lie."""
    return any(opus.duration_ticks(packet) < 960 for packet, *_ in sent)


@settings(deadline=None)
@given(st.binary(max_size=8))
def test_foreign_bytes_are_written_or_refused(data: bytes) -> None:
    tape = Tape()
    tape.timeline.write(PACKET, 0, 0)
    try:
        tape.timeline.write(data, 5000, 1)
    except MalformedError:
        assert tape.packets == [PACKET]
    else:
        assert tape.packets[-1] == data


def test_sound_that_comes_too_late_flows_all_the_same() -> None:
    """So that its place is kept longer: else it would be too late for ever."""
    tape = Tape()
    tape.timeline.fill_to(48_000)
    assert not tape.timeline.is_flowing
    assert tape.timeline.write(PACKET, 24_000, 0) == -1
    assert tape.timeline.is_flowing
