"""A light SFU in a process of its own: answers ICE checks, then sends every connection the same call of two users.

Each packet is made and encrypted once and sent to all, from one socket, as a media server does. Connections are
spread over the 20 ms between two packets of sound. Nothing is sent again and feedback is not read.

Driven by lines: prints its port; `send SECONDS` on stdin starts, and what was sent to each connection is printed as
JSON at the end. Ends with stdin.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time

from aioice import stun

from bench.media import FPS, SOUND_HZ, Stream, sender_session
from channel_recorder.model import Codec

ICE_UFRAG = "benchbenchbench1"
ICE_PASSWORD = "bench-password-of-32-characters!"
CYCLE_SECONDS = 1 / SOUND_HZ
SLOTS = 20
REPORT_CYCLES = 3 * SOUND_HZ
"""livekit-server sends a sender report in 3 s."""
MAX_READS = 20
SEND_BUFFER_BYTES = 4 << 20


def users() -> list[list[Stream]]:
    """Microphone and camera of two users: 200 kbit/s of VP8 at 15 pictures/s."""
    return [
        [Stream(Codec.OPUS, 0x1000 + user, mid=f"{user}1"), Stream(Codec.VP8, 0x2000 + user, mid=f"{user}2")]
        for user in (1, 2)
    ]


class Call:
    """The packets of two users, cycle by cycle."""

    def __init__(self) -> None:
        self._session = sender_session()
        self._streams = [stream for user in users() for stream in user]
        self._begin_unix = time.time()

    @property
    def packets(self) -> int:
        return sum(stream.packets for stream in self._streams)

    def cycle(self, number: int) -> list[bytes]:
        packets: list[bytes] = []
        for stream in self._streams:
            if stream.codec is Codec.OPUS:
                packets += stream.frame(number)
            elif number * FPS // SOUND_HZ != (number - 1) * FPS // SOUND_HZ:
                picture = number * FPS // SOUND_HZ
                packets += stream.frame(picture, key_frame=picture == 0)
        protected = [self._session.protect(packet) for packet in packets]
        if number % REPORT_CYCLES == REPORT_CYCLES // 10:
            at_seconds = number * CYCLE_SECONDS
            reports = [stream.report(at_seconds, self._begin_unix + at_seconds) for stream in self._streams]
            protected += [self._session.protect_rtcp(each) for each in reports]
        return protected


class Sender:
    def __init__(self) -> None:
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self.udp.setblocking(False)
        self.udp.bind(("127.0.0.1", 0))
        self._addresses: dict[tuple[str, int], None] = {}

    def answer_checks(self, limit: int = MAX_READS) -> None:
        """ICE-lite (RFC 8445 section 2.5); everything else that comes is passed over."""
        for _ in range(limit):
            try:
                data, address = self.udp.recvfrom(2048)
            except BlockingIOError:
                return
            if data[0] < 4:
                self._answer(data, address)

    def _answer(self, data: bytes, address: tuple[str, int]) -> None:
        request = stun.parse_message(data)
        response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=request.transaction_id)
        response.attributes["XOR-MAPPED-ADDRESS"] = address
        response.add_message_integrity(ICE_PASSWORD.encode())
        response.add_fingerprint()
        self.udp.sendto(bytes(response), address)
        self._addresses[address] = None

    def run(self, seconds: float) -> dict[str, float]:
        addresses = list(self._addresses)
        groups = [addresses[slot::SLOTS] for slot in range(SLOTS)]
        call = Call()
        late, refused = 0.0, 0
        begin, cpu = time.monotonic(), time.process_time()
        for cycle in range(round(seconds / CYCLE_SECONDS)):
            packets = call.cycle(cycle)
            for slot, group in enumerate(groups):
                due = begin + (cycle + slot / SLOTS) * CYCLE_SECONDS
                now = time.monotonic()
                if now < due:
                    time.sleep(due - now)
                else:
                    late = max(late, now - due)
                for address in group:
                    refused += self._send(packets, address)
                self.answer_checks()
        return {
            "connections": len(addresses),
            "packets_each": call.packets,
            "refused": refused,
            "late_seconds": late,
            "cpu": (time.process_time() - cpu) / seconds,
        }

    def _send(self, packets: list[bytes], address: tuple[str, int]) -> int:
        """How many could not be sent."""
        refused = 0
        for packet in packets:
            try:
                self.udp.sendto(packet, address)
            except BlockingIOError:
                refused += 1
        return refused


def main() -> None:
    os.sched_setaffinity(0, {int(sys.argv[1])})
    sender = Sender()
    print(sender.udp.getsockname()[1], flush=True)
    while True:
        readable, _, _ = select.select([sender.udp, sys.stdin], [], [])
        if sender.udp in readable:
            sender.answer_checks()
        if sys.stdin in readable:
            line = sys.stdin.readline()
            if not line:
                return
            print(json.dumps(sender.run(float(line.split()[1]))), flush=True)


if __name__ == "__main__":
    main()
