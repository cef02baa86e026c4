"""The UDP and TCP port that all peer connections of the server share."""

from __future__ import annotations

from collections.abc import Sequence


class MediaPort:
    """`open` it once; every ServingTransport lives on it."""

    candidates: tuple[str, ...]
    """For every description, as after `candidate:`."""
    udp_port: int
    tcp_port: int | None

    @classmethod
    async def open(
        cls, host: str, udp_port: int, *, tcp_port: int | None = None, advertise: Sequence[str] = ()
    ) -> MediaPort:
        """Raises OSError, or ConfigError for addresses that are none."""
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError
