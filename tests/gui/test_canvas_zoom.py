"""Zoom and pan: what is under the cursor stays there, and coordinates are exact."""

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from tests.gui.canvas_samples import (
    HEIGHT,
    MIDDLE,
    WIDTH,
    Canvas,
    open_canvas,
    press_key,
    release_key,
    tap_key,
)


@pytest.fixture
def canvas(qtbot: QtBot) -> Iterator[Canvas]:
    with open_canvas(qtbot) as opened:
        yield opened


def turn_wheel(
    canvas: Canvas, at: QPointF, notches: float, keys: Qt.KeyboardModifier | None = None
) -> None:
    viewport = canvas.view.viewport()
    event = QWheelEvent(
        at,
        QPointF(viewport.mapToGlobal(at.toPoint())),
        QPoint(),
        QPoint(0, round(120 * notches)),
        Qt.MouseButton.NoButton,
        keys or Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(viewport, event)


def test_at_first_all_of_the_picture_is_seen_in_the_middle(canvas: Canvas) -> None:
    view = canvas.view
    corner = view.to_viewport(QPointF(0, 0))
    opposite = view.to_viewport(QPointF(WIDTH, HEIGHT))
    size = view.viewport().size()
    assert corner.x() >= 0
    assert corner.y() >= 0
    assert corner.x() == pytest.approx(size.width() - opposite.x())
    assert corner.y() == pytest.approx(size.height() - opposite.y())


def test_the_wheel_zooms_about_the_cursor_without_drift(canvas: Canvas) -> None:
    at = QPointF(233.25, 151.75)
    before = canvas.view.to_scene(at)
    for notches in (1, 1, 1, 0.4, -1, 2, -0.25, 3, -2):
        turn_wheel(canvas, at, notches)
        after = canvas.view.to_scene(at)
        assert after.x() == pytest.approx(before.x(), abs=1e-9)
        assert after.y() == pytest.approx(before.y(), abs=1e-9)


def test_what_qt_paints_is_where_the_arithmetic_says(canvas: Canvas) -> None:
    for zoom in (0.3, 1.0, 3.7, 20.0):
        canvas.view.zoom_to(zoom, QPointF(100.5, 80.25))
        transform = canvas.view.viewportTransform()
        for point in (QPointF(0, 0), QPointF(17.25, 99.5), QPointF(WIDTH, HEIGHT)):
            mapped, expected = transform.map(point), canvas.view.to_viewport(point)
            assert mapped.x() == pytest.approx(expected.x(), abs=1e-9)
            assert mapped.y() == pytest.approx(expected.y(), abs=1e-9)


def test_zoom_stays_within_its_bounds(canvas: Canvas) -> None:
    for _ in range(60):
        canvas.view.zoom_in()
    largest = canvas.view.zoom
    for _ in range(120):
        canvas.view.zoom_out()
    assert largest == pytest.approx(64)
    assert canvas.view.zoom == pytest.approx(0.02)


def test_actual_size_is_one_screen_pixel_for_one_of_the_picture(
    canvas: Canvas, qtbot: QtBot
) -> None:
    with qtbot.waitSignal(canvas.view.zoom_changed) as emitted:
        canvas.view.zoom_to_actual_size()
    assert emitted.args == [1.0]
    assert canvas.view.scale_factor * canvas.view.devicePixelRatioF() == 1.0


def test_a_fitted_picture_follows_the_window_and_another_keeps_its_middle(
    canvas: Canvas, qtbot: QtBot
) -> None:
    canvas.view.resize(400, 300)
    assert canvas.view.to_viewport(QPointF(WIDTH, 0)).x() == pytest.approx(400 - 8)
    canvas.view.zoom_to(5.0)
    middle = canvas.view.to_scene(QPointF(200, 150))
    canvas.view.resize(600, 500)
    assert canvas.view.zoom == 5.0
    moved = canvas.view.to_scene(QPointF(300, 250))
    assert moved.x() == pytest.approx(middle.x())
    assert moved.y() == pytest.approx(middle.y())


def test_the_middle_button_and_space_move_the_picture(canvas: Canvas, qtbot: QtBot) -> None:
    view = canvas.view
    view.zoom_to(4.0)
    before = view.to_viewport(QPointF(0, 0))
    canvas.mouse.press(100, 100, MIDDLE)
    canvas.mouse.move(110, 95)
    canvas.mouse.release(110, 95)
    after = view.to_viewport(QPointF(0, 0))
    assert (after - before).x() == pytest.approx(10 * view.scale_factor)
    assert (after - before).y() == pytest.approx(-5 * view.scale_factor)
    with qtbot.assertNotEmitted(view.space_tapped):
        press_key(view, Qt.Key.Key_Space)
        canvas.mouse.press(100, 100)
        canvas.mouse.move(90, 100)
        canvas.mouse.release(90, 100)
        release_key(view, Qt.Key.Key_Space)
    moved = (view.to_viewport(QPointF(0, 0)) - after).x()
    assert moved == pytest.approx(-10 * view.scale_factor)
    assert canvas.asked == []


def test_a_tap_on_space_is_passed_on(canvas: Canvas, qtbot: QtBot) -> None:
    with qtbot.waitSignal(canvas.view.space_tapped):
        tap_key(canvas.view, Qt.Key.Key_Space)


def test_the_picture_cannot_be_pushed_out_of_sight(canvas: Canvas) -> None:
    for movement in (QPointF(1e5, 1e5), QPointF(-1e6, -1e6), QPointF(1e6, -1e6)):
        canvas.view.pan_by(movement)
        shown = canvas.view.viewportTransform().mapRect(canvas.view.content)
        seen = shown.intersected(canvas.view.viewport().rect().toRectF())
        assert seen.width() >= 47.9
        assert seen.height() >= 47.9


def test_ctrl_and_wheel_change_the_brush_and_not_the_zoom(canvas: Canvas) -> None:

    at = QPointF(200, 200)
    zoom, radius = canvas.view.zoom, canvas.document.brush_radius_px
    turn_wheel(canvas, at, 1, Qt.KeyboardModifier.ControlModifier)
    assert canvas.view.zoom > zoom  # a click has no size
    canvas.document.set_tool("brush")
    zoom = canvas.view.zoom
    turn_wheel(canvas, at, 2, Qt.KeyboardModifier.ControlModifier)
    assert canvas.view.zoom == zoom
    assert canvas.document.brush_radius_px > radius
    turn_wheel(canvas, at, 1)
    assert canvas.view.zoom > zoom


@pytest.mark.parametrize("zoom", [0.5, 1.0, 2.5, 33.0])
def test_a_click_tells_the_very_place(canvas: Canvas, zoom: float) -> None:
    canvas.view.zoom_to(zoom, QPointF(211.5, 137.25))
    canvas.mouse.click(101.625, 77.3125)
    name, x, y, is_positive = canvas.asked[0]
    assert (name, is_positive) == ("click", True)
    assert x == pytest.approx(101.625, abs=1e-9)
    assert y == pytest.approx(77.3125, abs=1e-9)
