"""Who is meant by a STUN check: sessions by the ICE credentials that we gave them."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import Protocol

from channel_recorder.errors import MalformedError
from channel_recorder.rtc.serve.agent import Route
from channel_recorder.rtc.serve.stun import BindingRequest, parse_binding_request


class PortDrop(StrEnum):
    """Why the shared port did not use, or not send, something."""

    NO_CHECK = "no_check"
    """Neither a STUN check nor from an address that belongs to a session."""
    UNKNOWN_CREDENTIALS = "unknown_credentials"
    NOT_SENT = "not_sent"
    """The kernel took it not, or a TCP connection is too slow for it."""
    TCP_REFUSED = "tcp_refused"
    """Connections: too many, silent, or no ICE."""


class CheckReceiver(Protocol):
    def receive_check(self, request: BindingRequest, route: Route) -> None:
        """A check for the credentials of this session, genuine or not."""
        ...


class Registry:
    """Checks that name nobody here get no answer at all: nothing to reflect, nothing to amplify."""

    def __init__(self) -> None:
        self.drops: Counter[PortDrop] = Counter()
        self._receivers: dict[bytes, CheckReceiver] = {}

    def add(self, ufrag: str, receiver: CheckReceiver) -> None:
        self._receivers[ufrag.encode()] = receiver

    def remove(self, ufrag: str) -> None:
        self._receivers.pop(ufrag.encode(), None)

    def receive_check(self, message: bytes, route: Route) -> bool:
        """Whether it was a check for somebody here."""
        try:
            request = parse_binding_request(message)
        except MalformedError:
            self.drops[PortDrop.NO_CHECK] += 1
            return False
        receiver = self._receivers.get(request.receiver_ufrag)
        if receiver is None:
            self.drops[PortDrop.UNKNOWN_CREDENTIALS] += 1
            return False
        receiver.receive_check(request, route)
        return True
