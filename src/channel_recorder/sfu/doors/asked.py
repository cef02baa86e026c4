"""What a request says of itself: its query, its token, where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

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

    @property
    def token(self) -> str:
        """Empty: there is none. Raises JoinRefusedError for an authorization of another kind."""
        return bearer_token(self.authorization, self.query)


def read_asked(scope: Scope) -> Asked:
    """Raises JoinRefusedError for a query that is none."""
    client = scope.get("client")
    return Asked(
        address=client[0] if client else "",
        query=_parameters(scope.get("query_string", b"")),
        authorization=Headers(scope=scope).get("authorization"),
    )


def _parameters(query: bytes) -> dict[str, str]:
    """The first of each name, as a browser's form would be read."""
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise JoinRefusedError(400, "the query has too many parameters") from None
    return dict(reversed(pairs))
