"""What an encrypted datagram costs until the receiver has it: demultiplex, SRTP, `receive_rtp`; for every profile.

python -m bench.datagram_path
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

from pylibsrtp import Policy, Session

from bench.media import Stream
from channel_recorder.model import Codec
from channel_recorder.rtc.peer.connection import SubscriberPeer
from channel_recorder.rtc.peer.contract import PeerState
from channel_recorder.rtc.peer.ice import IceHandlers, _Protocol
from channel_recorder.rtc.peer.srtp import PROFILES, SrtpKeys, SrtpProfile, SrtpSessions

ROUNDS = 5
PICTURES = 3000
ADDRESS = ("127.0.0.1", 7882)


class Owner:
    """A PeerListener and TrackListener that does nothing."""

    def on_media_added(self, media: object) -> Owner:
        return self

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


async def main() -> None:
    print("us per packet of 850 bytes    unprotect   datagram to frame")
    for profile in PROFILES:
        unprotect = min(_unprotect(profile) for _ in range(ROUNDS))
        whole = min([await _whole(profile) for _ in range(ROUNDS)])
        print(f"{profile.openssl_name.decode():<30}{unprotect:>9.2f}{whole:>20.2f}")


def _unprotect(profile: SrtpProfile) -> float:
    packets = _encrypted(profile, Stream(Codec.VP8, 0x1001))
    return _microseconds(SrtpSessions(_keys(profile)).unprotect, packets)


async def _whole(profile: SrtpProfile) -> float:
    stream = Stream(Codec.VP8, 0x1001)
    peer = SubscriberPeer(listener=cast("Any", Owner()))
    transport = peer._transport
    transport._secure._srtp, transport.state = SrtpSessions(_keys(profile)), PeerState.CONNECTED
    peer._add(stream.description(), time.monotonic())
    handlers = IceHandlers(
        on_media=transport.receive_media,
        on_dtls=transport.receive_dtls,
        on_connected=lambda: None,
        on_failed=lambda _: None,
        on_candidate=lambda _: None,
    )
    protocol = _Protocol(cast("Any", Owner()), handlers)
    packets = _encrypted(profile, stream)
    microseconds = _microseconds(lambda packet: protocol.datagram_received(packet, ADDRESS), packets)
    frames = peer.statistics(stream.mid).frames
    await peer.close()
    if frames < PICTURES - 1:
        raise RuntimeError(f"{frames} of {PICTURES} pictures came through")
    return microseconds


def _encrypted(profile: SrtpProfile, stream: Stream) -> list[bytes]:
    session = Session(
        Policy(key=_keys(profile).remote, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile.libsrtp_profile)
    )
    return [
        session.protect(packet) for number in range(PICTURES) for packet in stream.frame(number, key_frame=number == 0)
    ]


def _keys(profile: SrtpProfile) -> SrtpKeys:
    key = bytes(range(profile.key_bytes + profile.salt_bytes))
    return SrtpKeys(profile, local=key, remote=key)


def _microseconds(receive: Callable[[bytes], object], packets: Sequence[bytes]) -> float:
    begin = time.process_time()
    for packet in packets:
        receive(packet)
    return (time.process_time() - begin) / len(packets) * 1e6


if __name__ == "__main__":
    asyncio.run(main())
