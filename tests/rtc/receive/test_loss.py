"""What a recording may rely on, whatever the network does: run against a simulated sender and network."""

import itertools
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.model import Codec, EncodedFrame
from tests.sim.call import SimulatedCall, sent_data
from tests.sim.network import CELLULAR, WIFI_LOSSY, NetworkConditions
from tests.sim.sender import (
    MID_ID,
    ORIENTATION_ID,
    TRANSPORT_CC_ID,
    SentFrame,
    StreamSettings,
    SyntheticSender,
    SyntheticStream,
)

SEEDS = st.integers(0, 2**32)
SEQUENCE_STARTS = st.sampled_from([0, 1, 32_767, 32_768, 65_500, 65_533, 65_534, 65_535]) | st.integers(0, 65_535)
TIMESTAMP_STARTS = st.sampled_from([0, 2**31 - 1, 2**31, 2**32 - 100_000, 2**32 - 1]) | st.integers(0, 2**32 - 1)

REPAIRABLE = st.builds(
    NetworkConditions,
    delay_seconds=st.floats(0.0, 0.1),
    jitter_seconds=st.floats(0.0, 0.03),
    loss=st.floats(0.0, 0.05),
    duplicates=st.floats(0.0, 0.1),
    reordered=st.floats(0.0, 0.1),
)
HOSTILE = st.builds(
    NetworkConditions,
    delay_seconds=st.floats(0.0, 0.3),
    jitter_seconds=st.floats(0.0, 0.2),
    loss=st.floats(0.0, 0.4),
    burst=st.floats(0.0, 0.05),
    burst_seconds=st.floats(0.0, 0.5),
    duplicates=st.floats(0.0, 0.3),
    reordered=st.floats(0.0, 0.3),
    reorder_seconds=st.floats(0.0, 0.5),
    cuts=st.lists(st.floats(0.0, 5.0).map(lambda at: (at, at + 1.5)), max_size=2).map(tuple),
)


def sound(**changes: object) -> StreamSettings:
    values: dict[str, object] = {
        "mid": "sound",
        "codec": Codec.OPUS,
        "ssrc": 0x3000,
        "rtx_ssrc": 0x4000,
        "payload_type": 111,
        "rtx_payload_type": 112,
        "interval_seconds": 0.02,
        "frames": 300,
    }
    return StreamSettings(**(values | changes))  # pyright: ignore[reportArgumentType]


def picture(**changes: object) -> StreamSettings:
    values: dict[str, object] = {"mid": "picture", "frames": 180}
    return StreamSettings(**(values | changes))  # pyright: ignore[reportArgumentType]


def received(call: SimulatedCall, mid: str) -> list[tuple[EncodedFrame, SentFrame]]:
    """Every delivered frame with the one sent. Fails where what was delivered was never sent, or not as a whole."""
    sent = {frame.data: frame for frame in call.stream(mid).sent}
    return [(frame, sent[frame.data]) for frame in call.collectors[mid].frames]


def assert_in_order_and_once(pairs: Sequence[tuple[EncodedFrame, SentFrame]]) -> None:
    numbers = [sent.number for _, sent in pairs]
    assert numbers == sorted(set(numbers))
    if pairs:
        offset = pairs[0][0].timestamp - pairs[0][1].timestamp
        assert offset % 2**32 == 0
        assert all(frame.timestamp - sent.timestamp == offset for frame, sent in pairs)


def assert_every_picture_can_be_decoded(pairs: Sequence[tuple[EncodedFrame, SentFrame]]) -> None:
    assert not pairs or pairs[0][0].key_frame
    for (_, before), (frame, sent) in itertools.pairwise(pairs):
        assert frame.key_frame == sent.key_frame
        assert frame.key_frame or sent.number == before.number + 1


def assert_nothing_is_missing(call: SimulatedCall, stream: SyntheticStream) -> None:
    assert call.collectors[stream.settings.mid].data == sent_data(stream)
    assert call.receiver.statistics(stream.settings.mid).lost_packets == 0


@given(SEEDS, REPAIRABLE, st.booleans(), SEQUENCE_STARTS, TIMESTAMP_STARTS)
@settings(deadline=None, max_examples=30)
def test_nothing_is_missing_where_losses_can_be_repaired(
    seed: int, conditions: NetworkConditions, rtx: bool, sequence: int, timestamp: int
) -> None:
    starts = {"first_sequence": sequence, "first_timestamp": timestamp, "rtx": rtx, "start_seconds": 0.5}
    sender = SyntheticSender(picture(**starts), sound(**starts), seed=seed)
    call = SimulatedCall(sender, seed=seed, down=conditions, up=conditions)
    call.run()
    for stream in sender.streams:
        mid = stream.settings.mid
        pairs = received(call, mid)
        assert_in_order_and_once(pairs)
        first_packets = pairs[0][1].number  # what is lost before anything came cannot be known to be missing
        last = pairs[-1][1].number + 1
        assert [sent.number for _, sent in pairs] == list(range(first_packets, last))
        assert last >= stream.settings.frames - 3
        assert call.receiver.statistics(mid).lost_packets == 0


@given(SEEDS, HOSTILE, SEQUENCE_STARTS, TIMESTAMP_STARTS, st.integers(0, 60), st.integers(0, 20))
@settings(deadline=None, max_examples=40)
def test_pictures_are_whole_in_order_and_decodable_on_any_network(
    seed: int, conditions: NetworkConditions, sequence: int, timestamp: int, key_interval: int, probes: int
) -> None:
    settings = picture(
        first_sequence=sequence, first_timestamp=timestamp, key_interval=key_interval, probe_interval=probes
    )
    sender = SyntheticSender(settings, seed=seed)
    call = SimulatedCall(sender, seed=seed, down=conditions, up=conditions)
    call.run()
    pairs = received(call, "picture")
    assert_in_order_and_once(pairs)
    assert_every_picture_can_be_decoded(pairs)


@given(SEEDS, HOSTILE, SEQUENCE_STARTS, TIMESTAMP_STARTS, st.booleans())
@settings(deadline=None, max_examples=40)
def test_every_lost_packet_of_sound_is_accounted_for_on_any_network(
    seed: int, conditions: NetworkConditions, sequence: int, timestamp: int, nack: bool
) -> None:
    sender = SyntheticSender(sound(first_sequence=sequence, first_timestamp=timestamp, nack=nack), seed=seed)
    call = SimulatedCall(sender, seed=seed, down=conditions, up=conditions)
    call.run()
    pairs = received(call, "sound")
    assert_in_order_and_once(pairs)
    for (_, before), (frame, sent) in itertools.pairwise(pairs):
        assert frame.lost_packets == sent.number - before.number - 1
    statistics = call.receiver.statistics("sound")
    assert statistics.lost_packets == sum(frame.lost_packets for frame, _ in pairs)
    assert statistics.frames == len(pairs)


@given(SEEDS, st.floats(0.5, 3.0), st.floats(0.1, 1.4))
@settings(deadline=None, max_examples=20)
def test_video_resumes_at_a_key_frame_after_a_cut(seed: int, since: float, duration: float) -> None:
    conditions = NetworkConditions(cuts=((since, since + duration),))
    sender = SyntheticSender(picture(repeats=False), seed=seed)
    call = SimulatedCall(sender, seed=seed, down=conditions)
    call.run()
    pairs = received(call, "picture")
    assert_every_picture_can_be_decoded(pairs)
    resumed = next(frame for frame, sent in pairs if sent.sent_seconds > since + duration)
    assert resumed.key_frame
    # Given up a second after the gap was found, asked for, answered with the next picture.
    assert resumed.arrival_seconds < since + duration + 1.0 + 0.2
    assert pairs[-1][1].number == sender.streams[0].sent[-1].number
    assert call.stream("picture").key_frame_requests == 1


def test_a_sender_that_ignores_key_frame_requests_is_asked_less_and_less() -> None:
    settings = picture(frames=900, repeats=False, answers_key_frame_requests=False)
    sender = SyntheticSender(settings)
    call = SimulatedCall(sender, down=NetworkConditions(cuts=((1.0, 1.1),)))
    call.run(30.0)
    assert 6 <= call.stream("picture").key_frame_requests <= 10
    assert all(sent.sent_seconds < 1.0 for _, sent in received(call, "picture"))


def test_both_presets_lose_nothing_that_matters_in_five_minutes() -> None:
    for conditions in (WIFI_LOSSY, CELLULAR):
        extensions = (MID_ID, ORIENTATION_ID, TRANSPORT_CC_ID)
        sender = SyntheticSender(
            picture(frames=3000, packets_per_frame=2, extensions=extensions), sound(frames=5000, extensions=extensions)
        )
        call = SimulatedCall(sender, seed=7, down=conditions, up=conditions)
        call.run()
        assert call.down.lost > 100
        for stream in sender.streams:
            assert_nothing_is_missing(call, stream)


def test_clocks_that_drift_and_wrap_keep_their_reports_on_the_frames_scale() -> None:
    settings = sound(frames=3000, first_timestamp=2**32 - 48_000 * 30, drift_ppm=200)
    call = SimulatedCall(SyntheticSender(settings))
    call.run()
    frames = call.collectors["sound"].frames
    reports = call.collectors["sound"].reports
    assert len(reports) > 50
    rate_hz = 48_000 * (1 + 200e-6)
    for timestamp, ntp_seconds, _ in reports:
        assert abs(timestamp - frames[0].timestamp - (ntp_seconds - 3.9e9) * rate_hz) < 2
