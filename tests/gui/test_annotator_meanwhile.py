"""What the annotator does while something else is under way is kept, acted on and answered."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from gui.work.annotator import Annotator
from gui.work.bulk import frames_text
from gui.work.document import Document
from gui.work.operations import Busy
from interaction.annotation.requests import StrokeRequest
from interaction.annotation.types import FrameStatus, Stroke
from interaction.formats.import_masks import import_masks
from interaction.formats.import_plan import preview_import
from tests import tiny
from tests.fake_engines import FakeEngines
from tests.gui.windows import once_at

DAB = Stroke(((20.0, 20.0),), 6)
OTHER = Stroke(((45.0, 30.0),), 8)


@pytest.fixture
def notices(annotator: Annotator) -> list[str]:
    """Notices and errors."""
    words: list[str] = []
    annotator.document.noticed.connect(words.append)
    annotator.document.failed.connect(lambda error: words.append(str(error)))
    return words


@pytest.fixture
def gate(engines: FakeEngines, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Keeps the click network waiting until it is set."""
    is_open, segment = threading.Event(), engines.discs.segment

    def waiting(*args: Any, **settings: Any) -> Any:
        is_open.wait()
        return segment(*args, **settings)

    monkeypatch.setattr(engines.discs, "segment", waiting)
    return is_open


def wait_until_idle(annotator: Annotator, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: annotator.operations.busy is Busy.IDLE)


def correct(annotator: Annotator, *frames: int) -> None:
    here = annotator.document.frame
    for frame in frames:
        annotator.document.set_frame(frame)
        annotator.hand.stroke(OTHER)
    annotator.document.set_frame(here)


def runs(document: Document) -> list[list[int]]:
    """The frames of each run in the history."""
    entries = document.session.history.entries
    return [sorted(entry.frames) for entry in entries if entry.label.startswith("Track")]


# Corrections behind the head of a run


@pytest.mark.parametrize(
    ("corrected", "expected"),
    [
        ((2, 4), [[3], [5, 6, 7]]),
        ((2, 3), [[4, 5, 6, 7]]),  # what comes after 2 does not depend on it
        ((4, 2), [[3], [5, 6, 7]]),
    ],
)
def test_every_frame_corrected_behind_the_head_is_tracked_from_again(
    annotator: Annotator,
    document: Document,
    notices: list[str],
    qtbot: QtBot,
    corrected: tuple[int, ...],
    expected: list[list[int]],
) -> None:
    annotator.hand.stroke(DAB)
    once_at(annotator, 6, lambda: correct(annotator, *corrected))
    annotator.tracking.start("forward")
    wait_until_idle(annotator, qtbot)
    assert runs(document) == [[1, 2, 3, 4, 5, 6, 7], *expected]
    assert all(document.annotation.labels(frame)[30, 45] == 1 for frame in corrected)
    assert len(notices) == len(expected)
    assert all("tracking again" in words for words in notices)


@pytest.mark.parametrize("way", ["stroke", "click"])
def test_a_correction_of_the_frame_a_run_started_from_is_tracked_from_again(
    annotator: Annotator, document: Document, notices: list[str], qtbot: QtBot, way: str
) -> None:
    annotator.prompts.click(20, 20)
    wait_until_idle(annotator, qtbot)

    def act() -> None:
        if way == "stroke":
            annotator.hand.stroke(OTHER)
        else:
            annotator.prompts.click(45, 30)

    once_at(annotator, 3, act)
    annotator.tracking.start("forward")
    wait_until_idle(annotator, qtbot)
    assert len(runs(document)) == 2
    assert len(notices) == 1
    assert "Frame 0" in notices[0]


def test_a_correction_of_a_frame_that_was_given_before_is_tracked_from_again(
    annotator: Annotator, document: Document, notices: list[str], qtbot: QtBot
) -> None:
    annotator.hand.stroke(DAB)
    document.set_frame(2)
    annotator.hand.stroke(DAB)
    document.set_frame(0)
    once_at(annotator, 5, lambda: correct(annotator, 2))
    annotator.tracking.start("forward")
    wait_until_idle(annotator, qtbot)
    assert runs(document) == [[1, 3, 4, 5, 6, 7], [3, 4, 5, 6, 7]]
    assert "Frame 2" in notices[0]


def test_a_correction_reaches_what_was_tracked_beside_one_of_another_object(
    annotator: Annotator, document: Document, notices: list[str], qtbot: QtBot
) -> None:
    cub, bear = document.add_object("cub"), document.add_object("bear")
    document.set_current_object(cub)
    correct(annotator, 3)
    document.set_current_object(bear)
    annotator.hand.stroke(DAB)
    once_at(annotator, 5, lambda: correct(annotator, 2))
    annotator.tracking.start("forward")
    wait_until_idle(annotator, qtbot)
    assert document.annotation.record(3).present == {cub, bear}
    assert document.annotation.record(3).given == {cub}
    assert len(notices) == 1
    assert "Frame 2" in notices[0]


def test_a_run_both_ways_is_tracked_again_away_from_where_it_began(
    annotator: Annotator, document: Document, qtbot: QtBot
) -> None:
    document.set_frame(4)
    annotator.hand.stroke(DAB)
    once_at(annotator, 1, lambda: correct(annotator, 6, 3))
    annotator.tracking.start("both")
    wait_until_idle(annotator, qtbot)
    assert runs(document) == [[0, 1, 2, 3, 5, 6, 7], [0, 1, 2], [7]]


def test_no_more_is_tracked_again_than_was_tracked(
    annotator: Annotator, document: Document, qtbot: QtBot
) -> None:
    annotator.hand.stroke(DAB)
    once_at(annotator, 3, lambda: correct(annotator, 2))
    annotator.tracking.start("forward", most_frames=4)
    wait_until_idle(annotator, qtbot)
    assert runs(document) == [[1, 2, 3, 4], [3, 4]]


def test_a_frame_that_is_only_confirmed_is_not_tracked_from_again(
    annotator: Annotator, document: Document, notices: list[str], qtbot: QtBot
) -> None:
    annotator.hand.stroke(DAB)
    once_at(annotator, 4, lambda: annotator.hand.confirm(2))
    annotator.tracking.start("forward")
    wait_until_idle(annotator, qtbot)
    assert document.annotation.record(2).status is FrameStatus.CONFIRMED
    assert len(runs(document)) == 1
    assert not notices


def test_a_correction_during_the_second_run_is_tracked_from_as_well(
    annotator: Annotator, document: Document, notices: list[str], qtbot: QtBot
) -> None:
    annotator.hand.stroke(DAB)
    heads: list[int] = []

    def follow(head: int) -> None:
        heads.append(head)
        if head == 5:
            correct(annotator, {1: 2, 2: 4}.get(heads.count(5), 0))

    annotator.tracking.tracked.connect(follow)
    annotator.tracking.start("forward", most_frames=6)
    wait_until_idle(annotator, qtbot)
    assert [words.split()[1] for words in notices[:2]] == ["2", "4"]


def test_what_a_cancelled_run_leaves_untracked_is_reported(
    annotator: Annotator, document: Document, notices: list[str], qtbot: QtBot
) -> None:
    annotator.hand.stroke(DAB)

    def act() -> None:
        correct(annotator, 2)
        annotator.cancel()

    once_at(annotator, 5, act)
    annotator.tracking.start("forward")
    wait_until_idle(annotator, qtbot)
    assert len(runs(document)) == 1
    assert len(notices) == 1
    assert "frames 2" in notices[0]


def test_a_lock_during_a_run_leaves_the_other_objects_to_be_tracked(
    annotator: Annotator, document: Document, qtbot: QtBot
) -> None:
    first, second = document.add_object("first"), document.add_object("second")
    document.session.set_mask(0, tiny.labels(0))
    once_at(annotator, 3, lambda: document.set_locked(first, True))
    annotator.tracking.start("forward")
    wait_until_idle(annotator, qtbot)
    present = [document.annotation.record(frame).present for frame in range(8)]
    assert all(second in ids for ids in present)
    assert first not in present[7]


# Answers that come too late


def test_a_click_is_answered_also_if_a_stroke_came_before_its_answer(
    annotator: Annotator,
    document: Document,
    notices: list[str],
    gate: threading.Event,
    qtbot: QtBot,
) -> None:
    annotator.prompts.click(20, 20)
    annotator.hand.stroke(OTHER)
    gate.set()
    wait_until_idle(annotator, qtbot)
    labels = document.annotation.labels(0)
    assert labels[20, 20] == labels[30, 45] == 1
    assert document.session.history.entries[-1].label == "Click on ‘Object 1’"
    assert not notices


def test_a_click_on_an_object_that_was_locked_before_its_answer_is_announced(
    annotator: Annotator,
    document: Document,
    notices: list[str],
    gate: threading.Event,
    qtbot: QtBot,
) -> None:
    annotator.prompts.click(20, 20)
    document.set_locked(1, True)
    gate.set()
    wait_until_idle(annotator, qtbot)
    assert not document.annotation.records
    assert len(notices) == 1
    assert "locked" in notices[0]


def test_a_click_that_went_into_the_mask_before_it_was_taken_out_is_announced(
    annotator: Annotator,
    document: Document,
    notices: list[str],
    gate: threading.Event,
    qtbot: QtBot,
) -> None:
    gate.set()
    annotator.prompts.click(20, 20)
    annotator.prompts.click(30, 20)
    wait_until_idle(annotator, qtbot)
    gate.clear()
    annotator.prompts.remove_last_click()
    annotator.hand.stroke(OTHER)
    painted = document.annotation.record(0)
    gate.set()
    wait_until_idle(annotator, qtbot)
    assert document.annotation.record(0) == painted
    assert len(notices) == 1
    assert "Undo" in notices[0]


# Work on many frames


def test_an_object_is_deleted_though_another_is_renamed_and_hidden_meanwhile(
    annotator: Annotator, document: Document, notices: list[str], qtbot: QtBot
) -> None:
    bear, cub = document.add_object("bear"), document.add_object("cub")
    for frame in range(8):
        document.session.do(StrokeRequest(frame, bear, DAB))

    def interfere(frames: set[int]) -> None:
        if 4 in frames:
            document.rename_object(cub, "dog")
            document.set_visible(cub, False)

    document.masks_changed.connect(interfere)
    annotator.bulk.delete_object(bear)
    wait_until_idle(annotator, qtbot)
    assert [one.name for one in document.objects] == ["dog"]
    assert not document.annotation.records
    assert not notices


def test_masks_are_imported_though_an_object_is_added_meanwhile(
    annotator: Annotator, document: Document, notices: list[str], tmp_path: Path, qtbot: QtBot
) -> None:
    for frame in range(8):
        tiny.write_mask(tmp_path / "masks", frame, tiny.labels(frame))
    preview = preview_import(tmp_path / "masks", document.video, document.annotation)
    annotator.bulk.apply(import_masks(preview, document.annotation))
    new = document.add_object("new")
    wait_until_idle(annotator, qtbot)
    assert len(document.objects) == 3
    for frame in range(8):
        labels = document.annotation.labels(frame)
        assert new not in labels
        assert np.array_equal(labels > 0, tiny.labels(frame) > 0)
    assert not notices


def test_what_a_deletion_had_to_leave_is_announced(
    annotator: Annotator, document: Document, notices: list[str], qtbot: QtBot
) -> None:
    bear = document.add_object("bear")
    for frame in range(8):
        document.session.do(StrokeRequest(frame, bear, DAB))

    def interfere(frames: set[int]) -> None:
        if 2 in frames:
            document.session.do(StrokeRequest(6, bear, OTHER))

    document.masks_changed.connect(interfere)
    annotator.bulk.delete_object(bear)
    wait_until_idle(annotator, qtbot)
    assert set(document.annotation.records) == {6}
    assert document.object(bear) is not None
    assert len(notices) == 1
    assert "6" in notices[0]
    assert "“bear” stays" in notices[0]


def test_a_deletion_that_is_cancelled_says_what_it_has_done(
    annotator: Annotator, document: Document, notices: list[str], qtbot: QtBot
) -> None:
    bear = document.add_object("bear")
    for frame in range(8):
        document.session.do(StrokeRequest(frame, bear, DAB))
    before = dict(document.annotation.records)
    document.masks_changed.connect(lambda frames: annotator.cancel() if 2 in frames else None)
    annotator.bulk.delete_object(bear)
    wait_until_idle(annotator, qtbot)
    assert len(notices) == 1
    assert f"{8 - len(document.annotation.records)} frames" in notices[0]
    annotator.undo()
    assert dict(document.annotation.records) == before


def test_frames_are_named_in_stretches() -> None:
    assert frames_text({3}) == "3"
    assert frames_text({8, 4, 5, 6, 13}) == "4–6, 8, 13"
    assert frames_text(range(0, 20, 2)) == "0, 2, 4, 6, …"
