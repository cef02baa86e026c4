"""The server's end of one transport: ice-lite, DTLS and SRTP over the shared port."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from channel_recorder.rtc.peer.contract import PeerState
from channel_recorder.rtc.peer.negotiation import LocalTransport, RemoteTransport
from channel_recorder.rtc.serve.port import MediaPort


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingHandlers:
    """What a ServingTransport calls, straight from the loop."""

    on_rtp: Callable[[bytes], None]
    """Hot path."""
    on_rtcp: Callable[[bytes], None]
    on_application_data: Callable[[bytes], None]
    on_state: Callable[[PeerState, str], None]


class ServingTransport:
    """Answering: `negotiate` with every offer, then `start`. Offering: `local_transport`, then `negotiate` with every
    answer and `start`. `state` only moves forward."""

    state: PeerState

    def __init__(self, port: MediaPort, handlers: ServingHandlers, *, connect_timeout_seconds: float = 15.0) -> None:
        raise NotImplementedError

    @property
    def authentication_failures(self) -> int:
        raise NotImplementedError

    def local_transport(self) -> LocalTransport:
        """What our description says of this end."""
        raise NotImplementedError

    def negotiate(self, remote: RemoteTransport) -> LocalTransport:
        """Take what a description says of the far side, say what ours needs. New ICE credentials are an ICE restart.
        Raises ProtocolError, and FAILED, for another certificate; StateError once failed or closed."""
        raise NotImplementedError

    def start(self) -> None:
        """Begin to connect, if there is something new to connect to."""
        raise NotImplementedError

    def send_rtp(self, packet: bytes) -> None:
        """Hot path. Dropped unless connected."""
        raise NotImplementedError

    def send_rtcp(self, packet: bytes) -> None:
        raise NotImplementedError

    def send_application_data(self, data: bytes) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Say good-bye. No handler is called any more, except on_state with CLOSED."""
        raise NotImplementedError
