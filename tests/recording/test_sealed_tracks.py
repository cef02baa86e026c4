"""An encrypted call in virtual time: what opens is recorded, what does not is told, counted and kept on request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from channel_recorder.config import RecordingConfig
from channel_recorder.e2ee.store import GivenKey, KeyStore
from channel_recorder.errors import ErrorCode
from channel_recorder.events import Joined, LeaveReason, TrackUnpublished, TrackUpdated
from channel_recorder.model import Codec, EncodedFrame, MediaKind, Participant, Track
from channel_recorder.recording.notices import Notices
from channel_recorder.recording.recording import Recording
from channel_recorder.recording.sealed_track import SealedTrackPipe
from tests.e2ee.sealing import given, material, seal
from tests.recording.test_recording import (
    ALICE,
    BOB,
    FOLDER,
    JOINED,
    FakeArchive,
    Scene,
    came,
    camera,
    microphone,
    person,
    published,
)

PACKET = b"\xf8" + bytes(range(40))
SOUND = microphone(encrypted=True)
PICTURES = camera(encrypted=True)


class SealedScene(Scene):
    def __init__(self, *keys: GivenKey, **config: Any) -> None:
        super().__init__(**config)
        self.archive = FakeArchive()

        def call(callback: Callable[..., None], *arguments: object) -> None:
            callback(*arguments)

        keyring = KeyStore(keys, lambda work: work())
        self.recording = Recording(
            RecordingConfig(**config),
            open_archive=lambda _: self.archive,  # pyright: ignore[reportArgumentType]
            notices=Notices(self.witness, call, FOLDER),
            joined_seconds=JOINED,
            leave=self.left.append,
            keys=keyring,
        )
        self.recording.connected(self.uplink, JOINED)

    def sealed_media(self, at: float, track: Track, participant: Participant) -> Callable[[float, bytes], None]:
        """Like the receiver: asks for the plain form, and tells where there is none."""
        pipe = self.recording.begin_media(track.sid, track.kind, participant.sid, JOINED + at)
        codec = Codec.OPUS if track.kind is MediaKind.AUDIO else Codec.VP8
        rate = codec.clock_rate_hz

        def send(at: float, wire: bytes) -> None:
            frame = EncodedFrame(codec, b"", round(at * rate), JOINED + at)
            if not isinstance(pipe, SealedTrackPipe):
                frame.data = wire
                pipe.on_frame(frame)
            elif plain := pipe.unseal(codec, wire):
                frame.data = plain
                pipe.on_frame(frame)
            else:
                pipe.on_sealed_frame(frame, (wire,))

        return send

    @property
    def errors(self) -> list[tuple[object, ...]]:
        return [said[1:] for said in self.witness.said if said[0] == "on_error"]

    @property
    def warnings(self) -> list[str]:
        return [str(said[2]) for said in self.witness.said if said[0] == "on_warning"]

    @property
    def sealed_facts(self) -> list[dict[str, Any]]:
        return [fields for fact, _, fields in self.archive.notes if fact == "sealed_track"]


def good(number: int = 0, **how: Any) -> bytes:
    return seal(PACKET + bytes((number,)), 1, **how)


def bad() -> bytes:
    return seal(PACKET, 1, material("another"))


def talk(send: Callable[[float, bytes], None], wire: bytes, start: float, count: int = 20) -> None:
    for number in range(count):
        send(start + number / 50, wire)


def test_with_the_key_a_track_is_recorded_like_any_other() -> None:
    scene = SealedScene(given())
    scene.tell(1.0, came(ALICE), published(ALICE, SOUND))
    assert scene.uplink.said == [("subscribe", "TR_a7")]
    talk(scene.sealed_media(1.0, SOUND, ALICE), good(), 1.1)
    (sink,) = scene.archive.recorder.sinks
    assert len(sink.numbers) == 20
    assert not sink.track.sealed
    assert scene.errors == scene.warnings == []
    scene.tell(3.0, TrackUnpublished(participant=ALICE, track=SOUND))
    assert scene.sealed_facts == []


def test_a_wrong_key_is_an_error_once_for_a_user_and_nothing_is_recorded() -> None:
    scene = SealedScene(given())
    scene.tell(1.0, came(ALICE), came(BOB), published(ALICE, SOUND), published(ALICE, PICTURES))
    talk(scene.sealed_media(1.0, SOUND, ALICE), bad(), 1.1)
    talk(scene.sealed_media(1.0, PICTURES, ALICE), seal(bytes(50), 10, material("another")), 1.1)
    (error,) = scene.errors
    assert error[0] == ErrorCode.DECRYPTION_FAILED.name
    assert "microphone of user 7" in str(error[2])
    assert "the key given is another one" in str(error[2])
    assert [sink.numbers for sink in scene.archive.recorder.sinks] == [[], []]
    failed = [fields for fact, _, fields in scene.archive.notes if fact == "decryption_failed"]
    assert failed == [{"uid": 7, "account": "7", "sid": sid, "key_index": 0} for sid in ("TR_a7", "TR_v7")]
    his = microphone("TR_b", encrypted=True)
    scene.tell(2.0, published(BOB, his))
    talk(scene.sealed_media(2.0, his, BOB), bad(), 2.1)
    assert len(scene.errors) == 2


def test_a_key_index_without_a_key_is_named() -> None:
    scene = SealedScene(given())
    scene.tell(1.0, came(ALICE), published(ALICE, SOUND))
    talk(scene.sealed_media(1.0, SOUND, ALICE), good(key_index=3), 1.1)
    assert "no key with index 3 is given" in str(scene.errors[0][2])


def test_a_sender_who_begins_in_clear_is_no_error_and_his_first_frames_are_left_out() -> None:
    scene = SealedScene(given())
    scene.tell(1.0, came(ALICE), published(ALICE, SOUND))
    send = scene.sealed_media(1.0, SOUND, ALICE)
    talk(send, PACKET, 1.1, 5)
    talk(send, good(), 1.3, 5)
    talk(send, PACKET, 1.5, 5)
    assert scene.errors == []
    assert len(scene.archive.recorder.sinks[0].numbers) == 5
    scene.recording.connection_lost(LeaveReason.SIGNAL_CLOSED, JOINED + 2.0)
    (fact,) = scene.sealed_facts
    assert fact["frames"] == 10
    assert (fact["start"], fact["end"]) == (0.1, 0.58)


def test_the_books_say_what_stayed_sealed() -> None:
    scene = SealedScene(given())
    scene.tell(1.0, came(ALICE), published(ALICE, SOUND))
    send = scene.sealed_media(1.0, SOUND, ALICE)
    talk(send, good(key_index=3), 1.1, 15)
    talk(send, good(key_index=2), 1.5, 1)
    scene.tell(3.0, TrackUnpublished(participant=ALICE, track=SOUND))
    assert scene.sealed_facts == [
        {
            "uid": 7,
            "account": "7",
            "sid": "TR_a7",
            "kind": "audio",
            "source": "microphone",
            "codec": "opus",
            "frames": 16,
            "key_indexes": [2, 3],
            "start": 0.1,
            "end": 0.5,
        }
    ]


def test_what_no_key_opens_is_kept_on_request_in_a_file_of_its_own() -> None:
    scene = SealedScene(given(), keep_ciphertext=True)
    scene.tell(1.0, came(ALICE), published(ALICE, SOUND))
    send = scene.sealed_media(1.0, SOUND, ALICE)
    talk(send, good(), 1.1, 5)
    talk(send, bad(), 1.2, 5)
    talk(send, good(), 1.3, 5)
    media, kept = scene.archive.recorder.sinks
    assert (len(media.numbers), len(kept.numbers)) == (10, 5)
    assert (media.track.sealed, kept.track.sealed) == (False, True)
    scene.tell(3.0, TrackUnpublished(participant=ALICE, track=SOUND))
    assert kept.closed_at == [0.28]


def test_without_any_key_everything_can_be_kept() -> None:
    scene = SealedScene(keep_ciphertext=True)
    scene.tell(1.0, came(ALICE), published(ALICE, SOUND))
    talk(scene.sealed_media(1.0, SOUND, ALICE), good(), 1.1)
    assert scene.warnings == ["microphone of user 7 is encrypted and no key is given: kept sealed"]
    assert scene.errors == []
    _, kept = scene.archive.recorder.sinks
    assert len(kept.numbers) == 20


def test_without_any_key_nothing_is_asked_for() -> None:
    scene = SealedScene()
    scene.tell(1.0, came(ALICE), published(ALICE, SOUND))
    assert scene.uplink.said == []
    assert scene.warnings == ["microphone of user 7 is encrypted and no key is given: left out"]


def test_a_key_that_comes_later_opens_what_was_left_out() -> None:
    scene = SealedScene()
    scene.tell(1.0, came(ALICE), published(ALICE, SOUND))
    scene.recording.add_key(given(), JOINED + 5.0)
    assert scene.uplink.said == [("subscribe", "TR_a7")]
    talk(scene.sealed_media(5.0, SOUND, ALICE), good(), 5.1)
    assert len(scene.archive.recorder.sinks[0].numbers) == 20
    (note,) = [fields for fact, _, fields in scene.archive.notes if fact == "encryption_key_added"]
    assert note == {"account": None, "key_index": 0}


def test_everybody_may_have_a_key_of_their_own() -> None:
    scene = SealedScene(given("alice's", account="7"), given("bob's", account="bob"))
    his = microphone("TR_b", encrypted=True)
    scene.tell(1.0, came(ALICE), came(BOB), published(ALICE, SOUND), published(BOB, his))
    talk(scene.sealed_media(1.0, SOUND, ALICE), seal(PACKET, 1, material("alice's")), 1.1)
    talk(scene.sealed_media(1.0, his, BOB), seal(PACKET, 1, material("bob's")), 1.1)
    assert [len(sink.numbers) for sink in scene.archive.recorder.sinks] == [20, 20]


def test_what_the_server_makes_up_is_neither_recorded_nor_counted() -> None:
    scene = SealedScene(given(), keep_ciphertext=True)
    joined = Joined(room_sid="RM", room_name="lesson", identity="900", participant_sid="PA", server_trailer=b"made up")
    scene.tell(0.5, joined)
    scene.tell(1.0, came(ALICE), published(ALICE, SOUND))
    talk(scene.sealed_media(1.0, SOUND, ALICE), b"\xf8\xff\xfemade up", 1.1)
    assert [sink.numbers for sink in scene.archive.recorder.sinks] == [[]]
    assert scene.errors == []


def test_media_that_came_before_it_was_known_as_encrypted_is_never_recorded() -> None:
    scene = SealedScene(given())
    send = scene.sealed_media(1.0, SOUND, ALICE)
    talk(send, good(), 1.1, 5)
    scene.tell(1.3, came(ALICE), published(ALICE, SOUND))
    talk(send, good(), 1.4, 5)
    assert scene.archive.recorder.sinks == []


def test_a_track_that_turns_out_encrypted_is_recorded_no_more() -> None:
    scene = SealedScene(given())
    plain = microphone()
    scene.tell(1.0, came(ALICE), published(ALICE, plain))
    send = scene.sealed_media(1.0, plain, ALICE)
    talk(send, PACKET, 1.1, 5)
    scene.tell(2.0, TrackUpdated(participant=ALICE, track=SOUND, previous=plain))
    talk(send, good(), 2.1, 5)
    assert [len(sink.numbers) for sink in scene.archive.recorder.sinks] == [5]


def test_open_tracks_of_an_encrypted_channel_are_recorded_as_ever() -> None:
    scene = SealedScene(given())
    carol = person("11")
    scene.tell(1.0, came(carol), published(carol, microphone("TR_c")))
    talk(scene.sealed_media(1.0, microphone("TR_c"), carol), PACKET, 1.1, 5)
    assert len(scene.archive.recorder.sinks[0].numbers) == 5
