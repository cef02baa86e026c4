"""What the manifest says of tracks that stayed sealed, gathered from the journal's facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TRACK_FACT = "sealed_track"
FILE_FACT = "sealed_file"


class SealedBooks:
    """By sid: one entry for each track of which frames could not be decrypted, with the files that keep them."""

    def __init__(self) -> None:
        self._tracks: list[Mapping[str, Any]] = []
        self._files: dict[str, list[str]] = {}

    def note(self, fact: str, fields: Mapping[str, Any]) -> None:
        """Any fact of the journal."""
        if fact == TRACK_FACT:
            self._tracks.append(fields)
        elif fact == FILE_FACT:
            self._files.setdefault(str(fields["sid"]), []).append(str(fields["name"]))

    def entries(self) -> list[dict[str, Any]] | None:
        """In the form of the manifest; None: everything was opened."""
        return [{**track, "files": self._files.get(str(track["sid"]), [])} for track in self._tracks] or None
