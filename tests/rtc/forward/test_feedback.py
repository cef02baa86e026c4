"""What the publisher is told and asked for."""

from __future__ import annotations

from math import sqrt

import pytest

from channel_recorder.model import Codec, MediaKind
from channel_recorder.rtc.description import MediaDescription
from channel_recorder.rtc.receive.receiver import ESTIMATED_BITRATE_BPS
from channel_recorder.rtc.receive.statistics import Drop
from channel_recorder.rtc.wire import rtcp
from channel_recorder.rtc.wire.extension_uris import AUDIO_LEVEL_URI, TRANSPORT_CC_URI
from tests.rtc.forward.wire import MIDDLE, OPUS, OUT_SSRC, RTX_SSRC, SSRC, VP8_RTX, Wire, audio, send_description, video
from tests.rtc.receive.packets import DELTA, KEY, payload_type


def nacked(packets: list[rtcp.RtcpPacket]) -> list[int]:
    return [number for packet in packets if isinstance(packet, rtcp.GenericNack) for number in packet.sequences]


def requests(packets: list[rtcp.RtcpPacket]) -> list[rtcp.RtcpPacket]:
    return [packet for packet in packets if isinstance(packet, rtcp.PictureLossIndication | rtcp.FullIntraRequest)]


def begun(media: MediaDescription | None = None) -> Wire:
    wire = Wire(media or video())
    wire.subscribe()
    wire.send(1, KEY, 0)
    return wire


def test_missing_packets_are_asked_for_again_for_half_a_second() -> None:
    wire = begun()
    wire.send(4, DELTA, 3000)
    asked = nacked(wire.wait(3.0))
    assert set(asked) == {2, 3}
    assert 2 <= asked.count(2) <= 8
    assert wire.uplink.drops == {}


def test_a_packet_that_came_is_not_asked_for_again_and_measures_the_way() -> None:
    wire = begun()
    wire.send(3, DELTA, 3000)
    assert nacked(wire.feedback()) == [2]
    wire.now += 0.03
    wire.send(7, b"\x00\x02" + MIDDLE, 3000, number=VP8_RTX, ssrc=RTX_SSRC)
    assert nacked(wire.wait(1.0)) == []
    assert wire.uplink.round_trip_seconds == pytest.approx(0.03)


def test_what_nobody_is_sent_is_not_asked_for() -> None:
    wire = Wire(video())
    wire.send(1, KEY, 0)
    wire.send(3, DELTA, 3000)
    assert nacked(wire.wait(1.0)) == []


def test_losses_are_reported_before_repair() -> None:
    wire = begun()
    assert wire.uplink.fraction_lost() is None
    for sequence in range(2, 102):
        if sequence % 10:
            wire.send(sequence, DELTA, 3000 * sequence)
    for sequence in range(10, 101, 10):
        wire.send(7, sequence.to_bytes(2, "big") + MIDDLE, 3000, number=VP8_RTX, ssrc=RTX_SSRC)
    blocks = [block for packet in wire.wait(1.0) if isinstance(packet, rtcp.ReceiverReport) for block in packet.reports]
    assert [(block.ssrc, block.packets_lost, block.highest_sequence) for block in blocks] == [(SSRC, 10, 101)]
    assert wire.uplink.fraction_lost() == pytest.approx(0.1, abs=0.01)


def test_reports_answer_sender_reports_and_carry_a_name() -> None:
    wire = begun()
    wire.report(0, 5000.0)
    packets = wire.wait(1.0)
    report = next(packet for packet in packets if isinstance(packet, rtcp.ReceiverReport))
    assert report.reports[0].last_report == 5000 << 16 & 0xFFFFFFFF
    assert report.reports[0].delay_since_last_report == pytest.approx(65_536, abs=3)
    assert any(isinstance(packet, rtcp.SourceDescription) for packet in packets)


def test_wishes_of_all_subscribers_become_one_request() -> None:
    wire = Wire(video())
    wire.send(1, KEY, 0)
    for index in range(20):
        wire.subscribe(send_description(ssrc=0xC000 + 2 * index))
    asked = requests(wire.wait(0.4))
    assert asked == [rtcp.PictureLossIndication(sender_ssrc=9, media_ssrc=SSRC)]
    wire.send(2, KEY, 3000)
    for index in range(20):
        wire.ask(rtcp.PictureLossIndication(sender_ssrc=1, media_ssrc=0xC000 + 2 * index))
    assert requests(wire.feedback()) == []  # half a second is not over
    assert len(requests(wire.wait(0.2))) == 1
    wire.send(3, KEY, 6000)
    assert requests(wire.wait(5.0)) == []


def test_subscribers_may_ask_either_way() -> None:
    wire = begun()
    wire.wait(1.0)
    wire.ask(rtcp.FullIntraRequest(sender_ssrc=1, requests=((OUT_SSRC, 5),)))
    assert len(requests(wire.feedback())) == 1
    wire.send(2, KEY, 0)
    wire.ask(rtcp.FullIntraRequest(sender_ssrc=1, requests=((OUT_SSRC + 77, 5),)))
    assert requests(wire.wait(3.0)) == []


def test_a_publisher_that_does_not_answer_is_asked_ever_more_rarely() -> None:
    wire = Wire(video())
    wire.send(1, DELTA, 0)
    wire.subscribe()
    assert 5 <= len(requests(wire.wait(20.0))) <= 9


def test_fir_where_pli_was_not_agreed_on() -> None:
    wire = Wire(video(feedback=frozenset({"ccm fir"})))
    wire.send(1, DELTA, 0)
    wire.subscribe()
    first, retry = requests(wire.wait(0.6))
    assert first == retry == rtcp.FullIntraRequest(sender_ssrc=9, requests=((SSRC, 1),))
    wire.send(2, KEY, 0)
    wire.ask(rtcp.PictureLossIndication(sender_ssrc=1, media_ssrc=OUT_SSRC))
    assert requests(wire.wait(0.6))[0] == rtcp.FullIntraRequest(sender_ssrc=9, requests=((SSRC, 2),))


def test_nothing_is_asked_for_where_nothing_was_agreed_on() -> None:
    wire = Wire(video(feedback=frozenset()))
    wire.send(1, DELTA, 0)
    wire.subscribe()
    wire.send(3, KEY, 3000)
    wire.send(5, DELTA, 6000)
    packets = wire.wait(3.0)
    assert nacked(packets) == []
    assert requests(packets) == []
    assert wire.numbers() == [3, 5]


def test_arrivals_of_all_tracks_are_reported_for_congestion_control() -> None:
    feedback = frozenset({"nack", "transport-cc", "goog-remb"})
    sound = MediaDescription(
        mid="1",
        kind=MediaKind.AUDIO,
        stream_id="-",
        track_id="t",
        payload_types=(payload_type(OPUS, Codec.OPUS, feedback),),
        ssrc=7,
        header_extensions={5: TRANSPORT_CC_URI},
    )
    wire = Wire(video(feedback=feedback, extensions={5: TRANSPORT_CC_URI}), sound)
    wire.send(1, KEY, 0, extensions={5: b"\xff\xff"})
    wire.send(1, b"\xf8", 0, number=OPUS, ssrc=7, extensions={5: b"\x00\x00"})
    wire.send(9, b"\x00\x01" + KEY, 0, number=VP8_RTX, ssrc=RTX_SSRC, extensions={5: b"\x00\x01"})
    reports = [packet for packet in wire.wait(0.2) if isinstance(packet, rtcp.TransportFeedback)]
    assert [(each.base_sequence, len(each.deltas)) for each in reports] == [(65_535, 3)]
    assert not any(isinstance(packet, rtcp.ReceiverEstimatedBitrate) for packet in wire.wait(3.0))


def test_a_bit_rate_is_told_only_where_arrivals_are_not() -> None:
    wire = Wire(video(feedback=frozenset({"nack", "goog-remb"})))
    estimates = [packet for packet in wire.wait(1.0) if isinstance(packet, rtcp.ReceiverEstimatedBitrate)]
    assert [each.ssrcs for each in estimates] == [(SSRC,)]
    assert estimates[0].bitrate_bps == pytest.approx(ESTIMATED_BITRATE_BPS, rel=1e-4)


def test_a_key_frame_wish_wakes_the_publishers_connection() -> None:
    wire = begun()
    wire.wait(2.0)
    woken: list[float] = []
    wire.uplink.on_wake = lambda: woken.append(wire.uplink.next_timer_seconds)
    wire.ask(rtcp.PictureLossIndication(sender_ssrc=1, media_ssrc=OUT_SSRC))
    wire.ask(rtcp.PictureLossIndication(sender_ssrc=1, media_ssrc=OUT_SSRC))
    assert woken == [0.0]
    assert len(requests(wire.feedback())) == 1


def test_loudness_is_the_mean_since_the_last_look() -> None:
    media = audio()
    media = MediaDescription(
        mid=media.mid,
        kind=media.kind,
        stream_id="-",
        track_id="t",
        payload_types=media.payload_types,
        ssrc=SSRC,
        header_extensions={1: AUDIO_LEVEL_URI},
    )
    wire = Wire(media)
    track = wire.tracks[0]
    assert track.take_level() == 0.0
    for sequence, level in enumerate((0x80, 20, 127)):
        wire.send(sequence, b"\xf8", 960 * sequence, number=OPUS, extensions={1: bytes((level,))})
    assert track.take_level() == pytest.approx(sqrt((1 + 0.01) / 3))
    assert track.take_level() == 0.0


def test_the_bit_rate_is_that_of_the_last_seconds() -> None:
    wire = Wire(video())
    assert wire.tracks[0].bitrate_bps() == 0.0
    for sequence in range(100):
        wire.send(sequence, KEY + bytes(1000), 3000 * sequence)
        wire.wait(0.1)
    assert wire.tracks[0].bitrate_bps() == pytest.approx(8 * 10 * 1023, rel=0.01)
    wire.wait(6.0)
    assert wire.tracks[0].bitrate_bps() == 0.0


def test_garbage_is_counted() -> None:
    wire = begun()
    wire.take()
    wire.uplink.receive_rtp(b"", wire.now)
    wire.uplink.receive_rtp(b"\x80" * 11, wire.now)
    wire.uplink.receive_rtp(b"\x00" + bytes(20), wire.now)
    wire.uplink.receive_rtp(b"\xa0\x60\x00\x02" + bytes(4) + SSRC.to_bytes(4, "big") + b"\xff", wire.now)
    wire.uplink.receive_rtp(b"\xa0\x61\x00\x02" + bytes(4) + RTX_SSRC.to_bytes(4, "big") + b"\xff", wire.now)
    assert wire.uplink.drops == {Drop.MALFORMED: 5}
    wire.uplink.receive_rtcp(b"\x80", wire.now)
    wire.downlink.receive_rtcp(b"\x80", wire.now)
    assert wire.uplink.drops[Drop.MALFORMED_RTCP] == wire.downlink.drops[Drop.MALFORMED_RTCP] == 1
    assert wire.take() == []
