"""What a frame costs between the last packet and the recorder: assemble, look at it, complete it.

python -m bench.frames
"""

from __future__ import annotations

import timeit
from collections.abc import Callable
from typing import TypeVar

from channel_recorder.codecs import registry
from channel_recorder.model import Codec
from channel_recorder.rtc.receive.depacketize.formats import FORMATS

_T = TypeVar("_T")
_CALLS = 100_000

# One packet of a delta frame each, of 900 bytes, as libwebrtc makes them.
_PAYLOADS = {
    Codec.OPUS: b"\x78" + b"\x55" * 80,
    Codec.VP8: b"\x90\x80\x92\x34\x01" + b"\x55" * 900,
    Codec.VP9: b"\xec\x92\x34\x00\x01\x86" + b"\x55" * 900,
    Codec.H264: b"\x41\x9a" + b"\x55" * 900,
    Codec.H265: b"\x02\x01\x9a" + b"\x55" * 900,
    Codec.AV1: b"\x10\x30" + b"\x55" * 900,
}


def main() -> None:
    print("us per call    starts_frame  assemble  inspect  complete")
    for codec, payload in _PAYLOADS.items():
        payloads = [payload]
        frame = FORMATS[codec].assemble(payloads)
        completer = registry.frame_completer(codec)
        print(
            f"{codec:<14}"
            f"{_microseconds(FORMATS[codec].starts_frame, payload):>13.2f}"
            f"{_microseconds(FORMATS[codec].assemble, payloads):>10.2f}"
            f"{_microseconds(registry.INSPECTORS[codec], frame):>9.2f}"
            f"{_microseconds(completer.complete, frame) if completer else 0:>10.2f}"
        )


def _microseconds(function: Callable[[_T], object], argument: _T) -> float:
    return min(timeit.repeat(lambda: function(argument), number=_CALLS, repeat=3)) / _CALLS * 1e6


if __name__ == "__main__":
    main()
