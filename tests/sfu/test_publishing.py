"""What somebody publishes, from the first word to what the others read of it."""

from __future__ import annotations

import re

import pytest
from livekit.protocol import models
from livekit.protocol import rtc as pb

from channel_recorder.model import Codec
from channel_recorder.protocol.tokens import Grants
from channel_recorder.rtc.serve.contract import PeerRole, PublishOptions
from channel_recorder.sfu.limits import Limits
from tests.sfu.stage import AUDIO, SIMULCAST, VIDEO, Client, Stage, add_track

Reasons = pb.RequestResponse
Source = models.TrackSource


def refusal(client: Client) -> pb.RequestResponse:
    return client.sent("request_response")[-1].request_response


def options(client: Client, mid: str) -> PublishOptions:
    return client.peer(PeerRole.ANSWERS).options[mid]


def test_a_camera_is_announced_published_and_described_to_all() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    alice.add_track(
        "cam",
        VIDEO,
        width=1280,
        height=720,
        layers=SIMULCAST,
        simulcast_codecs=[pb.SimulcastCodec(codec="vp8", cid="cam")],
        encryption=models.Encryption.GCM,
    )
    announced = alice.sent("track_published")[0].track_published
    assert announced.cid == "cam"
    assert re.fullmatch(r"TR_VC\w{12}", announced.track.sid)
    assert announced.track.codecs[0].mime_type == "video/VP8"
    assert bob.sees() == {"alice": set()}
    mid = alice.offer_track("cam", VIDEO)
    track = bob.member("alice").tracks[0]
    assert track.sid == announced.track.sid
    assert (track.width, track.height, track.mime_type, track.mid) == (1280, 720, "video/VP8", mid)
    assert (track.source, track.stream, track.simulcast) == (Source.CAMERA, "camera", True)
    assert [layer.height for layer in track.layers] == [180, 360, 720]
    assert (track.codecs[0].mid, track.codecs[0].cid) == (mid, "cam")
    assert track.encryption == models.Encryption.GCM
    assert bob.member("alice").is_publisher


def test_the_announcement_may_come_after_the_offer() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    alice.offer_track("mic")
    assert bob.sees() == {"alice": set()}
    alice.add_track("mic")
    assert bob.sees() == {"alice": {"mic"}}


def test_several_tracks_are_announced_before_one_offer_whatever_their_order() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    for cid in ("mic", "music"):
        alice.add_track(cid)
    alice.add_track("cam", VIDEO)
    for kind, cid in (("video", "cam"), ("audio", "music"), ("audio", "mic")):
        alice.add_line(kind, "send", cid)
    alice.offer()
    assert bob.sees() == {"alice": {"mic", "music", "cam"}}
    mids = {track.name: track.mid for track in bob.member("alice").tracks}
    assert mids == {"cam": "1", "music": "2", "mic": "3"}
    assert len(bob.sent("update")) == 1


def test_a_parallel_offer_waits_for_the_announcement_that_names_it() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    alice.add_track("first", VIDEO)
    alice.add_line("video", "send", "second")
    alice.offer()
    stage.wait(0.5)
    assert bob.sees() == {"alice": set()}
    alice.add_track("second", VIDEO)
    assert bob.sees() == {"alice": {"second"}}


def test_an_m_line_that_names_no_track_is_taken_for_the_first_announced_of_its_kind() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    alice.add_track("mic")
    alice.add_track("cam", VIDEO)
    alice.offer_track("", VIDEO, track_id="")
    assert bob.sees() == {"alice": {"cam"}}


def test_an_m_line_with_a_name_of_its_own_is_taken_so_after_a_second() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    alice.add_track("cam", VIDEO)
    alice.offer_track("cam", VIDEO, track_id="{0f3a}")
    assert bob.sees() == {"alice": set()}
    stage.wait(1.25)
    assert bob.sees() == {"alice": {"cam"}}


def test_an_m_line_taken_back_before_its_announcement_is_never_published() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    alice.offer_track("mic")
    alice.unpublish("mic")
    alice.add_track("mic")
    stage.wait(2)
    assert bob.sees() == {"alice": set()}


def test_the_codec_asked_for_leads_the_answer() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    codecs = [pb.SimulcastCodec(codec="h264", cid="cam"), pb.SimulcastCodec(codec="vp8")]
    alice.add_track("cam", VIDEO, simulcast_codecs=codecs)
    assert options(alice, alice.offer_track("cam", VIDEO)).codec is Codec.H264
    info = bob.member("alice").tracks[0]
    assert [codec.mime_type for codec in info.codecs] == ["video/H264"]


@pytest.mark.parametrize(
    ("wanted", "codec"),
    [("", Codec.VP8), ("video/VP9", Codec.VP9), ("AV1", Codec.AV1), ("opus", Codec.VP8), ("theora", Codec.VP8)],
)
def test_a_codec_that_is_none_is_the_one_to_fall_back_to(wanted: str, codec: Codec) -> None:
    alice = Stage().join("alice")
    alice.add_track("cam", VIDEO, simulcast_codecs=[pb.SimulcastCodec(codec=wanted)] if wanted else [])
    assert options(alice, alice.offer_track("cam", VIDEO)).codec is codec


def test_stereo_music_is_answered_as_such() -> None:
    alice = Stage().join("alice")
    alice.add_track("plain")
    alice.add_track("music", stereo=True, disable_dtx=True)
    alice.add_track("newer", audio_features=[models.AudioTrackFeature.TF_STEREO, models.AudioTrackFeature.TF_NO_DTX])
    answered = [options(alice, alice.offer_track(cid)) for cid in ("plain", "music", "newer")]
    assert [(o.dtx, o.stereo) for o in answered] == [(True, False), (False, True), (False, True)]


def test_a_codec_that_packets_show_instead_is_told() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    alice.publish("cam", VIDEO)
    alice.incoming("cam").codec = Codec.VP9
    stage.wait(0.25)
    assert bob.member("alice").tracks[0].mime_type == "video/VP9"


def test_unpublishing_is_an_offer_without_the_m_line() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    mic = alice.publish("mic")
    alice.publish("cam", VIDEO)
    stage.settle()
    alice.unpublish("mic")
    assert bob.sees() == {"alice": {"cam"}}
    assert mic.sid not in bob.gets()


def test_the_same_camera_published_again_is_another_track() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    first = alice.publish("cam", VIDEO)
    alice.add_track("cam", VIDEO, name="again")
    assert bob.sees() == {"alice": {"cam"}}
    alice.unpublish("cam")
    second = alice.sent("track_published")[-1].track_published.track
    alice.offer_track("cam", VIDEO)
    assert second.sid != first.sid
    assert [track.sid for track in bob.member("alice").tracks] == [second.sid]


def test_an_announcement_repeated_is_answered_alike() -> None:
    alice = Stage().join("alice")
    alice.add_track("cam", VIDEO)
    alice.add_track("cam", VIDEO)
    sids = {message.track_published.track.sid for message in alice.sent("track_published")}
    assert len(sids) == 1


def test_a_muted_microphone_is_seen_muted_and_sends_nothing() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    mic = alice.publish("mic", muted=True)
    assert bob.member("alice").tracks[0].muted
    assert bob.outgoing(mic.sid).is_paused
    alice.ask(mute=pb.MuteTrackRequest(sid=mic.sid, muted=False))
    assert not bob.member("alice").tracks[0].muted
    assert not bob.outgoing(mic.sid).is_paused
    alice.ask(mute=pb.MuteTrackRequest(sid=mic.sid, muted=True))
    assert bob.member("alice").tracks[0].muted
    assert bob.outgoing(mic.sid).is_paused


def test_nobody_mutes_the_tracks_of_others() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    mic = alice.publish("mic")
    bob.ask(mute=pb.MuteTrackRequest(sid=mic.sid, muted=True))
    assert not bob.member("alice").tracks[0].muted


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (add_track("", VIDEO), Reasons.INVALID_REQUEST),
        (add_track("data", models.TrackType.DATA), Reasons.UNSUPPORTED_TYPE),
        (add_track("cam", VIDEO, sid="TR_spare"), Reasons.UNSUPPORTED_TYPE),
        (add_track("c" * 257, VIDEO), Reasons.LIMIT_EXCEEDED),
        (add_track("cam", VIDEO, name="n" * 257), Reasons.LIMIT_EXCEEDED),
        (add_track("cam", VIDEO, stream="s" * 257), Reasons.LIMIT_EXCEEDED),
    ],
)
def test_what_makes_no_track_is_refused(request_: pb.AddTrackRequest, reason: int) -> None:
    alice = Stage().join("alice")
    alice.ask(add_track=request_)
    assert refusal(alice).reason == reason
    assert refusal(alice).add_track.cid == request_.cid
    assert alice.sent("track_published") == []


def test_who_may_not_publish_is_told_so_and_its_m_line_is_not_accepted() -> None:
    stage = Stage()
    alice = stage.join("alice", grants=Grants(can_publish=False))
    bob = stage.join("bob")
    alice.add_track("mic")
    assert refusal(alice).reason == Reasons.NOT_ALLOWED
    assert not options(alice, alice.offer_track("mic")).accepted
    assert bob.sees() == {"alice": set()}


def test_who_may_publish_sound_only_publishes_no_camera() -> None:
    stage = Stage()
    alice = stage.join("alice", grants=Grants(can_publish_sources=("microphone",)))
    bob = stage.join("bob")
    alice.add_track("cam", VIDEO)
    assert refusal(alice).reason == Reasons.NOT_ALLOWED
    assert not options(alice, alice.offer_track("cam", VIDEO)).accepted
    alice.publish("mic")
    assert bob.sees() == {"alice": {"mic"}}


def test_an_offer_before_its_refused_announcement_is_never_published() -> None:
    stage = Stage()
    alice = stage.join("alice", grants=Grants(can_publish_sources=("screen_share",)))
    bob = stage.join("bob")
    alice.offer_track("cam", VIDEO)
    alice.add_track("cam", VIDEO)
    alice.add_track("screen", VIDEO, source=Source.SCREEN_SHARE)
    stage.wait(2)
    assert bob.sees() == {"alice": set()}


def test_hidden_members_publish_nothing() -> None:
    stage = Stage()
    ghost = stage.join("ghost", grants=Grants(hidden=True))
    ghost.add_track("mic")
    assert refusal(ghost).reason == Reasons.NOT_ALLOWED


def test_tracks_per_member_are_limited() -> None:
    stage = Stage(limits=Limits(tracks_per_member=2))
    alice = stage.join("alice")
    alice.publish("one")
    alice.add_track("two")
    alice.add_track("three")
    assert refusal(alice).reason == Reasons.LIMIT_EXCEEDED
    assert options(alice, alice.offer_track("two")).accepted
    assert not options(alice, alice.offer_track("three")).accepted
    assert not options(alice, alice.offer_track("unannounced")).accepted


def test_what_was_announced_and_never_offered_is_given_up() -> None:
    stage = Stage()
    alice = stage.join("alice")
    alice.add_track("mic")
    stage.wait(61)
    sid = alice.sent("track_published")[0].track_published.track.sid
    assert [message.track_unpublished.track_sid for message in alice.sent("track_unpublished")] == [sid]
    stage.wait(61)
    assert len(alice.sent("track_unpublished")) == 1


def test_streams_are_named_for_playing_in_step() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    screen = alice.publish("screen", VIDEO, source=Source.SCREEN_SHARE)
    cam = alice.publish("cam", VIDEO, stream="my-camera")
    evil = alice.publish("evil", VIDEO, stream="a b\r\na=ice-lite|x")
    assert bob.outgoing(screen.sid).stream_id == f"{alice.sid}|screen"
    assert bob.outgoing(cam.sid).stream_id == f"{alice.sid}|my-camera"
    assert bob.outgoing(evil.sid).stream_id == f"{alice.sid}|{evil.sid}"


def test_the_publisher_is_told_of_its_first_subscriber_once_and_never_of_hidden_ones() -> None:
    stage = Stage()
    alice = stage.join("alice")
    mic = alice.publish("mic")
    alice.incoming("mic").codec = Codec.OPUS
    stage.recorder()
    stage.wait(1)
    assert alice.sent("track_subscribed") == []
    stage.join("bob")
    stage.join("carol")
    stage.wait(1)
    assert [message.track_subscribed.track_sid for message in alice.sent("track_subscribed")] == [mic.sid]


def test_the_publisher_is_told_of_a_subscriber_when_its_media_flows() -> None:
    """Before, livekit-client 2.15 doesn't know its own track yet, warns, and forgets what it was told."""
    stage = Stage()
    alice = stage.join("alice")
    stage.join("bob")
    alice.publish("mic")
    stage.wait(1)
    assert alice.sent("track_subscribed") == []
    alice.incoming("mic").codec = Codec.OPUS
    stage.wait(1)
    assert len(alice.sent("track_subscribed")) == 1


def test_sizes_and_features_may_change() -> None:
    stage = Stage()
    alice, bob = stage.join("alice"), stage.join("bob")
    cam, mic = alice.publish("cam", VIDEO, width=1280, height=720), alice.publish("mic", AUDIO)
    alice.ask(update_video_track=pb.UpdateLocalVideoTrack(track_sid=cam.sid, width=720, height=1280))
    features = [models.AudioTrackFeature.TF_NOISE_SUPPRESSION]
    alice.ask(update_audio_track=pb.UpdateLocalAudioTrack(track_sid=mic.sid, features=features))
    tracks = {track.name: track for track in bob.member("alice").tracks}
    assert (tracks["cam"].width, tracks["cam"].height) == (720, 1280)
    assert list(tracks["mic"].audio_features) == features
