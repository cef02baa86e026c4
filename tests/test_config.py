"""A recording's settings are checked as a whole, and a refusal names the setting but never a secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from channel_recorder.config import EncryptionKey, RecordingConfig, StreamType, TriggerMode
from channel_recorder.errors import ConfigError, ErrorCode, StatusCode
from channel_recorder.model import MAX_UID, ChannelProfile


def refusal(**fields: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        RecordingConfig(**fields)
    assert caught.value.code == ErrorCode.INVALID_ARGUMENT == 2
    assert caught.value.__cause__ is None
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_setting_says_what_it_means() -> None:
    undocumented = [name for name, field in RecordingConfig.model_fields.items() if not field.description]
    assert undocumented == []


def test_defaults_record_everybody_into_the_current_folder() -> None:
    config = RecordingConfig()
    assert config.auto_subscribe
    assert config.record_file_root_dir is None
    assert config.idle_limit_sec == 300
    assert config.channel_profile is ChannelProfile.COMMUNICATION
    assert config.trigger_mode is TriggerMode.AUTOMATIC
    assert config.stream_type is StreamType.HIGH


@pytest.mark.parametrize("spelling", ["recordFileRootDir", "record_file_root_dir"])
def test_classic_and_python_spelling_mean_the_same(spelling: str) -> None:
    config = RecordingConfig(**{spelling: "recordings", "idleLimitSec": 9, "triggerMode": 1, "isAudioOnly": True})
    assert config.record_file_root_dir == Path("recordings")
    assert config.idle_limit_sec == 9
    assert config.trigger_mode is TriggerMode.MANUAL
    assert config.is_audio_only


def test_every_setting_is_known_by_its_classic_spelling() -> None:
    classic = {"subscribeVideoUids", "lowUdpPort", "enableH265Support", "cfgFilePath", "channelProfile", "appliteDir"}
    for name in classic:
        value = RecordingConfig.model_fields[_snake(name)].default
        assert getattr(RecordingConfig(**{name: value}), _snake(name)) == value


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def test_an_unknown_setting_is_named() -> None:
    assert refusal(record_dir="x").startswith("record_dir is no setting of a recording")


def test_a_setting_cannot_be_changed_later() -> None:
    config = RecordingConfig()
    with pytest.raises(ValueError, match="frozen"):
        config.idle_limit_sec = 5  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("given", ["7,9", " 7 , 9 ,", [7, 9], (7, 9), ["7", "9"]])
def test_lists_of_uids_may_be_comma_lists(given: object) -> None:
    config = RecordingConfig(auto_subscribe=False, subscribe_video_uids=given, subscribeAudioUids=given)
    assert config.subscribe_video_uids == config.subscribe_audio_uids == (7, 9)


@pytest.mark.parametrize("given", ["0", f"{MAX_UID + 1}", "alice", "7;9", "-1", [1.5]])
def test_what_is_no_uid_is_refused(given: object) -> None:
    assert refusal(auto_subscribe=False, subscribe_video_uids=given).startswith("subscribe_video_uids=")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"is_audio_only": True, "is_video_only": True}, "is_audio_only and is_video_only are both true"),
        ({"subscribe_video_uids": "7"}, "need auto_subscribe=False"),
        ({"subscribe_audio_uids": "7"}, "need auto_subscribe=False"),
        ({"record_file_root_dir": "a", "cfg_file_path": "b"}, "give only one of them"),
    ],
)
def test_contradictions_are_refused(fields: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(**fields)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("idle_limit_sec", 2),
        ("stream_type", 2),
        ("trigger_mode", 2),
        ("channel_profile", 2),
        ("audio_codec", "mp3"),
        ("low_udp_port", 65536),
        ("high_udp_port", -1),
        ("mixed_video_audio", 8),
        ("proxy_type", 3),
        ("capture_interval", 0),
        ("auto_subscribe", "perhaps"),
    ],
)
def test_a_value_out_of_range_is_refused_with_its_name(name: str, value: object) -> None:
    assert refusal(**{name: value}).startswith(f"{name}={value!r} is not acceptable")


@pytest.mark.parametrize(("low", "high"), [(0, 0), (40000, 40006), (65529, 65535)])
def test_port_ranges_that_are_wide_enough(low: int, high: int) -> None:
    assert RecordingConfig(low_udp_port=low, high_udp_port=high).high_udp_port == high


@pytest.mark.parametrize(("low", "high"), [(40000, 40005), (40000, 0), (0, 40000), (40006, 40000), (40000, 40000)])
def test_port_ranges_that_are_too_narrow(low: int, high: int) -> None:
    assert f"{low}..{high} is too small" in refusal(low_udp_port=low, high_udp_port=high)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("is_mixing_enabled", True),
        ("mixed_video_audio", 1),
        ("mix_resolution", "640,480,15,500"),
        ("audio_profile", 1),
        ("default_video_bg", "bg.jpg"),
        ("default_user_bg", "bg.jpg"),
        ("decode_video", 1),
        ("decode_audio", 3),
        ("audio_indication_interval", 200),
        ("proxy_server", "127.0.0.1:1080"),
        ("enable_cloud_proxy", True),
    ],
)
def test_what_is_not_there_yet_is_refused_rather_than_ignored(name: str, value: object) -> None:
    assert refusal(**{name: value}).startswith(f"{name}=")
    assert "not supported yet" in refusal(**{name: value})


def test_a_mixing_setting_is_refused_with_the_classic_status() -> None:
    with pytest.raises(ConfigError) as caught:
        RecordingConfig(mix_resolution="640,480,15,500")
    assert caught.value.status is StatusCode.MIX_PARAMETERS


def test_the_classic_way_to_say_no_volume_indications_is_accepted() -> None:
    assert RecordingConfig(audio_indication_interval=-1).audio_indication_interval == -1


@pytest.mark.parametrize("secret", [["hunter2"], {"key": "hunter2"}])
def test_a_secret_is_in_no_message_and_no_representation(secret: object) -> None:
    assert "hunter2" not in refusal(secret=secret)
    assert "hunter2" not in refusal(idle_limit_sec=1, secret=secret)
    assert "hunter2" not in refusal(Secret=secret)
    assert "hunter2" not in repr(RecordingConfig.model_construct(secret=secret))


@pytest.mark.parametrize(
    "keys",
    [
        [{"secret": "hunter2", "key_index": 256}],
        [{"secret": "hunter2", "raw_key": "aHVudGVyMg=="}],
        [{"secret": "hunter2", "account": "7"}, {"secret": "hunter2", "account": "7"}],
        [{"secret": "hunter2", "colour": "hunter2"}],
        [{"raw_key": "hunter2!"}],
        [{"account": "hunter2"}],
        '[{"secret": "hunter2"',
        "hunter2",
        "{}",
    ],
)
def test_keys_that_are_none_are_refused_without_a_word_of_them(keys: object) -> None:
    assert "hunter2" not in refusal(encryption_keys=keys)


def test_a_mode_without_a_key_says_what_is_missing() -> None:
    assert refusal(decryption_mode="aes-128-gcm").startswith("decryption_mode needs a key: give secret")


def test_ciphers_that_no_client_uses_are_refused() -> None:
    assert "'aes-128-gcm' or 'aes-256-gcm'" in refusal(decryption_mode="aes-128-xts", secret="hunter2")


def test_the_secret_is_everybodys_first_key() -> None:
    own = EncryptionKey(account="7", raw_key=b"\x00\x01")
    config = RecordingConfig(secret="hunter2", encryption_keys=[own, {"secret": "next", "key_index": 1}])
    assert config.all_encryption_keys == (
        EncryptionKey(secret="hunter2"),
        own,
        EncryptionKey(secret="next", key_index=1),
    )
    assert "hunter2" not in repr(config)
    assert "next" not in repr(config)


def test_a_key_made_by_hand_is_checked_like_the_settings() -> None:
    with pytest.raises(ConfigError, match="either a secret or a raw_key"):
        EncryptionKey()
