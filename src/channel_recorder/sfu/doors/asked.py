"""What a request says of itself: its query, its token, where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from channel_recorder.sfu.access import bearer_token
from channel_recorder.sfu.contract import JoinRefusedError

MAX_PARAMETERS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    address: str
    """Where from; empty where there is none to tell."""
    query: Mapping[str, str] = field(repr=False)
    authorization: str | None = field(repr=False)
    origin: str | None = None
    """Of the page that asks; None where it is no browser."""

    @property
    def is_foreign_page(self) -> bool:
        """A page from elsewhere makes a browser on this machine ask."""
        return self.origin is not None and _is_loopback(self.address) and not _is_loopback(_host(self.origin))

    @property
    def token(self) -> str:
        """Empty: there is none. Raises JoinRefusedError for an authorization of another kind."""
        return bearer_token(self.authorization, self.query)


def read_asked(scope: Scope) -> Asked:
    """Raises JoinRefusedError for a query that is none."""
    client, headers = scope.get("client"), Headers(scope=scope)
    return Asked(
        address=client[0] if client else "",
        query=_parameters(scope.get("query_string", b"")),
        authorization=headers.get("authorization"),
        origin=headers.get("origin"),
    )


def _host(origin: str) -> str:
    """Empty for `null`, which a page of any site may be."""
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _parameters(query: bytes) -> dict[str, str]:
    """The first of each name, as a browser's form would be read."""
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise JoinRefusedError(400, "the query has too many parameters") from None
    return dict(reversed(pairs))
