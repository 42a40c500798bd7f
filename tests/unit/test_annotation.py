"""The annotation: what a record says, what an edit may change."""

import numpy as np
import pytest

from interaction.annotation.annotation import Annotation, make_record
from interaction.annotation.types import EMPTY_RECORD, Edit, FrameStatus, ObjectInfo

BEAR = ObjectInfo(1, "bear", (230, 159, 0))
CUB = ObjectInfo(2, "cub", (86, 180, 233), is_locked=True)


def mask(*ids: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    labels = np.zeros((4, 6), np.uint8)
    for column, object_id in enumerate(ids):
        labels[:2, column] = object_id
    return labels


def annotation() -> Annotation:
    return Annotation(5, 6, 4, objects=[BEAR, CUB])


def test_a_record_names_the_objects_that_have_pixels() -> None:
    record = make_record(mask(1, 200, 1), FrameStatus.TRACKED, doubt=0.5)
    assert record.present == {1, 200}
    assert record.doubt == 0.5


def test_an_untouched_frame_is_empty_and_reads_as_background() -> None:
    assert annotation().record(3) == EMPTY_RECORD
    assert not annotation().labels(3).any()
    with pytest.raises(IndexError):
        annotation().record(5)


def test_labels_come_back_as_they_went_in_and_cannot_be_written_to() -> None:
    own = annotation()
    own.apply(Edit("", {2: EMPTY_RECORD}, {2: make_record(mask(1), FrameStatus.CORRECTED)}))
    assert np.array_equal(own.labels(2), mask(1))
    with pytest.raises(ValueError, match="read-only"):
        own.labels(2)[0, 0] = 1


def test_an_edit_from_another_state_changes_nothing() -> None:
    own = annotation()
    first = Edit("", {0: EMPTY_RECORD}, {0: make_record(mask(1), FrameStatus.CORRECTED)})
    own.apply(first)
    stale = Edit(
        "stale",
        {1: EMPTY_RECORD, 0: EMPTY_RECORD},
        {1: make_record(mask(2), FrameStatus.TRACKED), 0: EMPTY_RECORD},
    )
    with pytest.raises(ValueError, match="frame 0"):
        own.apply(stale)
    assert set(own.records) == {0}
    with pytest.raises(ValueError, match="list of objects"):
        own.apply(Edit("", objects_before=(BEAR,), objects_after=()))
    assert own.objects == (BEAR, CUB)


def test_an_edit_and_its_inverse_leave_no_trace() -> None:
    own = annotation()
    edit = Edit(
        "",
        {4: EMPTY_RECORD},
        {4: make_record(mask(2), FrameStatus.CONFIRMED)},
        objects_before=(BEAR, CUB),
        objects_after=(CUB,),
    )
    own.apply(edit)
    own.apply(edit.inverse())
    assert (dict(own.records), own.objects) == ({}, (BEAR, CUB))


def test_locked_objects_and_objects_by_id() -> None:
    assert annotation().locked == {2}
    assert annotation().object(1) == BEAR
    with pytest.raises(KeyError):
        annotation().object(3)
