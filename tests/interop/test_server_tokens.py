"""The official SDK joins with classic tokens, and with an App ID alone: what they do not tell stands behind the URL."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from livekit import rtc

from channel_recorder import clock
from channel_recorder.protocol.classic_tokens import make_classic_token
from channel_recorder.protocol.privileges import PUBLISHER
from channel_recorder.sfu.access import Keys
from channel_recorder.wiring.serve import ServeSettings, serve

pytestmark = pytest.mark.interop

APP_ID, CERTIFICATE = "970ca35de60c44645bbae8a215061b33", "5cfd2fd1755d40ecb72977518be15d3b"
OPEN = "0061b33970ca35de60c44645bbae8a21"
LIMIT_SECONDS = 20


def classic(version: str) -> str:
    return make_classic_token(
        version,
        APP_ID,
        CERTIFICATE,
        channel="lesson",
        account="7",
        privileges=PUBLISHER,
        now_seconds=clock.unix_seconds(),
        valid_for_seconds=3600,
        salt=5,
    )


@pytest.mark.parametrize(
    ("token", "query"),
    [
        (classic("006"), "?channel=lesson&uid=7&name=Anna"),
        (classic("007"), "?channel=lesson&uid=7&name=Anna"),
        (classic("007"), "?name=Anna"),
        (OPEN, "?channel=lesson&uid=7&name=Anna"),
    ],
    ids=["006", "007", "007 says it all", "App ID alone"],
)
async def test_the_official_sdk_joins_without_a_livekit_token(token: str, query: str, tmp_path: Path) -> None:
    keys = Keys({APP_ID: CERTIFICATE, OPEN: None})
    async with serve(ServeSettings(keys=keys, port=0, recordings=tmp_path)) as process:
        room = rtc.Room()
        async with asyncio.timeout(LIMIT_SECONDS):
            await room.connect(f"{process.url}/{query}", token)
        assert (room.name, room.local_participant.identity, room.local_participant.name) == ("lesson", "7", "Anna")
        source = rtc.AudioSource(48_000, 1)
        async with asyncio.timeout(LIMIT_SECONDS):
            await room.local_participant.publish_track(rtc.LocalAudioTrack.create_audio_track("microphone", source))
        await room.disconnect()
        await source.aclose()
