"""Who is shown as speaking, and how good a connection is said to be."""

from __future__ import annotations

import pytest
from livekit.protocol import models

from channel_recorder.rtc.serve.contract import TransportFigures
from channel_recorder.sfu.quality import Qualities, rank_of
from channel_recorder.sfu.speakers import Speakers
from tests.sfu.stage import Client, Stage

Quality = models.ConnectionQuality


def told(client: Client) -> list[list[tuple[str, float, bool]]]:
    messages = client.sent("speakers_changed")
    return [[(s.sid, s.level, s.active) for s in message.speakers_changed.speakers] for message in messages]


def qualities(client: Client) -> list[dict[str, int]]:
    messages = client.sent("connection_quality")
    return [{u.participant_sid: u.quality for u in message.connection_quality.updates} for message in messages]


def test_who_begins_and_stops_to_speak_is_told_to_all() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    alice.publish("mic")
    stage.wait(1)
    assert told(bob) == []
    alice.incoming("mic").level = 0.6
    stage.wait(3)
    levels = [level for [(sid, level, active)] in told(bob) if sid == alice.sid and active]
    assert levels[-1] == 0.625
    assert levels == sorted(levels)
    assert told(alice) == told(bob)
    alice.incoming("mic").level = 0.0
    stage.wait(5)
    assert told(bob)[-1] == [(alice.sid, 0.0, False)]


def test_small_changes_are_not_told() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    alice.publish("mic")
    alice.incoming("mic").level = 0.3
    stage.wait(5)
    count = len(told(bob))
    for level in (0.27, 0.36, 0.3):
        alice.incoming("mic").level = level
        stage.wait(2)
    assert len(told(bob)) == count


def test_a_muted_microphone_does_not_speak() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    alice.publish("mic", muted=True)
    alice.incoming("mic").level = 1.0
    stage.wait(2)
    assert told(bob) == []


def test_of_who_leaves_no_speaking_is_told() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    alice.publish("mic")
    alice.incoming("mic").level = 1.0
    stage.wait(2)
    alice.leave()
    bob.forget()
    stage.wait(2)
    assert told(bob) == []


def test_speakers_are_told_loudest_first_and_silence_below_the_threshold() -> None:
    speakers = Speakers()
    changes = speakers.update({"quiet": 0.2, "loud": 0.9, "noise": 0.01})
    assert [info.sid for info in changes] == ["loud", "quiet"]
    assert {info.sid for info in speakers.current()} == {"loud", "quiet"}
    assert [(info.sid, info.active) for info in speakers.update({"loud": 0.9})][-1] == ("quiet", False)


def test_a_bad_connection_is_told_at_once_and_gets_better_step_by_step() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    stage.wait(5)
    assert qualities(bob) == [{alice.sid: Quality.EXCELLENT, bob.sid: Quality.EXCELLENT}]
    alice.primary.transport = TransportFigures(fraction_lost_down=0.2)
    stage.wait(5)
    alice.primary.transport = TransportFigures(fraction_lost_down=0.0)
    stage.wait(15)
    assert qualities(bob)[1:] == [{alice.sid: rank} for rank in (Quality.POOR, Quality.GOOD, Quality.EXCELLENT)]
    assert qualities(alice) == qualities(bob)


@pytest.mark.parametrize(
    ("figures", "rank"),
    [
        ([], 2),
        ([TransportFigures()], 2),
        ([TransportFigures(fraction_lost_up=0.01, fraction_lost_down=0.01, round_trip_seconds=0.1)], 2),
        ([TransportFigures(fraction_lost_up=0.03)], 1),
        ([TransportFigures(), TransportFigures(fraction_lost_down=0.03)], 1),
        ([TransportFigures(round_trip_seconds=0.5)], 1),
        ([TransportFigures(fraction_lost_up=1.0)], 0),
        ([TransportFigures(round_trip_seconds=2.0)], 0),
    ],
)
def test_the_worst_figure_decides_and_nobody_is_ever_called_lost(figures: list[TransportFigures], rank: int) -> None:
    assert rank_of(figures) == rank
    assert [info.quality for info in Qualities().update({"PA": rank_of(figures)})] != [Quality.LOST]


def test_hidden_members_have_no_quality() -> None:
    stage = Stage()
    alice = stage.join("alice")
    stage.recorder()
    stage.wait(6)
    assert qualities(alice) == [{alice.sid: Quality.EXCELLENT}]
