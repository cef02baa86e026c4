"""ICE, DTLS and SRTP of one peer connection put together: datagrams in, clear RTP, RTCP and SCTP out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from channel_recorder.errors import ProtocolError, StateError
from channel_recorder.rtc.peer.certificate import process_certificate
from channel_recorder.rtc.peer.contract import PeerState
from channel_recorder.rtc.peer.dtls import DtlsCore, DtlsParameters, DtlsState
from channel_recorder.rtc.peer.ice import IceHandlers, IceTransport
from channel_recorder.rtc.peer.negotiation import LocalTransport, RemoteTransport
from channel_recorder.rtc.peer.servers import IceServer
from channel_recorder.rtc.peer.srtp import PROFILES, SrtpProfile, SrtpSessions

MAX_EARLY_PACKETS = 64
"""Media may overtake the last flight of the handshake by a few packets."""

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
        self.unexpected_packets = 0
        """Media that came when there were no keys for it."""
        self._handlers = handlers
        self._options = options
        self._ice: IceTransport | None = None
        self._next_ice: IceTransport | None = None
        """Of an ICE restart, until it works."""
        self._waiting_candidates: list[str] = []
        """That came before the first offer."""
        self._dtls: DtlsCore | None = None
        self._dtls_parameters: DtlsParameters | None = None
        self._srtp: SrtpSessions | None = None
        self._early: deque[bytes] = deque(maxlen=MAX_EARLY_PACKETS)
        self._dtls_timer: asyncio.TimerHandle | None = None
        self._connect_timer: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def authentication_failures(self) -> int:
        return self._srtp.authentication_failures if self._srtp else 0

    async def negotiate(self, remote: RemoteTransport) -> LocalTransport:
        """Take what an offer says of the far side and say what the answer needs. New ICE credentials are an ICE
        restart: media flows on the old path until the new one works. Raises OSError, ProtocolError,
        StateError if closed meanwhile."""
        self._check_dtls(remote)
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
        if self._dtls is None and self._dtls_parameters is not None:
            self._dtls = DtlsCore(process_certificate(), self._dtls_parameters, self._options.srtp_profiles)
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

    def send_rtcp(self, packet: bytes) -> None:
        if self._srtp is not None and self._ice is not None:
            self._ice.send(self._srtp.protect_rtcp(packet))

    def send_application_data(self, data: bytes) -> None:
        if self._dtls is not None:
            self._dtls.send(data)
            self._flush_dtls()

    async def close(self) -> None:
        """Say good-bye and free the sockets. No handler is called any more, except on_state with CLOSED."""
        if self._dtls is not None:
            self._dtls.close()
            self._flush_dtls()
        self._stop()
        self._set_state(PeerState.CLOSED, "")
        transports = [ice for ice in (self._ice, self._next_ice) if ice is not None]
        self._ice = self._next_ice = None
        await asyncio.gather(*(ice.close() for ice in transports), *self._closing)

    def receive_media(self, packet: bytes) -> None:
        """SRTP or SRTCP. Hot path: a straight call from the socket."""
        srtp = self._srtp
        if srtp is None:
            self._receive_early(packet)
        # RFC 5761 section 4: payload types 64 to 95 with the marker bit are RTCP.
        elif len(packet) > 1 and 191 < packet[1] < 224:
            clear = srtp.unprotect_rtcp(packet)
            if clear is not None:
                self._handlers.on_rtcp(clear)
        else:
            clear = srtp.unprotect(packet)
            if clear is not None:
                self._handlers.on_rtp(clear)

    def receive_dtls(self, datagram: bytes) -> None:
        dtls = self._dtls
        if dtls is None:
            return
        dtls.receive(datagram)
        self._flush_dtls()
        self._follow_dtls(dtls)
        for data in dtls.application_data():
            self._handlers.on_application_data(data)

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

    def _check_dtls(self, remote: RemoteTransport) -> None:
        parameters = DtlsParameters(remote.dtls_client, remote.fingerprints)
        if self._dtls_parameters is None:
            self._dtls_parameters = parameters
        elif self._dtls_parameters.fingerprints != parameters.fingerprints:
            # A far side that lost its DTLS association lost everything else as well: the owner joins anew.
            self._fail("the far side came back with another certificate")
            raise ProtocolError("the far side came back with another certificate")

    def _on_ice_connected(self, ice: IceTransport) -> None:
        if ice is not self._next_ice:
            return
        if self._ice is not None:
            self._retire(self._ice)
        self._ice, self._next_ice = ice, None
        if self.state is PeerState.CONNECTED:
            self._cancel_connect_timer()
        elif self._dtls is not None:
            self._dtls.start()
            self._flush_dtls()
            self._follow_dtls(self._dtls)

    def _on_ice_failed(self, ice: IceTransport, detail: str) -> None:
        if ice is self._next_ice or (ice is self._ice and self._next_ice is None):
            self._fail(detail)

    def _on_connect_timeout(self) -> None:
        self._connect_timer = None
        waiting_for = "ICE found no working path" if self._next_ice else "the DTLS handshake did not finish"
        self._fail(f"{waiting_for} within {self._options.connect_timeout_seconds:g} s")

    def _follow_dtls(self, dtls: DtlsCore) -> None:
        """Do what the new state of the association asks for."""
        if dtls.state is DtlsState.CONNECTED and self._srtp is None and dtls.srtp_keys is not None:
            self._srtp = SrtpSessions(dtls.srtp_keys)
            self._cancel_connect_timer()
            self._set_state(PeerState.CONNECTED, "")
            self._deliver_early()
        elif dtls.state in (DtlsState.FAILED, DtlsState.CLOSED):
            self._fail(dtls.detail)

    def _flush_dtls(self) -> None:
        dtls = self._dtls
        if dtls is None:
            return
        for datagram in dtls.datagrams_to_send():
            if self._ice is not None:
                self._ice.send(datagram)
        self._arm_dtls_timer(dtls)

    def _arm_dtls_timer(self, dtls: DtlsCore) -> None:
        if self._dtls_timer is not None:
            self._dtls_timer.cancel()
            self._dtls_timer = None
        timeout_seconds = dtls.timeout_seconds()
        if timeout_seconds is not None:
            self._dtls_timer = asyncio.get_running_loop().call_later(timeout_seconds, self._on_dtls_timer)

    def _on_dtls_timer(self) -> None:
        self._dtls_timer = None
        if self._dtls is not None:
            self._dtls.handle_timeout()
            self._flush_dtls()
            self._follow_dtls(self._dtls)

    def _receive_early(self, packet: bytes) -> None:
        if self.state is PeerState.CONNECTING:
            self._early.append(packet)
        else:
            self.unexpected_packets += 1

    def _deliver_early(self) -> None:
        early, self._early = self._early, deque(maxlen=MAX_EARLY_PACKETS)
        for packet in early:
            self.receive_media(packet)

    def _retire(self, ice: IceTransport) -> None:
        task = asyncio.ensure_future(ice.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _fail(self, detail: str) -> None:
        if self.state in (PeerState.FAILED, PeerState.CLOSED):
            return
        self._stop()
        self._set_state(PeerState.FAILED, detail)

    def _stop(self) -> None:
        """No more timers, no more media. The sockets stay until `close`."""
        self._cancel_connect_timer()
        if self._dtls_timer is not None:
            self._dtls_timer.cancel()
        self._dtls_timer = self._dtls = self._srtp = None
        self._early.clear()

    def _cancel_connect_timer(self) -> None:
        if self._connect_timer is not None:
            self._connect_timer.cancel()
            self._connect_timer = None

    def _set_state(self, state: PeerState, detail: str) -> None:
        if self.state is not state:
            self.state = state
            self._handlers.on_state(state, detail)
