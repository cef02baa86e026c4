from channel_recorder.rtc.receive.reports import ReceptionReport
from channel_recorder.rtc.wire.rtcp import SenderReport


def test_losses_are_told_as_a_fraction_of_the_interval_and_in_total() -> None:
    report = ReceptionReport(100)
    first = report.block(5, 199, 100, 0.0, 1.0)
    assert (first.fraction_lost, first.packets_lost, first.highest_sequence) == (0, 0, 199)
    second = report.block(5, 299, 175, 12.9, 2.0)
    assert (second.fraction_lost, second.packets_lost, second.jitter_ticks) == (64, 25, 12)
    third = report.block(5, 399, 275, 0.0, 3.0)
    assert (third.fraction_lost, third.packets_lost) == (0, 25)


def test_packets_that_come_in_the_next_interval_make_no_negative_fraction() -> None:
    report = ReceptionReport(0)
    report.block(5, 99, 90, 0.0, 1.0)
    late = report.block(5, 109, 110, 0.0, 2.0)
    assert (late.fraction_lost, late.packets_lost) == (0, 0)


def test_the_highest_sequence_keeps_count_of_its_cycles() -> None:
    assert ReceptionReport(65_530).block(5, 65_546, 17, 0.0, 1.0).highest_sequence == 65_546


def test_the_last_sender_report_is_told_with_its_age() -> None:
    report = ReceptionReport(0)
    before = report.block(5, 9, 10, 0.0, 1.0)
    assert (before.last_report, before.delay_since_last_report) == (0, 0)
    report.sender_report(SenderReport(ssrc=5, ntp=0x1122334455667788, timestamp=0), 2.0)
    after = report.block(5, 19, 20, 0.0, 3.5)
    assert (after.last_report, after.delay_since_last_report) == (0x33445566, 3 * 65536 // 2)


def test_a_silent_source_has_no_news() -> None:
    report = ReceptionReport(0)
    assert report.has_news(3)
    report.block(5, 2, 3, 0.0, 1.0)
    assert not report.has_news(3)
