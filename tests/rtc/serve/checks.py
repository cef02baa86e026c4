"""Connectivity checks as full agents send them, written by aioice; and routes that keep what is sent over them."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from aioice import stun

from channel_recorder.rtc.serve.agent import LiteAgent, Route
from channel_recorder.rtc.serve.stun import parse_binding_request

UFRAG, PASSWORD = "ouragent", "a-password-of-our-own-agent"
FAR_UFRAG = "theirs"
HIGH, LOW = 1_853_824_767, 1_677_724_415


def check(
    *,
    username: str | None = f"{UFRAG}:{FAR_UFRAG}",
    password: str | None = PASSWORD,
    nominate: bool = False,
    priority: int | None = HIGH,
    role: str = "ICE-CONTROLLING",
    more: dict[str, object] | None = None,
) -> bytes:
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    if username is not None:
        request.attributes["USERNAME"] = username
    if priority is not None:
        request.attributes["PRIORITY"] = priority
    request.attributes[role] = 1234567890
    if nominate:
        request.attributes["USE-CANDIDATE"] = None
    request.attributes.update(more or {})
    if password is not None:
        request.add_message_integrity(password.encode())
    else:
        request.add_fingerprint()
    return bytes(request)


class FakeRoute:
    """An address, without a socket."""

    def __init__(self, key: Hashable = ("192.0.2.1", 5000), owners: dict[Hashable, object] | None = None) -> None:
        self.key = key
        self.host, self.port = key if isinstance(key, tuple) else ("192.0.2.1", 5000)
        self.sent: list[bytes] = []
        self._owners = owners if owners is not None else {}

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def attach(self, receive: Callable[[bytes], None], on_lost: Callable[[Route], None]) -> bool:
        return self._owners.setdefault(self.key, receive) == receive

    def detach(self) -> None:
        self._owners.pop(self.key, None)


class AgentAtWork:
    """A LiteAgent with the routes it holds."""

    def __init__(self) -> None:
        self.held: list[Hashable] = []
        self.refused: set[Hashable] = set()
        self.agent = LiteAgent(UFRAG, PASSWORD, admit=self._admit, dismiss=self._dismiss, now_seconds=0.0)

    def receive(self, now: float, key: Hashable = ("192.0.2.1", 5000), message: bytes | None = None) -> bytes | None:
        return self.agent.receive(parse_binding_request(message or check()), FakeRoute(key), now)

    @property
    def selected(self) -> Hashable:
        return self.agent.selected.key if self.agent.selected else None

    def _admit(self, route: Route) -> bool:
        if route.key in self.refused:
            return False
        self.held.append(route.key)
        return True

    def _dismiss(self, route: Route) -> None:
        self.held.remove(route.key)


def error_code(reply: bytes | None) -> int | None:
    """None for a success response, whose signature is checked; so is that of signed errors."""
    assert reply is not None
    message = stun.parse_message(reply)
    if message.message_class == stun.Class.RESPONSE or "MESSAGE-INTEGRITY" in message.attributes:
        assert message.check_message_integrity(PASSWORD.encode())
    assert "FINGERPRINT" in message.attributes
    return message.error_code
