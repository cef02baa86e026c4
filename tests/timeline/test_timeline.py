from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.timeline import Timeline
from tests.timeline.wire import Capture, Clock, offset_at, out_of_step, play


def _microphone(clock: Clock, **changes: float) -> Capture:
    given_: dict[str, float] = {"delay_seconds": 0.04, "jitter_seconds": 0.02, "report_noise_seconds": 0.004, "seed": 3}
    return Capture(clock_rate_hz=48_000, interval_seconds=0.02, clock=clock, **{**given_, **changes})  # type: ignore[arg-type]


def _camera(clock: Clock, **changes: float) -> Capture:
    given_: dict[str, float] = {"delay_seconds": 0.12, "jitter_seconds": 0.05, "report_noise_seconds": 0.004, "seed": 4}
    return Capture(clock_rate_hz=90_000, interval_seconds=1 / 30, clock=clock, **{**given_, **changes})  # type: ignore[arg-type]


def _assert_forward(located: list[tuple[float, float]]) -> None:
    for (_, before), (_, after) in itertools.pairwise(located):
        assert after > before


def _user(clock: Clock | None = None) -> tuple[Capture, Capture]:
    clock = clock or Clock()
    return _microphone(clock), _camera(clock)


def _play_user(timeline: Timeline, sound: Capture, picture: Capture) -> list[list[tuple[float, float]]]:
    return play((timeline.track(48_000, "PA_1"), sound), (timeline.track(90_000, "PA_1"), picture))


@pytest.mark.parametrize("sound_ppm", [-300, 0, 300])
@pytest.mark.parametrize("picture_ppm", [-300, 300])
@pytest.mark.parametrize("clock_ppm", [-200, 0, 200])
def test_sound_and_picture_are_in_step_after_the_first_reports(sound_ppm: int, picture_ppm: int, clock_ppm: int):
    clock = Clock(drift_ppm=clock_ppm)
    sound, picture = _play_user(
        Timeline(0.0), _microphone(clock, drift_ppm=sound_ppm), _camera(clock, drift_ppm=picture_ppm)
    )
    assert out_of_step(sound, picture, since=13.0) < 0.010
    _assert_forward(sound)
    _assert_forward(picture)


def test_a_long_call_on_drifting_clocks_stays_at_the_time_of_arrival():
    clock = Clock(drift_ppm=-250)
    sound, picture = _play_user(
        Timeline(0.0),
        _microphone(clock, drift_ppm=300, end_seconds=900.0),
        _camera(clock, drift_ppm=-300, end_seconds=900.0),
    )
    assert out_of_step(sound, picture, since=13.0) < 0.010
    least, greatest = offset_at(sound, since=60.0)
    assert least > 0.03
    assert greatest < 0.07


def test_before_any_report_the_least_delayed_packet_counts():
    track = Timeline(100.0).track(90_000)
    assert track.locate(9_000, 100.5) == pytest.approx(0.5)
    places = [track.locate(9_000 + n * 3_000, 100.4 + n / 30) for n in range(1, 120)]
    assert places[-1] == pytest.approx(0.4 + 119 / 30, abs=0.002)


@given(st.data())
@settings(deadline=None, max_examples=40)
def test_frames_never_go_backwards_whatever_the_network_and_the_reports_do(data: st.DataObject):
    track = Timeline(0.0).track(data.draw(st.sampled_from([48_000, 90_000])))
    steps = st.lists(
        st.tuples(
            st.sampled_from(["frame", "frame", "frame", "report", "restart"]),
            st.integers(-(2**33), 2**33) | st.integers(1, 9_000),
            st.floats(-1e10, 1e10) | st.floats(99.0, 101.0),
            st.floats(0, 5),
        ),
        max_size=60,
    )
    timestamp, greatest, arrival, last = 5_000, 4_999, 0.0, 0.0
    for kind, ticks, ntp, pause in data.draw(steps):
        arrival += pause
        if kind == "restart":
            track.restart()
        elif kind == "report":
            track.report(timestamp + ticks, ntp, arrival)
        else:
            timestamp += ticks
            seconds = track.locate(timestamp, arrival)
            assert seconds > last if timestamp > greatest else seconds >= last
            greatest, last = max(greatest, timestamp), seconds


@given(seed=st.integers(0, 10_000), first=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=15)
def test_time_stamps_and_reports_may_wrap_anywhere(seed: int, first: int):
    clock, timeline = Clock(), Timeline(0.0)
    capture = _camera(clock, first_timestamp=first, seed=seed, end_seconds=20.0)
    plain = _camera(clock, first_timestamp=0, seed=seed, end_seconds=20.0)
    track, reference = timeline.track(90_000, "a"), timeline.track(90_000, "b")
    expected = []
    for arrival, kind, timestamp, value in sorted(plain.events()):
        if kind == "report":
            reference.report(timestamp, value, arrival)
        else:
            expected.append(reference.locate(timestamp, arrival))
    located = []
    for arrival, kind, timestamp, value in sorted(capture.events()):
        if kind == "report":
            track.report(timestamp % 2**32, value, arrival)
        else:
            located.append(track.locate(timestamp, arrival))
    assert located == pytest.approx(expected, abs=1e-4)


def test_a_report_before_the_first_packet_places_it_at_once():
    timeline = Timeline(10.0)
    sound, picture = timeline.track(48_000, "PA_1"), timeline.track(90_000, "PA_1")
    sound.report(48_000, 5_000.0, 21.04)
    picture.report(2**32 - 90_000, 5_000.0, 20.04)
    assert sound.locate(96_000, 21.05) == pytest.approx(11.05, abs=1e-6)
    assert picture.locate(0, 21.30) == pytest.approx(11.05, abs=1e-6), "the late key frame is captured then too"


def test_a_camera_that_is_published_late_is_in_step_with_the_microphone():
    clock = Clock(drift_ppm=100)
    sound, picture = _play_user(
        Timeline(0.0), _microphone(clock), _camera(clock, start_seconds=31.7, first_timestamp=7)
    )
    assert picture[0][1] == pytest.approx(31.7, abs=0.2)
    assert out_of_step(sound, picture, since=31.7 + 7.0) < 0.010


def test_a_pause_keeps_its_length():
    sound, picture = _user()
    sound.pauses = [(20.0, 35.0)]
    located = _play_user(Timeline(0.0), sound, picture)
    before = max(seconds for true, seconds in located[0] if true < 20.0)
    after = min(seconds for true, seconds in located[0] if true >= 35.0)
    assert after - before == pytest.approx(15.02, abs=0.01)
    assert out_of_step(*located, since=35.0) < 0.010


def _steady(track_rate: int = 48_000, seconds: float = 10.0, packet_delay: float = 0.05):
    """A track in full swing at true time `seconds`; the sender's NTP is true time + 1000, reports take 50 ms."""
    timeline = Timeline(0.0)
    track = timeline.track(track_rate, "PA_1")
    ticks = track_rate // 50
    n = 0
    while n * 0.02 < seconds:
        if n % 150 == 149:
            track.report(n * ticks, 1000 + n * 0.02, n * 0.02 + 0.05)
        track.locate(n * ticks, n * 0.02 + packet_delay)
        n += 1
    return timeline, track, n


def test_sound_whose_time_stamps_stood_still_while_it_paused_is_not_put_before_the_pause():
    _, track, n = _steady()
    resumed = [track.locate((n + k) * 960, (n + k) * 0.02 + 0.05 + 4.0) for k in range(60)]
    assert resumed[30] == pytest.approx(n * 0.02 + 4.6, abs=0.06)
    assert resumed[-1] - resumed[30] == pytest.approx(29 * 0.02, abs=0.01)
    assert resumed == sorted(resumed)


def test_a_short_standstill_of_the_time_stamps_is_jumped_over_when_the_reports_tell():
    _, track, n = _steady()
    places: list[float] = []
    for m in range(n, n + 500):
        true = m * 0.02 + 0.6
        if m % 150 == 149:
            track.report(m * 960, 1000 + true, true + 0.05)
        places.append(track.locate(m * 960, true + 0.05))
    steps = [after - before for before, after in itertools.pairwise(places)]
    assert sorted(steps)[-1] == pytest.approx(0.62, abs=0.01)
    assert sorted(steps)[-2] == pytest.approx(0.02, abs=0.001)
    assert places[-1] == pytest.approx((n + 499) * 0.02 + 0.65, abs=0.002)


def test_packets_of_a_queue_that_drains_slowly_keep_their_places():
    _, track, n = _steady()
    places: list[float] = []
    for k in range(400):
        delay = max(3.0 - k * 0.02 * 0.25, 0.0)
        places.append(track.locate((n + k) * 960, (n + k) * 0.02 + 0.05 + delay))
    assert places == pytest.approx([(n + k) * 0.02 + 0.05 for k in range(400)], abs=1e-3)


def test_packets_held_up_by_the_network_keep_their_places():
    _, track, n = _steady()
    released = (n + 100) * 0.02 + 0.05
    places = [track.locate((n + k) * 960, max(released, (n + k) * 0.02 + 0.05)) for k in range(150)]
    assert places == pytest.approx([(n + k) * 0.02 + 0.05 for k in range(150)], abs=1e-3)


def test_packets_that_are_repeated_after_a_long_cut_keep_their_places():
    _, track, n = _steady()
    regained = (n + 600) * 0.02 + 0.05
    repeated = [track.locate((n + k) * 960, regained + k * 0.001) for k in range(600)]
    after = [track.locate((n + k) * 960, (n + k) * 0.02 + 0.05) for k in range(650, 700)]
    expected = [(n + k) * 0.02 + 0.05 for k in (*range(600), *range(650, 700))]
    assert repeated + after == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("jump_seconds", [-3600.0, -20.0, 2.0, 5_000.0])
def test_after_a_jump_of_the_time_stamps_frames_are_where_they_arrive(jump_seconds: float):
    _, track, n = _steady()
    jump = int(jump_seconds * 48_000)
    places = [track.locate((n + k) * 960 + jump, (n + k) * 0.02 + 0.05) for k in range(50)]
    assert places == pytest.approx([(n + k) * 0.02 + 0.05 for k in range(50)], abs=0.005)


def test_time_stamps_that_jump_back_a_little_are_followed_after_half_a_second():
    _, track, n = _steady()
    jump = 5 * 48_000
    places = [track.locate((n + k) * 960 - jump, (n + k) * 0.02 + 0.05) for k in range(100)]
    assert places[:20] == [places[0]] * 20, "nothing goes back"
    assert places[30:] == pytest.approx([(n + k) * 0.02 + 0.05 for k in range(30, 100)], abs=0.005)


def test_one_faulty_report_moves_nothing():
    _, track, n = _steady()
    before = track.locate(n * 960, n * 0.02 + 0.05)
    track.report(n * 960, 1000 + n * 0.02 + 0.5, n * 0.02 + 0.05)
    places = [track.locate((n + k) * 960, (n + k) * 0.02 + 0.05) for k in range(1, 100)]
    assert places == pytest.approx([before + k * 0.02 for k in range(1, 100)], abs=1e-4)


@pytest.mark.parametrize("set_by_seconds", [60.0, -60.0, 0.4])
def test_a_sender_whose_clock_is_set_stays_where_it_is(set_by_seconds: float):
    timeline, track, n = _steady()
    camera = timeline.track(90_000, "PA_1")
    for m in range(n, n + 1000):
        true = m * 0.02
        jitter = (m * 7 % 40) / 1000
        ntp = true + 1000 + (set_by_seconds if m >= n + 200 else 0.0)
        if m % 150 == 149:
            track.report(m * 960, ntp, true + 0.05)
            camera.report(m * 1800, ntp, true + 0.05)
        assert track.locate(m * 960, true + 0.05 + jitter) == pytest.approx(true + 0.05, abs=1e-3)
        assert 0.049 < camera.locate(m * 1800, true + 0.08 + jitter) - true < 0.105


def test_a_hiccup_of_the_sound_card_is_followed_without_a_step():
    """The card lost 100 ms: time stamps lag behind the sender's clock from now on."""
    _, track, n = _steady()
    places = []
    for m in range(n, n + 1500):
        true = m * 0.02 + 0.1
        if m % 150 == 149:
            track.report(m * 960, 1000 + true, true + 0.05)
        places.append(track.locate(m * 960, true + 0.05))
    steps = [after - before for before, after in itertools.pairwise(places)]
    assert max(steps) < 0.02 * 1.0101
    assert min(steps) > 0.02 * 0.9899
    assert places[-1] == pytest.approx((n + 1499) * 0.02 + 0.15, abs=0.002)


def test_corrections_change_the_pace_by_one_percent_of_sound_and_five_of_pictures():
    """By ten of the first pictures, which find their place."""
    chance = random.Random(5)
    clock = Clock()
    sound = _microphone(clock, jitter_seconds=0.15, delay_seconds=0.2 + chance.random() * 0.01)
    located = _play_user(Timeline(0.0), sound, _camera(clock, jitter_seconds=0.3))
    for frames, interval, slew in zip(located, (0.02, 1 / 30), (0.0101, 0.0501), strict=True):
        for (true, before), (_, after) in itertools.pairwise(frames):
            is_first_picture = interval > 0.02 and true < 5.0
            most = 0.1001 if is_first_picture else slew
            assert (after - before) / interval == pytest.approx(1.0, abs=most + 0.0012)


def test_users_whose_clocks_are_seconds_apart_are_all_placed_by_their_arrival():
    timeline = Timeline(0.0)
    right, wrong = Clock(ahead_seconds=2.6), Clock(ahead_seconds=0.0)
    first, second = play(
        (timeline.track(48_000, "PA_1"), _microphone(right, seed=8)),
        (timeline.track(48_000, "PA_2"), _microphone(wrong, seed=9)),
    )
    for frames in (first, second):
        least, greatest = offset_at(frames, since=15.0)
        assert least > 0.03
        assert greatest < 0.06


def test_a_track_whose_reports_contradict_its_siblings_gets_a_clock_of_its_own():
    timeline = Timeline(0.0)
    slow = _microphone(
        Clock(ahead_seconds=500.0),
        start_seconds=5.0,
        delay_seconds=0.3,
        report_delay_seconds=0.04,
        seed=9,
        end_seconds=90,
    )
    first, second = play(
        (timeline.track(48_000), _microphone(Clock(ahead_seconds=0.0), seed=8, end_seconds=90)),
        (timeline.track(48_000), slow),
    )
    for frames, delay in ((first, 0.04), (second, 0.3)):
        least, greatest = offset_at(frames, since=60.0)
        assert least > delay - 0.02
        assert greatest < delay + 0.03


def test_recording_time_goes_on_through_another_server():
    timeline = Timeline(0.0)
    first = _play_user(timeline, *_user(Clock(ahead_seconds=7.0)))
    timeline.new_connection()
    clock = Clock(ahead_seconds=900.0)
    later = {"start_seconds": 65.0, "end_seconds": 110.0}
    second = _play_user(
        timeline, _microphone(clock, first_timestamp=44, **later), _camera(clock, first_timestamp=3, **later)
    )
    assert second[0][0][1] == pytest.approx(65.04, abs=0.03)
    assert min(second[0][0][1], second[1][0][1]) > max(first[0][-1][1], first[1][-1][1])
    assert out_of_step(*second, since=78.0) < 0.010


def test_a_track_that_lives_through_the_rejoin_starts_anew_at_the_place_it_has_reached():
    timeline, track, n = _steady(seconds=4.0)
    timeline.new_connection()
    resumed = n * 0.02 + 1.0
    places: list[float] = []
    for k in range(600):
        if k % 150 == 50:
            track.report(77 + k * 960, 9e8 + resumed + k * 0.02, resumed + k * 0.02 + 0.05)
        places.append(track.locate(77 + k * 960, resumed + k * 0.02 + 0.05))
    assert places == pytest.approx([resumed + k * 0.02 + 0.05 for k in range(600)], abs=0.001)


def test_a_new_ssrc_goes_on_in_step():
    """Pictures take 100 ms longer than sound: only what was learned before tells where they belong."""
    timeline, sound, n = _steady(seconds=0.0)
    camera = timeline.track(90_000, "PA_1")
    for m in range(n, n + 1000):
        if m % 150 == 149:
            sound.report(m * 960, 1000 + m * 0.02, m * 0.02 + 0.05)
            camera.report(m * 1800, 1000 + m * 0.02, m * 0.02 + 0.05)
        sound.locate(m * 960, m * 0.02 + 0.05)
        camera.locate(m * 1800, m * 0.02 + 0.15)
    camera.restart()
    places = [camera.locate(55 + m * 1800, m * 0.02 + 0.15) for m in range(1000, 1100)]
    assert places == pytest.approx([m * 0.02 + 0.05 for m in range(1000, 1100)], abs=2e-3)
    assert timeline.recording_seconds(12.5) == 12.5


def test_doubled_and_reordered_time_stamps_get_the_last_time():
    _, track, n = _steady()
    last = track.locate(n * 960, n * 0.02 + 0.05)
    assert track.locate(n * 960, n * 0.02 + 0.05) == last
    assert track.locate((n - 3) * 960, n * 0.02 + 0.06) == last
    assert track.locate((n + 1) * 960, (n + 1) * 0.02 + 0.05) == pytest.approx(last + 0.02)


def test_a_report_without_a_wall_clock_is_ignored():
    _, track, n = _steady()
    track.report(n * 960, 0.0, n * 0.02 + 0.05)
    assert track.locate(n * 960, n * 0.02 + 0.05) == pytest.approx(n * 0.02 + 0.05, abs=1e-3)


def test_tracks_that_ended_are_forgotten():
    timeline = Timeline(0.0)
    timeline.track(48_000, "PA_1")
    assert len(timeline._senders) == 0


# What real servers and clients do


@pytest.mark.parametrize("seed", range(6))
def test_reports_that_come_late_or_twice_move_nothing(seed: int):
    clock = Clock()
    stale: dict[str, float] = {"report_stale_seconds": 1.5, "reports_doubled": True}
    sound, picture = _play_user(
        Timeline(0.0), _microphone(clock, **stale, seed=seed), _camera(clock, **stale, seed=seed + 100)
    )
    assert out_of_step(sound, picture, since=6.0) < 0.020
    assert out_of_step(sound, picture, since=13.0) < 0.010
    assert _greatest_move(sound) < 0.003


@pytest.mark.parametrize("seed", range(6))
def test_sound_whose_reports_are_late_by_chance_stays_where_it_is(seed: int):
    """A busy client: its reports of sound are up to 47 ms late. Pictures follow the least late one so far."""
    clock = Clock()
    sound, picture = _play_user(
        Timeline(0.0),
        _microphone(clock, report_late_noise_seconds=0.047, jitter_seconds=0.005, seed=seed, end_seconds=180.0),
        _camera(clock, seed=seed + 100, end_seconds=180.0),
    )
    assert _greatest_move(sound) < 0.01
    assert out_of_step(sound, picture, since=8.0) < 0.050
    assert out_of_step(sound, picture, since=100.0) < 0.025


@pytest.mark.parametrize("late_seconds", [0.01, 0.03, 0.047])
def test_the_first_report_of_sound_is_not_believed_against_the_packets_at_once(late_seconds: float):
    """Pictures as fast as sound, whose only report is late: they follow it with 15 ms of doubt, and no farther."""
    timeline = Timeline(0.0)
    sound, camera = timeline.track(48_000, "PA_1"), timeline.track(90_000, "PA_1")
    sound_at = picture_at = 0.0
    for m in range(500):
        true = m * 0.02
        if m == 200:
            camera.report(m * 1800, 1000 + true, true + 0.05)
            sound.report(m * 960, 1000 + true + late_seconds, true + 0.05)
        sound_at = sound.locate(m * 960, true + 0.05)
        picture_at = camera.locate(m * 1800, true + 0.05)
        assert sound_at == pytest.approx(true + 0.05, abs=1e-3)
    assert sound_at - picture_at == pytest.approx(max(late_seconds - 0.015, 0.0), abs=1e-3)


def test_sound_without_any_report_is_in_step_by_arrival():
    """livekit-server 1.8 sends no reports of sound with redundancy."""
    clock = Clock()
    microphone = _microphone(clock, first_delay_seconds=0.035, jitter_seconds=0.01, has_reports=False)
    sound, picture = _play_user(Timeline(0.0), microphone, _camera(clock, delay_seconds=0.05, jitter_seconds=0.01))
    assert out_of_step(sound, picture, since=3.0) < 0.015
    assert _greatest_move(sound) < 0.002


def test_the_first_packets_come_late_and_pictures_are_put_to_the_sound_soon():
    clock = Clock()
    sound, picture = _play_user(
        Timeline(0.0),
        _microphone(clock, first_delay_seconds=0.034, jitter_seconds=0.005),
        _camera(clock, first_delay_seconds=0.07, jitter_seconds=0.005, delay_seconds=0.05),
    )
    assert out_of_step(sound, picture, since=1.0) < 0.015
    assert out_of_step(sound, picture, since=13.0) < 0.008
    assert _greatest_move(sound) < 0.002


def test_a_sender_whose_first_sound_came_far_too_late_stays_so_with_its_pictures():
    clock = Clock()
    sound, picture = _play_user(
        Timeline(0.0),
        _microphone(clock, first_delay_seconds=0.15, jitter_seconds=0.001, end_seconds=90.0),
        _camera(clock, jitter_seconds=0.001, end_seconds=90.0),
    )
    assert offset_at(sound, since=0.0)[1] == pytest.approx(0.19, abs=0.01)
    assert _greatest_move(sound) < 0.005, "written sound can't follow"
    assert out_of_step(sound, picture, since=13.0) < 0.010


def test_silence_of_the_server_with_time_stamps_of_its_own_moves_nothing():
    """For a second after a mute, 20 ms too soon."""
    _, track, n = _steady(seconds=30.0)
    before = track.locate(n * 960, n * 0.02 + 0.05)
    for m in range(n + 1, n + 60):
        track.locate(m * 960 + 960, m * 0.02 + 0.05)
    places = [track.locate(m * 960, m * 0.02 + 0.05) for m in range(n + 150, n + 500)]
    assert places == pytest.approx([before + (m - n) * 0.02 for m in range(n + 150, n + 500)], abs=2e-3)


@pytest.mark.parametrize("ahead_seconds", [0.0, 2.6])
def test_two_senders_with_stale_reports_keep_their_own_step(ahead_seconds: float):
    timeline = Timeline(0.0)
    first, second = Clock(), Clock(ahead_seconds=ahead_seconds, drift_ppm=80)
    tracks = [
        (timeline.track(48_000, "PA_1"), _microphone(first, report_stale_seconds=1.5)),
        (timeline.track(90_000, "PA_1"), _camera(first, report_stale_seconds=1.5)),
        (timeline.track(48_000, "PA_2"), _microphone(second, report_stale_seconds=1.5, seed=11)),
        (timeline.track(90_000, "PA_2"), _camera(second, report_stale_seconds=1.5, seed=12)),
    ]
    located = play(*tracks)
    for sound, picture in (located[:2], located[2:]):
        assert out_of_step(sound, picture, since=6.0) < 0.020
        assert out_of_step(sound, picture, since=13.0) < 0.010
    assert out_of_step(located[0], located[2], since=6.0) < 0.030, "by arrival"


def _greatest_move(frames: list[tuple[float, float]]) -> float:
    """Of located against true, over the whole life of a track."""
    least, greatest = offset_at(frames, since=0.0)
    return greatest - least
