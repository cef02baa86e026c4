import pytest

from channel_recorder.cli.figures import clock, plural, rate, size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0:00"),
        (0, "0:00"),
        (7.99, "0:07"),
        (60, "1:00"),
        (3599.9, "59:59"),
        (3600, "1:00:00"),
        (90061, "25:01:01"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert clock(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (12_345_678, "12.3 MB"),
        (999_949, "999.9 kB"),
        (999_960, "1.0 MB"),
        (5 * 10**12, "5.0 TB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


def test_rates_and_plurals() -> None:
    assert (rate(999), rate(1500)) == ("999 kbit/s", "1.5 Mbit/s")
    assert (plural(0, "user"), plural(1, "user"), plural(2, "user")) == ("0 users", "1 user", "2 users")
