"""The routes of recordings: start, stop, list, and stream their files."""

from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Query, Request, Response

from channel_recorder.service.access import Access, Visitor
from channel_recorder.service.file_response import file_response
from channel_recorder.service.models import Problem, Recording, RecordingFiles, RecordingPage, StartRecording
from channel_recorder.service.recordings import Recordings
from channel_recorder.service.shelf import content_type

LIST_DEFAULT = 20
LIST_MAX = 100


def problem_answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For the OpenAPI description."""
    return {status: {"model": Problem} for status in statuses}


async def _visitor(request: Request) -> Visitor:
    return cast("Access", request.app.state.access).visitor(request)


async def _recordings(request: Request) -> Recordings:
    return request.app.state.recordings


Who = Annotated[Visitor, Depends(_visitor)]
Books = Annotated[Recordings, Depends(_recordings)]

router = APIRouter(prefix="/api/recordings", tags=["recordings"], responses=problem_answers(401, 403))


@router.post("", status_code=201, responses=problem_answers(409, 422, 501, 502, 503, 507))
async def start_recording(wish: StartRecording, visitor: Who, books: Books, response: Response) -> Recording:
    """Joins the channel as a silent member and records it. Answers when the recorder is in the channel."""
    recording = await books.start(wish, visitor)
    response.headers["Location"] = f"/api/recordings/{recording.id}"
    return recording


@router.get("")
async def list_recordings(
    visitor: Who,
    books: Books,
    channel: Annotated[str | None, Query(max_length=256)] = None,
    before: Annotated[str, Query(max_length=64)] = "",
    limit: Annotated[int, Query(ge=1, le=LIST_MAX)] = LIST_DEFAULT,
) -> RecordingPage:
    """Running and ended ones, newest first."""
    return await books.page(visitor, channel=channel, before=before, limit=limit)


@router.get("/{id}", responses=problem_answers(404))
async def get_recording(id: str, visitor: Who, books: Books) -> Recording:
    return await books.get(id, visitor)


@router.post("/{id}/stop", responses=problem_answers(404, 409))
async def stop_recording(id: str, visitor: Who, books: Books) -> Recording:
    """Answers when every file is whole. Has no effect on a recording that has ended."""
    return await books.stop(id, visitor)


@router.get("/{id}/files", responses=problem_answers(404))
async def list_files(id: str, visitor: Who, books: Books) -> RecordingFiles:
    return await books.files(id, visitor)


@router.head("/{id}/files/{name}", include_in_schema=False, response_class=Response)
@router.get("/{id}/files/{name}", responses=problem_answers(404), response_class=Response)
async def get_file(
    id: str, name: str, visitor: Who, books: Books, request: Request, download: bool = False
) -> Response:
    """The file, or the part that a Range header asks for; also while it grows."""
    descriptor = await books.open_file(id, name, visitor)
    return file_response(request, descriptor, name, content_type(name), download=download)
