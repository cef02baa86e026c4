"""What FFmpeg packetized comes back as the encoder gave it."""

from __future__ import annotations

import av
import pytest

from channel_recorder.codecs import annexb, av1, registry
from channel_recorder.errors import MalformedError
from channel_recorder.model import Codec
from channel_recorder.rtc.receive.depacketize.formats import FORMATS
from tests import vectors
from tests.codecs.pictures import decode_all

DECODERS = {Codec.VP8: "vp8", Codec.VP9: "vp9", Codec.H264: "h264", Codec.H265: "hevc", Codec.AV1: "libdav1d"}


def assembled(codec: Codec) -> list[bytes]:
    return [FORMATS[codec].assemble(payloads) for payloads in vectors.payloads_by_frame(codec)]


@pytest.mark.parametrize("codec", [Codec.OPUS, Codec.VP8, Codec.VP9])
def test_frames_come_back_byte_by_byte(codec: Codec) -> None:
    assert assembled(codec) == vectors.frames(codec)


@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
def test_nal_units_come_back_byte_by_byte_behind_four_byte_start_codes(codec: Codec) -> None:
    for frame, sent in zip(assembled(codec), vectors.frames(codec), strict=True):
        assert frame == annexb.join_nal_units(list(annexb.nal_units(sent)))


def test_temporal_units_come_back_byte_by_byte_without_delimiter() -> None:
    for frame, sent in zip(assembled(Codec.AV1), vectors.frames("av1"), strict=True):
        assert av1.TEMPORAL_DELIMITER_OBU + frame == sent


@pytest.mark.parametrize("codec", list(DECODERS))
def test_every_frame_decodes_to_one_picture(codec: Codec) -> None:
    frames = assembled(codec)
    pictures = decode_all(DECODERS[codec], frames)
    assert len(pictures) == len(frames)
    assert {(picture.width, picture.height) for picture in pictures} == {(146, 98)}
    sent = decode_all(DECODERS[codec], vectors.frames(codec))
    for picture, original in zip(pictures, sent, strict=True):
        assert (picture.to_ndarray() == original.to_ndarray()).all()


def test_sound_decodes_to_its_length() -> None:
    decoder = av.CodecContext.create("libopus", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate = 48_000
    samples = sum(frame.samples for packet in assembled(Codec.OPUS) for frame in decoder.decode(av.Packet(packet)))
    assert samples == 960 * len(vectors.frames("opus"))


@pytest.mark.parametrize("codec", list(Codec))
def test_the_first_payload_of_every_frame_is_known_as_such(codec: Codec) -> None:
    starts_frame = FORMATS[codec].starts_frame
    assert all(starts_frame(payloads[0]) for payloads in vectors.payloads_by_frame(codec))


@pytest.mark.parametrize("codec", [Codec.VP8, Codec.VP9, Codec.AV1])
def test_no_later_payload_passes_for_a_first(codec: Codec) -> None:
    starts_frame = FORMATS[codec].starts_frame
    assert not any(starts_frame(payload) for payloads in vectors.payloads_by_frame(codec) for payload in payloads[1:])


@pytest.mark.parametrize("codec", [Codec.VP8, Codec.VP9, Codec.AV1])
def test_a_frame_without_its_first_packet_is_malformed(codec: Codec) -> None:
    for payloads in vectors.payloads_by_frame(codec):
        if len(payloads) > 1:
            with pytest.raises(MalformedError):
                FORMATS[codec].assemble(payloads[1:])


@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265, Codec.AV1])
def test_a_frame_without_its_last_fragment_is_malformed(codec: Codec) -> None:
    for payloads in vectors.payloads_by_frame(codec):
        if len(payloads) > 1:
            with pytest.raises(MalformedError):
                FORMATS[codec].assemble(payloads[:-1])


@pytest.mark.parametrize("codec", [Codec.VP8, Codec.VP9, Codec.H264, Codec.H265, Codec.AV1])
def test_assembled_key_frames_tell_their_size(codec: Codec) -> None:
    infos = [registry.inspect(codec, frame) for frame in assembled(codec)]
    keys = [info for info in infos if info.key_frame]
    assert len(keys) >= 2
    assert infos[0].key_frame
    assert {(info.width, info.height) for info in keys} == {(146, 98)}
