"""A synthetic participant as tests drive it, whatever official SDK it runs."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from testbed.server_process import ServerProcess
from testbed.view import View, view_of

LOOK_EVERY_SECONDS = 0.1
LOOK_LIMIT_SECONDS = 20.0


class PersonError(Exception):
    """The participant could not do what it was told, or did not see what it should."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """What one track's device captured: picture n of a camera carries the counter n."""

    captured: int
    """Pictures, or frames of 10 ms of sound."""
    encoded: int
    """Pictures that the encoder made of them; 0 for sound."""
    started_at_unix: float
    started_at_seconds: float
    late_seconds: float
    sizes: tuple[tuple[int, int], ...]

    @property
    def dropped_by_encoder(self) -> int:
        """Pictures that the publisher itself never sent."""
        return self.captured - self.encoded


def _captured(report: dict[str, Any]) -> Captured:
    sizes = tuple((int(width), int(height)) for width, height in report.pop("sizes"))
    return Captured(**report, sizes=sizes)


class Person(ABC):
    """`async with ...("room", "alice") as alice:` joins, and leaves at the end of the block."""

    def __init__(
        self,
        server: ServerProcess,
        channel: str,
        identity: str,
        *,
        name: str = "",
        metadata: str = "",
        can_publish: bool = True,
        subscribes: bool = True,
        single_peer: bool = True,
        encryption_key: str = "",
    ) -> None:
        """`single_peer`: the newer signalling path (v1) instead of the older (v0)."""
        self.identity = identity
        self._join: dict[str, Any] = {
            "url": server.url,
            "token": server.token(channel, identity, name=name, metadata=metadata, can_publish=can_publish),
            "subscribes": subscribes,
            "single_peer": single_peer,
            "encryption_key": encryption_key,
        }

    @abstractmethod
    async def _begin(self) -> None:
        """Starts the process or page."""

    @abstractmethod
    async def _end(self) -> None:
        """Ends it at once."""

    @property
    @abstractmethod
    def is_there(self) -> bool:
        """It was begun and not ended."""

    @abstractmethod
    async def _do(self, method: str, **arguments: Any) -> Any: ...

    async def __aenter__(self) -> Self:
        await self.join()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.is_there:
            return
        if error is None:
            await self.leave()
        else:
            await self.vanish()

    async def join(self) -> None:
        await self._begin()
        try:
            await self._do("join", **self._join)
        except BaseException:
            await self.vanish()
            raise

    async def leave(self) -> dict[str, Captured]:
        """Says good-bye. What every track still published had captured, by source."""
        reports = await self._do("leave")
        await self._end()
        return {source: _captured(report) for source, report in reports.items()}

    async def vanish(self) -> None:
        """Killed: no good-bye."""
        await self._end()

    async def publish_camera(
        self,
        codec: str = "vp8",
        *,
        source: str = "camera",
        width: int = 320,
        height: int = 240,
        fps: int = 15,
        simulcast: bool = False,
        max_bitrate: int = 400_000,
        look: str = "plain",
        scalability_mode: str = "",
        rotation: int = 0,
    ) -> str:
        """The sid of the track."""
        return await self._do(
            "publish_video",
            source=source,
            codec=codec,
            width=width,
            height=height,
            fps=fps,
            simulcast=simulcast,
            max_bitrate=max_bitrate,
            look=look,
            scalability_mode=scalability_mode,
            rotation=rotation,
        )

    async def publish_microphone(
        self,
        hz: float = 440,
        *,
        source: str = "microphone",
        has_voice: bool = False,
        dtx: bool = True,
        red: bool = True,
    ) -> str:
        """A steady tone (or a voice of that pitch) and the beeps. The sid of the track."""
        return await self._do("publish_audio", source=source, hz=hz, has_voice=has_voice, dtx=dtx, red=red)

    async def mute(self, source: str) -> None:
        await self._do("mute", source=source)

    async def unmute(self, source: str) -> None:
        await self._do("unmute", source=source)

    async def unpublish(self, source: str) -> Captured:
        return _captured(await self._do("unpublish", source=source))

    async def report(self, source: str) -> Captured:
        return _captured(await self._do("report", source=source))

    async def send_data(
        self, payload: str, *, topic: str = "", reliable: bool = True, to: tuple[str, ...] = ()
    ) -> None:
        await self._do("send_data", payload=payload, topic=topic, reliable=reliable, to=list(to))

    async def send_text(self, text: str, *, topic: str = "") -> None:
        """A text stream, which is what chats are made of."""
        await self._do("send_text", text=text, topic=topic)

    async def call(self, identity: str, payload: str) -> str:
        """Asks another participant by RPC, who answers with what it was sent, backwards."""
        return await self._do("call", identity=identity, payload=payload)

    async def set_metadata(self, metadata: str) -> None:
        await self._do("set_metadata", metadata=metadata)

    async def set_name(self, name: str) -> None:
        await self._do("set_name", name=name)

    async def set_attributes(self, attributes: dict[str, str]) -> None:
        await self._do("set_attributes", attributes=attributes)

    async def subscribe(self, identity: str, source: str, wanted: bool) -> None:
        await self._do("subscribe", identity=identity, source=source, wanted=wanted)

    async def set_quality(self, identity: str, source: str, quality: str) -> None:
        """`low`, `medium` or `high` layer of a simulcast picture."""
        await self._do("set_quality", identity=identity, source=source, quality=quality)

    async def forget(self) -> None:
        """Counts anew what is seen from now on."""
        await self._do("forget")

    async def look(self) -> View:
        return view_of(await self._do("look"))

    async def sees(self, condition: Callable[[View], bool], *, within_seconds: float = LOOK_LIMIT_SECONDS) -> View:
        """Looks until the condition holds. Raises PersonError, with what was seen last."""
        deadline = asyncio.get_running_loop().time() + within_seconds
        while not condition(view := await self.look()):
            if asyncio.get_running_loop().time() > deadline:
                raise PersonError(f"{self.identity} sees: {view}")
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        return view
