"""RTP time -> sender's clock -> recording time. Sans-IO: time comes in as numbers.

timeline = Timeline(origin_seconds=clock.monotonic_seconds())
track = timeline.track(90_000, sender=participant.sid)
track.report(timestamp, ntp_seconds, arrival_seconds)     # every RTCP sender report
frame.time_seconds = track.locate(frame.timestamp, frame.arrival_seconds)
"""

from channel_recorder.timeline.timeline import Timeline
from channel_recorder.timeline.track import TrackTimeline

__all__ = ["Timeline", "TrackTimeline"]
