"""Data channels (RFC 8831, RFC 8832) over our DTLS: messages in from all, out by label."""

from __future__ import annotations

from collections.abc import Callable

from aiortc.rtcdatachannel import RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcsctptransport import RTCSctpCapabilities

from channel_recorder.errors import MalformedError, ProtocolError
from channel_recorder.rtc.peer.sctp import Association, run_at_once
from channel_recorder.rtc.peer.sections import MAX_DATA_MESSAGE_BYTES, DataChannels

MAX_RELIABLE_BACKLOG_BYTES = 4 * 1024 * 1024
MAX_LOSSY_BACKLOG_BYTES = 64 * 1024
"""Lossy messages are worth something only now."""


class DataEndpoint:
    """Receives the messages of every channel, whoever opened it, and sends on those that are open."""

    def __init__(
        self,
        description: DataChannels,
        *,
        is_dtls_client: bool,
        send: Callable[[bytes], None],
        on_message: Callable[[str, bytes], None],
        max_message_bytes: int = MAX_DATA_MESSAGE_BYTES,
    ) -> None:
        self.malformed_packets = 0
        self._max_message_bytes = max_message_bytes
        self._is_closed = False
        self._description = description
        self._on_message = on_message
        self._messages: list[tuple[str, bytes]] = []
        self._channels: dict[str, RTCDataChannel] = {}
        """By label; of two with the same the newer."""
        self._sctp = Association(description.sctp_port, is_dtls_client=is_dtls_client, send=send)
        self._sctp.on("datachannel", self._adopt)

    def start(self) -> None:
        """Once DTLS is up. The association is made by both ends at once (RFC 8841 section 9.3)."""
        capabilities = RTCSctpCapabilities(maxMessageSize=self._description.max_message_size)
        run_at_once(self._sctp.start(capabilities, self._description.sctp_port))

    def open(self, label: str, *, ordered: bool = True, max_retransmits: int | None = None) -> None:
        """Open a channel of our own, as soon as there is an association."""
        parameters = RTCDataChannelParameters(label=label, ordered=ordered, maxRetransmits=max_retransmits)
        self._adopt(RTCDataChannel(self._sctp, parameters))

    def receive(self, packet: bytes, now_seconds: float) -> None:
        """One decrypted SCTP packet, whatever it holds."""
        if self._is_closed:
            return
        try:
            self._sctp.receive(packet, now_seconds)
        except MalformedError:
            self.malformed_packets += 1
        except ProtocolError:
            self.malformed_packets += 1
            self.close()
        # Outside of the try: an error of the listener is its own.
        messages, self._messages = self._messages, []
        for label, payload in messages:
            self._on_message(label, payload)

    def send(self, label: str, payload: bytes) -> bool:
        """False if it was dropped: no such channel is open, the far side takes no such message, or too much waits."""
        channel = self._channels.get(label)
        if channel is None or channel.readyState != "open":
            return False
        is_lossy = channel.maxRetransmits is not None or channel.maxPacketLifeTime is not None
        backlog_bytes = MAX_LOSSY_BACKLOG_BYTES if is_lossy else MAX_RELIABLE_BACKLOG_BYTES
        limit_bytes = self._description.max_message_size or backlog_bytes
        if len(payload) > limit_bytes or channel.bufferedAmount + len(payload) > backlog_bytes:
            return False
        self._sctp.send_message(channel, payload)
        return True

    def close(self) -> None:
        """Abort the association; stops every timer."""
        self._is_closed = True
        run_at_once(self._sctp.stop())

    def _adopt(self, channel: RTCDataChannel) -> None:
        label = channel.label
        self._channels[label] = channel

        def deliver(message: bytes | str) -> None:
            payload = message.encode() if isinstance(message, str) else message
            if len(payload) <= self._max_message_bytes:
                self._messages.append((label, payload))

        def forget() -> None:
            if self._channels.get(label) is channel:
                del self._channels[label]

        channel.on("message", deliver)
        channel.on("close", forget)
