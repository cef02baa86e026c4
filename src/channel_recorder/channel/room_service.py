"""The few questions put to a server's RoomService (Twirp over HTTP, JSON)."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import urllib.error
import urllib.request
from urllib.parse import urlsplit, urlunsplit

from channel_recorder import clock
from channel_recorder.protocol.tokens import Grants, make_access_token

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 3.0
TOKEN_VALID_SECONDS = 60.0
_SCHEMES = {"ws": "http", "wss": "https", "http": "http", "https": "https"}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A token must not follow a redirect."""

    def redirect_request(self, *args: object, **kwargs: object) -> None:
        return None


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


async def is_identity_taken(server_url: str, api_key: str, api_secret: str, *, room: str, identity: str) -> bool:
    """Whether a member of the room has this identity. A server that gives no clear answer counts as no."""
    token = make_access_token(
        api_key,
        api_secret,
        identity=identity,
        room=room,
        now_seconds=clock.unix_seconds(),
        valid_for_seconds=TOKEN_VALID_SECONDS,
        grants=Grants(room_join=False, room_admin=True),
    )
    url = _method_url(server_url, "GetParticipant")
    request = urllib.request.Request(
        url,
        data=json.dumps({"room": room, "identity": identity}).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    return await asyncio.to_thread(_is_found, request)


def _is_found(request: urllib.request.Request) -> bool:
    try:
        with _opener.open(request, timeout=TIMEOUT_SECONDS) as response:  # the scheme is http or https
            return response.status == 200
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != 404:
            logger.info("the server did not say whether the identity is free (HTTP status %d)", error.code)
        return False
    except (OSError, http.client.HTTPException) as error:
        # The join that follows meets the same fault and names it.
        logger.info("the server did not say whether the identity is free (%s)", type(error).__name__)
        return False


def _method_url(server_url: str, method: str) -> str:
    parts = urlsplit(server_url.strip())
    path = f"{parts.path.rstrip('/')}/twirp/livekit.RoomService/{method}"
    return urlunsplit((_SCHEMES[parts.scheme], parts.netloc, path, "", ""))
