"""Data channels (RFC 8831, RFC 8832): aiortc's SCTP over our DTLS."""

from __future__ import annotations

import struct
from collections.abc import Callable, Coroutine
from typing import Any, cast

from aiortc.rtcdatachannel import RTCDataChannel
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcsctptransport import RTCSctpCapabilities, RTCSctpTransport

from channel_recorder.rtc.peer.sections import DataChannels

# What aiortc's parsers raise at bytes they did not expect.
_FOREIGN_BYTES_ERRORS = (AssertionError, LookupError, ValueError, TypeError, AttributeError, struct.error)


class DataEndpoint:
    """Receives the messages of every channel that the far side opens."""

    def __init__(
        self,
        description: DataChannels,
        *,
        is_dtls_client: bool,
        send: Callable[[bytes], None],
        on_message: Callable[[str, bytes], None],
    ) -> None:
        self.malformed_packets = 0
        self._description = description
        self._on_message = on_message
        self._messages: list[tuple[str, bytes]] = []
        adapter = _DtlsAdapter("client" if is_dtls_client else "server", send)
        # aiortc asks its DTLS transport for these few things only.
        self._sctp = RTCSctpTransport(cast("RTCDtlsTransport", adapter), description.sctp_port)
        self._receive = self._sctp._handle_data  # pyright: ignore[reportPrivateUsage]
        self._sctp.on("datachannel", self._adopt)

    def start(self) -> None:
        """Once DTLS is up. The association is made by both ends at once (RFC 8841 section 9.3)."""
        capabilities = RTCSctpCapabilities(maxMessageSize=self._description.max_message_size)
        _run_at_once(self._sctp.start(capabilities, self._description.sctp_port))

    def receive(self, packet: bytes) -> None:
        """One decrypted SCTP packet, whatever it holds."""
        try:
            _run_at_once(self._receive(packet))
        except _FOREIGN_BYTES_ERRORS:
            self.malformed_packets += 1
        # Outside of the try: an error of the listener is its own.
        messages, self._messages = self._messages, []
        for label, payload in messages:
            self._on_message(label, payload)

    def close(self) -> None:
        """Abort the association; stops every timer."""
        _run_at_once(self._sctp.stop())

    def _adopt(self, channel: RTCDataChannel) -> None:
        label = channel.label

        def deliver(message: bytes | str) -> None:
            self._messages.append((label, message.encode() if isinstance(message, str) else message))

        channel.on("message", deliver)


class _DtlsAdapter:
    """The part of aiortc's RTCDtlsTransport that its SCTP uses."""

    state = "connected"

    def __init__(self, role: str, send: Callable[[bytes], None]) -> None:
        self._role = role
        self._send = send

    async def _send_data(self, data: bytes) -> None:
        self._send(data)

    def _register_data_receiver(self, receiver: object) -> None: ...

    def _unregister_data_receiver(self, receiver: object) -> None: ...


def _run_at_once(coroutine: Coroutine[Any, Any, None]) -> None:
    """aiortc's SCTP is written as coroutines but waits for nothing except `_send_data`, and ours never waits:
    no task for each packet, and packets stay in order."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise RuntimeError("aiortc's SCTP waited for something")
