"""Runs the call, records it, and shows what came of it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from demo.contact_sheet import write_contact_sheet
from demo.findings import findings_of, table_of
from testbed.embedded import EmbeddedServer
from testbed.person import Person
from testbed.publisher import Publisher
from testbed.recorder import Recorder, Recording

CHANNEL = "demo"
CALL_SECONDS = 20
OUTPUT = Path("demo-output")
PEOPLE = (("1001", "Ada", "vp8", 165), ("1002", "Grace", "h264", 220))
"""uid, name, codec of the camera, pitch of the voice in Hz."""
TRY_IT = """
Now with a camera: run

    [bold]{command} serve[/]

and open [bold]http://127.0.0.1:7880[/] in a browser, twice for a call of two. Record is a button there."""


async def join(server: EmbeddedServer, uid: str, name: str, codec: str, hz: float) -> Person:
    person = Publisher(server, CHANNEL, uid, name=name)
    await person.join()
    await person.publish_camera(codec, width=640, height=360, max_bitrate=800_000, look="card")
    await person.publish_microphone(hz, has_voice=True)
    return person


async def show_progress(console: Console) -> None:
    columns = (TextColumn("[cyan]recording[/]"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("recording", total=CALL_SECONDS)
        for _ in range(CALL_SECONDS * 2):
            await asyncio.sleep(0.5)
            progress.advance(task, 0.5)


async def hold_call(console: Console) -> Recording:
    with EmbeddedServer() as server:
        console.print(f"channel-recorder serves channels at {server.url}")
        recorder = await Recorder.start(server, CHANNEL, OUTPUT / "recordings", uid=1)
        console.print(
            f"channel-recorder joined channel {CHANNEL!r}, files go to {recorder.storage_dir}", soft_wrap=True
        )
        people = await asyncio.gather(*(join(server, *person) for person in PEOPLE))
        console.print(f"{' and '.join(name for _, name, _, _ in PEOPLE)} joined with the official LiveKit SDK")
        await show_progress(console)
        await asyncio.gather(*(person.leave() for person in people))
        return await recorder.stop()


def command() -> str:
    """As it can be typed from here."""
    program = Path(sys.executable).with_name("channel-recorder")
    return str(program.relative_to(Path.cwd()) if program.is_relative_to(Path.cwd()) else program)


def main() -> int:
    console = Console(highlight=False)
    recording = asyncio.run(hold_call(console))
    console.print("reading the files back ...")
    findings = findings_of(recording)
    console.print(table_of(findings))
    sheet = write_contact_sheet([finding.path for finding in findings], OUTPUT / "contact-sheet.png")
    console.print(f"pictures of the recording: [bold]{sheet}[/]", soft_wrap=True)
    console.print(f"files, journal and manifest: [bold]{recording.directory}[/]", soft_wrap=True)
    console.print(TRY_IT.format(command=command()), soft_wrap=True)
    return 0 if recording.exit_code == 0 and all(finding.is_good for finding in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
