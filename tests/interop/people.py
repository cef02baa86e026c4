"""What participants see and hear of each other, as checks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

import pytest

from testbed.person import Person
from testbed.view import SeenTrack, View

TONE_ERROR_HZ = 8
FLOWING_SHARE = 0.4
"""Of the pictures that were sent in a time, so many at least are shown, on a machine that eight clients share."""


async def views_of(people: Iterable[Person]) -> dict[str, View]:
    """By identity."""
    listed = list(people)
    views = await asyncio.gather(*(person.look() for person in listed))
    return {person.identity: view for person, view in zip(listed, views, strict=True)}


async def all_see(people: Iterable[Person], condition: Callable[[View], bool]) -> dict[str, View]:
    """Waits until the condition holds for each."""
    listed = list(people)
    views = await asyncio.gather(*(person.sees(condition) for person in listed))
    return {person.identity: view for person, view in zip(listed, views, strict=True)}


async def watch(people: Iterable[Person], seconds: float) -> dict[str, View]:
    """What is seen in a while from now, counted from now on."""
    listed = list(people)
    await asyncio.gather(*(person.forget() for person in listed))
    await asyncio.sleep(seconds)
    return await views_of(listed)


def has_tracks(view: View, tracks: Mapping[str, Iterable[str]]) -> bool:
    """Everybody else's, all subscribed. `tracks`: sources by identity."""
    return all(
        (track := view.track(identity, source)) is not None and track.subscribed
        for identity, sources in tracks.items()
        if identity != view.identity
        for source in sources
    )


def flows(view: View, identity: str) -> bool:
    """Pictures with counters and a tone come from somebody."""
    camera, microphone = view.track(identity, "camera"), view.track(identity, "microphone")
    return camera is not None and camera.counter is not None and microphone is not None and microphone.tone_hz > 0


def seen(view: View, identity: str, source: str = "camera") -> SeenTrack:
    track = view.track(identity, source)
    assert track is not None, f"{view.identity} knows no {source} of {identity}"
    return track


def check_pictures_flow(track: SeenTrack, fps: float, seconds: float) -> None:
    """Readable counters, one after the other, about as many as were sent."""
    assert track.pictures >= FLOWING_SHARE * fps * seconds, track
    assert track.counter is not None, track
    assert track.unreadable == 0, track
    # Chromium now and then presents a picture again.
    assert track.repeated <= 1, track
    assert track.pictures >= FLOWING_SHARE * (track.pictures + track.skipped), track


def check_no_pictures(track: SeenTrack) -> None:
    """Nothing of what the camera shows. A client may let its last picture, or black ones, go out."""
    assert track.counter is None or track.pictures <= 2, track


def check_tone(track: SeenTrack, hz: float) -> None:
    assert track.tone_hz == pytest.approx(hz, abs=TONE_ERROR_HZ), track
