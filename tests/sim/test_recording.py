"""Whatever network, clocks and people do: what was sent is in the files, once, whole, in its place, in step."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from channel_recorder.model import Codec
from tests.sim.bench import STARTED_AT, Bench
from tests.sim.measure import offsets, sync
from tests.sim.network import PERFECT, NetworkConditions
from tests.sim.scene import (
    HOME,
    SETTLING_SECONDS,
    TAIL_SECONDS,
    Changes,
    assert_complete,
    assert_in_sync,
    record,
    speaker,
)

SECONDS = 30.0
LATE_BY_UP_TO_50_MS = {"report_noise_seconds": 0.05}


@pytest.mark.parametrize("codec", [Codec.VP8, Codec.H264])
def test_on_a_good_network_everything_is_there_and_in_step(tmp_path: Path, codec: Codec) -> None:
    who = speaker(1, SECONDS, picture={"codec": codec})
    recorded = record(tmp_path, [who], SECONDS, down=HOME)
    assert_complete(recorded, who)
    assert_in_sync(recorded, who, p95=0.010, worst=0.020)
    (file,) = recorded.of(who.uid)
    told = file.stream("video").sound_offset
    assert told is not None and told.p95 <= 0.020 and told.worst <= 0.050
    assert file.entry.start == pytest.approx(0.04, abs=0.02)
    assert file.entry.duration == pytest.approx(SECONDS + TAIL_SECONDS - file.entry.start, abs=0.03)


@pytest.mark.parametrize(
    ("loss", "pictures", "packets"), [(0.01, 0, 0), (0.05, 0, 0), (0.1, 0, 0), (0.2, 40, 5), (0.3, 200, 20)]
)
def test_random_loss_is_repaired(tmp_path: Path, loss: float, pictures: int, packets: int) -> None:
    """Of 450 pictures and 1500 packets of sound. Requests and repeated packets are lost as often."""
    who = speaker(1, SECONDS)
    network = NetworkConditions(delay_seconds=0.03, jitter_seconds=0.02, loss=loss)
    recorded = record(tmp_path, [who], SECONDS, down=network)
    assert_complete(recorded, who, pictures=pictures, packets=packets)
    assert_in_sync(recorded, who, p95=0.025)


@pytest.mark.parametrize(
    "network",
    [
        NetworkConditions(delay_seconds=0.03, bad=0.01, recovery=0.1, bad_loss=0.8),
        NetworkConditions(delay_seconds=0.03, burst=0.002, burst_seconds=0.2),
        NetworkConditions(delay_seconds=0.03, jitter_seconds=0.5),
        NetworkConditions(delay_seconds=0.03, reordered=0.2, reorder_seconds=0.5, duplicates=0.1),
        NetworkConditions(delay_seconds=0.03, bytes_per_second=6500),
        NetworkConditions(delay_seconds=0.03, cuts=((9.0, 9.5), (15.0, 16.8))),
    ],
    ids=["bad spells", "bursts", "jitter", "reordering", "narrow", "short cuts"],
)
def test_what_the_network_does_for_a_moment_leaves_no_trace(tmp_path: Path, network: NetworkConditions) -> None:
    who = speaker(1, SECONDS)
    recorded = record(tmp_path, [who], SECONDS, down=network)
    assert_complete(recorded, who)
    assert_in_sync(recorded, who)


@pytest.mark.parametrize("ppm", [-300, 300])
def test_clocks_that_drift_apart_stay_in_step(tmp_path: Path, ppm: int) -> None:
    who = speaker(1, 60.0, {"drift_ppm": ppm, "clock_ppm": 80}, {"drift_ppm": -ppm, "clock_ppm": 80})
    recorded = record(tmp_path, [who], 60.0, down=HOME)
    assert_complete(recorded, who)
    assert_in_sync(recorded, who)


@pytest.mark.parametrize(
    ("sound", "picture"),
    [
        (LATE_BY_UP_TO_50_MS, {}),
        ({}, LATE_BY_UP_TO_50_MS),
        ({"report_outliers": 0.15}, {"report_outliers": 0.15}),
        ({"clock_ahead_seconds": -3.9e9 + 5.0}, {"clock_ahead_seconds": -3.9e9 + 5.0}),
    ],
    ids=["late for sound", "late for pictures", "outliers", "a clock near zero"],
)
def test_reports_that_err_do_not_part_sound_and_pictures(tmp_path: Path, sound: Changes, picture: Changes) -> None:
    who = speaker(1, SECONDS, sound, picture)
    recorded = record(tmp_path, [who], SECONDS, down=HOME)
    assert_complete(recorded, who)
    assert_in_sync(recorded, who, since=15.0, p95=0.030)


def test_reports_that_come_late_do_not_part_sound_and_pictures(tmp_path: Path) -> None:
    who = speaker(1, SECONDS)
    stale = NetworkConditions(delay_seconds=0.03, jitter_seconds=1.5)
    recorded = record(tmp_path, [who], SECONDS, down=HOME, reports=stale)
    assert_in_sync(recorded, who)


def test_wrapped_counters_leave_no_trace(tmp_path: Path) -> None:
    sound = {"first_timestamp": 2**32 - 48_000 * 12, "first_sequence": 65_100}
    picture = {"first_timestamp": 2**32 - 90_000 * 12, "first_sequence": 65_100}
    who = speaker(1, SECONDS, sound, picture)
    network = NetworkConditions(delay_seconds=0.03, loss=0.05)
    recorded = record(tmp_path, [who], SECONDS, down=network)
    assert_complete(recorded, who)
    assert_in_sync(recorded, who)


def test_new_ssrcs_go_on_in_the_same_file(tmp_path: Path) -> None:
    who = speaker(1, SECONDS, {"new_ssrcs": (12.0,)}, {"new_ssrcs": (10.0, 20.0)})
    recorded = record(tmp_path, [who], SECONDS, down=HOME)
    assert len(recorded.of(who.uid)) == 1
    assert_complete(recorded, who)
    assert_in_sync(recorded, who)


@pytest.mark.parametrize("codec", [Codec.VP8, Codec.H264])
def test_pictures_that_change_their_size_go_on_in_the_same_file(tmp_path: Path, codec: Codec) -> None:
    sizes = {5.0: (128, 96), 10.0: (32, 48), 20.0: (128, 48)}
    who = speaker(1, SECONDS, picture={"codec": codec, "sizes": sizes})
    recorded = record(tmp_path, [who], SECONDS, down=NetworkConditions(delay_seconds=0.03, loss=0.02))
    assert len(recorded.of(who.uid)) == 1
    assert_complete(recorded, who)
    told = [(line["width"], line["height"]) for line in recorded.facts("video_info")]
    assert told == [(64, 48), *sizes.values()]


@pytest.mark.parametrize("codec", [Codec.VP8, Codec.H264])
@pytest.mark.parametrize("stands_still", [False, True])
def test_pauses_stay_pauses(tmp_path: Path, codec: Codec, stands_still: bool) -> None:
    """Some senders' time stamps stand still meanwhile: half a second is placed wrongly until that is sure."""
    pause = {"pauses_stop_time_stamps": stands_still}
    who = speaker(1, SECONDS, {"pauses": ((8.0, 14.0),), **pause}, {"pauses": ((10.0, 18.0),), "codec": codec, **pause})
    recorded = record(tmp_path, [who], SECONDS, down=HOME, steps=not stands_still)
    (file,) = recorded.of(who.uid)
    assert_complete(recorded, who, packets=26 if stands_still else 0, pictures=8 if stands_still else 0)
    assert_in_sync(recorded, who, since=20.0 if stands_still else SETTLING_SECONDS)
    gaps = {line["kind"]: (line["at"], line["duration"]) for line in recorded.facts("gap")}
    assert gaps["audio"] == pytest.approx((8.05, 6.0), abs=0.6 if stands_still else 0.05)
    assert gaps["video"] == pytest.approx((10.0, 8.0), abs=0.6 if stands_still else 0.15)
    assert file.stream("audio").filled_frames >= 300


def test_a_sender_that_is_silent_discontinuously_loses_nothing(tmp_path: Path) -> None:
    who = speaker(1, SECONDS, {"dtx": ((3.0, 12.0), (15.0, 25.0))})
    recorded = record(tmp_path, [who], SECONDS, down=NetworkConditions(delay_seconds=0.03, loss=0.05))
    assert_complete(recorded, who)
    assert_in_sync(recorded, who)


def test_who_comes_late_and_leaves_early_has_a_file_of_that_length_on_the_same_clock(tmp_path: Path) -> None:
    first = speaker(1, SECONDS)
    late = {"start_seconds": 10.0, "clock_ahead_seconds": 1234.5}
    second = speaker(2, 15.0, late, late, joins=10.0, leaves=22.0)
    recorded = record(tmp_path, [first, second], SECONDS, down=HOME)
    (file,) = recorded.of(second.uid)
    assert file.entry.start == pytest.approx(10.04, abs=0.03)
    assert file.entry.start + file.entry.duration == pytest.approx(22.0, abs=0.03)
    assert_in_sync(recorded, second)
    ours = offsets(recorded.of(first.uid)[0].sound, first.microphone)
    theirs = offsets(file.sound, second.microphone)
    assert ours[-1] == pytest.approx(theirs[-1], abs=0.040), "what was said at once is heard at once"


def test_a_cut_of_30_seconds_is_a_gap_in_the_same_file(tmp_path: Path) -> None:
    who = speaker(1, 60.0)
    cut = NetworkConditions(delay_seconds=0.03, jitter_seconds=0.02, cuts=((12.0, 42.0),))
    recorded = record(tmp_path, [who], 60.0, down=cut)
    (file,) = recorded.of(who.uid)
    assert_in_sync(recorded, who)
    gaps = {line["kind"]: (line["at"], line["duration"]) for line in recorded.facts("gap")}
    assert gaps["audio"] == pytest.approx((12.0, 30.0), abs=0.1)
    assert gaps["video"] == pytest.approx((12.0, 30.0), abs=0.5)
    assert file.stream("audio").lost_frames == pytest.approx(1500, abs=5)


def test_another_connection_after_a_cut_goes_on_in_the_same_file(tmp_path: Path) -> None:
    who = speaker(1, SECONDS)
    recorded = record(tmp_path, [who], SECONDS, down=HOME, prepare=lambda bench: bench.rejoin(12.0, 4.0))
    (file,) = recorded.of(who.uid)
    assert file.entry.duration == pytest.approx(SECONDS + TAIL_SECONDS - file.entry.start, abs=0.03)
    assert sync([file], who, 20.0).p95 <= 0.020
    lying = offsets(file.sound, who.microphone)
    assert max(lying) - min(lying) < 0.045, "time goes on as if nothing had been"


def test_a_wall_clock_that_is_set_changes_no_file(tmp_path: Path) -> None:
    def media(name: str, steps: bool) -> dict[str, bytes]:
        who = speaker(1, 12.0)
        folder = tmp_path / name
        folder.mkdir()
        step = timedelta(hours=-7 if steps else 0)
        bench = Bench(
            folder,
            [who],
            down=HOME,
            wall_clock=lambda now: STARTED_AT + timedelta(seconds=now) + (step if now > 5 else timedelta()),
        )
        bench.finish(15.0)
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".webm", ".json")}

    before, after = media("steady", steps=False), media("set", steps=True)
    assert len(before) == 2
    assert before == after


def test_an_hour_at_100_ppm_stays_in_step(tmp_path: Path) -> None:
    """Thinned: 60-ms packets, two pictures a second."""
    seconds = 3600.0
    sound = {"interval_seconds": 0.06, "drift_ppm": 100}
    picture = {"interval_seconds": 0.5, "drift_ppm": -100, "packets_per_frame": 1, "codec": Codec.H264}
    who = speaker(1, seconds, sound, picture)
    recorded = record(tmp_path, [who], seconds, packet_ms=60, down=PERFECT)
    assert_complete(recorded, who, packets=10)
    assert_in_sync(recorded, who)
    (file,) = recorded.of(who.uid)
    lying = offsets(file.pictures, who.camera)
    assert max(lying) - min(lying) < 0.100
