"""The document: setters are silent when nothing changes, and everything else is announced."""

from pytestqt.qtbot import QtBot

from gui.document import Document
from gui.view_state import Tool


def test_setters_say_only_what_changed(document: Document, qtbot: QtBot) -> None:
    with qtbot.waitSignal(document.frame_changed):
        document.set_frame(3)
    with qtbot.assertNotEmitted(document.frame_changed):
        document.set_frame(3)
    with qtbot.assertNotEmitted(document.tool_changed):
        document.set_tool(Tool.CLICK)


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
