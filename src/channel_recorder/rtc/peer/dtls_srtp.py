"""DTLS and SRTP of one peer connection over whatever path ICE finds: datagrams in, clear RTP, RTCP and SCTP out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from channel_recorder.errors import ProtocolError
from channel_recorder.rtc.peer.certificate import process_certificate
from channel_recorder.rtc.peer.dtls import DtlsCore, DtlsParameters, DtlsState
from channel_recorder.rtc.peer.srtp import PROFILES, SrtpKeys, SrtpProfile, SrtpSessions

MAX_EARLY_PACKETS = 64
"""Media may overtake the last flight of the handshake by a few packets."""
MAX_EARLY_FLIGHTS = 8
"""Datagrams of a handshake that overtook the description which says whose it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecureHandlers:
    """What a DtlsSrtp calls, straight from the datagram."""

    on_rtp: Callable[[bytes], None]
    """Hot path."""
    on_rtcp: Callable[[bytes], None]
    on_application_data: Callable[[bytes], None]
    on_connected: Callable[[], None]
    on_failed: Callable[[str], None]
    on_closed: Callable[[str], None] | None = None
    """The far side said good-bye. None: for this owner that is a failure too."""


class DtlsSrtp:
    """`agree` with every description, `open` after the first, `start` once there is a path; `send` may be set anew
    whenever the path moves."""

    def __init__(
        self,
        handlers: SecureHandlers,
        send: Callable[[bytes], None],
        *,
        profiles: Sequence[SrtpProfile] = PROFILES,
        sessions: Callable[[SrtpKeys], SrtpSessions] = SrtpSessions,
    ) -> None:
        self.send = send
        self.heard = False
        """Set by every genuine packet, for an owner that watches for silence."""
        self.unexpected_packets = 0
        """Media that came when there were no keys for it."""
        self._handlers = handlers
        self._on_rtp = handlers.on_rtp
        self._profiles = profiles
        self._sessions = sessions
        self._parameters: DtlsParameters | None = None
        self._dtls: DtlsCore | None = None
        self._srtp: SrtpSessions | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._early: deque[bytes] = deque(maxlen=MAX_EARLY_PACKETS)
        self._early_flights: deque[bytes] = deque(maxlen=MAX_EARLY_FLIGHTS)
        self._is_over = False

    @property
    def is_agreed(self) -> bool:
        return self._parameters is not None

    @property
    def is_open(self) -> bool:
        return self._dtls is not None

    @property
    def authentication_failures(self) -> int:
        return self._srtp.authentication_failures if self._srtp else 0

    def agree(self, parameters: DtlsParameters) -> None:
        """What a description says of the far side. Raises ProtocolError for another certificate than before."""
        if self._parameters is None:
            self._parameters = parameters
        elif self._parameters.fingerprints != parameters.fingerprints:
            # A far side that lost its DTLS association lost everything else as well: it has to come anew.
            raise ProtocolError("the far side came back with another certificate")

    def open(self) -> None:
        """From here on the far side may begin the handshake."""
        if self._parameters is None or self._dtls is not None or self._is_over:
            return
        self._dtls = DtlsCore(process_certificate(), self._parameters, self._profiles)
        flights, self._early_flights = self._early_flights, deque(maxlen=MAX_EARLY_FLIGHTS)
        for datagram in flights:
            self.receive_dtls(datagram)

    def start(self) -> None:
        """There is a path: begin the handshake if that is up to us."""
        if self._dtls is not None:
            self._dtls.start()
            self._flush()
            self._follow(self._dtls)

    def receive(self, datagram: bytes) -> None:
        """What is no STUN (RFC 7983 section 7). Hot path."""
        if 127 < datagram[0] < 192:
            self.receive_media(datagram)
        elif 19 < datagram[0] < 64:
            self.receive_dtls(datagram)

    def receive_media(self, packet: bytes) -> None:
        """SRTP or SRTCP. Hot path: a straight call from the socket."""
        srtp = self._srtp
        if srtp is None:
            self._receive_early(packet)
        # RFC 5761 section 4: payload types 64 to 95 with the marker bit are RTCP.
        elif len(packet) > 1 and 191 < packet[1] < 224:
            clear = srtp.unprotect_rtcp(packet)
            if clear is not None:
                self.heard = True
                self._handlers.on_rtcp(clear)
        else:
            clear = srtp.unprotect(packet)
            if clear is not None:
                self.heard = True
                self._on_rtp(clear)

    def receive_dtls(self, datagram: bytes) -> None:
        dtls = self._dtls
        if dtls is None:
            if not self._is_over:
                self._early_flights.append(datagram)
            return
        dtls.receive(datagram)
        self._flush()
        self._follow(dtls)
        for data in dtls.application_data():
            if self._is_over:
                return
            self.heard = True
            self._handlers.on_application_data(data)

    def send_rtp(self, packet: bytes) -> None:
        """Hot path."""
        srtp = self._srtp
        if srtp is not None:
            protected = srtp.protect(packet)
            if protected is not None:
                self.send(protected)

    def send_rtcp(self, packet: bytes) -> None:
        if self._srtp is not None:
            self.send(self._srtp.protect_rtcp(packet))

    def send_application_data(self, data: bytes) -> None:
        if self._dtls is not None:
            self._dtls.send(data)
            self._flush()

    def forget_sent_source(self, ssrc: int) -> None:
        """An SSRC of ours that will never be used again."""
        if self._srtp is not None:
            self._srtp.forget_sent_source(ssrc)

    def close(self) -> None:
        """Say good-bye, if there is anybody to say it to."""
        if self._dtls is not None:
            self._dtls.close()
            self._flush()
        self.stop()

    def stop(self) -> None:
        """No timer, no media, no handler any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._dtls = self._srtp = None
        self._is_over = True
        self._early.clear()
        self._early_flights.clear()

    def _flush(self) -> None:
        dtls = self._dtls
        if dtls is None:
            return
        for datagram in dtls.datagrams_to_send():
            self.send(datagram)
        self._arm_timer(dtls)

    def _follow(self, dtls: DtlsCore) -> None:
        """Do what the new state of the association asks for."""
        if self._is_over:
            return
        if dtls.state is DtlsState.CONNECTED and self._srtp is None and dtls.srtp_keys is not None:
            self._srtp = self._sessions(dtls.srtp_keys)
            self._handlers.on_connected()
            self._deliver_early()
        elif dtls.state in (DtlsState.FAILED, DtlsState.CLOSED):
            self.stop()
            is_goodbye = dtls.state is DtlsState.CLOSED
            tell = self._handlers.on_closed if is_goodbye else self._handlers.on_failed
            (tell or self._handlers.on_failed)(dtls.detail)

    def _arm_timer(self, dtls: DtlsCore) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        timeout_seconds = dtls.timeout_seconds()
        if timeout_seconds is not None:
            self._timer = asyncio.get_running_loop().call_later(timeout_seconds, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._dtls is not None:
            self._dtls.handle_timeout()
            self._flush()
            self._follow(self._dtls)

    def _receive_early(self, packet: bytes) -> None:
        if self._dtls is not None:
            self._early.append(packet)
        else:
            self.unexpected_packets += 1

    def _deliver_early(self) -> None:
        early, self._early = self._early, deque(maxlen=MAX_EARLY_PACKETS)
        for packet in early:
            self.receive_media(packet)
