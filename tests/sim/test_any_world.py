"""Hypothesis looks for a network, clocks and people that break what every recording may be relied on for."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from channel_recorder.model import Codec
from tests.sim.bench import Bench
from tests.sim.network import NetworkConditions
from tests.sim.scene import record, speaker

SECONDS = 10.0
INSTANTS = st.floats(0.5, SECONDS - 0.5)
TIMESTAMPS = st.sampled_from([0, 2**31, 2**32 - 200_000]) | st.integers(0, 2**32 - 1)
SPANS = st.tuples(INSTANTS, st.floats(0.05, 4.0)).map(lambda span: (span[0], span[0] + span[1]))

NETWORKS = st.builds(
    NetworkConditions,
    delay_seconds=st.floats(0.0, 0.2),
    jitter_seconds=st.floats(0.0, 0.5),
    loss=st.floats(0.0, 0.3),
    bad=st.floats(0.0, 0.02),
    recovery=st.floats(0.05, 0.5),
    duplicates=st.floats(0.0, 0.2),
    reordered=st.floats(0.0, 0.2),
    reorder_seconds=st.floats(0.0, 0.5),
    bytes_per_second=st.sampled_from([float("inf"), 10_000.0, 4_000.0]),
    cuts=st.lists(SPANS, max_size=2).map(tuple),
)


CLOCKS = st.fixed_dictionaries(
    {
        "drift_ppm": st.floats(-300, 300),
        "clock_ppm": st.floats(-200, 200),
        "clock_ahead_seconds": st.sampled_from([0.0, 1000.0, -3.0e9]),
        "report_noise_seconds": st.floats(0.0, 0.05),
        "report_outliers": st.floats(0.0, 0.3),
        "first_timestamp": TIMESTAMPS,
        "first_sequence": st.integers(0, 65_535),
        "encoding_seconds": st.floats(0.0, 0.1),
        "pauses": st.lists(SPANS, max_size=1).map(tuple),
        "new_ssrcs": st.lists(INSTANTS, max_size=1).map(tuple),
    }
)


SOUND = st.builds(lambda clock, dtx: {**clock, "dtx": dtx}, CLOCKS, st.lists(SPANS, max_size=1).map(tuple))
PICTURES = st.builds(
    lambda clock, codec, sizes, probes: {
        **clock,
        "codec": codec,
        "sizes": sizes,
        "probe_interval": probes,
        "interval_seconds": 0.1,
    },
    CLOCKS,
    st.sampled_from([Codec.VP8, Codec.H264]),
    st.dictionaries(INSTANTS, st.sampled_from([(128, 96), (32, 48), (64, 48)]), max_size=2),
    st.sampled_from([0, 0, 7]),
)


@given(
    st.integers(0, 2**16),
    NETWORKS,
    st.lists(st.tuples(SOUND, PICTURES), min_size=1, max_size=2),
    st.none() | st.tuples(INSTANTS, st.floats(0.1, 5.0)),
)
@settings(deadline=None, max_examples=20, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_what_is_recorded_is_whole_once_in_order_and_accounted_for(
    seed: int,
    network: NetworkConditions,
    tracks: list[tuple[dict[str, Any], dict[str, Any]]],
    rejoin: tuple[float, float] | None,
) -> None:
    people = [speaker(index, SECONDS, *each, seed=seed) for index, each in enumerate(tracks, start=1)]

    def prepare(bench: Bench) -> None:
        if rejoin is not None:
            bench.rejoin(*rejoin)

    with tempfile.TemporaryDirectory() as folder:
        network_of: dict[str, Any] = {"seed": seed, "down": network}
        record(Path(folder), people, SECONDS, prepare=prepare, steps=False, losses=rejoin is None, **network_of)
