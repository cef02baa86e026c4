"""Two associations back to back, no sockets."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_recorder.rtc.peer.certificate import Certificate, generate_certificate
from channel_recorder.rtc.peer.dtls import (
    MAX_DATAGRAM_BYTES,
    DtlsCore,
    DtlsParameters,
    DtlsState,
    pack_records,
)
from channel_recorder.rtc.peer.srtp import AEAD_AES_256_GCM, AES128_CM_SHA1_80, PROFILES, SrtpProfile

CLIENT = generate_certificate()
SERVER = generate_certificate()


def core(
    certificate: Certificate, far_side: Certificate, *, is_client: bool, profiles: Sequence[SrtpProfile] = PROFILES
) -> DtlsCore:
    return DtlsCore(certificate, DtlsParameters(is_client, (far_side.fingerprint,)), profiles)


def pair(**options: Sequence[SrtpProfile]) -> tuple[DtlsCore, DtlsCore]:
    return core(CLIENT, SERVER, is_client=True), core(SERVER, CLIENT, is_client=False, **options)


def exchange(client: DtlsCore, server: DtlsCore) -> None:
    """Carry datagrams both ways until both are silent."""
    while True:
        to_server, to_client = client.datagrams_to_send(), server.datagrams_to_send()
        if not to_server and not to_client:
            return
        for receiver, datagrams in ((server, to_server), (client, to_client)):
            for datagram in datagrams:
                assert len(datagram) <= MAX_DATAGRAM_BYTES
                receiver.receive(datagram)


def connected_pair() -> tuple[DtlsCore, DtlsCore]:
    client, server = pair()
    client.start()
    exchange(client, server)
    assert (client.state, server.state) == (DtlsState.CONNECTED, DtlsState.CONNECTED)
    return client, server


def test_both_ends_agree_on_keys():
    client, server = connected_pair()
    assert client.srtp_keys is not None
    assert server.srtp_keys is not None
    assert client.srtp_keys.profile is PROFILES[0]
    assert (client.srtp_keys.local, client.srtp_keys.remote) == (server.srtp_keys.remote, server.srtp_keys.local)
    assert client.srtp_keys.local != client.srtp_keys.remote
    assert len(client.srtp_keys.local) == 16 + 12
    assert "AES" in repr(client.srtp_keys)
    assert str(client.srtp_keys.local) not in repr(client.srtp_keys)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.openssl_name.decode())
def test_every_profile_can_be_negotiated(profile: SrtpProfile):
    client, server = pair(profiles=[profile])
    client.start()
    exchange(client, server)
    assert client.srtp_keys is not None
    assert server.srtp_keys is not None
    assert client.srtp_keys.profile is profile
    assert len(client.srtp_keys.local) == profile.key_bytes + profile.salt_bytes
    assert client.srtp_keys.local == server.srtp_keys.remote


def test_without_a_common_profile_there_is_no_connection():
    client = core(CLIENT, SERVER, is_client=True, profiles=[AEAD_AES_256_GCM])
    server = core(SERVER, CLIENT, is_client=False, profiles=[AES128_CM_SHA1_80])
    client.start()
    exchange(client, server)
    assert (client.state, client.detail) == (DtlsState.FAILED, "no SRTP profile in common")


def test_a_stranger_is_refused():
    stranger = generate_certificate()
    client, server = core(CLIENT, SERVER, is_client=True), core(stranger, CLIENT, is_client=False)
    client.start()
    exchange(client, server)
    assert client.state is DtlsState.FAILED
    assert "fingerprint" in client.detail
    assert client.srtp_keys is None
    assert server.state is DtlsState.CLOSED


def test_data_goes_both_ways():
    client, server = connected_pair()
    client.send(b"to the server")
    server.send(b"one")
    server.send(b"x" * 1100)
    exchange(client, server)
    assert server.application_data() == [b"to the server"]
    assert client.application_data() == [b"one", b"x" * 1100]
    assert client.application_data() == []


def test_a_good_bye_is_heard():
    client, server = connected_pair()
    client.close()
    exchange(client, server)
    assert (server.state, server.detail) == (DtlsState.CLOSED, "the far side closed the DTLS association")
    assert client.state is DtlsState.CLOSED
    server.send(b"too late")
    assert server.datagrams_to_send() == []


def test_an_answer_that_does_not_come_is_waited_for():
    client, server = pair()
    assert server.timeout_seconds() is None
    client.start()
    seconds = client.timeout_seconds()
    assert seconds is not None
    assert 0 <= seconds <= 1
    client.datagrams_to_send()
    client.handle_timeout()  # too early: nothing is sent again
    assert client.datagrams_to_send() == []


def test_nothing_is_waited_for_once_connected():
    client, _ = connected_pair()
    assert client.timeout_seconds() is None
    client.handle_timeout()
    assert client.datagrams_to_send() == []


def test_records_are_cut_into_datagrams_at_their_borders():
    def record(size: int) -> bytes:
        return bytes(11) + size.to_bytes(2, "big") + bytes([size % 256]) * size

    records = [record(size) for size in (100, 500, 900, 1100, 1187, 10)]
    datagrams = pack_records(b"".join(records))
    assert b"".join(datagrams) == b"".join(records)
    assert [len(datagram) for datagram in datagrams] == [13 + 100 + 13 + 500, 13 + 900, 13 + 1100, 13 + 1187, 23]
    assert pack_records(b"") == []


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.binary(max_size=60), max_size=5),
    st.sampled_from([b"", b"\x16\xfe\xfd", b"\x17\xfe\xfd\x00\x01", b"\x15"]),
)
def test_garbage_neither_raises_nor_ends_the_association(datagrams: list[bytes], prefix: bytes):
    client, server = connected_pair()
    for datagram in datagrams:
        client.receive(prefix + datagram)
    server.send(b"still here")
    exchange(client, server)
    assert client.application_data() == [b"still here"]


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=80), st.sampled_from([b"", b"\x16\xfe\xfd\x00\x00", b"\x16\xfe\xff", b"\x15\xfe\xfd"]))
def test_garbage_before_the_handshake_raises_nothing(datagram: bytes, prefix: bytes):
    client, server = pair()
    for each in (client, server):
        each.start()
        each.receive(prefix + datagram)
        each.receive(b"")
        assert each.application_data() == []
