from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.rtc.receive.receiver import ESTIMATED_BITRATE_BPS, Receiver
from channel_recorder.rtc.receive.statistics import Drop
from channel_recorder.rtc.receive.stream import TRANSPORT_CC_URIS
from channel_recorder.rtc.wire import rtcp
from channel_recorder.rtc.wire.extension_uris import MID_URI, VIDEO_ORIENTATION_URI
from tests.rtc.receive.packets import DELTA, KEY, OPUS, OURS, RTX_SSRC, SSRC, VP8, VP8_RTX, Wire, audio, video
from tests.sim.call import Collector

NEW_SSRC = 0x9999
TRANSPORT_CC = frozenset({"nack", "nack pli", "transport-cc"})


def sent(wire: Wire) -> list[rtcp.RtcpPacket]:
    return [packet for compound in wire.receiver.rtcp_to_send(wire.now) for packet in rtcp.parse(compound)]


def sender_report(timestamp: int, ssrc: int = SSRC) -> bytes:
    return rtcp.SenderReport(ssrc=ssrc, ntp=1000 << 32, timestamp=timestamp).to_bytes()


def test_packets_of_an_ssrc_nobody_announced_are_counted() -> None:
    wire = Wire(video(), audio(ssrc=5))
    wire.send(1, b"?", 0, ssrc=NEW_SSRC, number=50)
    assert wire.receiver.drops == {Drop.UNKNOWN_SSRC: 1}


def test_an_unannounced_ssrc_is_bound_by_its_mid() -> None:
    extensions = {3: MID_URI}
    wire = Wire(video("a", ssrc=None, rtx_ssrc=None, extensions=extensions))
    other = Collector()
    wire.receiver.add_media(video("b", ssrc=None, rtx_ssrc=None, extensions=extensions), other, wire.now)
    wire.send(1, KEY, 0, ssrc=NEW_SSRC)
    assert wire.receiver.drops == {Drop.UNKNOWN_SSRC: 1}
    wire.send(2, KEY, 0, ssrc=NEW_SSRC, extensions={3: b"b"})
    wire.send(3, DELTA, 3000, ssrc=NEW_SSRC)
    assert [frame.data for frame in other.frames] == [KEY[1:], DELTA[1:]]
    assert wire.delivered == []


def test_an_unannounced_ssrc_is_bound_by_a_payload_type_of_one_line_only() -> None:
    wire = Wire(audio("a", ssrc=None))
    pictures = Collector()
    wire.receiver.add_media(video("v", ssrc=None, rtx_ssrc=None), pictures, wire.now)
    wire.send(1, b"\xf8sound", 0, ssrc=5, number=OPUS)
    wire.send(1, KEY, 0, ssrc=6)
    wire.send(3, DELTA, 6000, ssrc=6)
    wire.send(1, b"\x00\x02" + DELTA, 3000, ssrc=7, number=VP8_RTX)
    assert [frame.data for frame in wire.collector.frames] == [b"\xf8sound"]
    assert [frame.timestamp for frame in pictures.frames] == [0, 3000, 6000]


def test_a_new_ssrc_restarts_the_track_and_the_old_one_does_not_come_back() -> None:
    extensions = {3: MID_URI}
    wire = Wire(video(rtx_ssrc=None, extensions=extensions))
    wire.send(1, KEY, 90_000)
    wire.send(500, KEY, 7, ssrc=NEW_SSRC, extensions={3: b"0"})
    wire.send(2, DELTA, 93_000, extensions={3: b"0"})
    wire.send(501, DELTA, 3007, ssrc=NEW_SSRC)
    assert wire.collector.restarts == 1
    assert [frame.timestamp for frame in wire.collector.frames] == [90_000, 7, 3007]
    assert wire.receiver.drops == {Drop.UNKNOWN_SSRC: 1}
    assert wire.receiver.statistics("0").packets == 3


def test_a_renegotiated_ssrc_restarts_the_track() -> None:
    wire = Wire(video())
    wire.send(1, KEY, 90_000)
    wire.receiver.add_media(video(ssrc=NEW_SSRC, rtx_ssrc=0x8888), wire.collector, wire.now)
    wire.send(2, DELTA, 93_000)
    wire.send(9, KEY, 7, ssrc=NEW_SSRC)
    wire.send(11, DELTA, 6007, ssrc=NEW_SSRC)
    wire.send(1, b"\x00\x0a" + DELTA, 3007, ssrc=0x8888, number=VP8_RTX)
    assert [frame.timestamp for frame in wire.collector.frames] == [90_000, 7, 3007, 6007]
    assert wire.collector.restarts == 1


def test_stragglers_of_a_line_that_ended_do_not_get_into_another_ones_track() -> None:
    """The only other line of the payload type would take them for its own, and its own packets for strangers."""
    wire = Wire(video("a"))
    staying = Collector()
    wire.receiver.add_media(video("b", ssrc=NEW_SSRC, rtx_ssrc=0x8888), staying, wire.now)
    wire.send(1, KEY, 0)
    wire.send(1, KEY, 0, ssrc=NEW_SSRC)
    wire.receiver.remove_media("a", wire.now)
    wire.send(2, DELTA, 3000)
    wire.repeat(3, DELTA, 6000)
    wire.send(2, DELTA, 3000, ssrc=NEW_SSRC)
    wire.send(4, DELTA, 9000, ssrc=NEW_SSRC)
    wire.send(7, b"\x00\x03" + DELTA, 6000, ssrc=0x8888, number=VP8_RTX)
    assert [frame.timestamp for frame in staying.frames] == [0, 3000, 6000, 9000]
    assert staying.restarts == 0
    assert wire.receiver.drops == {Drop.UNKNOWN_SSRC: 2}


def test_an_ssrc_that_moves_to_another_line_stays_there() -> None:
    wire = Wire(video("a"))
    wire.send(1, KEY, 0)
    moved = Collector()
    wire.receiver.add_media(video("b"), moved, wire.now)
    wire.receiver.remove_media("a", wire.now)
    wire.send(2, KEY, 3000)
    wire.send(4, DELTA, 9000)
    wire.repeat(3, DELTA, 6000)
    assert wire.delivered == [(0, KEY[1:])]
    assert [frame.timestamp for frame in moved.frames] == [3000, 6000, 9000]


def test_a_sender_without_clock_tells_no_time() -> None:
    wire = Wire(video())
    wire.send(1, KEY, 0)
    wire.receiver.receive_rtcp(rtcp.SenderReport(ssrc=SSRC, ntp=0, timestamp=0).to_bytes(), wire.now)
    assert wire.collector.reports == []


def test_receiver_reports_come_every_second_with_all_sources() -> None:
    wire = Wire(video(), audio(ssrc=5))
    wire.send(1, KEY, 0)
    wire.send(10, b"\xf8a", 0, ssrc=5, number=OPUS)
    assert wire.receiver.next_timer_seconds == 101.0
    assert sent(wire) == []
    wire.now = 101.0
    report, description = sent(wire)
    assert isinstance(report, rtcp.ReceiverReport)
    assert report.ssrc == OURS
    assert [(block.ssrc, block.highest_sequence) for block in report.reports] == [(SSRC, 1), (5, 10)]
    assert description == rtcp.SourceDescription(cnames=((OURS, "recorder"),))
    assert wire.receiver.next_timer_seconds == 102.0
    wire.now = 102.0
    assert sent(wire)[0] == rtcp.ReceiverReport(ssrc=OURS)


def test_duplicates_do_not_hide_losses_in_reports() -> None:
    wire = Wire(audio())
    for sequence in (1, 2, 2, 2, 4):
        wire.send(sequence, b"\xf8", 960 * sequence, number=OPUS)
    wire.now = 101.0
    report = sent(wire)[0]
    assert isinstance(report, rtcp.ReceiverReport)
    assert (report.reports[0].packets_lost, report.reports[0].fraction_lost) == (1, 64)
    assert wire.receiver.statistics("1").fraction_lost == 0.25


def test_jitter_is_measured_between_packets_and_unhurt_by_the_wrap() -> None:
    wire = Wire(audio())
    for sequence in range(1000):
        wire.now = 100.0 + 0.02 * sequence + 0.005 * (sequence & 1)
        wire.send(sequence, b"\xf8", 2**32 - 960 * 500 + 960 * sequence, number=OPUS)
    assert wire.receiver.statistics("1").jitter_seconds == pytest.approx(0.005, rel=1e-3)


def test_reports_of_many_sources_are_spread_over_datagrams() -> None:
    collector = Collector()
    receiver = Receiver(ssrc=OURS)
    wire = Wire()
    wire.receiver = receiver
    for ssrc in range(1, 71):
        receiver.add_media(audio(str(ssrc), ssrc=ssrc), collector, 100.0)
        wire.send(ssrc, b"\xf8", 0, ssrc=ssrc, number=OPUS)
    compounds = receiver.rtcp_to_send(101.0)
    packets = [packet for compound in compounds for packet in rtcp.parse(compound)]
    reported = [b.ssrc for packet in packets if isinstance(packet, rtcp.ReceiverReport) for b in packet.reports]
    assert reported == list(range(1, 71))
    assert len(compounds) == 2
    assert all(len(compound) <= rtcp.MAX_COMPOUND_BYTES for compound in compounds)


def test_a_high_bitrate_is_claimed_where_the_sender_wants_to_know() -> None:
    wire = Wire(video(feedback=frozenset({"nack", "goog-remb"})), audio(ssrc=5))
    wire.now = 101.0
    (estimate,) = [packet for packet in sent(wire) if isinstance(packet, rtcp.ReceiverEstimatedBitrate)]
    assert estimate.ssrcs == (SSRC,)
    assert estimate.bitrate_bps == pytest.approx(ESTIMATED_BITRATE_BPS, rel=1e-4)


def test_arrivals_are_told_where_transport_cc_is_negotiated() -> None:
    uri = sorted(TRANSPORT_CC_URIS)[0]
    wire = Wire(video(feedback=TRANSPORT_CC, extensions={5: uri}))
    wire.send(1, KEY, 0, extensions={5: b"\xff\xff"})
    wire.now += 0.05
    wire.send(3, DELTA, 0, extensions={5: b"\x00\x01"})
    wire.send(4, b"", 0, number=VP8_RTX, ssrc=RTX_SSRC, extensions={5: b"\x00\x02"}, padding_bytes=9)
    feedback = [packet for packet in wire.wait(0.1) if isinstance(packet, rtcp.TransportFeedback)]
    (told,) = feedback
    assert told.base_sequence == 0xFFFF
    assert told.deltas[1:] == (None, 200, 0)
    assert told.media_ssrc == SSRC


def test_header_extensions_nobody_needs_are_not_even_read() -> None:
    wire = Wire(video(extensions={4: VIDEO_ORIENTATION_URI, 5: sorted(TRANSPORT_CC_URIS)[0]}), audio(ssrc=5))
    wire.send(1, b"\xf8", 0, number=OPUS, ssrc=5, extensions={4: b"\x01", 5: b"\x00\x01"})
    wire.send(1, KEY, 0, extensions={4: b"\x01", 5: b"\x00\x01"})
    assert [frame.rotation for frame in wire.collector.frames] == [0, 90]
    assert not any(isinstance(packet, rtcp.TransportFeedback) for packet in wire.wait(1.0))


def test_sender_reports_reach_the_track_with_unwrapped_time_stamps() -> None:
    wire = Wire(video())
    wire.send(1, KEY, 2**32 - 3000)
    wire.send(2, DELTA, 0)
    wire.now += 0.5
    wire.receiver.receive_rtcp(sender_report(3000), wire.now)
    assert wire.collector.reports == [(2**32 + 3000, 1000.0, 100.5)]
    wire.now = 101.0
    report = sent(wire)[0]
    assert isinstance(report, rtcp.ReceiverReport)
    assert report.reports[0].last_report == 1000 << 16
    assert report.reports[0].delay_since_last_report == 32768


def test_a_sender_report_that_comes_before_the_media_is_kept() -> None:
    wire = Wire(video())
    wire.receiver.receive_rtcp(sender_report(9000) + sender_report(1, ssrc=0x7777), wire.now)
    assert wire.collector.reports == []
    wire.now += 0.2
    wire.send(1, KEY, 12_000)
    assert wire.collector.reports == [(9000, 1000.0, 100.0)]


def test_a_goodbye_is_noted_until_media_comes_again() -> None:
    wire = Wire(video())
    wire.send(1, KEY, 0)
    wire.receiver.receive_rtcp(rtcp.Goodbye(ssrcs=(SSRC,)).to_bytes(), wire.now)
    assert wire.receiver.statistics("0").ended
    wire.receiver.add_media(video(ssrc=NEW_SSRC), wire.collector, wire.now)
    wire.send(1, KEY, 0, ssrc=NEW_SSRC)
    assert not wire.receiver.statistics("0").ended


def test_a_key_frame_can_be_asked_for_before_anything_comes() -> None:
    wire = Wire(video(), audio(ssrc=5))
    wire.receiver.request_key_frame("0", wire.now)
    wire.receiver.request_key_frame("1", wire.now)
    wire.receiver.request_key_frame("no such mid", wire.now)
    assert wire.receiver.next_timer_seconds == wire.now
    assert wire.feedback() == [rtcp.PictureLossIndication(sender_ssrc=OURS, media_ssrc=SSRC)]


def test_a_key_frame_asked_for_before_the_ssrc_is_known_is_asked_for_then() -> None:
    wire = Wire(video(ssrc=None, rtx_ssrc=None))
    wire.receiver.request_key_frame("0", wire.now)
    assert wire.receiver.next_timer_seconds == inf
    wire.send(1, DELTA, 0, ssrc=NEW_SSRC)
    assert wire.feedback() == [rtcp.PictureLossIndication(sender_ssrc=OURS, media_ssrc=NEW_SSRC)]


def test_nothing_to_receive_needs_no_timer() -> None:
    receiver = Receiver(ssrc=OURS)
    assert receiver.next_timer_seconds == inf
    assert receiver.rtcp_to_send(5.0) == []


def test_statistics_of_an_unknown_mid_are_refused() -> None:
    with pytest.raises(KeyError):
        Receiver(ssrc=OURS).statistics("0")


@given(st.lists(st.binary(max_size=60), max_size=20))
@settings(deadline=None)
def test_any_bytes_are_survived(packets: list[bytes]) -> None:
    wire = Wire(video(), audio(ssrc=5))
    for packet in packets:
        wire.receiver.receive_rtp(packet, wire.now)
        wire.receiver.receive_rtcp(packet, wire.now)
        wire.now += 0.1
        wire.receiver.rtcp_to_send(wire.now)


RTP_BYTES = st.tuples(
    st.sampled_from([0x80, 0x90, 0xA0, 0xB0, 0x81, 0x00]),
    st.sampled_from([VP8, VP8 | 0x80, VP8_RTX, OPUS, 102, 102 | 0x80, 3]),
    st.integers(0, 40) | st.integers(0, 2**16 - 1),
    st.integers(0, 3) | st.integers(0, 2**32 - 1),
    st.sampled_from([SSRC, RTX_SSRC, 5, NEW_SSRC]),
    st.binary(max_size=30),
)


@given(st.lists(RTP_BYTES, max_size=60))
@settings(deadline=None)
def test_any_payload_behind_a_plausible_header_is_survived(
    packets: list[tuple[int, int, int, int, int, bytes]],
) -> None:
    extensions = {4: VIDEO_ORIENTATION_URI, 5: sorted(TRANSPORT_CC_URIS)[0], 3: MID_URI}
    wire = Wire(video(feedback=TRANSPORT_CC, extensions=extensions), audio(ssrc=5))
    for first, second, sequence, timestamp, ssrc, payload in packets:
        header = bytes((first, second)) + sequence.to_bytes(2, "big") + timestamp.to_bytes(4, "big")
        wire.receiver.receive_rtp(header + ssrc.to_bytes(4, "big") + payload, wire.now)
        wire.wait(0.05)
    wire.wait(3.0)
    assert all(frame.data for frame in wire.collector.frames)


def test_malformed_rtcp_is_counted() -> None:
    wire = Wire(video())
    wire.receiver.receive_rtcp(sender_report(1)[:-1], wire.now)
    assert wire.receiver.drops == {Drop.MALFORMED_RTCP: 1}
