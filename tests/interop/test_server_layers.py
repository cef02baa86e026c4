"""Simulcast between clients: each gets the layer it asks for, changes it while the picture goes on, or pauses it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from testbed.browser import BrowserPerson, browsers
from testbed.person import Person
from testbed.publisher import Publisher
from testbed.server_process import ServerProcess
from testbed.view import View
from tests.interop.people import all_see, check_pictures_flow, has_tracks, seen, views_of, watch

CHANNEL = "server-layers"
FPS = 10
SWITCH_SECONDS = 2.0
SHOWERS = {"js-vp8": (480, 360), "py-vp8": (640, 480), "js-h264": (480, 360)}
"""The smallest pictures of which the SDKs make two layers."""
WATCHERS = {"js-v0": False, "js-v1": True, "py-v1": True}
MAX_REPEATED_AT_A_SWITCH = 3
"""Layers are encoded one after the other: a picture may be shown in both."""
CHANGES = ("low", "high", "low again", "high again")


@dataclass
class Story:
    views: dict[str, dict[str, View]] = field(default_factory=dict[str, dict[str, View]])
    """By what was asked for, and identity."""
    changing: dict[str, dict[str, View]] = field(default_factory=dict[str, dict[str, View]])
    """Over each change of layer."""


def has_width(view: View, who: str, low: bool) -> bool:
    camera = view.track(who, "camera")
    if camera is None or camera.counter is None:
        return False
    width, _ = SHOWERS[who]
    return camera.width < width if low else camera.width == width


async def change(watchers: list[Person], moment: str, story: Story) -> None:
    quality = moment.split()[0]
    await asyncio.gather(*(watcher.forget() for watcher in watchers))
    for watcher in watchers:
        for who in SHOWERS:
            await watcher.set_quality(who, "camera", quality)
    # A browser sends its highest layer when it trusts the network.
    story.changing[moment] = await all_see(
        watchers, lambda view: all(has_width(view, who, quality == "low") for who in SHOWERS)
    )
    story.views[moment] = await watch(watchers, SWITCH_SECONDS)


async def pause_and_go_on(watchers: list[BrowserPerson], story: Story) -> None:
    for watcher in watchers:
        await watcher.set_enabled("js-vp8", "camera", False)
    await asyncio.sleep(0.5)
    story.views["paused"] = await watch(watchers, 1.5)
    for watcher in watchers:
        await watcher.set_enabled("js-vp8", "camera", True)
    await all_see(watchers, lambda view: seen(view, "js-vp8").counter is not None)
    story.views["going on"] = await watch(watchers, SWITCH_SECONDS)


async def unsubscribe_and_subscribe(watchers: list[Person], story: Story) -> None:
    for watcher in watchers:
        await watcher.subscribe("py-vp8", "camera", False)
    # Browsers show the wish at once, and the track until the server has taken it away.
    await all_see(watchers, lambda view: "unsubscribed py-vp8 camera" in view.events)
    story.views["unsubscribed"] = await views_of(watchers)
    for watcher in watchers:
        await watcher.subscribe("py-vp8", "camera", True)
    await all_see(watchers, lambda view: seen(view, "py-vp8").subscribed and seen(view, "py-vp8").counter is not None)
    story.views["subscribed again"] = await watch(watchers, SWITCH_SECONDS)


async def hold_call(server: ServerProcess) -> Story:
    story = Story()
    async with browsers() as pages:
        pythons = [Publisher(server, CHANNEL, who, subscribes=True) for who in WATCHERS if who.startswith("py")]
        in_browsers = [
            pages.person(server, CHANNEL, who, single_peer=single_peer)
            for who, single_peer in WATCHERS.items()
            if who.startswith("js")
        ]
        showers: list[Person] = [
            pages.person(server, CHANNEL, who, subscribes=False)
            if who.startswith("js")
            else Publisher(server, CHANNEL, who)
            for who in SHOWERS
        ]
        watchers: list[Person] = [*pythons, *in_browsers]
        await asyncio.gather(*(person.join() for person in (*watchers, *showers)))
        for shower in showers:
            codec = shower.identity.partition("-")[2]
            width, height = SHOWERS[shower.identity]
            await shower.publish_camera(codec, width=width, height=height, fps=FPS, simulcast=True, max_bitrate=500_000)
        await all_see(watchers, lambda view: has_tracks(view, dict.fromkeys(SHOWERS, ("camera",))))
        for moment in CHANGES:
            await change(watchers, moment, story)
        await pause_and_go_on(in_browsers, story)
        await unsubscribe_and_subscribe(watchers, story)
        for person in (*watchers, *showers):
            await person.leave()
    return story


@pytest.fixture(scope="module")
def story(client_server: ServerProcess) -> Story:
    return asyncio.run(hold_call(client_server))


@pytest.mark.parametrize("moment", CHANGES)
@pytest.mark.parametrize("shower", SHOWERS)
@pytest.mark.parametrize("watcher", WATCHERS)
def test_the_asked_for_layer_is_shown(story: Story, watcher: str, shower: str, moment: str) -> None:
    camera = seen(story.views[moment][watcher], shower)
    assert has_width(story.views[moment][watcher], shower, moment.startswith("low")), camera
    check_pictures_flow(camera, FPS, SWITCH_SECONDS)


@pytest.mark.parametrize("moment", CHANGES[1:])
@pytest.mark.parametrize("shower", SHOWERS)
@pytest.mark.parametrize("watcher", WATCHERS)
def test_the_picture_goes_on_while_the_layer_changes(story: Story, watcher: str, shower: str, moment: str) -> None:
    camera = seen(story.changing[moment][watcher], shower)
    assert camera.unreadable == 0
    assert camera.repeated <= MAX_REPEATED_AT_A_SWITCH, camera
    assert camera.longest_pause_seconds < 1.0, camera


@pytest.mark.parametrize("watcher", [who for who in WATCHERS if who.startswith("js")])
def test_a_paused_picture_is_not_sent_and_goes_on_when_it_is_wanted(story: Story, watcher: str) -> None:
    assert seen(story.views["paused"][watcher], "js-vp8").pictures <= 1
    check_pictures_flow(seen(story.views["paused"][watcher], "py-vp8"), FPS, 1.5)
    check_pictures_flow(seen(story.views["going on"][watcher], "js-vp8"), FPS, SWITCH_SECONDS)


@pytest.mark.parametrize("watcher", WATCHERS)
def test_who_subscribes_again_sees_again(story: Story, watcher: str) -> None:
    assert not seen(story.views["unsubscribed"][watcher], "py-vp8").subscribed
    check_pictures_flow(seen(story.views["subscribed again"][watcher], "py-vp8"), FPS, SWITCH_SECONDS)
