"""Frames open exactly as their sender made them, or not at all."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given as vary
from hypothesis import strategies as st

from channel_recorder.codecs.annexb import START_CODE
from channel_recorder.codecs.registry import INSPECTORS
from channel_recorder.e2ee.frames import PATIENCE_FRAMES, RATCHET_EVERY_FRAMES, FrameOpener
from channel_recorder.e2ee.layout import CLEAR_BYTES
from channel_recorder.model import Codec
from tests.e2ee.sealing import given, material, seal, seal_av1, store
from tests.recording.clips import pictures, sound

ESCAPED = (Codec.H264, Codec.H265)
CODECS = (Codec.VP8, Codec.VP9, Codec.H264, Codec.H265)


def opener(**options: object) -> FrameOpener:
    return FrameOpener(store(), "7", **options)  # type: ignore[arg-type]


def sealed(codec: Codec, frame: bytes, **how: object) -> bytes:
    return seal(frame, CLEAR_BYTES[codec](frame), escapes=codec in ESCAPED, **how)  # type: ignore[arg-type]


def four_byte_codes(data: bytes) -> bytes:
    """As senders packetize and receivers put it together again."""
    return START_CODE + data.replace(START_CODE, b"\0\0\1").removeprefix(b"\0\0\1").replace(b"\0\0\1", START_CODE)


@pytest.mark.parametrize("codec", CODECS)
def test_every_picture_of_a_clip_opens(codec: Codec) -> None:
    opens = opener()
    for picture in pictures(codec):
        frame = four_byte_codes(picture.data) if codec in ESCAPED else picture.data
        assert opens.open(codec, sealed(codec, frame)) == frame
        assert INSPECTORS[codec](frame).key_frame is picture.key_frame
    assert opens.failures == 0


def test_every_picture_of_av1_opens() -> None:
    opens = opener()
    for picture in pictures(Codec.AV1):
        assert opens.open(Codec.AV1, seal_av1(picture.data, picture.key_frame)) == picture.data


def test_layers_of_av1_in_one_temporal_unit_all_open() -> None:
    unit = seal_av1(b"\x0a\x01\x00", True) + seal_av1(b"\x32\x01\x77", False)
    assert opener().open(Codec.AV1, unit) == b"\x0a\x01\x00\x32\x01\x77"
    assert opener().open(Codec.AV1, unit + b"\x32\x01\x77") == b""


def test_sound_opens() -> None:
    opens = opener()
    for packet in sound(1.0):
        assert opens.open(Codec.OPUS, sealed(Codec.OPUS, packet)) == packet


@pytest.mark.parametrize("codec", ESCAPED)
@pytest.mark.parametrize("body", [b"\0" * 64, b"\0\0\3" * 20, b"\0\0\1\0\0\2" * 10])
def test_emulation_prevention_of_plaintext_and_ciphertext_is_told_apart(codec: Codec, body: bytes) -> None:
    slice_header = b"\x41\x9a" if codec is Codec.H264 else b"\x02\x01"
    frame = START_CODE + slice_header + body
    for number in range(300):
        iv = number.to_bytes(2, "big") + bytes(10)
        wire = sealed(codec, frame, iv=iv)
        assert b"\0\0\1" not in wire[4:]
        assert opener().open(codec, wire) == frame


def test_a_sealed_part_that_was_not_escaped_opens_too() -> None:
    frame = START_CODE + b"\x41\x9a" + b"\0\0\3" * 20
    wires = [seal(frame, 6, iv=number.to_bytes(12, "big")) for number in range(300)]
    assert any(b"\0\0\3" in wire[6:] for wire in wires)
    assert all(opener().open(Codec.H264, wire) == frame for wire in wires)


def test_several_slices_are_sealed_as_one() -> None:
    frame = START_CODE + b"\x65\x88" + b"\x11" * 40 + START_CODE + b"\x65\x01" + b"\x22" * 40
    assert CLEAR_BYTES[Codec.H264](frame) == 6
    assert opener().open(Codec.H264, sealed(Codec.H264, frame)) == frame


@pytest.mark.parametrize("codec", [*CODECS, Codec.OPUS])
def test_nothing_of_a_frame_opens_with_a_wrong_key(codec: Codec) -> None:
    frame = sound(1.0)[0] if codec is Codec.OPUS else pictures(codec)[0].data
    opens = opener()
    assert opens.open(codec, sealed(codec, frame, key=material("another"))) == b""
    assert opens.failures == 1
    assert opens.has_key


def test_a_frame_names_the_key_it_needs() -> None:
    opens = FrameOpener(store(given(), given("second", key_index=5)), "7")
    packet = sound(1.0)[0]
    assert opens.open(Codec.OPUS, sealed(Codec.OPUS, packet, key=material("second"), key_index=5)) == packet
    assert opens.open(Codec.OPUS, sealed(Codec.OPUS, packet, key_index=6)) == b""
    assert opens.key_index == 6
    assert not opens.has_key


def test_frames_that_were_never_sealed_do_not_open() -> None:
    opens = opener()
    assert [opens.open(Codec.OPUS, packet) for packet in sound(1.0)] == [b""] * 50
    assert [opens.open(Codec.VP8, picture.data) for picture in pictures(Codec.VP8)] == [b""] * 50


@pytest.mark.parametrize("steps", [1, 2, 16])
def test_a_sender_that_ratchets_is_followed(steps: int) -> None:
    opens = opener()
    packet = sound(1.0)[0]
    assert opens.open(Codec.OPUS, sealed(Codec.OPUS, packet)) == packet
    later = sealed(Codec.OPUS, packet, key=material(ratchets=steps))
    assert opens.open(Codec.OPUS, later) == packet
    assert opens.failures == 0
    # What came before does not come again: the sender has moved on.
    assert opens.open(Codec.OPUS, sealed(Codec.OPUS, packet)) == b""


def test_senders_of_a_shared_key_ratchet_each_at_its_time() -> None:
    keys = store()
    alice, bob = FrameOpener(keys, "7"), FrameOpener(keys, "9")
    packet = sound(1.0)[0]
    assert alice.open(Codec.OPUS, sealed(Codec.OPUS, packet, key=material(ratchets=1))) == packet
    assert bob.open(Codec.OPUS, sealed(Codec.OPUS, packet)) == packet


def test_a_key_beyond_the_window_is_not_found() -> None:
    assert opener().open(Codec.OPUS, sealed(Codec.OPUS, b"\xf8" * 9, key=material(ratchets=17))) == b""


def test_a_new_key_at_the_same_index_begins_at_its_own_beginning() -> None:
    keys = store()
    opens = FrameOpener(keys, "7")
    packet = sound(1.0)[0]
    opens.open(Codec.OPUS, sealed(Codec.OPUS, packet, key=material(ratchets=2)))
    keys.add(given("new"))
    assert opens.open(Codec.OPUS, sealed(Codec.OPUS, packet, key=material("new"))) == packet


def test_what_comes_while_keys_are_derived_is_no_failure() -> None:
    waiting: list[Callable[[], None]] = []
    opens = FrameOpener(store(run_aside=waiting.append), "7")
    packet = sound(1.0)[0]
    first, ratcheted = sealed(Codec.OPUS, packet), sealed(Codec.OPUS, packet, key=material(ratchets=9))
    assert opens.open(Codec.OPUS, first) == b""
    work_off(waiting)
    assert opens.open(Codec.OPUS, first) == packet
    assert opens.open(Codec.OPUS, ratcheted) == b""
    assert opens.failures == 0
    work_off(waiting)
    assert opens.open(Codec.OPUS, ratcheted) == packet


def work_off(waiting: list[Callable[[], None]]) -> None:
    while waiting:
        waiting.pop(0)()


def test_a_wrong_key_is_not_tried_in_all_its_ratchets_for_ever() -> None:
    opens = opener()
    packet = sound(1.0)[0]
    wrong = sealed(Codec.OPUS, packet, key=material("another"))
    for _ in range(PATIENCE_FRAMES + 1):
        opens.open(Codec.OPUS, wrong)
    ratcheted = sealed(Codec.OPUS, packet, key=material(ratchets=3))
    opened = [opens.open(Codec.OPUS, ratcheted) for _ in range(RATCHET_EVERY_FRAMES)]
    assert opened[0] == b""
    assert opened[-1] == packet


def test_what_the_server_made_up_is_known_by_its_trailer() -> None:
    opens = opener(server_trailer=b"made up")
    assert opens.is_injected(b"\xf8\xff\xfemade up")
    assert not opens.is_injected(b"\xf8\xff\xfe")
    assert not opener().is_injected(b"\xf8\xff\xfe")


ANY_CODEC = st.sampled_from(list(Codec))


@vary(ANY_CODEC, st.binary(max_size=200))
def test_any_bytes_stay_sealed(codec: Codec, frame: bytes) -> None:
    assert FrameOpener(FUZZED, "7").open(codec, frame) == b""


@vary(ANY_CODEC, st.binary(max_size=60), st.integers(0, 255))
def test_any_bytes_with_a_trailer_stay_sealed(codec: Codec, frame: bytes, key_index: int) -> None:
    body = frame + bytes(40) + bytes((12, key_index))
    for wire in (body, START_CODE + b"\x41\x9a" + body, b"\x32" + bytes((len(body) + 1,)) + b"\0" + body):
        assert FrameOpener(FUZZED, "7").open(codec, wire) == b""


@vary(st.sampled_from((Codec.VP8, Codec.VP9, Codec.OPUS)), st.binary(min_size=11, max_size=60), st.data())
def test_a_frame_of_which_a_bit_is_changed_stays_sealed(codec: Codec, frame: bytes, data: st.DataObject) -> None:
    wire = bytearray(sealed(codec, frame))
    wire[data.draw(st.integers(0, len(wire) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert FrameOpener(FUZZED, "7").open(codec, bytes(wire)) == b""


FUZZED = store(ratchet_window=0)
