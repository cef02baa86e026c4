"""Every entrance with any bytes: nothing is raised, nothing grows, others go on."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.rtc.forward.dependency import frame_number_of, with_offset
from channel_recorder.rtc.forward.history import VIDEO_PACKETS
from channel_recorder.rtc.wire import rtcp
from tests.rtc.forward.publisher import EXTENSIONS, MID_ID
from tests.rtc.forward.wire import OUT_SSRC, RTX_SSRC, SSRC, Wire, send_description, video
from tests.rtc.receive.packets import DELTA, H264, KEY, VP8, VP8_RTX

words = st.integers(0, 2**32 - 1)
ssrcs = st.sampled_from([SSRC, RTX_SSRC, 0x77]) | words
headers = st.tuples(
    st.sampled_from([0x80, 0x90, 0xA0, 0xB0]) | st.integers(0, 255),
    st.sampled_from([VP8, VP8 | 0x80, VP8_RTX, H264, H264 | 0x80]) | st.integers(0, 255),
    st.integers(0, 65_535) | st.integers(0, 20),
    words | st.integers(0, 9).map(lambda frame: 3000 * frame),
    ssrcs,
)
contents = st.sampled_from([KEY, DELTA, b"\x90\xf0\x80\x01\x05\x20\x10", b"\x00\x02" + KEY]) | st.binary(max_size=30)


def packet_of(header: tuple[int, int, int, int, int], content: bytes) -> bytes:
    first, second, sequence, timestamp, ssrc = header
    head = bytes((first, second)) + sequence.to_bytes(2, "big") + timestamp.to_bytes(4, "big")
    return head + ssrc.to_bytes(4, "big") + content


packets = st.binary(max_size=60) | st.builds(packet_of, headers, contents)
reports = st.builds(
    lambda ssrc, ntp, timestamp: rtcp.SenderReport(ssrc=ssrc, ntp=ntp, timestamp=timestamp).to_bytes(),
    ssrcs,
    st.integers(0, 2**64 - 1),
    words,
)
feedback = st.one_of(
    st.binary(max_size=60),
    reports,
    st.builds(
        lambda ssrc, numbers: rtcp.GenericNack(sender_ssrc=1, media_ssrc=ssrc, sequences=tuple(numbers)).to_bytes(),
        st.just(OUT_SSRC) | words,
        st.lists(st.integers(0, 65_535)),
    ),
    st.builds(
        lambda ssrc, a, b, c: rtcp.ReceiverReport(
            ssrc=1,
            reports=(
                rtcp.ReportBlock(
                    ssrc=ssrc, fraction_lost=a, packets_lost=0, highest_sequence=b, jitter_ticks=0, last_report=c
                ),
            ),
        ).to_bytes(),
        st.just(OUT_SSRC) | words,
        st.integers(0, 255),
        words,
        words,
    ),
    st.builds(lambda ssrc: rtcp.PictureLossIndication(sender_ssrc=1, media_ssrc=ssrc).to_bytes(), st.just(OUT_SSRC)),
)
steps = st.one_of(
    st.tuples(st.just("rtp"), packets),
    st.tuples(st.just("rtcp"), feedback),
    st.tuples(st.just("wait"), st.floats(0.0, 2.0)),
    st.tuples(st.just("layer"), st.integers(0, 3)),
    st.tuples(st.just("pause"), st.booleans()),
)


@given(st.lists(steps, max_size=80))
@settings(deadline=None, max_examples=300)
def test_any_packets_in_any_order_raise_nothing(played: list[tuple[str, object]]) -> None:
    wire = Wire(video(extensions=EXTENSIONS))
    down = wire.subscribe(send_description())
    for action, value in played:
        if isinstance(value, bytes) and action == "rtp":
            wire.uplink.receive_rtp(value, wire.now)
        elif isinstance(value, bytes):
            wire.uplink.receive_rtcp(value, wire.now)
            wire.downlink.receive_rtcp(value, wire.now)
        elif action == "wait" and isinstance(value, float):
            wire.wait(value)
            wire.downward()
        elif action == "layer" and isinstance(value, int):
            down.set_layer(value)
        else:
            down.set_paused(bool(value))
    down.set_paused(False)
    # And a publisher that comes to reason is forwarded.
    wire.take()
    wire.now += 3.0
    for sequence in range(40_000, 40_004):
        wire.send(sequence, KEY, 3000 * sequence, ssrc=0x999, extensions={MID_ID: b"0"})
    assert wire.take()[-1].payload == KEY


@given(st.lists(st.tuples(st.integers(0, 65_535), words, contents), min_size=1, max_size=300))
@settings(deadline=None, max_examples=60)
def test_wild_numbers_keep_memory_bounded(wild: list[tuple[int, int, bytes]]) -> None:
    wire = Wire(video())
    down = wire.subscribe()
    wire.send(0, KEY, 0)
    for sequence, timestamp, content in wild:
        wire.send(sequence, content, timestamp)
    layer = wire.tracks[0].layers[0]
    assert len(layer.lines) <= 2
    assert len(down._continuity.history.slots) == VIDEO_PACKETS


@given(st.binary(max_size=10), st.integers(0, 65_535))
def test_any_dependency_descriptor_keeps_its_length(descriptor: bytes, offset: int) -> None:
    moved = with_offset(descriptor, offset)
    assert len(moved) == len(descriptor)
    number = frame_number_of(descriptor)
    assert frame_number_of(moved) == (None if number is None else number + offset & 0xFFFF)
