from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.model import FIRST_ASSIGNED_UID, MAX_UID, User
from channel_recorder.recording import users
from channel_recorder.recording.users import UserDirectory, user_of


@given(st.integers(1, MAX_UID))
@settings(deadline=None)
def test_a_decimal_identity_is_the_uid_itself(uid: int):
    assert user_of(str(uid)) == User(uid=uid, account=str(uid))


@given(st.text() | st.sampled_from(["0", "007", "4294967296", "-1", "+7", " 7", "7 ", "７", "7\n", "1_000", ""]))
@settings(deadline=None)
def test_any_other_identity_gets_the_same_high_uid_every_time(identity: str):
    user = user_of(identity)
    assert user == user_of(identity)
    assert user.account == identity
    assert FIRST_ASSIGNED_UID <= user.uid <= MAX_UID or str(user.uid) == identity


def test_the_uid_of_an_account_is_the_same_in_all_versions():
    assert user_of("alice@example.com").uid == 4_287_469_593
    assert user_of("007").uid >= FIRST_ASSIGNED_UID


def test_users_are_found_by_uid_and_by_account():
    directory = UserDirectory()
    alice, bob = directory.add("alice"), directory.add("7")
    assert directory.add("alice") is alice
    assert directory.by_uid(7) is bob
    assert directory.by_uid(alice.uid) is alice
    assert directory.by_account("alice") is alice
    assert directory.by_uid(8) is None
    assert directory.by_account("nobody") is None
    assert list(directory) == [alice, bob]


def test_an_account_never_takes_the_uid_of_somebody_there():
    directory = UserDirectory()
    taken = directory.add(str(user_of("alice").uid))
    alice = directory.add("alice")
    assert alice.uid != taken.uid
    assert alice.uid >= FIRST_ASSIGNED_UID
    assert directory.by_uid(taken.uid) is taken
    assert directory.by_account("alice") is alice


def test_a_decimal_identity_whose_uid_is_taken_gets_another():
    directory = UserDirectory()
    alice = directory.add("alice")
    late = directory.add(str(alice.uid))
    assert late.uid != alice.uid
    assert directory.by_uid(alice.uid) is alice
    assert directory.by_uid(late.uid) is late


@given(st.lists(st.text(max_size=3) | st.integers(2**31, 2**32 - 1).map(str), max_size=40))
@settings(deadline=None)
def test_no_two_members_share_a_uid(identities: list[str]):
    directory = UserDirectory()
    found = {directory.add(identity).uid for identity in identities}
    assert len(found) == len(set(identities))


def test_what_is_a_uid():
    assert users.is_uid("4294967295")
    assert not users.is_uid("4294967296")
    assert not users.is_uid("0")
