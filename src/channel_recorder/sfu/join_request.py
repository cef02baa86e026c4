"""A wish to join, as it comes in the query of `/rtc` (plain parameters) or `/rtc/v1` (one packed `join_request`)."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar, cast

from google.protobuf.message import DecodeError
from livekit.protocol import models, rtc

from channel_recorder.sfu.access import is_true
from channel_recorder.sfu.contract import ClientInfo, Credentials, JoinRefusedError, JoinRequest

Message = TypeVar("Message", rtc.WrappedJoinRequest, rtc.JoinRequest)
MAX_JOIN_REQUEST_BYTES = 1024 * 1024
"""Inflated. An offer of three sections of each kind makes some 18 KB."""
MAX_METADATA_BYTES = 64 * 1024
MAX_ATTRIBUTES_BYTES = 64 * 1024
_GZIP = 16 + zlib.MAX_WBITS
_URL_SAFE = str.maketrans("-_ ", "+/+")
_KNOWN_SDKS = {number: name.lower() for name, number in models.ClientInfo.SDK.items()}


def read_join_request(query: Mapping[str, str], credentials: Credentials, *, packed: bool, address: str) -> JoinRequest:
    """`packed`: on `/rtc/v1`, where `join_request` is needed. Raises JoinRefusedError."""
    wrapped = query.get("join_request", "")
    if wrapped:
        return _from_packed(_unwrap(wrapped), credentials, address)
    if packed:
        raise JoinRefusedError(400, "join_request is required")
    return _from_query(query, credentials, address)


def _from_query(query: Mapping[str, str], credentials: Credentials, address: str) -> JoinRequest:
    return JoinRequest(
        credentials=_overridden(credentials, "", _attributes(query.get("attributes", ""))),
        client=_client_of_query(query, address),
        single_peer=False,
        auto_subscribe=is_true(query.get("auto_subscribe") or "1"),
        reconnect=is_true(query.get("reconnect", "")),
        participant_sid=query.get("sid", ""),
    )


def _client_of_query(query: Mapping[str, str], address: str) -> ClientInfo:
    return ClientInfo(
        sdk=_short(query.get("sdk", "")),
        version=_short(query.get("version", "")),
        protocol=_number(query.get("protocol", "")),
        os=_short(query.get("os", "")),
        browser=_short(query.get("browser", "")),
        device_model=_short(query.get("device_model", "")),
        address=address,
    )


def _from_packed(message: rtc.JoinRequest, credentials: Credentials, address: str) -> JoinRequest:
    return JoinRequest(
        credentials=_overridden(credentials, message.metadata, dict(message.participant_attributes)),
        client=_client_of_message(message.client_info, address),
        single_peer=True,
        auto_subscribe=message.connection_settings.auto_subscribe,
        reconnect=message.reconnect,
        participant_sid=message.participant_sid,
        add_tracks=tuple(message.add_track_requests),
        publisher_offer=message.publisher_offer if message.HasField("publisher_offer") else None,
    )


def _client_of_message(info: models.ClientInfo, address: str) -> ClientInfo:
    return ClientInfo(
        sdk=_KNOWN_SDKS.get(info.sdk, ""),
        version=_short(info.version),
        protocol=max(0, info.protocol),
        os=_short(info.os),
        browser=_short(info.browser),
        device_model=_short(info.device_model),
        address=address,
    )


def _unwrap(text: str) -> rtc.JoinRequest:
    wrapped = _parsed(rtc.WrappedJoinRequest, _base64(text, "join_request"))
    if wrapped.compression == rtc.WrappedJoinRequest.GZIP:
        return _parsed(rtc.JoinRequest, _gunzip(wrapped.join_request))
    if wrapped.compression == rtc.WrappedJoinRequest.NONE:
        return _parsed(rtc.JoinRequest, wrapped.join_request)
    raise JoinRefusedError(400, "the join_request is compressed in a way that is not known here")


def _parsed(kind: type[Message], data: bytes) -> Message:
    if len(data) > MAX_JOIN_REQUEST_BYTES:
        raise JoinRefusedError(400, "the join_request is too large")
    try:
        return kind.FromString(data)
    except DecodeError:
        raise JoinRefusedError(400, "the join_request is malformed") from None


def _gunzip(data: bytes) -> bytes:
    inflater = zlib.decompressobj(_GZIP)
    try:
        inflated = inflater.decompress(data, MAX_JOIN_REQUEST_BYTES + 1)
    except zlib.error:
        raise JoinRefusedError(400, "the join_request is not compressed with gzip") from None
    if not inflater.eof and len(inflated) <= MAX_JOIN_REQUEST_BYTES:
        raise JoinRefusedError(400, "the join_request ends too early")
    return inflated


def _base64(text: str, name: str) -> bytes:
    """Either alphabet, padded or not."""
    plain = text.translate(_URL_SAFE).rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise JoinRefusedError(400, f"{name} is not base64") from None


def _attributes(text: str) -> dict[str, str]:
    if not text:
        return {}
    try:
        value: object = json.loads(_base64(text, "attributes"))
    except (ValueError, RecursionError):
        raise JoinRefusedError(400, "attributes are no JSON") from None
    if not isinstance(value, dict):
        raise JoinRefusedError(400, "attributes are no JSON object")
    pairs = cast("dict[str, object]", value)
    if not all(isinstance(item, str) and _is_text(item) and _is_text(key) for key, item in pairs.items()):
        raise JoinRefusedError(400, "attributes are not all text")
    return cast("dict[str, str]", pairs)


def _is_text(text: str) -> bool:
    """JSON can spell half of a surrogate pair, which no protobuf message can hold."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _overridden(credentials: Credentials, metadata: str, attributes: Mapping[str, str]) -> Credentials:
    """What a client says of its user beside the token counts only where the token allows it."""
    if not credentials.grants.can_update_own_metadata:
        return credentials
    if len(metadata.encode()) > MAX_METADATA_BYTES:
        raise JoinRefusedError(400, "the metadata is too long")
    merged = dict(credentials.attributes) | dict(attributes)
    if sum(len(key.encode()) + len(value.encode()) for key, value in merged.items()) > MAX_ATTRIBUTES_BYTES:
        raise JoinRefusedError(400, "the attributes are too long")
    return replace(credentials, metadata=metadata or credentials.metadata, attributes=merged)


def _number(text: str) -> int:
    """A higher protocol than ours is none the worse; what is no number counts as the oldest."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 6 else 0


def _short(text: str) -> str:
    return text[:128]
