"""Which simulcast layer a subscriber needs, 0 the lowest."""

from __future__ import annotations

from livekit.protocol import models
from livekit.protocol import rtc as pb

HIGHEST_LAYER = 15
"""More than anybody publishes: whatever is the best."""
_BY_QUALITY: dict[int, int] = {models.VideoQuality.LOW: 0, models.VideoQuality.MEDIUM: 1}
_TOLERANCE = 0.9
"""A layer a little smaller than wanted will do (the same as livekit-server's)."""


def wanted_layer(info: models.TrackInfo, settings: pb.UpdateTrackSettings) -> int:
    """The size that it is shown at counts more than the quality asked for."""
    if settings.width or settings.height:
        return _smallest_layer_of(info, settings.width, settings.height)
    return _BY_QUALITY.get(settings.quality, HIGHEST_LAYER)


def _smallest_layer_of(info: models.TrackInfo, width: int, height: int) -> int:
    """The smallest that is large enough, whichever way up the picture or the place for it is."""
    long_side, short_side = max(width, height) * _TOLERANCE, min(width, height) * _TOLERANCE
    sizes = sorted((max(layer.width, layer.height), min(layer.width, layer.height)) for layer in info.layers)
    if not sizes or sizes[0][1] == 0:
        return HIGHEST_LAYER
    for index, (layer_long, layer_short) in enumerate(sizes):
        if layer_long >= long_side and layer_short >= short_side:
            return index
    return HIGHEST_LAYER
