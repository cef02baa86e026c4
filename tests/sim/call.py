"""A sender, a receiver and the network between them, run in virtual time: hours in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from channel_recorder.model import EncodedFrame
from channel_recorder.rtc.description import TrackListener
from channel_recorder.rtc.receive.receiver import Receiver
from tests.sim.network import PERFECT, NetworkConditions, SimulatedNetwork
from tests.sim.sender import SyntheticSender, SyntheticStream

RECEIVER_SSRC = 9


@dataclass
class Collector:
    """Keeps what a track delivers, in order."""

    frames: list[EncodedFrame] = field(default_factory=list[EncodedFrame])
    reports: list[tuple[int, float, float]] = field(default_factory=list[tuple[int, float, float]])
    """Time stamp, NTP seconds, arrival."""
    restarts: int = 0

    def on_frame(self, frame: EncodedFrame) -> None:
        self.frames.append(frame)

    def on_sender_report(self, timestamp: int, ntp_seconds: float, arrival_seconds: float) -> None:
        self.reports.append((timestamp, ntp_seconds, arrival_seconds))

    def on_restart(self) -> None:
        self.restarts += 1

    @property
    def data(self) -> list[bytes]:
        return [frame.data for frame in self.frames]


class SimulatedCall:
    """Every m-line of the sender is received; `collectors` by mid unless other listeners are given."""

    def __init__(
        self,
        sender: SyntheticSender,
        *,
        seed: int = 1,
        down: NetworkConditions = PERFECT,
        up: NetworkConditions = PERFECT,
        listeners: dict[str, TrackListener] | None = None,
        window_seconds: float = 1.0,
        start_seconds: float = 0.0,
    ) -> None:
        """`start_seconds`: when the receiver begins to listen to the stream."""
        self.sender = sender
        self.receiver = Receiver(ssrc=RECEIVER_SSRC, window_seconds=window_seconds)
        self.down = SimulatedNetwork(seed, down)
        self._down_rtcp = SimulatedNetwork(seed + 1, down)
        self.up = SimulatedNetwork(seed + 2, up)
        self.now_seconds = 0.0
        self.collectors = {stream.settings.mid: Collector() for stream in sender.streams}
        self._start_seconds = start_seconds
        for stream in sender.streams:
            mid = stream.settings.mid
            listener = (listeners or {}).get(mid, self.collectors[mid])
            self.receiver.add_media(stream.settings.description(), listener, 0.0)

    def run(self, until_seconds: float = inf) -> None:
        """Up to an instant, or until everything is sent and either received or given up (not the reports)."""
        while True:
            next_seconds = min(
                self.sender.next_seconds,
                self.down.next_seconds,
                self._down_rtcp.next_seconds,
                self.up.next_seconds,
                self.receiver.next_timer_seconds,
            )
            if next_seconds > until_seconds or (until_seconds == inf and self._is_over(next_seconds)):
                return
            self.now_seconds = max(self.now_seconds, next_seconds)
            self._step(self.now_seconds)

    def stream(self, mid: str) -> SyntheticStream:
        return next(stream for stream in self.sender.streams if stream.settings.mid == mid)

    def _is_over(self, next_seconds: float) -> bool:
        ends = [s.settings.start_seconds + s.settings.frames * s.settings.interval_seconds for s in self.sender.streams]
        return next_seconds > max(ends) + 3.0

    def _step(self, now: float) -> None:
        if self.sender.next_seconds <= now:
            self.sender.handle_timer(now)
        for packet in self.up.receive(now):
            self.sender.receive_rtcp(packet)
        rtp, compounds = self.sender.packets_to_send()
        for packet in rtp:
            self.down.send(packet, now)
        for packet in compounds:
            self._down_rtcp.send(packet, now)
        for packet in self.down.receive(now):
            if now >= self._start_seconds:
                self.receiver.receive_rtp(packet, now)
        for packet in self._down_rtcp.receive(now):
            self.receiver.receive_rtcp(packet, now)
        if self.receiver.next_timer_seconds <= now:
            for packet in self.receiver.rtcp_to_send(now):
                self.up.send(packet, now)


def sent_data(stream: SyntheticStream) -> list[bytes]:
    return [frame.data for frame in stream.sent]
