"""A file cut at any byte is made whole: it plays everything that was whole in it, and says how long it is."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from itertools import count, product
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.media.containers.repair import MEDIA_SUFFIXES, repair
from channel_recorder.model import Codec, Source
from tests.recording.clips import pictures, sound
from tests.recording.playback import Playback, Stream, decoded_pictures, read
from tests.recording.stage import Stage

SECONDS = 3.0
KINDS = ("vp8", "vp9", "h264", "av1", "h264-alone", "vp8-alone", "opus", "m4a", "aac")


@cache
def recorded(kind: str, until: float) -> tuple[str, bytes]:
    """The suffix and the bytes of a file that is being written, `until` seconds after its beginning."""
    codec = {"m4a": Codec.OPUS, "aac": Codec.OPUS}.get(kind) or Codec(kind.removesuffix("-alone"))
    with TemporaryDirectory() as folder:
        audio_codec = "aac" if kind in ("m4a", "aac") else "opus"
        stage = Stage(Path(folder), audio_codec=audio_codec, separate_tracks=kind == "aac" or kind.endswith("-alone"))
        if codec is not Codec.OPUS:
            stage.send_pictures(stage.track(Source.CAMERA), codec, pictures(codec, 75), 0.1)
        if not kind.endswith("-alone"):
            stage.send_sound(stage.track(Source.MICROPHONE), sound(SECONDS), 0.0)
        stage.run(until)
        path = stage.path(stage.created[0])
        data = path.read_bytes()
        stage.recorder.close(until)
        return path.suffix, data


def streams(file: Playback) -> list[Stream]:
    return [stream for stream in (file.video, file.audio) if stream is not None]


def cut_file(folder: Path, kind: str, size: int) -> Path:
    suffix, data = recorded(kind, SECONDS)
    path = folder / f"cut{suffix}"
    path.write_bytes(data[:size])
    return path


def starts_with(whole: Stream, part: Stream) -> bool:
    count = len(part.packets)
    return whole.packets[:count] == part.packets and whole.pts_seconds[:count] == pytest.approx(
        part.pts_seconds, abs=0.002
    )


def check_cut(folder: Path, kind: str, size: int) -> int:
    """Cuts, repairs twice, compares with the uncut file. Returns how many packets play; -1: it is no file yet."""
    path = cut_file(folder, kind, size)
    if not repair(path).playable:
        assert path.read_bytes() == recorded(kind, SECONDS)[1][:size], "left as it lies"
        return -1
    repaired = path.read_bytes()
    assert not repair(path).changed
    assert path.read_bytes() == repaired
    uncut = folder / f"uncut{path.suffix}"
    if not uncut.exists():
        uncut.write_bytes(recorded(kind, SECONDS)[1])
        repair(uncut)
    whole, part = read(uncut), read(path)
    for name in ("video", "audio"):
        all_of_it, there = getattr(whole, name), getattr(part, name)
        assert there is None or starts_with(all_of_it, there), name
    return sum(len(stream.packets) for stream in streams(part))


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_anywhere_plays_what_was_whole(tmp_path: Path, kind: str) -> None:
    size = len(recorded(kind, SECONDS)[1])
    cuts = sorted({*random.Random(kind).sample(range(size), 60), *range(0, 1400, 41), size - 1, size})
    packets = [check_cut(tmp_path, kind, cut) for cut in cuts]
    assert packets == sorted(packets), "more bytes, more packets"
    assert packets[0] == -1
    assert packets[-1] > 60


@pytest.mark.parametrize("kind", ["vp8", "h264", "opus"])
def test_every_byte_near_the_end_is_a_place_to_cut(tmp_path: Path, kind: str) -> None:
    size = len(recorded(kind, SECONDS)[1])
    packets = [check_cut(tmp_path, kind, cut) for cut in range(size - 400, size + 1, 1)]
    assert packets == sorted(packets)


@pytest.mark.parametrize("kind", KINDS)
def test_a_repaired_file_has_an_index_and_a_duration(tmp_path: Path, kind: str) -> None:
    path = cut_file(tmp_path, kind, 1 << 30)
    assert repair(path).playable
    file = read(path)
    end = max(stream.end_seconds for stream in streams(file))
    assert end > SECONDS - 1.0
    with av.open(str(path)) as container:
        if kind != "aac":
            assert (container.duration or 0) / 1e6 == pytest.approx(end, abs=0.08)
    if path.suffix in (".mp4", ".m4a"):
        head = path.read_bytes()
        assert b"mdat" in head[:60]
    if file.video is not None:
        assert len(decoded_pictures(path)) == len(file.video.packets)
        check_seek(path, 2.0)


def check_seek(path: Path, to_seconds: float) -> None:
    """To the key frame before: the file has one each second."""
    with av.open(str(path)) as container:
        container.seek(round(to_seconds * 1e6))
        frame = next(container.decode(video=0))
        assert frame.time is not None
        assert to_seconds - 1.1 < frame.time <= to_seconds


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_was_closed_is_not_touched(tmp_path: Path, kind: str) -> None:
    codec = Codec.OPUS if kind in ("m4a", "aac") else Codec(kind.removesuffix("-alone"))
    stage = Stage(tmp_path, audio_codec="aac" if kind in ("m4a", "aac") else "opus", separate_tracks=kind == "aac")
    if codec is not Codec.OPUS:
        stage.send_pictures(stage.track(Source.CAMERA), codec, pictures(codec, 50), 0.1)
    if not kind.endswith("-alone"):
        stage.send_sound(stage.track(Source.MICROPHONE), sound(2.0), 0.0)
    stage.finish(2.1)
    path = stage.path(stage.created[0])
    before = path.read_bytes()
    result = repair(path)
    assert result.playable and not result.changed
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", ["vp8", "h264", "opus"])
def test_a_repair_that_is_killed_is_done_again(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each write of it, as if nothing more had come to the disk."""
    suffix, data = recorded(kind, SECONDS)
    cut = data[: len(data) - 37]
    reference = tmp_path / f"reference{suffix}"
    reference.write_bytes(cut)
    repair(reference)

    for writes, half in product(range(20), (True, False)):
        path = tmp_path / f"{writes}{half}{suffix}"
        path.write_bytes(cut)
        with monkeypatch.context() as patch, suppress(KilledError):
            patch.setattr("os.pwrite", killed_after(writes, half))
            repair(path)
        assert streams(read(path)), "it plays all the time"
        repair(path)
        assert path.read_bytes() == reference.read_bytes()


class KilledError(BaseException):
    pass


def killed_after(writes: int, half: bool) -> Callable[[int, bytes, int], int]:
    """In place of `os.pwrite`: so many writes reach the disk, and half of the next one if that is wanted."""
    real, numbers = os.pwrite, count()

    def write(descriptor: int, data: bytes, position: int) -> int:
        number = next(numbers)
        if number >= writes:
            if number == writes and half:
                real(descriptor, data[: len(data) // 2], position)
            raise KilledError
        return real(descriptor, data, position)

    return write


@pytest.mark.parametrize("kind", ["vp8", "h264"])
def test_zeros_of_a_power_cut_are_cut_off(tmp_path: Path, kind: str) -> None:
    suffix, data = recorded(kind, SECONDS)
    path, plain = tmp_path / f"zeros{suffix}", tmp_path / f"plain{suffix}"
    path.write_bytes(data + bytes(4096))
    plain.write_bytes(data)
    assert repair(path).cut_bytes >= 4096
    repair(plain)
    assert path.read_bytes() == plain.read_bytes()


def test_what_lies_behind_a_damaged_place_is_not_cut_off(tmp_path: Path) -> None:
    _, data = recorded("vp8", SECONDS)
    path = tmp_path / "damaged.webm"
    path.write_bytes(data + bytes(1 << 25))
    size = path.stat().st_size
    result = repair(path)
    assert result.playable and not result.changed
    assert path.stat().st_size == size


@given(st.sampled_from(sorted(MEDIA_SUFFIXES)), st.binary(max_size=400), st.integers(0, 2000), st.booleans())
@settings(deadline=None, max_examples=200)
def test_any_bytes_are_repaired_or_left(suffix: str, noise: bytes, at: int, appended: bool) -> None:
    kind = {".webm": "vp8", ".mp4": "h264", ".m4a": "m4a", ".ogg": "opus", ".aac": "aac"}[suffix]
    data = recorded(kind, SECONDS)[1]
    foreign = data[:at] + noise + (data[at + len(noise) :] if appended else b"")
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"foreign{suffix}"
        path.write_bytes(foreign)
        repair(path)
        shutil.copyfile(path, path.with_name("again" + suffix))
        repair(path)
