"""Many channels recorded in one process, with everything of the product but two handshakes: its WebSocket (the
channel's events and the offer are handed over instead) and DTLS (keys are known, so that the sender encrypts once).
Sockets, ICE checks and consent, SRTP, the receive path, feedback, ticks, statistics, writer, files and books are real.

Run by bench.capacity: python -m bench.channels CORE PORT COUNT ROOT, then on stdin: `measure WARM_UP SECONDS`, and
`finish` when all was sent.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop

from bench.media import KEYS, PAYLOAD_TYPES, Stream
from bench.recordings import arrival
from bench.sender import ICE_PASSWORD, ICE_UFRAG, users
from channel_recorder import clock
from channel_recorder.callbacks import InlineCallbacks
from channel_recorder.channel.signal_events import OfferReceived
from channel_recorder.config import RecordingConfig
from channel_recorder.handler import LeavePath, RecordingHandler
from channel_recorder.model import MediaKind, User
from channel_recorder.recording.manifest import read_manifest
from channel_recorder.recording.notices import Notices
from channel_recorder.rtc.peer import dtls_srtp
from channel_recorder.rtc.peer.contract import PeerState
from channel_recorder.rtc.peer.dtls import DtlsState
from channel_recorder.storage.directory import StorageRoot
from channel_recorder.wiring import JoinRequest, LiveRecording
from channel_recorder.wiring.attempt import Attempt
from channel_recorder.wiring.keys import ChannelKeys

AT_ONCE = 20
CONNECT_SECONDS = 20.0
LAG_PROBE_SECONDS = 0.05
REST_SECONDS = 1.0
"""For what still waits in the sockets."""


class KnownKeys:
    """In the place of `DtlsCore`: connected at once, with the sender's keys."""

    def __init__(self, *_: object) -> None:
        self.state = DtlsState.CONNECTING
        self.detail = ""
        self.srtp_keys = None

    def start(self) -> None:
        self.state, self.srtp_keys = DtlsState.CONNECTED, KEYS

    def receive(self, datagram: bytes) -> None: ...

    def handle_timeout(self) -> None: ...

    def timeout_seconds(self) -> None: ...

    def send(self, data: bytes) -> None: ...

    def close(self) -> None: ...

    def application_data(self) -> list[bytes]:
        return []

    def datagrams_to_send(self) -> list[bytes]:
        return []


@dataclass(slots=True)
class Outcome:
    """Of one run."""

    channels: int
    seconds: float
    cpu_seconds: float
    """In the seconds measured."""
    lag_seconds: float
    """The longest that the loop was late."""
    packets: int
    """Received over all, by all."""
    lost_packets: int
    files: int
    broken_files: int
    """Frames are missing in them."""
    stop_seconds: float
    rss_bytes: int


class Channel:
    """One recording, its connection and its two users."""

    def __init__(self, root: Path, number: int, port: int) -> None:
        config = RecordingConfig(record_file_root_dir=root)
        request = JoinRequest(
            server_url="ws://127.0.0.1:1",
            app_id="bench",
            app_certificate=None,
            channel_key=None,
            channel_id=f"bench{number}",
            user=User(uid=9, account="9"),
            config=config,
        )
        now = clock.monotonic_seconds()
        directory = StorageRoot(path=root).create(request.channel_id, clock.utc_now())
        notices = Notices(RecordingHandler(), InlineCallbacks().call, directory.path)
        self._attempt = Attempt(request, "token")
        self.live = LiveRecording(request, self._attempt, directory, notices, ChannelKeys(config), now)
        self._attempt.serve(self.live._recording)
        for uid, streams in enumerate(users(), start=1):
            for event in arrival(uid, streams):
                self._attempt.on_event(event)
        self._attempt.on_event(OfferReceived(sdp=offer(port), offer_id=1))

    @property
    def is_connected(self) -> bool:
        return self._attempt._peer is not None and self._attempt._peer.state is PeerState.CONNECTED

    def received(self) -> tuple[int, int]:
        """Packets, and packets given up."""
        peer = self._attempt._peer
        assert peer is not None
        statistics = [peer.statistics(stream.mid) for user in users() for stream in user]
        return sum(each.packets for each in statistics), sum(each.lost_packets for each in statistics)


def offer(port: int) -> str:
    """As livekit-server's, without what is not used."""
    streams = [stream for user in users() for stream in user]
    lines = [
        "v=0",
        "o=- 1 1 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=ice-lite",
        "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
        "a=group:BUNDLE " + " ".join(stream.mid for stream in streams),
    ]
    for stream in streams:
        lines += _media_lines(stream, port)
    return "\r\n".join(lines) + "\r\n"


def _media_lines(stream: Stream, port: int) -> list[str]:
    number, kind = PAYLOAD_TYPES[stream.codec], stream.codec.kind
    encoding = "opus/48000/2" if kind is MediaKind.AUDIO else f"{stream.codec.value.upper()}/90000"
    feedback = ("nack",) if kind is MediaKind.AUDIO else ("ccm fir", "nack", "nack pli", "goog-remb")
    description = stream.description()
    return [
        f"m={kind} 9 UDP/TLS/RTP/SAVPF {number}",
        "c=IN IP4 0.0.0.0",
        "a=setup:actpass",
        f"a=mid:{stream.mid}",
        f"a=ice-ufrag:{ICE_UFRAG}",
        f"a=ice-pwd:{ICE_PASSWORD}",
        f"a=candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host",
        "a=end-of-candidates",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        f"a=rtpmap:{number} {encoding}",
        *(f"a=rtcp-fb:{number} {each}" for each in feedback),
        f"a=ssrc:{stream.ssrc} cname:bench",
        f"a=msid:{description.stream_id} {description.track_id}",
        "a=sendonly",
    ]


class Run:
    def __init__(self, root: Path, port: int, count: int) -> None:
        self._root = root
        self._port = port
        self._count = count
        self._channels: list[Channel] = []
        self._lag = 0.0

    async def open(self) -> None:
        for start in range(0, self._count, AT_ONCE):
            numbers = range(start, min(start + AT_ONCE, self._count))
            self._channels += [Channel(self._root, number, self._port) for number in numbers]
            limit = clock.monotonic_seconds() + CONNECT_SECONDS
            while not all(channel.is_connected for channel in self._channels[start:]):
                await asyncio.sleep(0.01)
                if clock.monotonic_seconds() > limit:
                    raise TimeoutError("no connection: is the sender there?")

    async def measure(self, warm_up_seconds: float, seconds: float) -> Outcome:
        await asyncio.sleep(warm_up_seconds)
        prober = asyncio.create_task(self._probe_lag())
        self._lag = 0.0
        cpu, begin = clock.process_cpu_seconds(), clock.monotonic_seconds()
        await asyncio.sleep(seconds)
        cpu = clock.process_cpu_seconds() - cpu
        elapsed = clock.monotonic_seconds() - begin
        prober.cancel()
        lag, rss = self._lag, rss_bytes()
        await _line()
        await asyncio.sleep(REST_SECONDS)
        received = [channel.received() for channel in self._channels]
        begin = clock.monotonic_seconds()
        await asyncio.gather(*(channel.live.leave(LeavePath.CLIENT_INITIATED) for channel in self._channels))
        stop_seconds = clock.monotonic_seconds() - begin
        return Outcome(
            channels=self._count,
            seconds=elapsed,
            cpu_seconds=cpu,
            lag_seconds=lag,
            packets=sum(packets for packets, _ in received),
            lost_packets=sum(lost for _, lost in received),
            files=0,
            broken_files=0,
            stop_seconds=stop_seconds,
            rss_bytes=rss,
        )

    def check_files(self, outcome: Outcome) -> None:
        """Whether every file has every frame, as the manifests tell."""
        for channel in self._channels:
            for file in read_manifest(channel.live.storage_dir / "manifest.json").files:
                outcome.files += 1
                outcome.broken_files += any(stream.lost_frames or not stream.frames for stream in file.streams)

    async def _probe_lag(self) -> None:
        while True:
            begin = clock.monotonic_seconds()
            await asyncio.sleep(LAG_PROBE_SECONDS)
            self._lag = max(self._lag, clock.monotonic_seconds() - begin - LAG_PROBE_SECONDS)


def rss_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def _line() -> str:
    return await asyncio.to_thread(sys.stdin.readline)


async def main() -> None:
    core, port, count, root = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    os.sched_setaffinity(0, {core})
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    dtls_srtp.DtlsCore = KnownKeys  # type: ignore[assignment,misc]
    run = Run(root, port, count)
    await run.open()
    print("ready", flush=True)
    _, warm_up, seconds = (await _line()).split()
    outcome = await run.measure(float(warm_up), float(seconds))
    run.check_files(outcome)
    print(json.dumps(asdict(outcome)), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
