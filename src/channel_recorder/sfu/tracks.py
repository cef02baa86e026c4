"""A published track, and how it is described to everybody."""

from __future__ import annotations

import re

from livekit.protocol import models
from livekit.protocol import rtc as pb

from channel_recorder.model import Codec, MediaKind
from channel_recorder.rtc.description import MediaDescription
from channel_recorder.rtc.serve.contract import IncomingTrack, PublishOptions
from channel_recorder.sfu.sids import track_sid
from channel_recorder.sfu.subscription_rules import SubscriptionRules

_KINDS: dict[int, MediaKind] = {models.TrackType.AUDIO: MediaKind.AUDIO, models.TrackType.VIDEO: MediaKind.VIDEO}
_MIME_TYPES: dict[Codec, str] = {
    Codec.OPUS: "audio/opus",
    Codec.VP8: "video/VP8",
    Codec.VP9: "video/VP9",
    Codec.H264: "video/H264",
    Codec.H265: "video/H265",
    Codec.AV1: "video/AV1",
}
_STREAMS: dict[int, str] = {
    models.TrackSource.CAMERA: "camera",
    models.TrackSource.MICROPHONE: "camera",
    models.TrackSource.SCREEN_SHARE: "screen",
    models.TrackSource.SCREEN_SHARE_AUDIO: "screen",
}
"""Tracks of one stream are played in step; what clients name none for is put together like this by livekit-server."""
_STREAM_IN_SDP = re.compile(r"[A-Za-z0-9._-]{1,40}")
MAX_LAYERS = 8
MAX_FEATURES = 16


def kind_of(track_type: int) -> MediaKind | None:
    return _KINDS.get(track_type)


def mime_type(codec: Codec) -> str:
    return _MIME_TYPES[codec]


class PublishedTrack:
    """What one member sends, for the others to have. Knows the publisher by name only."""

    __slots__ = (
        "_flowed",
        "_told_of_subscriber",
        "has_subscriber",
        "incoming",
        "info",
        "options",
        "publisher_identity",
        "publisher_sid",
        "rules",
    )

    def __init__(
        self,
        publisher_sid: str,
        publisher_identity: str,
        info: models.TrackInfo,
        options: PublishOptions,
        incoming: IncomingTrack,
        rules: SubscriptionRules,
    ) -> None:
        self.publisher_sid = publisher_sid
        self.publisher_identity = publisher_identity
        self.info = info
        self.options = options
        self.incoming = incoming
        self.rules = rules
        """Who may have it."""
        self.has_subscriber = False
        """Somebody had it who is not hidden."""
        self._flowed = False
        self._told_of_subscriber = False

    @property
    def sid(self) -> str:
        return self.info.sid

    @property
    def kind(self) -> MediaKind:
        return self.incoming.media.kind

    @property
    def stream_id(self) -> str:
        """For a=msid. Native clients want exactly one `|` in it; what a client calls its stream may be no SDP."""
        stream = self.info.stream
        return f"{self.publisher_sid}|{stream if _STREAM_IN_SDP.fullmatch(stream) else self.sid}"

    def notice_subscriber(self) -> bool:
        """True once, when the publisher shall be told that somebody has it. Its client knows the track by its sid only
        when it has taken the answer, which is before its packets come."""
        flowed, self._flowed = self._flowed, self.incoming.codec is not None
        if self._told_of_subscriber or not (flowed and self.has_subscriber):
            return False
        self._told_of_subscriber = True
        return True

    def notice_codec(self) -> bool:
        """The packets tell another codec than was announced. True if the description changed."""
        codec = self.incoming.codec
        if codec is None or mime_type(codec) == self.info.mime_type:
            return False
        set_codec(self.info, codec)
        return True


def describe_track(request: pb.AddTrackRequest) -> models.TrackInfo:
    """The description of what AddTrack announces, before its m-line is there."""
    info = models.TrackInfo(
        sid=track_sid(request.type, request.source),
        type=request.type,
        source=request.source,
        name=request.name,
        muted=request.muted,
        width=request.width,
        height=request.height,
        disable_dtx=request.disable_dtx,
        stereo=request.stereo,
        # Sound comes as plain Opus: no answer of ours accepts redundancy (RFC 2198).
        disable_red=True,
        encryption=request.encryption,
        stream=request.stream or _STREAMS.get(request.source, ""),
        layers=_layers(request)[:MAX_LAYERS],
        audio_features=request.audio_features[:MAX_FEATURES],
        backup_codec_policy=request.backup_codec_policy,
    )
    info.simulcast = len(info.layers) > 1
    codec = codec_of(request)
    set_codec(info, codec, cid=request.cid)
    return info


def describe_media(info: models.TrackInfo, media: MediaDescription) -> None:
    """What the m-line adds to it: where it is, and the codec that was agreed on."""
    info.mid = media.mid
    info.codecs[0].mid = media.mid
    info.codecs[0].sdp_cid = media.track_id
    codec = next((payload.codec for payload in media.payload_types if payload.codec), None)
    if codec is not None:
        set_codec(info, codec)


def set_codec(info: models.TrackInfo, codec: Codec, *, cid: str = "") -> None:
    """Browsers fall back to the first codec of the list if it is not the one they meant."""
    info.mime_type = mime_type(codec)
    if not info.codecs:
        info.codecs.append(models.SimulcastCodecInfo(cid=cid, layers=info.layers))
    info.codecs[0].mime_type = info.mime_type


def codec_of(request: pb.AddTrackRequest) -> Codec:
    """The first of those wanted; further ones are spare codecs, which clients send only when asked to."""
    kind = _KINDS[request.type]
    wanted = request.simulcast_codecs[0].codec if request.simulcast_codecs else ""
    name = wanted.rpartition("/")[2].lower()
    for codec in Codec:
        if codec.value == name and codec.kind is kind:
            return codec
    return Codec.OPUS if kind is MediaKind.AUDIO else Codec.VP8


def publish_options(request: pb.AddTrackRequest) -> PublishOptions:
    stereo = request.stereo or models.AudioTrackFeature.TF_STEREO in request.audio_features
    no_dtx = request.disable_dtx or models.AudioTrackFeature.TF_NO_DTX in request.audio_features
    return PublishOptions(codec=codec_of(request), dtx=not no_dtx, stereo=stereo)


def _layers(request: pb.AddTrackRequest) -> list[models.VideoLayer]:
    layers = list(request.layers)
    if not layers and request.simulcast_codecs:
        layers = list(request.simulcast_codecs[0].layers)
    return layers
