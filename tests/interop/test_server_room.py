"""One room of all supported clients, old and new signalling path: each sees, hears and reads all others, whatever they
do, and the recorder records it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from testbed.browser import Browsers, browsers
from testbed.person import Captured, Person
from testbed.publisher import Publisher
from testbed.recorder import Recorder, Recording
from testbed.server_process import ServerProcess
from testbed.view import SeenMessage, View
from tests.interop.checks import check_decodes, played
from tests.interop.people import (
    all_see,
    check_no_pictures,
    check_pictures_flow,
    check_tone,
    flows,
    has_tracks,
    seen,
    views_of,
    watch,
)

CHANNEL = "server-room"
FPS = 10
WIDTH, HEIGHT = 240, 180
WATCH_SECONDS = 3.0
BROWSERS = {
    "js-2.15-v0": ("2.15.16", False),
    "js-2.15-v1": ("2.15.16", True),
    "js-2.18-v0": ("2.18.10", False),
    "js-2.18-v1": ("2.18.10", True),
    "js-2.23-v0": ("2.23.0", False),
    "js-2.23-v1": ("2.23.0", True),
}
PYTHONS = {"py-v0": False, "py-v1": True}
EVERYBODY = (*BROWSERS, *PYTHONS)
TONES = {who: 400 + 100 * number for number, who in enumerate(EVERYBODY)}
SOURCES = ("camera", "microphone")
MUTERS = ("js-2.18-v0", "py-v1")
UNPUBLISHERS = ("js-2.15-v1", "py-v0")
RETURNERS = ("js-2.18-v1", "py-v1")
DOUBLED = "js-2.15-v0"
STEADY = ("js-2.23-v0", "js-2.23-v1")
"""Talk from start to end."""


@dataclass
class Story:
    """What everybody saw, by the name of the scene and identity."""

    views: dict[str, dict[str, View]] = field(default_factory=dict[str, dict[str, View]])
    answers: dict[str, str] = field(default_factory=dict[str, str])
    """Of calls, by caller."""
    captured: dict[str, dict[str, Captured]] = field(default_factory=dict[str, dict[str, Captured]])
    recording: Recording | None = None


def new_person(server: ServerProcess, pages: Browsers, who: str) -> Person:
    if who in PYTHONS:
        return Publisher(server, CHANNEL, who, subscribes=True, single_peer=PYTHONS[who])
    version, single_peer = BROWSERS[who]
    return pages.person(server, CHANNEL, who, version, single_peer=single_peer)


async def show(person: Person) -> None:
    await person.publish_camera(width=WIDTH, height=HEIGHT, fps=FPS, max_bitrate=200_000)


async def talk(person: Person) -> None:
    await show(person)
    await person.publish_microphone(TONES[person.identity])


def everybody_flows(view: View) -> bool:
    return all(flows(view, who) for who in EVERYBODY if who != view.identity)


async def mute_and_unmute(people: dict[str, Person], story: Story) -> None:
    for who in MUTERS:
        for source in SOURCES:
            await people[who].mute(source)

    def mutes_show(view: View) -> bool:
        others = [who for who in MUTERS if who != view.identity]
        return all(seen(view, who, source).muted for who in others for source in SOURCES)

    await all_see(people.values(), mutes_show)
    await asyncio.sleep(0.5)
    story.views["muted"] = await watch(people.values(), 1.5)
    for who in MUTERS:
        for source in SOURCES:
            await people[who].unmute(source)
    await asyncio.gather(*(person.forget() for person in people.values()))
    story.views["unmuted"] = await all_see(people.values(), everybody_flows)


async def unpublish_and_publish(people: dict[str, Person], story: Story) -> None:
    for who in UNPUBLISHERS:
        await people[who].unpublish("camera")

    def cameras_are_gone(view: View) -> bool:
        return all(view.track(who, "camera") is None for who in UNPUBLISHERS if who != view.identity)

    story.views["unpublished"] = await all_see(people.values(), cameras_are_gone)
    for who in UNPUBLISHERS:
        await show(people[who])
    story.views["published again"] = await all_see(people.values(), everybody_flows)


async def leave_and_return(people: dict[str, Person], story: Story) -> None:
    for who in RETURNERS:
        await people[who].leave()
    stayed = [person for who, person in people.items() if who not in RETURNERS]
    story.views["left"] = await all_see(stayed, lambda view: not set(RETURNERS) & set(view.people))
    for who in RETURNERS:
        await people[who].join()
        await talk(people[who])
    story.views["returned"] = await all_see(people.values(), everybody_flows)


async def double(server: ServerProcess, people: dict[str, Person], story: Story) -> None:
    """Somebody joins under an identity that is in use, and leaves again."""
    first, second = people[DOUBLED], Publisher(server, CHANNEL, DOUBLED, subscribes=True)
    await second.join()
    await second.publish_microphone(TONES[DOUBLED])
    story.views["thrown out"] = await all_see([first], lambda view: not view.is_connected)
    sid = (await second.look()).sid
    others = [person for person in people.values() if person is not first]
    story.views["doubled"] = await all_see(
        others, lambda view: DOUBLED in view.people and view.people[DOUBLED].sid == sid
    )
    await second.leave()
    await first.vanish()
    await all_see(others, lambda view: DOUBLED not in view.people)
    await first.join()
    await talk(first)
    await all_see(people.values(), everybody_flows)


async def say(people: dict[str, Person], story: Story) -> None:
    """Everybody by all means."""
    for who, person in people.items():
        await person.set_name(f"name of {who}")
        await person.set_metadata(f"metadata of {who}")
        await person.set_attributes({"mood": f"mood of {who}"})
        await person.send_data(f"hello from {who}", topic="greetings")
        await person.send_data(f"perhaps from {who}", topic="lossy", reliable=False)
        await person.send_text(f"chat from {who}", topic="lk.chat")
        await person.send_data(f"secret from {who}", topic="whispers", to=("py-v0", "js-2.23-v1"))
        story.answers[who] = await person.call(EVERYBODY[EVERYBODY.index(who) - 1], f"call {who}")
    last = EVERYBODY[-1]

    def arrived(view: View) -> bool:
        texts = [message.text for message in view.messages]
        return view.identity == last or (
            f"chat from {last}" in texts and view.people[last].attributes.get("mood") == f"mood of {last}"
        )

    await all_see(people.values(), arrived)
    await asyncio.sleep(0.3)
    story.views["said"] = await views_of(people.values())


async def hold_call(server: ServerProcess, root: Path) -> Story:
    story = Story()
    async with browsers() as pages:
        recorder = await Recorder.start(server, CHANNEL, root)
        people = {who: new_person(server, pages, who) for who in EVERYBODY}
        await asyncio.gather(*(person.join() for person in people.values()))
        await asyncio.gather(*(talk(person) for person in people.values()))
        await all_see(people.values(), lambda view: has_tracks(view, dict.fromkeys(EVERYBODY, SOURCES)))
        await all_see(people.values(), everybody_flows)
        story.views["together"] = await watch(people.values(), WATCH_SECONDS)
        await mute_and_unmute(people, story)
        await unpublish_and_publish(people, story)
        await leave_and_return(people, story)
        await say(people, story)
        await double(server, people, story)
        story.views["end"] = await watch(people.values(), WATCH_SECONDS)
        reports = await asyncio.gather(*(person.leave() for person in people.values()))
        story.captured = dict(zip(EVERYBODY, reports, strict=True))
        story.recording = await recorder.stop()
    return story


@pytest.fixture(scope="module")
def story(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Story:
    return asyncio.run(hold_call(server, tmp_path_factory.mktemp("server-room")))


def others(who: str, among: tuple[str, ...] = EVERYBODY) -> list[str]:
    return [other for other in among if other != who]


@pytest.mark.parametrize("moment", ["together", "end"])
@pytest.mark.parametrize("who", EVERYBODY)
def test_each_sees_and_hears_all_others(story: Story, who: str, moment: str) -> None:
    view = story.views[moment][who]
    assert set(view.people) == set(others(who))
    for other in others(who):
        camera = seen(view, other)
        assert (camera.width, camera.height) == (WIDTH, HEIGHT)
        assert camera.mime_type == "video/vp8"
        check_pictures_flow(camera, FPS, WATCH_SECONDS)
        check_tone(seen(view, other, "microphone"), TONES[other])


@pytest.mark.parametrize("who", EVERYBODY)
def test_who_is_muted_is_neither_seen_nor_heard(story: Story, who: str) -> None:
    for muter in others(who, MUTERS):
        view = story.views["muted"][who]
        assert seen(view, muter).muted
        check_no_pictures(seen(view, muter))
        assert seen(view, muter, "microphone").tone_hz == 0
        again = story.views["unmuted"][who]
        assert not seen(again, muter).muted
        check_tone(seen(again, muter, "microphone"), TONES[muter])


@pytest.mark.parametrize("who", EVERYBODY)
def test_others_go_on_while_somebody_is_muted(story: Story, who: str) -> None:
    for other in others(who):
        if other not in MUTERS:
            check_pictures_flow(seen(story.views["muted"][who], other), FPS, 1.5)


@pytest.mark.parametrize("who", EVERYBODY)
def test_speakers_are_those_who_make_sound(story: Story, who: str) -> None:
    people = story.views["muted"][who].people
    assert not {other for other, person in people.items() if person.speaking} & set(MUTERS)
    # The Python SDK names those of the newest message only, which tells what changed.
    assert who in PYTHONS or any(person.speaking for person in people.values())


@pytest.mark.parametrize("who", EVERYBODY)
def test_an_unpublished_camera_is_gone_and_a_new_one_is_another_track(story: Story, who: str) -> None:
    for other in others(who, UNPUBLISHERS):
        assert f"unpublished {other} camera" in story.views["unpublished"][who].events
        before, after = story.views["together"][who], story.views["published again"][who]
        assert seen(after, other).sid != seen(before, other).sid
        assert seen(after, other, "microphone").sid == seen(before, other, "microphone").sid


@pytest.mark.parametrize("who", others("", tuple(one for one in EVERYBODY if one not in RETURNERS)))
def test_who_leaves_is_gone_and_comes_back_as_somebody_new(story: Story, who: str) -> None:
    for other in RETURNERS:
        # Newer clients add a reason.
        assert any(event.startswith(f"left {other}") for event in story.views["left"][who].events)
        assert story.views["returned"][who].people[other].sid != story.views["together"][who].people[other].sid


def test_an_identity_joins_once_the_first_is_thrown_out(story: Story) -> None:
    assert "disconnected DUPLICATE_IDENTITY" in story.views["thrown out"][DOUBLED].events
    for who in others(DOUBLED):
        assert DOUBLED in story.views["doubled"][who].people


@pytest.mark.parametrize("who", EVERYBODY)
def test_names_metadata_and_attributes_are_seen_by_all(story: Story, who: str) -> None:
    for other in others(who):
        person = story.views["said"][who].people[other]
        told = (person.name, person.metadata, person.attributes["mood"])
        assert told == (f"name of {other}", f"metadata of {other}", f"mood of {other}")


@pytest.mark.parametrize("who", EVERYBODY)
def test_data_and_chat_arrive_once_with_their_sender(story: Story, who: str) -> None:
    messages = story.views["said"][who].messages
    for other in others(who):
        for kind, topic, text, reliable in (
            ("data", "greetings", f"hello from {other}", True),
            ("data", "lossy", f"perhaps from {other}", False),
            ("text", "lk.chat", f"chat from {other}", True),
        ):
            sent = SeenMessage(sender=other, kind=kind, topic=topic, text=text, reliable=reliable)
            assert messages.count(sent) == 1, messages


@pytest.mark.parametrize("who", EVERYBODY)
def test_a_whisper_reaches_those_it_is_for(story: Story, who: str) -> None:
    whispers = {message.sender for message in story.views["said"][who].messages if message.topic == "whispers"}
    assert whispers == (set(others(who)) if who in ("py-v0", "js-2.23-v1") else set())


@pytest.mark.parametrize("who", EVERYBODY)
def test_a_call_is_answered(story: Story, who: str) -> None:
    assert story.answers[who] == f"call {who}"[::-1]


@pytest.mark.parametrize("who", EVERYBODY)
def test_the_room_is_marked_as_recorded_and_the_recorder_is_hidden(story: Story, who: str) -> None:
    view = story.views["end"][who]
    assert view.is_recorded
    assert "900" not in view.people


@pytest.mark.parametrize("who", EVERYBODY)
def test_nobody_is_said_to_be_badly_connected(story: Story, who: str) -> None:
    qualities = {person.quality for person in story.views["end"][who].people.values()}
    assert qualities <= {"excellent", "good", "unknown"}


@pytest.mark.parametrize("who", EVERYBODY)
def test_nobody_had_to_reconnect(story: Story, who: str) -> None:
    assert "reconnecting" not in story.views["end"][who].events


@pytest.mark.parametrize("who", STEADY)
def test_the_recorder_has_all_of_it(story: Story, who: str) -> None:
    assert story.recording is not None
    (path,) = story.recording.paths_of(who)
    playback = played(path)
    check_decodes(playback)
    camera = story.captured[who]["camera"]
    assert playback.repeated_counters == []
    assert len(playback.missing_counters) <= camera.dropped_by_encoder
    assert playback.counters[0] <= 2 * FPS
    assert camera.captured - playback.counters[-1] <= 3
    # A browser on a busy machine makes sound with gaps.
    heard = sum(end - start for start, end in playback.tone_spans(TONES[who]))
    captured = story.captured[who]["microphone"].captured / 100
    assert 0.9 * captured - 1.0 <= heard <= captured + 0.5


@pytest.mark.parametrize("who", EVERYBODY)
def test_the_recorder_has_everybody_with_sound_and_pictures(story: Story, who: str) -> None:
    assert story.recording is not None
    playbacks = [played(path) for path in story.recording.paths_of(who)]
    for playback in playbacks:
        check_decodes(playback)
    assert sum(len(playback.counters) for playback in playbacks) > 5 * FPS
    assert any(playback.tone_spans(TONES[who]) for playback in playbacks)
