import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_recorder.arguments import check_app_id, check_channel_id, check_uid, check_user_account
from channel_recorder.errors import AppIdError, ChannelNameError, ConfigError, ErrorCode

ALLOWED = "abcXYZ019 !#$%&()+-:;<=.>?@[]^_{}|~,"


@pytest.mark.parametrize("uid", [0, -1, 2**32, True, 1.5, "7"])
def test_a_uid_outside_1_to_2_32_is_refused(uid: object) -> None:
    with pytest.raises(ConfigError, match="1 to 4294967295"):
        check_uid(uid)  # type: ignore[arg-type]


@pytest.mark.parametrize("uid", [1, 2**32 - 1])
def test_the_ends_of_the_uid_range_are_accepted(uid: int) -> None:
    check_uid(uid)


@given(st.text(alphabet=ALLOWED, min_size=1, max_size=64).filter(lambda name: name not in (".", "..")))
def test_classic_channel_names_are_accepted(name: str) -> None:
    check_channel_id(name)


@pytest.mark.parametrize("name", ["", "a" * 65, "a/b", "..", ".", "ü", "a\nb", 'say "hi"', "back\\slash", "*"])
def test_other_channel_names_are_refused_with_the_classic_code(name: str) -> None:
    with pytest.raises(ChannelNameError) as caught:
        check_channel_id(name)
    assert caught.value.code is ErrorCode.BAD_CHANNEL_NAME


@pytest.mark.parametrize("account", ["", "a" * 256, "tab\there"])
def test_bad_user_accounts_are_refused(account: str) -> None:
    with pytest.raises(ConfigError):
        check_user_account(account)


def test_an_empty_app_id_is_refused() -> None:
    with pytest.raises(AppIdError) as caught:
        check_app_id("")
    assert caught.value.code is ErrorCode.BAD_APP_ID
