from hypothesis import given
from hypothesis import strategies as st

from channel_recorder.rtc.receive.unwrap import unwrap16, unwrap32


@given(st.integers(0, 2**40), st.integers(-(2**15), 2**15 - 1))
def test_sixteen_bits_go_on_from_anywhere(near: int, step: int) -> None:
    assert unwrap16((near + step) & 0xFFFF, near) == near + step


@given(st.integers(0, 2**60), st.integers(-(2**31), 2**31 - 1))
def test_thirty_two_bits_go_on_from_anywhere(near: int, step: int) -> None:
    assert unwrap32((near + step) & 0xFFFFFFFF, near) == near + step
