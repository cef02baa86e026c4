import pytest

import channel_recorder


def test_everything_in_all_is_importable() -> None:
    for name in channel_recorder.__all__:
        assert getattr(channel_recorder, name) is not None


def test_all_names_have_one_home_and_the_other_way_round() -> None:
    assert sorted(channel_recorder._HOME_OF) == sorted(channel_recorder.__all__)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Recrder'"):
        _ = channel_recorder.Recrder  # type: ignore[attr-defined]
