"""ICE, DTLS and SRTP of one peer connection put together: datagrams in, clear RTP, RTCP and SCTP out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from channel_recorder.errors import ProtocolError, StateError
from channel_recorder.model import IceServer
from channel_recorder.rtc.peer.certificate import process_certificate
from channel_recorder.rtc.peer.contract import PeerState
from channel_recorder.rtc.peer.dtls import DtlsParameters
from channel_recorder.rtc.peer.dtls_srtp import DtlsSrtp, SecureHandlers
from channel_recorder.rtc.peer.ice import IceHandlers, IceTransport
from channel_recorder.rtc.peer.sections import LocalTransport, RemoteTransport
from channel_recorder.rtc.peer.srtp import PROFILES, SrtpProfile

MAX_WAITING_CANDIDATES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportOptions:
    servers: Sequence[IceServer] = ()
    port_range: tuple[int, int] | None = None
    connect_timeout_seconds: float = 15.0
    """For ICE and DTLS together, of a first connection and of an ICE restart."""
    srtp_profiles: Sequence[SrtpProfile] = PROFILES


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportHandlers:
    """What a SecureTransport calls, straight from the loop."""

    on_rtp: Callable[[bytes], None]
    """Hot path."""
    on_rtcp: Callable[[bytes], None]
    on_application_data: Callable[[bytes], None]
    on_state: Callable[[PeerState, str], None]
    on_candidate: Callable[[str], None]


class SecureTransport:
    """`negotiate` with every offer, then `start`. `state` only moves forward."""

    def __init__(self, handlers: TransportHandlers, options: TransportOptions) -> None:
        self.state = PeerState.NEW
        self._handlers = handlers
        self._options = options
        self._ice: IceTransport | None = None
        self._next_ice: IceTransport | None = None
        """Of an ICE restart, until it works."""
        self._waiting_candidates: list[str] = []
        """That came before the first offer."""
        self._secure = DtlsSrtp(
            SecureHandlers(
                on_rtp=handlers.on_rtp,
                on_rtcp=handlers.on_rtcp,
                on_application_data=handlers.on_application_data,
                on_connected=self._on_connected,
                on_failed=self._fail,
            ),
            self._send,
            profiles=options.srtp_profiles,
        )
        self.receive_media = self._secure.receive_media
        self.receive_dtls = self._secure.receive_dtls
        self.send_rtcp = self._secure.send_rtcp
        self.send_application_data = self._secure.send_application_data
        self._connect_timer: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def authentication_failures(self) -> int:
        return self._secure.authentication_failures

    @property
    def unexpected_packets(self) -> int:
        """Media that came when there were no keys for it."""
        return self._secure.unexpected_packets

    async def negotiate(self, remote: RemoteTransport) -> LocalTransport:
        """Take what an offer says of the far side and say what the answer needs. New ICE credentials are an ICE
        restart: media flows on the old path until the new one works. Raises OSError, ProtocolError,
        StateError if closed meanwhile."""
        self._agree(remote)
        newest = self._next_ice or self._ice
        if newest is None or (newest.remote.ice_ufrag, newest.remote.ice_pwd) != (remote.ice_ufrag, remote.ice_pwd):
            newest = await self._open_ice(remote)
        else:
            for candidate in remote.candidates:
                newest.add_remote_candidate(candidate)
        return LocalTransport(
            ice_ufrag=newest.ufrag,
            ice_pwd=newest.password,
            fingerprint=process_certificate().fingerprint,
            candidates=newest.candidates,
        )

    def start(self) -> None:
        """Begin to connect, if there is something new to connect to."""
        if self._next_ice is None or self._connect_timer is not None or self.state is PeerState.FAILED:
            return
        if not self._secure.is_open:
            self._secure.open()
            self._set_state(PeerState.CONNECTING, "")
        timeout_seconds = self._options.connect_timeout_seconds
        self._connect_timer = asyncio.get_running_loop().call_later(timeout_seconds, self._on_connect_timeout)
        self._next_ice.start()

    def add_remote_candidate(self, candidate: str) -> None:
        ice = self._next_ice or self._ice
        if ice is not None:
            ice.add_remote_candidate(candidate)
        elif len(self._waiting_candidates) < MAX_WAITING_CANDIDATES:
            self._waiting_candidates.append(candidate)

    async def close(self) -> None:
        """Say good-bye and free the sockets. No handler is called any more, except on_state with CLOSED."""
        self._secure.close()
        self._cancel_connect_timer()
        self._set_state(PeerState.CLOSED, "")
        transports = [ice for ice in (self._ice, self._next_ice) if ice is not None]
        self._ice = self._next_ice = None
        await asyncio.gather(*(ice.close() for ice in transports), *self._closing)

    async def _open_ice(self, remote: RemoteTransport) -> IceTransport:
        if self._next_ice is not None:
            self._retire(self._next_ice)
        self._cancel_connect_timer()
        ice = IceTransport(
            remote,
            IceHandlers(
                on_media=self.receive_media,
                on_dtls=self.receive_dtls,
                on_connected=lambda: self._on_ice_connected(ice),
                on_failed=lambda detail: self._on_ice_failed(ice, detail),
                on_candidate=self._handlers.on_candidate,
            ),
            servers=self._options.servers,
            port_range=self._options.port_range,
        )
        self._next_ice = ice
        await ice.open()
        if self._next_ice is not ice:
            await ice.close()
            raise StateError("the peer connection was closed")
        waiting, self._waiting_candidates = self._waiting_candidates, []
        for candidate in waiting:
            ice.add_remote_candidate(candidate)
        return ice

    def _agree(self, remote: RemoteTransport) -> None:
        try:
            self._secure.agree(DtlsParameters(remote.dtls_client, remote.fingerprints))
        except ProtocolError as error:
            self._fail(str(error))
            raise

    def _send(self, datagram: bytes) -> None:
        if self._ice is not None:
            self._ice.send(datagram)

    def _on_ice_connected(self, ice: IceTransport) -> None:
        if ice is not self._next_ice:
            return
        if self._ice is not None:
            self._retire(self._ice)
        self._ice, self._next_ice = ice, None
        if self.state is PeerState.CONNECTED:
            self._cancel_connect_timer()
        else:
            self._secure.start()

    def _on_ice_failed(self, ice: IceTransport, detail: str) -> None:
        if ice is self._next_ice or (ice is self._ice and self._next_ice is None):
            self._fail(detail)

    def _on_connect_timeout(self) -> None:
        self._connect_timer = None
        waiting_for = "ICE found no working path" if self._next_ice else "the DTLS handshake did not finish"
        self._fail(f"{waiting_for} within {self._options.connect_timeout_seconds:g} s")

    def _on_connected(self) -> None:
        self._cancel_connect_timer()
        self._set_state(PeerState.CONNECTED, "")

    def _retire(self, ice: IceTransport) -> None:
        task = asyncio.ensure_future(ice.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _fail(self, detail: str) -> None:
        if self.state in (PeerState.FAILED, PeerState.CLOSED):
            return
        # The sockets stay until `close`.
        self._secure.stop()
        self._cancel_connect_timer()
        self._set_state(PeerState.FAILED, detail)

    def _cancel_connect_timer(self) -> None:
        if self._connect_timer is not None:
            self._connect_timer.cancel()
            self._connect_timer = None

    def _set_state(self, state: PeerState, detail: str) -> None:
        if self.state is not state:
            self.state = state
            self._handlers.on_state(state, detail)
