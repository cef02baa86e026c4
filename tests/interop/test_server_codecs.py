"""Every codec that clients publish is forwarded, as are pictures, sound and data that only the members can read."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from testbed.browser import Browsers, browsers
from testbed.person import Person
from testbed.publisher import Publisher
from testbed.server_process import ServerProcess
from testbed.view import View
from tests.interop.people import all_see, check_pictures_flow, check_tone, flows, has_tracks, seen, views_of, watch

FPS = 10
WIDTH, HEIGHT = 240, 180
WATCH_SECONDS = 2.5
CODECS = ("vp8", "h264", "vp9", "av1")
SHOWERS = tuple(f"{sdk}-{codec}" for sdk in ("js", "py") for codec in CODECS)
WATCHERS = {"js-v0": False, "js-v1": True, "py-v0": False, "py-v1": True}

KEY = "a passphrase of the room"
MEMBERS = {"js-2.15": "vp8", "js-2.18": "h264", "js-2.23": "vp8", "py": "h264"}
TONES = {who: 400 + 100 * number for number, who in enumerate(MEMBERS)}
VERSIONS = {"js-2.15": "2.15.16", "js-2.18": "2.18.10", "js-2.23": "2.23.0"}
KEYLESS = "keyless"


async def show(person: Person, codec: str) -> None:
    await person.publish_camera(codec, width=WIDTH, height=HEIGHT, fps=FPS, max_bitrate=200_000)


@dataclass
class Encrypted:
    views: dict[str, View] = field(default_factory=dict[str, View])
    answers: dict[str, str] = field(default_factory=dict[str, str])


def new_watcher(server: ServerProcess, pages: Browsers, who: str) -> Person:
    if who.startswith("py"):
        return Publisher(server, "server-codecs", who, subscribes=True, single_peer=WATCHERS[who])
    return pages.person(server, "server-codecs", who, single_peer=WATCHERS[who])


def new_shower(server: ServerProcess, pages: Browsers, who: str) -> Person:
    if who.startswith("py"):
        return Publisher(server, "server-codecs", who)
    return pages.person(server, "server-codecs", who, subscribes=False)


async def show_codecs(server: ServerProcess) -> dict[str, View]:
    async with browsers() as pages:
        watchers = [new_watcher(server, pages, who) for who in WATCHERS]
        showers = [new_shower(server, pages, who) for who in SHOWERS]
        await asyncio.gather(*(person.join() for person in (*watchers, *showers)))
        for shower in showers:
            await show(shower, shower.identity.partition("-")[2])

        def all_come(view: View) -> bool:
            everything = dict.fromkeys(SHOWERS, ("camera",))
            return has_tracks(view, everything) and all(seen(view, who).counter is not None for who in SHOWERS)

        await all_see(watchers, all_come)
        views = await watch(watchers, WATCH_SECONDS)
        await asyncio.gather(*(person.leave() for person in (*watchers, *showers)))
    return views


@pytest.fixture(scope="module")
def codecs(client_server: ServerProcess) -> dict[str, View]:
    return asyncio.run(show_codecs(client_server))


@pytest.mark.parametrize("shower", SHOWERS)
@pytest.mark.parametrize("watcher", WATCHERS)
def test_every_codec_is_seen_by_everybody(codecs: dict[str, View], watcher: str, shower: str) -> None:
    camera = seen(codecs[watcher], shower)
    assert camera.mime_type == f"video/{shower.partition('-')[2]}"
    assert (camera.width, camera.height) == (WIDTH, HEIGHT)
    check_pictures_flow(camera, FPS, WATCH_SECONDS)


def new_member(server: ServerProcess, pages: Browsers, who: str) -> Person:
    if who == "py":
        return Publisher(server, "server-encrypted", who, subscribes=True, encryption_key=KEY)
    version, single_peer = VERSIONS[who], who != "js-2.15"
    return pages.person(server, "server-encrypted", who, version, single_peer=single_peer, encryption_key=KEY)


async def talk_encrypted(server: ServerProcess) -> Encrypted:
    story = Encrypted()
    async with browsers() as pages:
        members = {who: new_member(server, pages, who) for who in MEMBERS}
        keyless = Publisher(server, "server-encrypted", KEYLESS, subscribes=True)
        await asyncio.gather(*(person.join() for person in (*members.values(), keyless)))
        for who, person in members.items():
            await show(person, MEMBERS[who])
            await person.publish_microphone(TONES[who])

        def all_flow(view: View) -> bool:
            return all(flows(view, who) for who in MEMBERS if who != view.identity)

        await all_see(members.values(), all_flow)
        for number, (who, person) in enumerate(members.items()):
            await person.send_data(f"hello from {who}", topic="greetings")
            await person.send_text(f"chat from {who}", topic="lk.chat")
            story.answers[who] = await person.call([*MEMBERS][number - 1], f"call {who}")
        story.views = await watch(members.values(), WATCH_SECONDS) | await views_of([keyless])
        await asyncio.gather(*(person.leave() for person in (*members.values(), keyless)))
    return story


@pytest.fixture(scope="module")
def encrypted(client_server: ServerProcess) -> Encrypted:
    return asyncio.run(talk_encrypted(client_server))


def others(who: str) -> list[str]:
    return [other for other in MEMBERS if other != who]


@pytest.mark.parametrize("who", MEMBERS)
def test_members_of_an_encrypted_room_see_and_hear_each_other(encrypted: Encrypted, who: str) -> None:
    for other in others(who):
        camera, microphone = seen(encrypted.views[who], other), seen(encrypted.views[who], other, "microphone")
        assert camera.encrypted
        assert microphone.encrypted
        check_pictures_flow(camera, FPS, WATCH_SECONDS)
        check_tone(microphone, TONES[other])


@pytest.mark.parametrize("who", MEMBERS)
def test_members_of_an_encrypted_room_read_each_other(encrypted: Encrypted, who: str) -> None:
    texts = {message.text for message in encrypted.views[who].messages}
    for other in others(who):
        assert {f"hello from {other}", f"chat from {other}"} <= texts
    assert encrypted.answers[who] == f"call {who}"[::-1]


def test_who_has_no_key_sees_hears_and_reads_nothing(encrypted: Encrypted) -> None:
    view = encrypted.views[KEYLESS]
    assert view.messages == ()
    for who in MEMBERS:
        assert seen(view, who).counter is None
        assert seen(view, who, "microphone").tone_hz != pytest.approx(TONES[who], abs=8)
