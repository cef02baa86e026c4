"""Errors as the API tells them: problem details (RFC 9457) with the classic code and a word for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from channel_recorder.errors import (
    AppIdError,
    ChannelNameError,
    ConfigError,
    ErrorCode,
    JoinError,
    RecorderError,
    ServerUnreachableError,
    StateError,
    StorageError,
    TokenError,
    UidInUseError,
)

MEDIA_TYPE = "application/problem+json"


class ProblemError(Exception):
    """Why a request is refused. `reason` is a word that programs can rely on."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        reason: str = "",
        code: ErrorCode = ErrorCode.GENERIC,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.reason = reason or HTTPStatus(status).name.lower()
        self.code = code
        self.headers = dict(headers or {})

    def response(self) -> JSONResponse:
        body = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "reason": self.reason,
            "code": int(self.code),
        }
        return JSONResponse(body, self.status, headers=self.headers, media_type=MEDIA_TYPE)


_KINDS: tuple[tuple[type[RecorderError], int, str], ...] = (
    (ConfigError, 422, "invalid"),
    (ChannelNameError, 422, "invalid_channel"),
    (UidInUseError, 409, "uid_in_use"),
    (ServerUnreachableError, 502, "server_unreachable"),
    (TokenError, 502, "server_refused"),
    (AppIdError, 502, "server_refused"),
    (JoinError, 502, "server_refused"),
    (StateError, 409, "wrong_state"),
    (StorageError, 507, "storage"),
)
"""First fit: the fault of who asks, of the channel server, of the disk."""


def problem_of(error: RecorderError) -> ProblemError:
    for kind, status, reason in _KINDS:
        if isinstance(error, kind):
            return ProblemError(status, str(error), reason=reason, code=error.code)
    return ProblemError(500, str(error), reason="failed", code=error.code)


def install_problem_handlers(app: FastAPI) -> None:
    """Whatever goes wrong in the app is told in the one form."""
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(RecorderError, _on_recorder_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, _on_fault)


async def _on_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemError)
    return error.response()


async def _on_recorder_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RecorderError)
    return problem_of(error).response()


async def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    sentence = _sentence(error.errors())
    return ProblemError(422, sentence, reason="invalid", code=ErrorCode.INVALID_ARGUMENT).response()


async def _on_http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    detail = "there is nothing at this address" if error.status_code == HTTPStatus.NOT_FOUND else error.detail
    return ProblemError(error.status_code, detail, headers=error.headers).response()


async def _on_fault(request: Request, error: Exception) -> JSONResponse:
    # Starlette raises it again for the log; what it says is nobody's business outside.
    return ProblemError(500, "internal fault: the log says more", code=ErrorCode.INTERNAL).response()


def _sentence(faults: Sequence[Any]) -> str:
    """The first fault. Never the value: it may be a password."""
    fault = faults[0]
    if fault["type"] == "json_invalid":
        return "the request's body is no JSON"
    place = ".".join(str(part) for part in fault["loc"][1:])
    if fault["type"] == "extra_forbidden":
        return f"{place} is not known here"
    return f"{place or 'the request'}: {fault['msg']}"
