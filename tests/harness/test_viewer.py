"""What a synthetic participant says of the pictures it is shown."""

from __future__ import annotations

import numpy as np

from testbed.picture import Luma, moving_background, paint
from testbed.viewer import SeenPictures


def picture(counter: int) -> Luma:
    luma = moving_background(320, 240, counter)
    paint(luma, counter, False)
    return luma


def seen(*counters: int) -> SeenPictures:
    pictures = SeenPictures()
    for counter in counters:
        pictures.show(picture(counter))
    return pictures


def test_pictures_in_a_row_are_counted() -> None:
    told = seen(5, 6, 7).told()
    assert (told["pictures"], told["counter"], told["skipped"], told["repeated"]) == (3, 7, 0, 0)
    assert (told["width"], told["height"]) == (320, 240)


def test_what_was_passed_over_and_what_came_again_are_told_apart() -> None:
    told = seen(5, 8, 8, 7).told()
    assert (told["skipped"], told["repeated"], told["counter"]) == (2, 2, 7)


def test_a_picture_without_a_counter_is_unreadable() -> None:
    pictures = seen(5)
    pictures.show(np.full((240, 320), 16, np.uint8))
    told = pictures.told()
    assert (told["pictures"], told["unreadable"], told["counter"]) == (2, 1, 5)


def test_forgetting_counts_anew() -> None:
    pictures = seen(5, 9)
    pictures.forget()
    pictures.show(picture(30))
    told = pictures.told()
    assert (told["pictures"], told["skipped"], told["counter"]) == (1, 0, 30)
