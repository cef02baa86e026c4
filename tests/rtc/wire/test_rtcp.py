import contextlib

import pytest
from aiortc import rtp as aiortc_rtp
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.errors import MalformedError
from channel_recorder.rtc.wire import rtcp

SSRCS = st.integers(0, 2**32 - 1)
UINT32 = st.integers(0, 2**32 - 1)
UINT16 = st.integers(0, 2**16 - 1)
TEXT = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=60)
BLOCKS = st.lists(
    st.builds(
        rtcp.ReportBlock,
        ssrc=SSRCS,
        fraction_lost=st.integers(0, 255),
        packets_lost=st.integers(-(2**23), 2**23 - 1),
        highest_sequence=UINT32,
        jitter_ticks=UINT32,
        last_report=UINT32,
        delay_since_last_report=UINT32,
    ),
    max_size=31,
).map(tuple)
DELTAS = st.lists(
    st.one_of(st.none(), st.integers(0, 255), st.integers(-(2**15), 2**15 - 1)), min_size=1, max_size=60
).map(tuple)
RUNS = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(0, 255), st.just(-5)), st.integers(1, 40)), min_size=1, max_size=8
).map(lambda runs: tuple(delta for delta, count in runs for _ in range(count)))
PACKETS = st.one_of(
    st.builds(
        rtcp.SenderReport,
        ssrc=SSRCS,
        ntp=st.integers(0, 2**64 - 1),
        timestamp=UINT32,
        packet_count=UINT32,
        octet_count=UINT32,
        reports=BLOCKS,
    ),
    st.builds(rtcp.ReceiverReport, ssrc=SSRCS, reports=BLOCKS),
    st.builds(rtcp.SourceDescription, cnames=st.lists(st.tuples(SSRCS, TEXT), max_size=5).map(tuple)),
    st.builds(rtcp.Goodbye, ssrcs=st.lists(SSRCS, max_size=5).map(tuple), reason=st.just("") | TEXT),
    st.builds(rtcp.PictureLossIndication, sender_ssrc=SSRCS, media_ssrc=SSRCS),
    st.builds(
        rtcp.FullIntraRequest,
        sender_ssrc=SSRCS,
        requests=st.lists(st.tuples(SSRCS, st.integers(0, 255)), max_size=5).map(tuple),
    ),
    st.builds(
        rtcp.ReceiverEstimatedBitrate,
        sender_ssrc=SSRCS,
        bitrate_bps=st.integers(0, 2**18 - 1),
        ssrcs=st.lists(SSRCS, max_size=5).map(tuple),
    ),
    st.builds(
        rtcp.TransportFeedback,
        sender_ssrc=SSRCS,
        media_ssrc=SSRCS,
        base_sequence=UINT16,
        reference_time=st.integers(0, 2**24 - 1),
        feedback_count=st.integers(0, 255),
        deltas=DELTAS | RUNS,
    ),
)


@given(st.lists(PACKETS, min_size=1, max_size=5))
@settings(deadline=None)
def test_a_compound_that_is_built_is_parsed_again(packets: list[rtcp.RtcpPacket]) -> None:
    assert rtcp.parse(b"".join(packet.to_bytes() for packet in packets)) == packets


@given(st.integers(0, 2**16 - 1), st.sets(st.integers(0, 400), min_size=1))
@settings(deadline=None)
def test_a_nack_names_exactly_what_is_missing_also_across_the_wrap(first: int, offsets: set[int]) -> None:
    sequences = tuple(first + offset & 0xFFFF for offset in sorted(offsets))
    built = rtcp.GenericNack(sender_ssrc=1, media_ssrc=2, sequences=sequences).to_bytes()
    assert rtcp.parse(built) == [rtcp.GenericNack(sender_ssrc=1, media_ssrc=2, sequences=sequences)]
    (read,) = aiortc_rtp.RtcpPacket.parse(built)
    assert isinstance(read, aiortc_rtp.RtcpRtpfbPacket)
    assert tuple(sequence & 0xFFFF for sequence in read.lost) == sequences  # aiortc itself does not wrap them


def test_seventeen_packets_in_a_row_are_one_nack_item() -> None:
    nack = rtcp.GenericNack(sender_ssrc=1, media_ssrc=2, sequences=tuple(range(100, 117)))
    assert nack.to_bytes()[12:] == b"\x00\x64\xff\xff"


@given(st.binary(max_size=120))
@settings(deadline=None)
def test_any_bytes_parse_or_are_malformed(data: bytes) -> None:
    with contextlib.suppress(MalformedError):
        rtcp.parse(data)


@given(st.integers(0, 31), st.sampled_from([200, 201, 202, 203, 205, 206]), st.binary(max_size=80), st.booleans())
@settings(deadline=None, max_examples=300)
def test_any_body_behind_a_good_header_parses_or_is_malformed(
    count: int, packet_type: int, body: bytes, padded: bool
) -> None:
    body = body[: len(body) // 4 * 4]
    header = bytes((0x80 | 0x20 * padded | count, packet_type)) + (len(body) // 4).to_bytes(2, "big")
    with contextlib.suppress(MalformedError):
        rtcp.parse(header + body)


@given(PACKETS, st.data())
@settings(deadline=None)
def test_damaged_packets_parse_or_are_malformed(packet: rtcp.RtcpPacket, data: st.DataObject) -> None:
    built = bytearray(packet.to_bytes())
    built[data.draw(st.integers(0, len(built) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MalformedError):
        rtcp.parse(bytes(built[: data.draw(st.integers(0, len(built)))]))


def test_unknown_packets_are_skipped() -> None:
    application = b"\x80\xcc\x00\x02" + bytes(4) + b"name"
    extended = b"\x80\xcf\x00\x01" + bytes(4)
    pli = rtcp.PictureLossIndication(sender_ssrc=1, media_ssrc=2)
    assert rtcp.parse(application + pli.to_bytes() + extended) == [pli]


def test_another_implementation_reads_our_reports() -> None:
    block = rtcp.ReportBlock(
        ssrc=7, fraction_lost=12, packets_lost=-3, highest_sequence=70_000, jitter_ticks=9, last_report=5
    )
    compound = rtcp.ReceiverReport(ssrc=1, reports=(block,)).to_bytes()
    compound += rtcp.SourceDescription(cnames=((1, "recorder"),)).to_bytes()
    report, description = aiortc_rtp.RtcpPacket.parse(compound)
    assert isinstance(report, aiortc_rtp.RtcpRrPacket)
    assert isinstance(description, aiortc_rtp.RtcpSdesPacket)
    assert (report.reports[0].ssrc, report.reports[0].fraction_lost, report.reports[0].packets_lost) == (7, 12, -3)
    assert (report.reports[0].highest_sequence, report.reports[0].jitter, report.reports[0].lsr) == (70_000, 9, 5)
    assert description.chunks[0].items == [(1, b"recorder")]


def test_another_implementation_reads_our_estimate() -> None:
    packet = rtcp.ReceiverEstimatedBitrate(sender_ssrc=1, bitrate_bps=100_000_000, ssrcs=(5, 6)).to_bytes()
    (read,) = aiortc_rtp.RtcpPacket.parse(packet)
    assert isinstance(read, aiortc_rtp.RtcpPsfbPacket)
    bitrate_bps, ssrcs = aiortc_rtp.unpack_remb_fci(read.fci)
    assert abs(bitrate_bps - 100_000_000) < 1000
    assert ssrcs == [5, 6]


def test_the_ntp_time_of_a_sender_report_is_told_in_seconds() -> None:
    report = rtcp.SenderReport(ssrc=1, ntp=(3_900_000_000 << 32) + (1 << 31), timestamp=0)
    assert report.ntp_seconds == 3_900_000_000.5


def test_transport_feedback_of_another_implementation_is_read() -> None:
    """A packet published with the tests of pion/rtcp."""
    packet = bytes.fromhex("afcd0005fa17fa1743032fa0009900013de8021720019401")
    assert rtcp.parse(packet) == [
        rtcp.TransportFeedback(
            sender_ssrc=4195875351,
            media_ssrc=1124282272,
            base_sequence=153,
            reference_time=4057090,
            feedback_count=23,
            deltas=(148,),
        )
    ]
    assert rtcp.parse(packet)[0].to_bytes() == packet


def test_long_pauses_are_run_lengths() -> None:
    feedback = rtcp.TransportFeedback(
        sender_ssrc=1,
        media_ssrc=2,
        base_sequence=65_000,
        reference_time=1,
        feedback_count=0,
        deltas=(1, *[None] * 9000, 2),
    )
    built = feedback.to_bytes()
    assert len(built) < 40
    assert rtcp.parse(built) == [feedback]


@pytest.mark.parametrize("data", [b"", b"\x80\xc8\x00", b"\x40\xc9\x00\x01" + bytes(4), b"\x80\xc9\x00\x02" + bytes(4)])
def test_broken_compounds_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        rtcp.parse(data)
