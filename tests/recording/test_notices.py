"""The classic callbacks: which one, with what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from channel_recorder.handler import OfflineReason, RecordedFile
from channel_recorder.model import Codec, EncodedFrame, MediaKind, Participant, Source, User
from channel_recorder.recording.contract import FileClosed, FileCreated, Gap, RecordedTrack, StreamSummary
from channel_recorder.recording.notices import Notices
from tests.recording.test_recording import Witness

FOLDER = Path("/recordings/lesson")
ALICE = User(uid=7, account="7")


def notices_for(witness: Witness) -> Notices:
    def call(callback: Callable[..., None], *arguments: object) -> None:
        callback(*arguments)

    return Notices(witness, call, FOLDER)


def test_a_closed_file_is_told_with_all_that_is_known_of_it() -> None:
    witness = Witness()
    notices = notices_for(witness)
    streams = (
        StreamSummary(kind=MediaKind.VIDEO, codec="vp8", frames=30),
        StreamSummary(kind=MediaKind.AUDIO, codec="opus", frames=100),
    )
    notices.file_event(FileCreated(at_seconds=1.0, name="7.webm", user=ALICE, source=Source.CAMERA))
    assert notices.open_files == 1
    gap = Gap(at_seconds=2.0, name="7.webm", user=ALICE, kind=MediaKind.AUDIO, duration_seconds=1.0, lost_packets=0)
    notices.file_event(gap)
    closed = FileClosed(
        at_seconds=4.0,
        name="7.webm",
        user=ALICE,
        source=Source.CAMERA,
        start_seconds=1.0,
        duration_seconds=3.0,
        bytes=1234,
        streams=streams,
    )
    notices.file_event(closed)
    assert notices.open_files == 0
    file = RecordedFile(
        path=FOLDER / "7.webm",
        user=ALICE,
        source="camera",
        start_seconds=1.0,
        duration_seconds=3.0,
        bytes=1234,
        codecs=("vp8", "opus"),
    )
    assert witness.said == [("on_file_created", "7.webm", ALICE), ("on_file_closed", file)]


def test_receiving_is_told_when_it_changes() -> None:
    witness = Witness()
    notices = notices_for(witness)
    for audio, video in ((False, False), (True, False), (True, False), (True, True), (False, False)):
        notices.receiving(audio, video)
    name = "on_receiving_stream_status_changed"
    assert witness.said == [(name, True, False), (name, True, True), (name, False, False)]


def test_the_first_frame_is_told_in_milliseconds_since_the_join() -> None:
    witness = Witness()
    notices = notices_for(witness)
    frame = EncodedFrame(Codec.VP8, b"", 0, 0.0, width=640, height=480)
    for kind, source in ((MediaKind.VIDEO, Source.CAMERA), (MediaKind.AUDIO, Source.MICROPHONE)):
        notices.first_frame(RecordedTrack(sid="TR", user=ALICE, kind=kind, source=source), frame, 1.2346)
    assert witness.said == [
        ("on_first_remote_video_frame", 7, 640, 480, 1235),
        ("on_first_remote_audio_frame", 7, 1235),
    ]


def test_a_decimal_account_is_no_pair_worth_telling() -> None:
    witness = Witness()
    notices = notices_for(witness)
    notices.user_joined(ALICE, Participant(sid="PA", identity="7", name="Alice"))
    notices.user_offline(ALICE, OfflineReason.QUIT)
    assert [said[0] for said in witness.said] == ["on_user_joined", "on_user_offline"]
