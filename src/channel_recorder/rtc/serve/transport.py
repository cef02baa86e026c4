"""The server's end of one transport: ice-lite, DTLS and SRTP over the shared port."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from channel_recorder import clock
from channel_recorder.errors import ProtocolError, StateError
from channel_recorder.rtc.peer.certificate import process_certificate
from channel_recorder.rtc.peer.contract import PeerState
from channel_recorder.rtc.peer.dtls import DtlsParameters
from channel_recorder.rtc.peer.dtls_srtp import DtlsSrtp, SecureHandlers
from channel_recorder.rtc.peer.sections import LocalTransport, RemoteTransport
from channel_recorder.rtc.peer.srtp import BoundedSrtpSessions
from channel_recorder.rtc.serve.agent import LiteAgent, Route
from channel_recorder.rtc.serve.port import MediaPort
from channel_recorder.rtc.serve.stun import BindingRequest

MAX_SILENCE_SECONDS = 15.0
"""Neither a check nor media: the far side is gone."""
WATCH_SECONDS = 3.0
_UFRAG_BYTES = 8
_PASSWORD_BYTES = 16
"""RFC 8445 section 5.3 asks for 128 bits."""


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
    answer and `start`. `state` only moves forward; FAILED and CLOSED have let go of the port."""

    def __init__(
        self,
        port: MediaPort,
        handlers: ServingHandlers,
        *,
        connect_timeout_seconds: float = 15.0,
        now: Callable[[], float] = clock.monotonic_seconds,
    ) -> None:
        self.state = PeerState.NEW
        self._port = port
        self._handlers = handlers
        self._connect_timeout_seconds = connect_timeout_seconds
        self._now = now
        self._secure = DtlsSrtp(
            SecureHandlers(
                on_rtp=handlers.on_rtp,
                on_rtcp=handlers.on_rtcp,
                on_application_data=handlers.on_application_data,
                on_connected=self._on_connected,
                on_failed=self._fail,
                on_closed=lambda detail: self._end(PeerState.CLOSED, detail),
            ),
            _drop,
            sessions=BoundedSrtpSessions,
        )
        self.send_rtp = self._secure.send_rtp
        """Hot path. Dropped unless connected. A sequence number may be sent again, with the same packet only."""
        self.send_rtcp = self._secure.send_rtcp
        self.send_application_data = self._secure.send_application_data
        self.forget_sent_source = self._secure.forget_sent_source
        self._remote: RemoteTransport | None = None
        self._agent = self._make_agent()
        self._next_agent: LiteAgent | None = None
        """Of an ICE restart, until it has a nominated path."""
        self._connect_timer: asyncio.TimerHandle | None = None
        self._watch_timer: asyncio.TimerHandle | None = None

    @property
    def authentication_failures(self) -> int:
        return self._secure.authentication_failures

    def local_transport(self) -> LocalTransport:
        """What our description says of this end."""
        newest = self._next_agent or self._agent
        return LocalTransport(
            ice_ufrag=newest.ufrag,
            ice_pwd=newest.password,
            fingerprint=process_certificate().fingerprint,
            candidates=self._port.candidates,
        )

    def negotiate(self, remote: RemoteTransport) -> LocalTransport:
        """Take what a description says of the far side, say what ours needs. New ICE credentials are an ICE restart:
        media stays on the old path until a new one is nominated. Raises ProtocolError, and is FAILED, for another
        certificate; StateError once failed or closed."""
        if self._is_over:
            raise StateError(f"the transport is {self.state}")
        self._agree(remote)
        if self._remote is not None and _credentials(self._remote) != _credentials(remote):
            self._restart()
        self._remote = remote
        newest = self._next_agent or self._agent
        newest.remote_ufrag = remote.ice_ufrag.encode(errors="replace")
        return self.local_transport()

    def start(self) -> None:
        """Begin to connect, if there is something new to connect to."""
        if self._is_over or self._remote is None or self._connect_timer is not None:
            return
        if not self._secure.is_open:
            self._arm_connect_timer()
            self._set_state(PeerState.CONNECTING, "")
            self._secure.open()
            self._follow_path()
        elif self._next_agent is not None:
            self._arm_connect_timer()

    def receive_check(self, request: BindingRequest, route: Route) -> None:
        """From the port: a check that names one of our agents."""
        agent = self._agent_of(request)
        if agent is None:
            return
        reply = agent.receive(request, route, self._now())
        if reply is not None:
            route.send(reply)
        if agent is self._next_agent and agent.is_nominated:
            self._finish_restart(agent)
        self._follow_path()

    def close(self) -> None:
        """Say good-bye. No handler is called any more, except on_state with CLOSED."""
        self._secure.close()
        self._release()
        self._set_state(PeerState.CLOSED, "")

    @property
    def _is_over(self) -> bool:
        return self.state in (PeerState.FAILED, PeerState.CLOSED)

    def _agree(self, remote: RemoteTransport) -> None:
        try:
            self._secure.agree(DtlsParameters(remote.dtls_client, remote.fingerprints))
        except ProtocolError as error:
            self._fail(str(error))
            raise

    def _make_agent(self) -> LiteAgent:
        agent = LiteAgent(
            secrets.token_hex(_UFRAG_BYTES),
            secrets.token_hex(_PASSWORD_BYTES),
            admit=self._admit,
            dismiss=self._dismiss,
            now_seconds=self._now(),
        )
        self._port.registry.add(agent.ufrag, self)
        return agent

    def _agent_of(self, request: BindingRequest) -> LiteAgent | None:
        ufrag = request.receiver_ufrag
        return next((agent for agent in self._agents() if agent.ufrag.encode() == ufrag), None)

    def _agents(self) -> tuple[LiteAgent, ...]:
        return (self._agent, self._next_agent) if self._next_agent is not None else (self._agent,)

    def _admit(self, route: Route) -> bool:
        return route.attach(self._secure.receive, self._on_route_lost)

    def _dismiss(self, route: Route) -> None:
        if not any(agent.has(route) for agent in self._agents()):
            route.detach()

    def _on_route_lost(self, route: Route) -> None:
        for agent in self._agents():
            agent.remove(route)
        self._follow_path()

    def _follow_path(self) -> None:
        """Send where the far side wants it."""
        route = self._agent.selected
        had_none = self._secure.send is _drop
        self._secure.send = _drop if route is None else route.send
        if had_none and route is not None and self.state is PeerState.CONNECTING:
            self._secure.start()

    def _restart(self) -> None:
        if self._next_agent is not None:
            self._retire(self._next_agent)
        self._cancel_connect_timer()
        self._next_agent = self._make_agent()

    def _finish_restart(self, agent: LiteAgent) -> None:
        old, self._agent, self._next_agent = self._agent, agent, None
        self._retire(old)
        if self.state is PeerState.CONNECTED:
            self._cancel_connect_timer()

    def _retire(self, agent: LiteAgent) -> None:
        self._port.registry.remove(agent.ufrag)
        agent.close()

    def _on_connected(self) -> None:
        self._cancel_connect_timer()
        self._agent.heard_at = self._now()
        self._arm_watch_timer()
        self._set_state(PeerState.CONNECTED, "")

    def _on_connect_timeout(self) -> None:
        self._connect_timer = None
        newest = self._next_agent or self._agent
        waiting_for = "ICE found no working path" if newest.selected is None else "the DTLS handshake did not finish"
        self._fail(f"{waiting_for} within {self._connect_timeout_seconds:g} s")

    def _watch(self) -> None:
        now = self._now()
        heard_at = max(agent.heard_at for agent in self._agents())
        if self._secure.heard:
            self._secure.heard = False
            self._agent.heard_at = now
        elif now - heard_at > MAX_SILENCE_SECONDS:
            self._fail(f"nothing came from the far side for {MAX_SILENCE_SECONDS:g} s")
            return
        for agent in self._agents():
            agent.expire(now)
        self._arm_watch_timer()

    def _arm_watch_timer(self) -> None:
        self._watch_timer = asyncio.get_running_loop().call_later(WATCH_SECONDS, self._watch)

    def _arm_connect_timer(self) -> None:
        loop = asyncio.get_running_loop()
        self._connect_timer = loop.call_later(self._connect_timeout_seconds, self._on_connect_timeout)

    def _cancel_connect_timer(self) -> None:
        if self._connect_timer is not None:
            self._connect_timer.cancel()
            self._connect_timer = None

    def _fail(self, detail: str) -> None:
        self._end(PeerState.FAILED, detail)

    def _end(self, state: PeerState, detail: str) -> None:
        """CLOSED: the far side said good-bye. Native clients do before their signalling says that they leave."""
        if self._is_over:
            return
        self._secure.stop()
        self._release()
        self._set_state(state, detail)

    def _release(self) -> None:
        """No timers, no routes, no credentials any more."""
        self._cancel_connect_timer()
        if self._watch_timer is not None:
            self._watch_timer.cancel()
        agents, self._next_agent = self._agents(), None
        for agent in agents:
            self._retire(agent)
        self._secure.send = _drop

    def _set_state(self, state: PeerState, detail: str) -> None:
        if self.state is not state:
            self.state = state
            self._handlers.on_state(state, detail)


def _credentials(remote: RemoteTransport) -> tuple[str, str]:
    return remote.ice_ufrag, remote.ice_pwd


def _drop(datagram: bytes) -> None:
    """Takes what is sent while there is no path."""
