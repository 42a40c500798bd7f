"""Which of many given masks a propagation remembers where."""

import numpy as np

from interaction.annotation.annotation import make_record
from interaction.annotation.types import FrameRecord, FrameStatus
from interaction.tracking.propagation import GivenMasks, Run


def given(frames: dict[int, str], most: int = 4) -> GivenMasks:
    """By frame, the objects in its mask, as digits; a “!” confirms it."""
    records: dict[int, FrameRecord] = {}
    for frame, text in frames.items():
        labels = np.zeros((4, 4), np.uint8)
        ids = [int(letter) for letter in text.strip("!")]
        labels.flat[: len(ids)] = ids
        status = FrameStatus.CONFIRMED if text.endswith("!") else FrameStatus.CORRECTED
        records[frame] = make_record(labels, status)
    return GivenMasks(records, most=most)


def test_few_masks_are_all_remembered() -> None:
    masks = given({0: "1", 5: "1", 9: "1"})
    for frame in range(10):
        assert masks.around(frame, 1) == [0, 5, 9]


def test_of_many_those_around_are_remembered_half_of_them_ahead() -> None:
    masks = given(dict.fromkeys(range(0, 100, 10), "1"))
    assert masks.around(50, 1) == [40, 50, 60, 70]
    assert masks.around(50, -1) == [30, 40, 50, 60]
    assert masks.around(0, 1) == [0, 10, 20, 30]
    assert masks.around(99, 1) == [60, 70, 80, 90]


def test_the_next_mask_ahead_is_always_among_them() -> None:
    masks = given(dict.fromkeys(range(0, 100, 3), "1"))
    for frame in range(0, 96, 3):
        assert {frame, frame + 3} <= set(masks.around(frame, 1))


def test_each_objects_first_mask_is_known_in_either_direction() -> None:
    masks = given({0: "1", 4: "12", 6: "12", 8: "3"})
    forward, backward = Run(range(2, 9)), Run(range(7, -1, -1))
    assert masks.first_of_each([forward]) == {0, 4, 8}
    assert masks.first_of_each([backward]) == {8, 6}
    assert masks.first_of_each([forward, backward]) == {0, 4, 6, 8}


def test_frames_that_teach_nothing_are_left_out() -> None:
    assert given({0: "1", 3: "", 5: "!"}).around(0, 1) == [0, 5]
    masks = given({0: "12", 5: "1!", 6: "1"})
    assert [masks.labelled_objects(frame) for frame in (0, 5, 6)] == [{1, 2}, {1, 2}, {1}]
    assert list(masks) == [0, 5, 6]
    assert masks[5].max() == 1
