from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.errors import MalformedError, StorageError
from channel_recorder.model import MAX_UID
from channel_recorder.storage.names import DirectoryName, MediaName, UidLogName, stamp, unstamp

CLASSIC_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 !#$%&()+-:;<=.>?@[]^_{}|~,"
INSTANT = datetime(2019, 6, 11, 7, 32, 46, 73_456, tzinfo=UTC)

channels = st.text(st.sampled_from(CLASSIC_CHARACTERS), min_size=1, max_size=64)
any_channels = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=50)
instants = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))
milliseconds = instants.map(lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000))
uids = st.integers(0, MAX_UID)
extensions = st.sampled_from(["webm", "mp4", "ogg", "m4a", "aac", "jpg"])


def test_a_directory_is_named_as_the_classic_sdk_does():
    name = DirectoryName(channel="lesson 7|<a>", started_at=INSTANT)
    assert str(name.encode()) == "20190611/lesson 7|<a>_073246_073456000"


def test_files_are_named_as_the_classic_sdk_does():
    assert MediaName(uid=123, recorded_at=INSTANT, extension="webm").encode() == "123_20190611073246073.webm"
    screen = MediaName(uid=123, recorded_at=INSTANT, extension="mp4", is_screen=True)
    assert screen.encode() == "123_20190611073246073_screen.mp4"
    assert UidLogName(uid=123, recorded_at=INSTANT).encode() == "uid_123_20190611073246073.txt"
    assert UidLogName(uid=0, recorded_at=INSTANT, is_hidden=True).encode() == ".uid_0_20190611073246073.txt"


def test_names_are_in_utc_whatever_the_time_zone():
    in_tokyo = INSTANT.astimezone(timezone(timedelta(hours=9)))
    assert stamp(in_tokyo) == "20190611073246073"
    assert DirectoryName(channel="a", started_at=in_tokyo).encode().parent.name == "20190611"


@given(channel=channels | any_channels, started_at=instants)
@settings(deadline=None)
def test_a_directory_name_decodes_to_what_was_encoded(channel: str, started_at: datetime):
    name = DirectoryName(channel=channel, started_at=started_at)
    assert DirectoryName.decode(PurePosixPath("/any/root") / name.encode()) == name


@given(channel=st.text(max_size=300), started_at=instants)
@settings(deadline=None)
def test_no_channel_name_leaves_the_root(channel: str, started_at: datetime):
    try:
        path = DirectoryName(channel=channel, started_at=started_at).encode()
    except StorageError:
        return
    assert len(path.parts) == 2
    assert not {".", ".."} & set(path.parts)
    assert not path.is_absolute()
    assert all(len(part.encode()) <= 255 for part in path.parts)


@pytest.mark.parametrize("channel", ["", "a/b", "../../etc", "nul\0", "é" * 130, "\ud800"])
def test_a_channel_that_can_name_no_directory_is_refused(channel: str):
    with pytest.raises(StorageError):
        DirectoryName(channel=channel, started_at=INSTANT).encode()


@pytest.mark.parametrize("channel", [".", "..", "-rf", "~", "$HOME", "a_b_101010_123456789"])
def test_odd_channel_names_are_harmless_and_come_back(channel: str, tmp_path: Path):
    name = DirectoryName(channel=channel, started_at=INSTANT)
    path = tmp_path / name.encode()
    path.mkdir(parents=True)
    assert path.resolve().parent.parent == tmp_path.resolve()
    assert DirectoryName.decode(PurePosixPath(path)) == name


@given(uid=uids, recorded_at=milliseconds, extension=extensions, is_screen=st.booleans())
@settings(deadline=None)
def test_a_file_name_decodes_to_what_was_encoded(uid: int, recorded_at: datetime, extension: str, is_screen: bool):
    name = MediaName(uid=uid, recorded_at=recorded_at, extension=extension, is_screen=is_screen)
    assert MediaName.decode(name.encode()) == name


@given(uid=uids, recorded_at=milliseconds, is_hidden=st.booleans())
@settings(deadline=None)
def test_a_uid_log_name_decodes_to_what_was_encoded(uid: int, recorded_at: datetime, is_hidden: bool):
    name = UidLogName(uid=uid, recorded_at=recorded_at, is_hidden=is_hidden)
    assert UidLogName.decode(name.encode()) == name


@given(
    st.text(max_size=60)
    | st.from_regex(r"\A(\.?uid_)?[0-9]{1,11}_[0-9]{16,18}(_screen)?\.(txt|webm)\Z")
    | st.from_regex(r"\A[a-z_]{0,5}_[0-9]{5,7}_[0-9]{8,10}\Z")
)
@settings(deadline=None)
def test_any_other_name_is_malformed_and_nothing_else(text: str):
    for kind in (MediaName, UidLogName):
        try:
            name = kind.decode(text)
        except MalformedError:
            continue
        assert name.encode() == text
    try:
        directory = DirectoryName.decode(PurePosixPath("20240229") / (text.replace("/", "") or "x"))
    except MalformedError:
        return
    assert directory.started_at.date().isoformat() == "2024-02-29"


@pytest.mark.parametrize(
    "name", ["7_20230229120000000.mp4", "7_20230228240000000.mp4", "4294967296_20230228000000000.ts"]
)
def test_impossible_dates_and_uids_are_malformed(name: str):
    with pytest.raises(MalformedError):
        MediaName.decode(name)


def test_a_stamp_that_is_not_plain_digits_is_malformed():
    with pytest.raises(MalformedError):
        unstamp("٢٠١٩٠٦١١٠٧٣٢٤٦٠٧٣")
