"""The AV1 dependency descriptor (AV1 RTP payload format, appendix A.8) as far as a forwarding server touches it.

Its frame numbers are continued where streams are joined: libwebrtc drops a key frame whose number is behind.
"""

from __future__ import annotations

DEPENDENCY_DESCRIPTOR_URI = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
_FIXED_BYTES = 3
"""Start and end of frame, template; then the frame number of 16 bits."""


def frame_number_of(descriptor: bytes) -> int | None:
    return descriptor[1] << 8 | descriptor[2] if len(descriptor) >= _FIXED_BYTES else None


def with_offset(descriptor: bytes, offset: int) -> bytes:
    """The same with another frame number; as it is where there is none."""
    number = frame_number_of(descriptor)
    if not offset or number is None:
        return descriptor
    return descriptor[:1] + (number + offset & 0xFFFF).to_bytes(2, "big") + descriptor[_FIXED_BYTES:]
