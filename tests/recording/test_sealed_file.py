"""Files of sealed frames: what was kept can be read again, also after a crash, and anything else is refused."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_recorder.errors import MalformedError
from channel_recorder.model import Codec, EncodedFrame, MediaKind, Source, User
from channel_recorder.recording.contract import FileEvent, RecordedTrack, StorageFailed
from channel_recorder.recording.sealed_file import SealedFrame, SealedHeader, pack_frame, pack_units, read_sealed
from channel_recorder.recording.sealed_recorder import SealedRecorder
from tests.recording.test_tracks import FakeRecorder

TRACK = RecordedTrack(
    sid="TR_v", user=User(uid=2**31, account="älice"), kind=MediaKind.VIDEO, source=Source.SCREEN_SHARE, sealed=True
)
HEADER = SealedHeader(channel="lesson 7", track=TRACK)


def frame(number: int = 0, *units: bytes) -> EncodedFrame:
    made = EncodedFrame(Codec.VP9, pack_units(units or (b"sealed\x05",)), number - 3, 0.0, rotation=90, lost_packets=2)
    made.time_seconds = number / 25
    return made


class Stage:
    def __init__(self, folder: Path, name_file: Callable[..., Path] | None = None) -> None:
        self.folder = folder
        self.inner = FakeRecorder()
        self.events: list[FileEvent] = []
        self.facts: list[tuple[str, float, dict[str, Any]]] = []
        self.recorder = SealedRecorder(
            self.inner,
            channel="lesson 7",
            name_file=name_file or self.name,
            on_event=self.events.append,
            note=lambda fact, at_seconds, **fields: self.facts.append((fact, at_seconds, fields)),
        )

    def name(self, user: User, source: Source, extension: str, at_seconds: float) -> Path:
        return self.folder / f"{user.uid}_{source}_{at_seconds}.{extension}"

    @property
    def paths(self) -> list[Path]:
        return sorted(self.folder.iterdir())


def test_what_was_kept_is_read_again(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    sink = stage.recorder.add_track(TRACK, 1.5)
    sink.write(frame(0))
    sink.write(frame(1, b"layer\x05", b"upper layer\x05"))
    sink.close(2.0)
    (path,) = stage.paths
    assert path.name == "2147483648_screen_share_1.5.sealed"
    header, frames = read_sealed(BytesIO(path.read_bytes()))
    assert (header.channel, header.track.user, header.track.source) == ("lesson 7", TRACK.user, Source.SCREEN_SHARE)
    usual: dict[str, Any] = {"codec": Codec.VP9, "key_index": 5, "rotation": 90, "lost_packets": 2}
    assert list(frames) == [
        SealedFrame(timestamp=-3, time_seconds=0.0, units=(b"sealed\x05",), **usual),
        SealedFrame(timestamp=-2, time_seconds=0.04, units=(b"layer\x05", b"upper layer\x05"), **usual),
    ]
    names = {"name": path.name, "uid": 2**31, "account": "älice", "sid": "TR_v"}
    assert stage.facts == [
        ("sealed_file", 0.0, names),
        ("sealed_file_closed", 2.0, names | {"frames": 2, "bytes": path.stat().st_size}),
    ]


def test_all_other_tracks_go_to_the_recorder_behind_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    plain = RecordedTrack(sid="TR_a", user=TRACK.user, kind=MediaKind.AUDIO, source=Source.MICROPHONE)
    stage.recorder.add_track(plain, 1.0)
    stage.recorder.mute_track("TR_a", True, 2.0)
    stage.recorder.user_joined(TRACK.user, 2.5)
    stage.recorder.user_left(TRACK.user, 3.0)
    stage.recorder.advance(4.0)
    assert [sink.track.sid for sink in stage.inner.sinks] == ["TR_a"]
    assert [said[0] for said in stage.inner.said] == ["muted", "joined", "left", "advance"]
    assert stage.paths == []


def test_a_track_that_opens_makes_no_file(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.recorder.add_track(TRACK, 1.0).close(2.0)
    assert stage.paths == []
    assert stage.facts == []


def test_what_was_flushed_survives_a_crash(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    sink = stage.recorder.add_track(TRACK, 1.0)
    sink.write(frame(0))
    stage.recorder.advance(1.1)
    _, frames = read_sealed(BytesIO(stage.paths[0].read_bytes()))
    assert len(list(frames)) == 1
    sink.close(2.0)


def test_a_disk_that_refuses_ends_the_file_and_not_the_recording(tmp_path: Path) -> None:
    stage = Stage(tmp_path, lambda *_: tmp_path / "gone" / "x.sealed")
    sink = stage.recorder.add_track(TRACK, 1.0)
    sink.write(frame(0))
    sink.write(frame(1))
    sink.close(2.0)
    (failed,) = stage.events
    assert isinstance(failed, StorageFailed)
    assert "No such file" in failed.message


def test_a_file_cut_anywhere_ends_with_its_last_whole_frame() -> None:
    records = [pack_frame(frame(number, bytes(number) + b"\x05")) for number in range(5)]
    whole = HEADER.to_bytes() + b"".join(records)
    ends = [len(HEADER.to_bytes()) + sum(map(len, records[:count])) for count in range(6)]
    for length in range(ends[0], len(whole) + 1):
        _, frames = read_sealed(BytesIO(whole[:length]))
        assert len(list(frames)) == sum(end <= length for end in ends[1:])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"[]\n",
        b"{}\n",
        HEADER.to_bytes().replace(b'"version":1', b'"version":2'),
        HEADER.to_bytes().replace(b"video", b"smell"),
        HEADER.to_bytes()[:-1],
        HEADER.to_bytes().replace(b"2147483648", b'"x"'),
    ],
)
def test_what_is_no_such_file_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        read_sealed(BytesIO(data))


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_read_or_refused(data: bytes, behind_a_header: bool) -> None:
    with suppress(MalformedError):
        list(read_sealed(BytesIO(HEADER.to_bytes() + data if behind_a_header else data))[1])


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=4), st.binary(max_size=80))
def test_damaged_frames_are_read_or_refused(units: list[bytes], noise: bytes) -> None:
    record = bytearray(pack_frame(frame(1, *units, b"\x05")))
    record[4 : 4 + len(noise)] = noise[: len(record) - 4]
    with suppress(MalformedError):
        list(read_sealed(BytesIO(HEADER.to_bytes() + bytes(record)))[1])
