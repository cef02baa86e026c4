from __future__ import annotations

from channel_recorder.config import RecordingConfig, StreamType
from channel_recorder.model import MediaKind, Source, Track, User
from channel_recorder.recording.subscription import Subscription

ALICE = User(uid=7, account="7")
BOB = User(uid=3_000_000_000, account="bob")
MICROPHONE = Track(sid="TR_a", kind=MediaKind.AUDIO, source=Source.MICROPHONE)
CAMERA = Track(sid="TR_v", kind=MediaKind.VIDEO, source=Source.CAMERA)
SCREEN = Track(sid="TR_s", kind=MediaKind.VIDEO, source=Source.SCREEN_SHARE)


def test_everybody_is_recorded_by_default():
    subscription = Subscription.from_config(RecordingConfig())
    assert subscription.stream_type is StreamType.HIGH
    assert all(subscription.wanted(user, track) for user in (ALICE, BOB) for track in (MICROPHONE, CAMERA, SCREEN))


def test_lists_name_whose_sound_and_whose_pictures_are_recorded():
    config = RecordingConfig(auto_subscribe=False, subscribe_audio_uids="7", subscribe_video_uids=[BOB.uid])
    subscription = Subscription.from_config(config)
    assert subscription.wanted(ALICE, MICROPHONE)
    assert not subscription.wanted(ALICE, CAMERA)
    assert not subscription.wanted(BOB, MICROPHONE)
    assert subscription.wanted(BOB, CAMERA)
    assert subscription.wanted(BOB, SCREEN)


def test_empty_lists_record_nobody():
    subscription = Subscription.from_config(RecordingConfig(auto_subscribe=False))
    assert not any(subscription.wanted(ALICE, track) for track in (MICROPHONE, CAMERA))


def test_members_may_be_named_by_account():
    subscription = Subscription(everybody=False).with_audio_members(["bob"]).with_video_members(["7"])
    assert subscription.wanted(BOB, MICROPHONE)
    assert not subscription.wanted(ALICE, MICROPHONE)
    assert subscription.wanted(ALICE, CAMERA)


def test_audio_only_and_video_only_leave_the_other_kind_out_for_everybody():
    audio_only = Subscription.from_config(RecordingConfig(is_audio_only=True))
    video_only = Subscription.from_config(RecordingConfig(is_video_only=True))
    assert [audio_only.wanted(ALICE, track) for track in (MICROPHONE, CAMERA, SCREEN)] == [True, False, False]
    assert [video_only.wanted(ALICE, track) for track in (MICROPHONE, CAMERA, SCREEN)] == [False, True, True]


def test_a_new_list_replaces_the_old_one():
    before = Subscription(everybody=False, audio_members=frozenset({7}), video_members=frozenset({7}))
    after = before.with_video_members([BOB.uid])
    assert [after.wanted(ALICE, track) for track in (MICROPHONE, CAMERA, SCREEN)] == [True, False, False]
    assert after.wanted(BOB, CAMERA)


def test_the_low_stream_can_be_chosen():
    assert Subscription.from_config(RecordingConfig(stream_type=1)).stream_type is StreamType.LOW
