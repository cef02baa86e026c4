"""Makes the media vectors: what real encoders give, and the same as packetized by FFmpeg's RTP muxer.

    python -m tests.vectors.make

Writes for every codec `<codec>.frames`, the encoder's packets, each behind a 32-bit length, and
`<codec>.rtp`, the RTP packets, each behind a 16-bit length. Both big-endian. Needs a PyAV with libvpx,
libx264, libx265, SVT-AV1 and libopus (the wheels have them). Encoders differ from version to version, so
the results are kept beside this script.

The VP9 streams with spatial layers come from `vp9_svc.c` (`cc vp9_svc.c -lvpx -o vp9_svc`), since FFmpeg's
encoder knows none:

    ./vp9_svc 3 0 320 192 1 >vp9_l3t1.frames
    ./vp9_svc 3 2 320 192 1 >vp9_l3t1_key.frames
    ./vp9_svc 2 0 1024 64 0 >vp9_l2t1_wide.frames
"""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import av.container
import numpy as np

FOLDER = Path(__file__).parent
WIDTH, HEIGHT = 146, 98
"""No multiple of 16: H.264 and H.265 must crop."""
FRAMES = 16
KEY_INTERVAL = 8
PACKET_BYTES = 500


@dataclass(frozen=True)
class Recipe:
    encoder: str
    options: dict[str, str] = field(default_factory=dict[str, str])


_VPX = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "b": "150k"}
RECIPES = {
    "vp8": Recipe("libvpx", {**_VPX, "error-resilient": "default"}),
    "vp9": Recipe("libvpx-vp9", _VPX),
    "h264": Recipe("libx264", {"tune": "zerolatency", "preset": "veryfast", "crf": "32", "profile": "high"}),
    "h265": Recipe(
        "libx265",
        {
            "tune": "zerolatency",
            "preset": "ultrafast",
            "crf": "34",
            "x265-params": "info=0:repeat-headers=1:log-level=0",
        },
    ),
    "av1": Recipe("libsvtav1", {"preset": "10", "crf": "50", "svtav1-params": "pred-struct=1:lookahead=0"}),
    "opus": Recipe("libopus", {"b": "24k", "application": "voip"}),
}


def main() -> None:
    for name, recipe in RECIPES.items():
        frames, packets = _make(recipe)
        _write(FOLDER / f"{name}.frames", frames, 4)
        _write(FOLDER / f"{name}.rtp", packets, 2)
        print(f"{name}: {len(frames)} frames, {sum(map(len, frames))} bytes, {len(packets)} packets")


def _make(recipe: Recipe) -> tuple[list[bytes], list[bytes]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        url = f"rtp://127.0.0.1:{receiver.getsockname()[1]}?pkt_size={PACKET_BYTES}"
        packets: list[bytes] = []
        with av.open(url, "w", format="rtp", options={"strict": "experimental"}) as output:
            frames = _encode(recipe, output, lambda: packets.extend(_drain(receiver)))
        packets.extend(_drain(receiver))
    return frames, [packet for packet in packets if not 72 <= packet[1] & 0x7F <= 76]  # without RTCP


def _encode(recipe: Recipe, output: av.container.OutputContainer, drain: Callable[[], None]) -> list[bytes]:
    sound = recipe.encoder == "libopus"
    stream = output.add_stream(recipe.encoder, rate=48_000 if sound else 30, options=recipe.options)
    if isinstance(stream, av.VideoStream):
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.gop_size = KEY_INTERVAL
        stream.codec_context.thread_count = 1
        packets = (packet for picture in [*_pictures(), None] for packet in stream.encode(picture))
    else:
        assert isinstance(stream, av.AudioStream)
        stream.layout = "mono"
        packets = (packet for tone in [*_tones(), None] for packet in stream.encode(tone))
    frames: list[bytes] = []
    for packet in packets:
        frames.append(bytes(packet))
        output.mux(packet)
        drain()
    return frames


def _pictures() -> Iterator[av.VideoFrame]:
    random = np.random.default_rng(7)
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    for index in range(FRAMES):
        luma = (rows * 2 + columns + index * 6) % 256
        luma[20:60, 20:80] = random.integers(0, 255, (40, 60))
        image = np.stack([luma, 255 - luma, (luma * 3) % 256], axis=2).astype(np.uint8)
        frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = index, Fraction(1, 30)
        yield frame


def _tones() -> Iterator[av.AudioFrame]:
    for index in range(FRAMES):
        times = (np.arange(960) + 960 * index) / 48_000
        samples = (np.sin(times * 2 * math.pi * 440) * 8000).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48_000, 960 * index
        yield frame


def _drain(receiver: socket.socket) -> Iterator[bytes]:
    while True:
        try:
            yield receiver.recv(65_536)
        except BlockingIOError:
            return


def _write(path: Path, parts: list[bytes], length_bytes: int) -> None:
    path.write_bytes(b"".join(len(part).to_bytes(length_bytes, "big") + part for part in parts))


if __name__ == "__main__":
    main()
