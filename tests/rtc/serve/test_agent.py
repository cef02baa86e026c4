"""The ice-lite agent in virtual time: whom it answers, and which path it follows."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.rtc.serve.agent import MAX_PATHS, PATH_LIFETIME_SECONDS, STALE_SECONDS
from tests.rtc.serve.checks import FAR_UFRAG, HIGH, LOW, UFRAG, AgentAtWork, check, error_code
from tests.rtc.serve.test_stun import with_attribute

WIFI, MOBILE = ("192.0.2.10", 1000), ("198.51.100.20", 2000)
NOMINATING = check(nominate=True)


def test_a_genuine_check_is_answered_and_makes_a_path():
    work = AgentAtWork()
    assert error_code(work.receive(1.0, WIFI)) is None
    assert work.held == [WIFI]
    assert work.selected == WIFI
    assert not work.agent.is_nominated
    assert work.agent.heard_at == 1.0


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (check(password=None), 400),
        (check(password="a-guess-at-the-password"), 401),
        (check(priority=None), 400),
        (check(role="ICE-CONTROLLED"), 487),
        (with_attribute(0x7000, b""), 420),
    ],
)
def test_a_wrong_check_is_refused_and_changes_nothing(message: bytes, code: int):
    work = AgentAtWork()
    assert error_code(work.receive(1.0, WIFI, message)) == code
    assert work.held == []
    assert work.selected is None
    assert work.agent.heard_at == 0.0


def test_before_the_answer_any_far_side_is_believed_afterwards_only_the_one():
    work = AgentAtWork()
    assert error_code(work.receive(1.0, WIFI)) is None
    work.agent.remote_ufrag = FAR_UFRAG.encode()
    assert error_code(work.receive(2.0, WIFI)) is None
    for stranger in (f"{UFRAG}:stranger", f"{UFRAG}:", UFRAG, f"{UFRAG}:{FAR_UFRAG}:x"):
        assert error_code(work.receive(3.0, WIFI, check(username=stranger))) == 401


def test_an_address_of_somebody_else_is_not_taken():
    work = AgentAtWork()
    work.refused.add(WIFI)
    assert work.receive(1.0, WIFI, NOMINATING) is None
    assert work.selected is None
    assert error_code(work.receive(1.0, MOBILE)) is None
    assert work.selected == MOBILE


def test_the_nominated_path_is_followed():
    work = AgentAtWork()
    work.receive(1.0, WIFI)
    work.receive(1.0, MOBILE, check(priority=LOW))
    work.receive(1.1, MOBILE, check(priority=LOW, nominate=True))
    assert work.selected == MOBILE
    assert work.agent.is_nominated
    # Checks that keep the other alive change nothing.
    work.receive(1.2, WIFI)
    assert work.selected == MOBILE


def test_a_phone_that_leaves_the_wifi_is_followed_at_once():
    """libwebrtc: the same credentials from a new address, checked first, then nominated; and back again."""
    work = AgentAtWork()
    work.receive(1.0, WIFI)
    work.receive(1.1, WIFI, NOMINATING)
    work.receive(60.0, WIFI, NOMINATING)
    work.receive(60.1, MOBILE, check(priority=LOW))
    assert work.selected == WIFI
    work.receive(60.2, MOBILE, check(priority=LOW, nominate=True))
    assert work.selected == MOBILE
    for now in range(61, 100):
        work.receive(now, MOBILE, check(priority=LOW, nominate=True))
        work.receive(now + 0.5, WIFI)
        assert work.selected == MOBILE
    work.receive(100.0, WIFI, NOMINATING)
    assert work.selected == WIFI


def test_of_paths_nominated_by_their_first_checks_the_best_is_followed():
    """Firefox. Lower ones don't take the media away again."""
    work = AgentAtWork()
    low, high = check(priority=LOW, nominate=True), check(priority=HIGH, nominate=True)
    work.receive(1.0, MOBILE, low)
    assert work.selected == MOBILE
    work.receive(1.1, WIFI, high)
    assert work.selected == WIFI
    for now in range(2, 20):
        work.receive(now, MOBILE, low)
        assert work.selected == WIFI
        work.receive(now, WIFI, high)
        assert work.selected == WIFI


def test_of_paths_nominated_alike_the_newer_is_followed():
    work = AgentAtWork()
    work.receive(1.0, WIFI, NOMINATING)
    work.receive(1.1, MOBILE, NOMINATING)
    assert work.selected == MOBILE
    work.receive(1.2, WIFI, NOMINATING)
    assert work.selected == MOBILE


def test_a_path_without_checks_is_left_for_one_that_has_them():
    """A NAT that forgot the far side: the checks come from another address, and nominate nothing any more."""
    work = AgentAtWork()
    work.receive(1.0, WIFI)
    work.receive(1.1, WIFI, NOMINATING)
    work.receive(1.1 + STALE_SECONDS, MOBILE, check(priority=LOW))
    assert work.selected == WIFI
    work.receive(1.2 + STALE_SECONDS, MOBILE, check(priority=LOW))
    assert work.selected == MOBILE


def test_a_lost_connection_gives_way_to_the_next_best():
    work = AgentAtWork()
    work.receive(1.0, WIFI, NOMINATING)
    work.receive(1.1, MOBILE, check(priority=LOW))
    assert work.agent.selected is not None
    work.agent.remove(work.agent.selected)
    assert (work.selected, work.held) == (MOBILE, [MOBILE])
    work.agent.remove(work.agent.selected)
    assert (work.selected, work.held) == (None, [])
    assert not work.agent.is_nominated


def test_paths_that_are_not_checked_any_more_are_forgotten():
    work = AgentAtWork()
    work.receive(1.0, WIFI, NOMINATING)
    work.receive(2.0, MOBILE, check(priority=LOW))
    work.agent.expire(1.0 + PATH_LIFETIME_SECONDS)
    assert work.held == [WIFI, MOBILE]
    work.agent.expire(2.1 + PATH_LIFETIME_SECONDS)
    assert work.held == [WIFI]  # in use: it lives as long as the session


def test_many_addresses_fill_no_memory():
    work = AgentAtWork()
    work.receive(0.0, WIFI, NOMINATING)
    for i in range(1000):
        work.receive(0.001 * i, ("203.0.113.1", i))
        assert len(work.held) <= MAX_PATHS + 1
    assert len(work.held) == MAX_PATHS
    assert WIFI in work.held
    assert ("203.0.113.1", 999) in work.held
    assert work.selected == WIFI


def test_closing_gives_every_path_back():
    work = AgentAtWork()
    work.receive(1.0, WIFI, NOMINATING)
    work.receive(1.0, MOBILE)
    work.agent.close()
    assert work.held == []
    assert work.selected is None


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**32), st.lists(st.tuples(st.integers(0, 30), st.booleans(), st.sampled_from([LOW, HIGH]))))
def test_whatever_is_checked_the_books_are_right(seed: int, checks: list[tuple[int, bool, int]]):
    """What is selected is held, nothing is held twice or lost, nothing grows."""
    chance, work, now = random.Random(seed), AgentAtWork(), 0.0
    for port, nominate, priority in checks:
        now += chance.random() * 5
        work.receive(now, ("192.0.2.1", port), check(nominate=nominate, priority=priority))
        if chance.random() < 0.1:
            work.agent.expire(now)
        if chance.random() < 0.1 and work.agent.selected is not None:
            work.agent.remove(work.agent.selected)
        assert len(set(work.held)) == len(work.held) <= MAX_PATHS
        assert work.selected is None if not work.held else work.selected in work.held
    work.agent.close()
    assert work.held == []
