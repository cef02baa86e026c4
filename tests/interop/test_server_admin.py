"""RoomService through the official server library, what the clients in the room see of it, and signed webhooks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from livekit import api

from testbed.browser import browsers
from testbed.embedded import EmbeddedServer
from testbed.person import Person
from testbed.publisher import Publisher
from testbed.server import CURRENT_VERSION, LiveKitServer
from testbed.server_process import API_KEY, ServerProcess
from testbed.view import View
from testbed.webhooks import Webhooks
from tests.interop.conftest import CLIENT_SERVERS, EMBEDDED
from tests.interop.people import all_see, check_no_pictures, flows, seen, watch

CHANNEL = "server-admin"
LIMIT_SECONDS = 10.0


@dataclass
class Story:
    answers: dict[str, Any] = field(default_factory=dict[str, Any])
    views: dict[str, dict[str, View]] = field(default_factory=dict[str, dict[str, View]])
    hooks: list[str] = field(default_factory=list[str])
    hooks_forged: int = 0
    ids: list[str] = field(default_factory=list[str])


async def refused(asked: Any) -> tuple[str, int]:
    """The code of the refusal and its HTTP status."""
    with pytest.raises(api.TwirpError) as caught:
        await asked
    return str(caught.value.code), int(caught.value.status)


async def listed_with(admin: api.LiveKitAPI, participants: int) -> api.Room:
    """livekit-server counts now and then."""
    async with asyncio.timeout(LIMIT_SECONDS):
        while True:
            (room,) = (await admin.room.list_rooms(api.ListRoomsRequest(names=[CHANNEL]))).rooms
            if room.num_participants == participants:
                return room
            await asyncio.sleep(0.1)


async def administer(admin: api.LiveKitAPI, people: list[Person], story: Story) -> None:
    room, answers = admin.room, story.answers
    answers["created"] = await room.create_room(
        api.CreateRoomRequest(name=CHANNEL, metadata="first", max_participants=3, empty_timeout=60)
    )
    alice, bob = people
    for person in people:
        await person.join()
        await person.publish_camera()
        await person.publish_microphone(500)
    await all_see(people, lambda view: all(flows(view, who) for who in ("alice", "bob") if who != view.identity))
    answers["listed"] = await listed_with(admin, 2)
    answers["none"] = await room.list_rooms(api.ListRoomsRequest(names=["elsewhere"]))
    answers["participants"] = await room.list_participants(api.ListParticipantsRequest(room=CHANNEL))
    who = api.RoomParticipantIdentity(room=CHANNEL, identity="alice")
    answers["alice"] = await room.get_participant(who)

    microphone = seen(await bob.look(), "alice", "microphone").sid
    mute = api.MuteRoomTrackRequest(room=CHANNEL, identity="alice", track_sid=microphone, muted=True)
    answers["muted"] = await room.mute_published_track(mute)
    story.views["muted"] = await all_see([bob], lambda view: seen(view, "alice", "microphone").muted)

    update = api.UpdateParticipantRequest(room=CHANNEL, identity="alice", metadata="told so", name="Alice L.")
    update.attributes["rank"] = "captain"
    answers["updated"] = await room.update_participant(update)
    story.views["updated"] = await all_see([bob], lambda view: view.people["alice"].metadata == "told so")

    data = api.SendDataRequest(room=CHANNEL, data=b"from the server", destination_identities=["bob"], topic="notice")
    await room.send_data(data)
    story.views["sent"] = await all_see([bob], lambda view: bool(view.messages)) | await all_see([alice], bool)

    camera = seen(await bob.look(), "alice").sid
    unsubscribe = api.UpdateSubscriptionsRequest(room=CHANNEL, identity="bob", track_sids=[camera], subscribe=False)
    await room.update_subscriptions(unsubscribe)
    await asyncio.sleep(0.5)
    story.views["unsubscribed"] = await watch([bob], 1.0)

    answers["metadata"] = await room.update_room_metadata(
        api.UpdateRoomMetadataRequest(room=CHANNEL, metadata="second")
    )
    answers["refusals"] = [
        await refused(room.get_participant(api.RoomParticipantIdentity(room=CHANNEL, identity="nobody"))),
        await refused(room.remove_participant(api.RoomParticipantIdentity(room=CHANNEL, identity="nobody"))),
    ]
    await room.remove_participant(who)
    story.views["removed"] = await all_see([alice], lambda view: not view.is_connected)
    await all_see([bob], lambda view: "alice" not in view.people)
    await room.delete_room(api.DeleteRoomRequest(room=CHANNEL))
    story.views["deleted"] = await all_see([bob], lambda view: not view.is_connected)
    answers["afterwards"] = await room.list_rooms(api.ListRoomsRequest(names=[CHANNEL]))
    for person in people:
        await person.vanish()


@asynccontextmanager
async def with_a_foreign_secret(server: ServerProcess) -> AsyncGenerator[api.LiveKitAPI]:
    async with api.LiveKitAPI(f"http://127.0.0.1:{server.port}", API_KEY, "x" * 40) as admin:
        yield admin


async def tell(make: Callable[[str], ServerProcess]) -> Story:
    story = Story()
    async with Webhooks() as hooks, browsers() as pages:
        server = make(hooks.url)
        with server:
            people: list[Person] = [
                pages.person(server, CHANNEL, "alice"),
                Publisher(server, CHANNEL, "bob", subscribes=True),
            ]
            async with server.admin() as admin, with_a_foreign_secret(server) as stranger:
                await administer(admin, people, story)
                story.answers["stranger"] = await refused(stranger.room.list_rooms(api.ListRoomsRequest()))
            async with asyncio.timeout(LIMIT_SECONDS):
                while "room_finished" not in hooks.told(CHANNEL):  # noqa: ASYNC110 - hooks come when they come
                    await asyncio.sleep(0.1)
        story.hooks, story.hooks_forged = hooks.told(CHANNEL), hooks.forged
        story.ids = [event.id for event in hooks.events]
    return story


SERVERS: dict[str, Callable[[str], ServerProcess]] = {
    EMBEDDED: lambda url: EmbeddedServer(webhook_url=url),
    CURRENT_VERSION: lambda url: LiveKitServer(webhook_url=url),
}


@pytest.fixture(scope="module", params=CLIENT_SERVERS)
def story(request: pytest.FixtureRequest) -> Story:
    return asyncio.run(tell(SERVERS[request.param]))


def test_a_room_is_created_as_asked_and_listed(story: Story) -> None:
    created = story.answers["created"]
    assert (created.name, created.metadata, created.max_participants) == (CHANNEL, "first", 3)
    assert created.sid.startswith("RM_")
    assert story.answers["listed"].sid == created.sid
    assert list(story.answers["none"].rooms) == []


def test_participants_are_listed_with_their_tracks(story: Story) -> None:
    listed = {one.identity: one for one in story.answers["participants"].participants}
    assert set(listed) == {"alice", "bob"}
    assert listed["alice"].state == api.ParticipantInfo.State.ACTIVE
    for person in listed.values():
        assert {track.mime_type.lower() for track in person.tracks} >= {"video/vp8"}
        assert len(person.tracks) == 2
    assert story.answers["alice"].sid == listed["alice"].sid


def test_a_track_that_the_server_mutes_is_muted_for_all(story: Story) -> None:
    assert story.answers["muted"].track.muted
    assert seen(story.views["muted"]["bob"], "alice", "microphone").muted


def test_what_the_server_says_of_a_participant_is_seen_by_all(story: Story) -> None:
    assert story.answers["updated"].metadata == "told so"
    alice = story.views["updated"]["bob"].people["alice"]
    assert (alice.name, alice.metadata, alice.attributes) == ("Alice L.", "told so", {"rank": "captain"})


def test_data_of_the_server_reaches_whom_it_is_for(story: Story) -> None:
    (message,) = story.views["sent"]["bob"].messages
    assert (message.sender, message.topic, message.text) == ("", "notice", "from the server")
    assert story.views["sent"]["alice"].messages == ()


def test_the_server_unsubscribes_for_somebody(story: Story) -> None:
    # The Python SDK shows the picture's frame on, without pictures.
    check_no_pictures(seen(story.views["unsubscribed"]["bob"], "alice"))


def test_room_metadata_is_changed(story: Story) -> None:
    assert story.answers["metadata"].metadata == "second"


def test_what_is_not_there_is_not_found_and_strangers_are_refused(story: Story) -> None:
    assert story.answers["refusals"] == [("not_found", 404), ("not_found", 404)]
    assert story.answers["stranger"][1] == 401


def test_who_is_removed_and_who_is_left_when_the_room_is_deleted_are_told_why(story: Story) -> None:
    assert "disconnected PARTICIPANT_REMOVED" in story.views["removed"]["alice"].events
    assert "disconnected ROOM_DELETED" in story.views["deleted"]["bob"].events
    assert list(story.answers["afterwards"].rooms) == []


def test_webhooks_tell_the_story_signed_and_each_with_an_id_of_its_own(story: Story) -> None:
    assert story.hooks_forged == 0
    assert len(set(story.ids)) == len(story.ids)
    hooks = story.hooks
    assert hooks[0] == "room_started"
    assert hooks[-1] == "room_finished"
    for who in ("alice", "bob"):
        for source in ("camera", "microphone"):
            joined, published = hooks.index(f"participant_joined {who}"), hooks.index(f"track_published {who} {source}")
            unpublished, left = hooks.index(f"track_unpublished {who} {source}"), hooks.index(f"participant_left {who}")
            assert joined < published < unpublished < left, hooks
