"""Which payload type of the far side means what a publisher sends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from channel_recorder.model import Codec
from channel_recorder.rtc.description import PayloadType
from channel_recorder.rtc.wire.rtp import MARKER

_CONSTRAINED_BASELINE = "constrained baseline"
_SUPERSETS = frozenset({_CONSTRAINED_BASELINE, "baseline", "main", "high"})
"""All of them decode constrained baseline (ITU-T H.264 annex A.2)."""
_DEFAULT_H264_PROFILE = "420010"
"""RFC 6184 section 8.1."""

SecondBytes = tuple[int, ...]
"""By a packet's second byte, marker and payload type, the one to send; 0: the far side does not take it."""


def map_second_bytes(received: Sequence[PayloadType], accepted: Sequence[PayloadType]) -> SecondBytes:
    table = [0] * 256
    for each in received:
        number = _number_for(each, accepted)
        if number is not None:
            table[each.number] = number
            table[each.number | MARKER] = number | MARKER
    return tuple(table)


def map_retransmissions(accepted: Sequence[PayloadType]) -> dict[int, int]:
    """Payload type to the one that repeats it (RFC 4588)."""
    return {each.retransmits: each.number for each in accepted if each.retransmits is not None}


def _number_for(sent: PayloadType, accepted: Sequence[PayloadType]) -> int | None:
    """The same format if there is one, else one that every decoder of it takes."""
    if sent.codec is None:
        return None
    candidates = [each for each in accepted if each.codec is sent.codec and each.clock_rate_hz == sent.clock_rate_hz]
    same, fits = _RULES.get(sent.codec, (_always, _always))
    for rule in (same, fits):
        for each in candidates:
            if rule(sent.parameters, each.parameters):
                return each.number
    return None


Parameters = Mapping[str, str]
Rule = Callable[[Parameters, Parameters], bool]


def _always(sent: Parameters, accepted: Parameters) -> bool:
    return True


def _same(name: str, default: str) -> Rule:
    return lambda sent, accepted: sent.get(name, default) == accepted.get(name, default)


def _same_h264(sent: Parameters, accepted: Parameters) -> bool:
    return _mode(sent) == _mode(accepted) and _h264_profile(sent) == _h264_profile(accepted)


def _fits_h264(sent: Parameters, accepted: Parameters) -> bool:
    """Single NAL unit mode is part of the non-interleaved one."""
    if _mode(sent) > _mode(accepted):
        return False
    profile, other = _h264_profile(sent), _h264_profile(accepted)
    return profile == other or (profile == _CONSTRAINED_BASELINE and other in _SUPERSETS)


def _mode(parameters: Parameters) -> str:
    return parameters.get("packetization-mode", "0")


def _h264_profile(parameters: Parameters) -> str:
    """By profile_idc and constraint flags (RFC 6184 section 8.1, table 5); the level does not matter."""
    text = parameters.get("profile-level-id", _DEFAULT_H264_PROFILE).lower()
    try:
        profile_idc, flags = int(text[:2], 16), int(text[2:4], 16)
    except ValueError:
        return text
    if (profile_idc == 0x42 and flags & 0x40) or (profile_idc in (0x4D, 0x58) and flags & 0x80):
        return _CONSTRAINED_BASELINE
    names = {0x42: "baseline", 0x4D: "main", 0x64: "constrained high" if flags & 0x0C == 0x0C else "high"}
    return names.get(profile_idc, text[:4])


_VP9 = _same("profile-id", "0")
_AV1 = _same("profile", "0")
_H265 = _same("profile-id", "1")
_RULES: Final[Mapping[Codec, tuple[Rule, Rule]]] = {
    Codec.H264: (_same_h264, _fits_h264),
    Codec.H265: (_H265, _H265),
    Codec.VP9: (_VP9, _VP9),
    Codec.AV1: (_AV1, _AV1),
}
