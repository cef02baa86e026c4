"""`channel-recorder unseal`: opens what was kept encrypted, once the key is known."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from channel_recorder.cli.connection import ENCRYPTION_KEYS_VARIABLE, SECRET_VARIABLE, secret_of
from channel_recorder.cli.exits import UsageError
from channel_recorder.cli.figures import plural
from channel_recorder.cli.help_groups import OUTPUT, help_group
from channel_recorder.cli.output import standard_output
from channel_recorder.config import RecordingConfig

EXAMPLES = """Examples:
  The passphrase of the channel, from a file:
    channel-recorder unseal recordings/20260301/lesson-7_101512_345678000 --secret @key.txt

  A key for each user:
    channel-recorder unseal FOLDER --encryption-keys '[{"account": "alice", "secret": "..."}]'

The files are those that would have been recorded with the key, in the folder
unsealed with a manifest of their own, on the timeline of the recording.
Nothing that was recorded is changed."""

_KEYS = help_group("Encrypted channels")


def unseal(
    folder: Annotated[
        Path,
        Parameter(
            name="--folder",
            help="Folder of a recording that was made with --keep-ciphertext.",
            group=help_group("Where the files go"),
        ),
    ],
    *,
    secret: Annotated[
        str | None,
        Parameter(
            help="Passphrase that the members of the channel share. Better @FILE that holds it.",
            env_var=SECRET_VARIABLE,
            metavar="SECRET",
            group=_KEYS,
        ),
    ] = None,
    encryption_keys: Annotated[
        str | None,
        Parameter(
            help="Keys of users, of other key indexes, or raw ones, as for record. Better @FILE that holds them.",
            env_var=ENCRYPTION_KEYS_VARIABLE,
            metavar="JSON",
            group=_KEYS,
        ),
    ] = None,
    decryption_mode: Annotated[
        str | None,
        Parameter(help="Default: aes-128-gcm.", metavar="aes-128-gcm|aes-256-gcm", group=_KEYS),
    ] = None,
    json: Annotated[
        bool, Parameter(help="One JSON object on stdout, for programs.", negative=(), group=OUTPUT)
    ] = False,
) -> int:
    """Open frames that stayed encrypted for want of the right key, and write them as playable files."""
    given = {
        "secret": secret_of(secret, "--secret", SECRET_VARIABLE),
        "encryption_keys": secret_of(encryption_keys, "--encryption-keys", ENCRYPTION_KEYS_VARIABLE),
        "decryption_mode": decryption_mode,
    }
    config = RecordingConfig(**{name: value for name, value in given.items() if value is not None})
    if not config.all_encryption_keys:
        raise UsageError(f"a key is missing: give --secret or --encryption-keys, or set {SECRET_VARIABLE}")
    # Here, so that the help needs no FFmpeg.
    from channel_recorder.wiring.unseal import unseal_folder

    done = unseal_folder(folder, config)
    names = [file.name for file in done.manifest.files]
    fields = {"storage_dir": str(done.path), "files": names, "frames": done.frames, "unopened": done.unopened_frames}
    stream = standard_output()
    if json:
        stream.write(json_text.dumps({"event": "unsealed", **fields}) + "\n")
    else:
        rest = f", {done.unopened_frames} stay sealed" if done.unopened_frames else ""
        stream.write(f"{plural(len(names), 'file')} in {done.path}: {plural(done.frames, 'frame')} opened{rest}\n")
    stream.flush()
    return 0
