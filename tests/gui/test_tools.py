"""What the mouse does with each tool, through real events."""

from collections.abc import Iterator

import numpy as np
import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui.canvas.tools import tool_classes
from gui.work.document import ViewMode
from gui.work.operations import Busy
from interaction.annotation.strokes import paint
from interaction.annotation.types import Click
from tests.gui.canvas_samples import (
    HEIGHT,
    MIDDLE,
    RIGHT,
    WIDTH,
    Canvas,
    half_mask,
    open_canvas,
    tap_key,
)

ALT = Qt.KeyboardModifier.AltModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
CTRL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def canvas(qtbot: QtBot) -> Iterator[Canvas]:
    with open_canvas(qtbot) as opened:
        yield opened


def shown_labels(canvas: Canvas) -> np.ndarray:
    return canvas.view.shown_labels


def is_claimed(
    canvas: Canvas, key: Qt.Key, modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier
) -> bool:
    """Whether the key comes to the canvas before the window's shortcuts."""
    event = QKeyEvent(QEvent.Type.ShortcutOverride, key, modifiers)
    event.ignore()
    QApplication.sendEvent(canvas.view, event)
    return event.isAccepted()


def near(points: object, expected: object) -> bool:
    return bool(np.allclose(np.asarray(points), np.asarray(expected), atol=1e-9))


# Click


def test_left_adds_and_right_removes(canvas: Canvas) -> None:
    canvas.mouse.click(30.5, 40.5)
    canvas.mouse.click(60.5, 70.5, RIGHT)
    assert [(one[0], one[3]) for one in canvas.asked] == [("click", True), ("click", False)]
    assert near(canvas.asked[1][1:3], (60.5, 70.5))


def test_a_drag_is_no_click_and_a_shaky_hand_is_one(canvas: Canvas) -> None:
    canvas.mouse.drag([(30, 40), (60, 40)])
    assert canvas.asked == []
    canvas.mouse.drag([(30, 40), (31, 40)])
    assert near(canvas.asked[0][1:3], (30, 40))  # where it was pressed


def test_a_double_click_is_one_click(canvas: Canvas) -> None:
    canvas.mouse.double_click(30.5, 40.5)
    assert len(canvas.asked) == 1
    canvas.mouse.click(30.5, 40.5)
    assert len(canvas.asked) == 2


def test_a_click_beside_the_picture_asks_for_nothing(canvas: Canvas) -> None:
    canvas.mouse.click(-3, 40)
    canvas.mouse.click(10, HEIGHT + 1)
    assert canvas.asked == []


def test_a_click_shows_at_once_and_stays_when_it_is_answered(canvas: Canvas) -> None:
    canvas.annotator.set_busy(Busy.CLICKING)
    canvas.mouse.click(30.5, 40.5)
    (pending,) = canvas.view.markers.items
    assert pending.is_pending
    x, y = canvas.asked[0][1:3]
    canvas.put_mask(half_mask(), clicks=[Click(x, y, True)])
    (answered,) = canvas.view.markers.items
    assert not answered.is_pending
    canvas.annotator.set_busy(Busy.IDLE)
    assert len(canvas.view.markers.items) == 1


def test_a_click_that_failed_is_wiped_away(canvas: Canvas) -> None:
    canvas.annotator.set_busy(Busy.CLICKING)
    canvas.mouse.click(30.5, 40.5)
    canvas.annotator.set_busy(Busy.IDLE)
    assert canvas.view.markers.items == ()


def test_one_click_is_taken_out_by_alt_or_delete(canvas: Canvas, qtbot: QtBot) -> None:
    canvas.put_mask(half_mask(), clicks=[Click(30, 40, True), Click(90, 40, False)])
    canvas.mouse.click(90.5, 40.5, keys=ALT)
    assert canvas.asked == [("remove_click", 1)]
    canvas.mouse.move(30.5, 40)
    tap_key(canvas.view, Qt.Key.Key_Delete)
    assert canvas.asked[1:] == [("remove_click", 0)]
    canvas.mouse.move(200, 100)
    tap_key(canvas.view, Qt.Key.Key_Delete)
    assert len(canvas.asked) == 2


def test_ctrl_and_click_picks_with_every_tool(canvas: Canvas) -> None:
    canvas.put_mask(half_mask())
    for tool in tool_classes():
        canvas.document.set_tool(tool)
        canvas.document.set_current_object(1)
        canvas.mouse.click(230.5, 90.5, keys=CTRL)
        assert canvas.document.current_object == 2
    assert canvas.asked == []


# Select


def test_select_picks_by_a_click_and_moves_by_a_drag(canvas: Canvas) -> None:
    canvas.put_mask(half_mask())
    canvas.document.set_tool("select")
    canvas.mouse.click(230, 90)
    assert canvas.document.current_object == 2
    canvas.mouse.click(300, 10)  # background: stays
    assert canvas.document.current_object == 2
    canvas.view.zoom_to(4.0)
    before = canvas.view.viewportTransform().dx()
    canvas.mouse.drag([(40, 90), (50, 90), (50, 90)])
    assert canvas.view.viewportTransform().dx() > before
    assert canvas.document.current_object == 2


def test_a_hidden_object_cannot_be_picked(canvas: Canvas) -> None:
    canvas.put_mask(half_mask())
    canvas.document.set_tool("select")
    canvas.document.set_visible(2, False)
    canvas.mouse.click(230, 90)
    assert canvas.document.current_object == 1


# Box


def test_a_box_is_requested_once_and_ends_at_the_frame(canvas: Canvas) -> None:
    canvas.document.set_tool("box")
    canvas.mouse.drag([(-5, 20), (50, 60), (100.5, HEIGHT + 30)])
    ((name, corner, opposite),) = canvas.asked
    assert name == "box"
    assert near(corner, (0, 20))
    assert near(opposite, (100.5, HEIGHT))


def test_a_box_without_an_inside_is_none(canvas: Canvas) -> None:
    canvas.document.set_tool("box")
    canvas.mouse.click(50, 50)
    canvas.mouse.drag([(50, 50), (90, 50.1)])
    assert canvas.asked == []


# Scribble


def test_scribbles_are_requested_with_their_sign(canvas: Canvas) -> None:
    canvas.document.set_tool("scribble")
    points = [(20.0, 20.0), (40.0, 25.0), (60.0, 20.0)]
    canvas.mouse.drag(points)
    canvas.mouse.drag(points, RIGHT)
    strokes = [one[1][0] for one in canvas.asked]
    assert [one.is_positive for one in strokes] == [True, False]
    assert near(strokes[0].points, points)


# Brush and eraser


def test_a_stroke_is_requested_once_and_shown_while_it_is_drawn(canvas: Canvas) -> None:
    canvas.document.set_tool("brush")
    canvas.document.set_brush_radius_px(6)
    points = [(20.25, 20.5), (60.0, 40.75), (100.0, 20.0)]
    canvas.mouse.press(*points[0])
    canvas.mouse.move(*points[1])
    assert shown_labels(canvas)[30, 40] == 1  # before the button is up
    assert canvas.asked == []
    canvas.mouse.move(*points[2])
    canvas.mouse.release(*points[2])
    ((name, stroke),) = canvas.asked
    assert name == "stroke"
    assert near(stroke.points, points)
    assert stroke.is_positive
    assert stroke.radius_px == 6


def test_what_is_shown_while_drawing_is_what_the_edit_makes(canvas: Canvas) -> None:
    canvas.put_mask(half_mask())
    canvas.annotator.hand.is_obliging = True
    canvas.document.set_tool("brush")
    canvas.document.set_current_object(2)
    canvas.document.set_brush_radius_px(9.5)
    canvas.mouse.press(100, 100)
    for x in range(105, 230, 7):
        canvas.mouse.move(x, 100 + (x % 5) * 4.25)
    drawn = shown_labels(canvas).copy()
    canvas.mouse.release(231, 101)
    after = canvas.document.annotation.labels(0)
    stroke = canvas.asked[0][1]
    np.testing.assert_array_equal(after, paint(half_mask(), 2, stroke))
    changed = drawn != after  # the last piece alone
    assert np.flatnonzero(changed.any(axis=0)).min(initial=WIDTH) > 200
    np.testing.assert_array_equal(shown_labels(canvas), after)


def test_the_drawn_stroke_stays_until_the_masks_have_changed(canvas: Canvas, qtbot: QtBot) -> None:
    canvas.document.set_tool("brush")
    canvas.mouse.drag([(40, 40), (80, 40)])
    assert shown_labels(canvas)[40, 60] == 1  # nothing was answered yet
    canvas.put_mask(half_mask())
    np.testing.assert_array_equal(shown_labels(canvas), half_mask())
    canvas.mouse.drag([(240, 20), (280, 20)])
    qtbot.waitUntil(lambda: shown_labels(canvas)[20, 260] == 0, timeout=5000)  # never answered


@pytest.mark.parametrize(
    ("tool", "button", "keys", "paints"),
    [
        ("brush", None, None, True),
        ("brush", RIGHT, None, False),
        ("brush", None, ALT, False),
        ("eraser", None, None, False),
        ("eraser", RIGHT, None, True),
        ("eraser", None, ALT, True),
    ],
)
def test_alt_and_the_right_button_turn_the_brush_round(
    canvas: Canvas,
    tool: str,
    button: Qt.MouseButton | None,
    keys: Qt.KeyboardModifier | None,
    paints: bool,
) -> None:
    canvas.document.set_tool(tool)
    canvas.mouse.drag(
        [(40, 40), (80, 40)],
        button or Qt.MouseButton.LeftButton,
        keys or Qt.KeyboardModifier.NoModifier,
    )
    assert canvas.asked[0][1].is_positive is paints


def test_shift_draws_straight_from_where_the_last_stroke_ended(canvas: Canvas) -> None:
    canvas.document.set_tool("brush")
    canvas.mouse.click(50, 50, keys=SHIFT)  # there is no last one yet
    canvas.mouse.click(120, 90, keys=SHIFT)
    assert near(canvas.asked[0][1].points, [(50, 50)])
    assert near(canvas.asked[1][1].points, [(50, 50), (120, 90)])
    canvas.document.set_frame(1)
    canvas.mouse.click(10, 10, keys=SHIFT)
    assert near(canvas.asked[2][1].points, [(10, 10)])


def test_a_locked_object_is_not_painted_and_locked_pixels_stay(canvas: Canvas) -> None:
    canvas.put_mask(half_mask())
    canvas.document.set_tool("brush")
    canvas.document.set_locked(2, True)
    canvas.document.set_brush_radius_px(5)
    canvas.mouse.press(230, 90)
    canvas.mouse.move(290, 90)
    assert shown_labels(canvas)[90, 230] == 2
    assert shown_labels(canvas)[90, 280] == 1
    canvas.mouse.release(290, 90)


def test_a_mask_that_changes_below_a_stroke_does_not_wipe_it(canvas: Canvas) -> None:
    canvas.document.set_tool("brush")
    canvas.mouse.press(200, 20)
    canvas.mouse.move(280, 20)
    canvas.put_mask(half_mask())  # a propagation comes by
    assert shown_labels(canvas)[20, 250] == 1
    assert shown_labels(canvas)[90, 230] == 2
    canvas.mouse.release(280, 20)
    assert len(canvas.asked) == 1


# Lasso


def test_a_lasso_is_requested_once(canvas: Canvas) -> None:
    canvas.document.set_tool("lasso")
    points = [(20.0, 20.0), (80.0, 20.0), (80.0, 80.0), (20.0, 80.0)]
    canvas.mouse.drag(points)
    canvas.mouse.drag(points, RIGHT)
    canvas.mouse.drag(points, keys=ALT)
    assert [(one[0], one[2]) for one in canvas.asked] == [
        ("fill", True),
        ("fill", False),
        ("fill", False),
    ]
    assert near(canvas.asked[0][1], points)


def test_corners_can_be_clicked(canvas: Canvas) -> None:
    canvas.document.set_tool("lasso")
    canvas.mouse.click(20, 20)
    canvas.mouse.move(50, 20)
    canvas.mouse.click(80, 20)
    canvas.mouse.double_click(80, 80)
    assert canvas.asked[0][0] == "fill"
    assert near(canvas.asked[0][1], [(20, 20), (80, 20), (80, 80)])
    canvas.mouse.click(20, 20)
    canvas.mouse.click(80, 20)
    canvas.mouse.click(80, 80)
    canvas.mouse.click(21, 21)  # back at the first
    assert len(canvas.asked) == 2
    assert near(canvas.asked[1][1], [(20, 20), (80, 20), (80, 80)])


def test_the_keys_of_a_polygon_take_corners_back_and_close_it(canvas: Canvas) -> None:
    canvas.document.set_tool("lasso")
    for corner in ((20, 20), (80, 20), (80, 80), (150, 150), (20, 80)):
        canvas.mouse.click(*corner)
    tap_key(canvas.view, Qt.Key.Key_Backspace)
    QTest.keyClick(canvas.view, Qt.Key.Key_Z, CTRL)
    canvas.mouse.move(50, 50)
    tap_key(canvas.view, Qt.Key.Key_Return)
    assert canvas.asked[0][0] == "fill"
    assert near(canvas.asked[0][1], [(20, 20), (80, 20), (80, 80)])
    canvas.mouse.click(20, 20)
    tap_key(canvas.view, Qt.Key.Key_Return)  # a corner has no inside
    canvas.mouse.click(80, 20)
    canvas.mouse.click(80, 80)
    tap_key(canvas.view, Qt.Key.Key_Enter)
    assert near(canvas.asked[1][1], [(20, 20), (80, 20), (80, 80)])


def test_taking_the_only_corner_back_ends_the_polygon(canvas: Canvas) -> None:
    before = canvas.view.grab().toImage()
    canvas.document.set_tool("lasso")
    canvas.mouse.click(20, 20)
    canvas.mouse.move(90, 90)
    tap_key(canvas.view, Qt.Key.Key_Backspace)
    assert not is_claimed(canvas, Qt.Key.Key_Backspace)
    QApplication.sendEvent(canvas.view, QEvent(QEvent.Type.Leave))
    assert canvas.view.grab().toImage() == before


def test_the_windows_keys_are_the_polygons_only_while_it_is_open(canvas: Canvas) -> None:
    canvas.document.set_tool("lasso")
    keys = [
        (Qt.Key.Key_Backspace, Qt.KeyboardModifier.NoModifier),
        (Qt.Key.Key_Return, Qt.KeyboardModifier.NoModifier),
        (Qt.Key.Key_Z, CTRL),
    ]
    assert not any(is_claimed(canvas, *key) for key in keys)
    canvas.mouse.click(20, 20)
    assert all(is_claimed(canvas, *key) for key in keys)
    assert not is_claimed(canvas, Qt.Key.Key_Z, CTRL | SHIFT)  # redo
    tap_key(canvas.view, Qt.Key.Key_Escape)
    assert not any(is_claimed(canvas, *key) for key in keys)


# Fill


def test_a_double_click_fills_once(canvas: Canvas) -> None:
    canvas.document.set_tool("fill")
    canvas.mouse.double_click(30.5, 40.5)
    assert [one[0] for one in canvas.asked] == ["fill_at"]


def test_fill_asks_for_what_is_pointed_at_and_with_shift_for_all(canvas: Canvas) -> None:
    canvas.document.set_tool("fill")
    canvas.mouse.click(30.5, 40.5)
    canvas.mouse.click(30, 40, keys=SHIFT)
    canvas.mouse.click(30, 40, RIGHT, keys=SHIFT)
    assert [one[0] for one in canvas.asked] == ["fill_at", "fill_holes", "remove_specks"]
    assert near(canvas.asked[0][1:], (30.5, 40.5))


# All of them


@pytest.mark.parametrize("tool", sorted(tool_classes()))
def test_escape_abandons_a_gesture_as_if_it_had_never_begun(
    canvas: Canvas, qtbot: QtBot, tool: str
) -> None:
    canvas.put_mask(half_mask())
    before = canvas.view.grab().toImage()
    canvas.document.set_tool(tool)
    canvas.mouse.press(200, 30)
    if tool != "select":
        canvas.mouse.move(240, 50)
        canvas.mouse.move(260, 30)
    tap_key(canvas.view, Qt.Key.Key_Escape)
    canvas.mouse.release(260, 30)
    assert canvas.asked == []
    assert canvas.document.current_object == 1
    QApplication.sendEvent(canvas.view, QEvent(QEvent.Type.Leave))
    assert canvas.view.grab().toImage() == before


def test_escape_comes_to_the_canvas_first_only_while_something_is_drawn(canvas: Canvas) -> None:
    canvas.document.set_tool("brush")
    assert not is_claimed(canvas, Qt.Key.Key_Escape)
    canvas.mouse.press(20, 20)
    assert is_claimed(canvas, Qt.Key.Key_Escape)
    canvas.mouse.release(20, 20)
    assert not is_claimed(canvas, Qt.Key.Key_Escape)


def test_what_is_worked_on_is_brought_into_sight_before_it_changes(canvas: Canvas) -> None:
    canvas.document.set_tool("brush")
    canvas.mouse.press(20, 20)
    assert canvas.annotator.hand.reveals == 1
    canvas.mouse.release(20, 20)
    canvas.document.set_tool("select")
    canvas.mouse.click(20, 20)
    assert canvas.annotator.hand.reveals == 1


@pytest.mark.parametrize("tool", [tool for tool in sorted(tool_classes()) if tool != "select"])
def test_work_is_announced_before_it_is_asked_for_and_looking_is_not(
    canvas: Canvas, tool: str
) -> None:
    begun: list[int] = []
    canvas.view.work_begun.connect(begun.append)
    canvas.document.set_frame(2)
    canvas.document.set_tool("select")
    canvas.mouse.drag([(20, 20), (60, 60)])
    canvas.document.set_tool(tool)
    canvas.mouse.click(20, 20, keys=CTRL)
    canvas.mouse.drag([(20, 20), (60, 60)], MIDDLE)
    assert begun == []
    canvas.mouse.press(20, 20)
    assert begun == [2]
    canvas.mouse.release(20, 20)


def test_the_picture_can_be_moved_while_frames_go_by(canvas: Canvas) -> None:
    canvas.view.zoom_to(4.0)
    before = canvas.view.viewportTransform().dx()
    canvas.mouse.press(100, 90, MIDDLE)
    canvas.mouse.move(104, 90)
    canvas.document.set_frame(1)
    between = canvas.view.viewportTransform().dx()
    canvas.mouse.move(108, 90)
    canvas.mouse.release(108, 90)
    assert before < between < canvas.view.viewportTransform().dx()


def test_a_stroke_outlives_a_picture_that_comes_twice(canvas: Canvas, qtbot: QtBot) -> None:
    canvas.document.set_tool("brush")
    canvas.document.set_frame(1)
    canvas.video.slow = {1, 2}  # nothing stays in memory
    canvas.document.set_frame(2)
    canvas.document.set_frame(1)
    canvas.mouse.press(20, 20)
    canvas.mouse.move(60, 20)
    with qtbot.waitSignal(canvas.view.frame_shown):
        canvas.video.may_go_on.set()
    canvas.mouse.move(90, 20)
    canvas.mouse.release(90, 20)
    assert near(canvas.asked[0][1].points, [(20, 20), (60, 20), (90, 20)])
    assert shown_labels(canvas)[20, 40] == 1


def test_a_frame_that_changes_abandons_the_gesture(canvas: Canvas) -> None:
    canvas.document.set_tool("brush")
    canvas.mouse.press(20, 20)
    canvas.mouse.move(60, 20)
    canvas.document.set_frame(3)
    canvas.mouse.move(90, 20)
    canvas.mouse.release(90, 20)
    assert canvas.asked == []
    assert not shown_labels(canvas).any()


def test_nothing_is_asked_for_a_frame_that_is_not_in_sight_yet(
    canvas: Canvas, qtbot: QtBot
) -> None:
    canvas.video.slow.add(2)
    canvas.document.set_frame(2)
    canvas.mouse.click(50, 50)
    assert canvas.asked == []
    with qtbot.waitSignal(canvas.view.frame_shown):
        canvas.video.may_go_on.set()
    canvas.mouse.click(50, 50)
    assert len(canvas.asked) == 1


def test_every_tool_says_what_it_does(canvas: Canvas, qtbot: QtBot) -> None:
    hints = {canvas.view.hint}
    for tool in tool_classes():
        canvas.document.set_tool(tool)
        hints.add(canvas.view.hint)
    assert len(hints) == len(tool_classes())
    assert all(hints)


def test_the_source_beside_the_overlay_takes_the_same_clicks(canvas: Canvas) -> None:
    canvas.document.set_view_mode(ViewMode.SIDE_BY_SIDE)
    canvas.mouse.click(WIDTH + 8 + 30.5, 40.5)
    assert near(canvas.asked[0][1:3], (30.5, 40.5))
