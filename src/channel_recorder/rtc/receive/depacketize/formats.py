"""Every payload format by codec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from channel_recorder.codecs.vp9 import join_superframe
from channel_recorder.model import Codec
from channel_recorder.rtc.receive.depacketize import PayloadFormat, av1, h264, h265, opus, vp8, vp9

FORMATS: Final[Mapping[Codec, PayloadFormat]] = {
    Codec.OPUS: PayloadFormat(opus.starts_frame, opus.assemble, opus.starts_key_frame),
    Codec.VP8: PayloadFormat(vp8.starts_frame, vp8.assemble, vp8.starts_key_frame, follows=vp8.follows),
    Codec.VP9: PayloadFormat(
        vp9.starts_frame, vp9.assemble, vp9.starts_key_frame, vp9.split, join_superframe, vp9.follows
    ),
    Codec.H264: PayloadFormat(h264.starts_frame, h264.assemble, h264.starts_key_frame),
    Codec.H265: PayloadFormat(h265.starts_frame, h265.assemble, h265.starts_key_frame),
    Codec.AV1: PayloadFormat(av1.starts_frame, av1.assemble, av1.starts_key_frame),
}
