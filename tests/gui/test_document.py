"""The document: setters are silent when nothing changes, and everything else is announced."""

from pytestqt.qtbot import QtBot

from gui.work.document import Document
from interaction.annotation.requests import StrokeRequest
from interaction.annotation.types import EMPTY_RECORD, Edit, FrameStatus, Stroke
from interaction.errors import UserError
from tests.gui.recording_annotator import record_of

DAB = Stroke(((20.0, 20.0),), 6)


def test_setters_say_only_what_changed(document: Document, qtbot: QtBot) -> None:
    with qtbot.waitSignal(document.frame_changed):
        document.set_frame(3)
    with qtbot.assertNotEmitted(document.frame_changed):
        document.set_frame(3)
    with qtbot.assertNotEmitted(document.tool_changed):
        document.set_tool("click")


def test_a_frame_outside_the_video_is_the_nearest_inside(document: Document) -> None:
    document.set_frame(10_000)
    assert document.frame == document.frame_count - 1
    document.set_frame(-5)
    assert document.frame == 0


def test_a_range_in_the_wrong_order_keeps_the_end_that_was_just_set(document: Document) -> None:
    document.set_range(2, 4)
    document.set_range(6, 4)
    assert (document.range_in, document.range_out) == (6, None)
    document.set_range(None, 4)
    document.set_range(2, 4)
    document.set_range(2, 1)
    assert (document.range_in, document.range_out) == (None, 1)


def test_the_current_object_is_always_one_that_exists(document: Document) -> None:
    bear = document.add_object("bear")
    document.set_current_object(99)
    assert document.current_object == bear
    document.undo()
    assert document.current_object == 0


def test_solo_shows_one_object_and_ends_when_it_goes(document: Document) -> None:
    bear, cub = document.add_object("bear"), document.add_object("cub")
    document.set_solo(cub)
    assert document.is_shown(cub)
    assert not document.is_shown(bear)
    document.undo()
    assert document.is_shown(bear)
    assert document.solo == 0


def test_the_only_object_that_is_shown_is_the_current_one(document: Document) -> None:
    bear, cub = document.add_object("bear"), document.add_object("cub")
    document.set_current_object(bear)
    document.set_solo(bear)
    document.set_current_object(cub)
    assert document.solo == cub
    document.set_solo(0)
    document.set_current_object(bear)
    assert document.solo == 0


def test_undo_and_redo_go_where_something_changed(document: Document, qtbot: QtBot) -> None:
    bear = document.add_object("bear")
    for frame in (1, 4):
        document.do(StrokeRequest(frame, bear, DAB))
    document.set_frame(6)
    document.undo()
    assert document.frame == 4
    with qtbot.waitSignal(document.travelled):
        document.undo()
    assert document.frame == 1
    document.set_frame(6)
    document.redo()
    assert document.frame == 1
    document.set_frame(6)
    document.go_to(1)  # only the object is left
    assert document.frame == 1
    document.set_frame(6)
    document.rename_object(bear, "Bear")
    document.undo()  # nothing on any frame
    assert document.frame == 6


def test_a_way_through_the_history_that_breaks_off_is_shown_as_far_as_it_came(
    document: Document,
) -> None:
    bear = document.add_object("bear")
    for frame in range(4):
        document.do(StrokeRequest(frame, bear, DAB))
    damaged = document.session.history.entries[2]
    problem = UserError("It cannot be read.")

    def fail() -> Edit:
        raise problem

    damaged.edit, damaged.load = None, fail
    changed: set[int] = set()
    failures: list[UserError] = []
    document.masks_changed.connect(changed.update)
    document.failed.connect(failures.append)
    document.go_to(0)
    assert document.session.history.position == 3
    assert changed == {2, 3}
    assert failures == [problem]


def test_undo_stays_where_a_run_began(document: Document) -> None:
    bear = document.add_object("bear")
    for frame in (3, 4, 5):
        record = record_of([bear], FrameStatus.TRACKED)
        edit = Edit("Track", {frame: EMPTY_RECORD}, {frame: record}, group="run")
        assert document.apply(edit)
    document.set_frame(2)
    document.undo()
    assert document.frame == 2
    document.redo()
    assert document.frame == 2
    document.set_frame(7)
    document.undo()
    assert document.frame == 3
