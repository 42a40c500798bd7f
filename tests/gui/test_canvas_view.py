"""What is seen on the canvas, and that the window never waits for it."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QTransform
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui.canvas.backdrop import SURROUND, Backdrop, Look
from gui.canvas.shown_frame import FrameLoader
from gui.canvas.tools import tool_classes
from gui.work.document import ViewMode
from gui.work.operations import Busy
from interaction.annotation.types import Click
from interaction.errors import UserError
from tests.gui.canvas_samples import (
    WIDTH,
    Canvas,
    MemoryVideo,
    half_mask,
    open_canvas,
    press_key,
    release_key,
)

GREY = (20, 20, 20)  # frame 0
INSIDE, OUTSIDE = (40, 90), (300, 20)  # of object 1 of `half_mask`


@pytest.fixture
def canvas(qtbot: QtBot) -> Iterator[Canvas]:
    with open_canvas(qtbot) as opened:
        yield opened


def mixed(color: tuple[int, int, int], over: tuple[int, int, int], share: float) -> list[float]:
    return [c * share + o * (1 - share) for c, o in zip(color, over, strict=True)]


# Frame and masks


def test_the_frame_is_shown_and_follows_the_document(canvas: Canvas) -> None:
    assert canvas.pixel(*OUTSIDE) == GREY
    canvas.document.set_frame(4)
    assert canvas.pixel(*OUTSIDE) == (60, 60, 60)
    assert canvas.view.shown_frame == 4


def test_masks_have_the_colour_and_opacity_of_their_objects(canvas: Canvas) -> None:
    canvas.put_mask(half_mask())
    color = canvas.document.objects[0].color
    assert canvas.pixel(*INSIDE) == pytest.approx(mixed(color, GREY, 0.5), abs=2)
    canvas.document.set_opacity(0.25)
    assert canvas.pixel(*INSIDE) == pytest.approx(mixed(color, GREY, 0.25), abs=2)
    canvas.document.recolor_object(1, (10, 200, 30))
    assert canvas.pixel(*INSIDE) == pytest.approx(mixed((10, 200, 30), GREY, 0.25), abs=2)
    assert canvas.pixel(*OUTSIDE) == GREY


def test_undo_is_seen(canvas: Canvas) -> None:
    canvas.put_mask(half_mask())
    canvas.document.undo()
    assert canvas.pixel(*INSIDE) == GREY


def test_hidden_objects_and_those_that_are_not_solo_are_not_seen(canvas: Canvas) -> None:
    canvas.put_mask(half_mask())
    canvas.document.set_visible(1, False)
    assert canvas.pixel(*INSIDE) == GREY
    assert canvas.pixel(230, 90) != GREY
    canvas.document.set_visible(1, True)
    canvas.document.set_solo(1)
    assert canvas.pixel(*INSIDE) != GREY
    assert canvas.pixel(230, 90) == GREY


def test_masks_hide_as_long_as_a_key_is_held(canvas: Canvas, qtbot: QtBot) -> None:
    canvas.put_mask(half_mask(), clicks=[Click(*INSIDE, True)])
    press_key(canvas.view, Qt.Key.Key_H)
    assert canvas.pixel(*INSIDE) == GREY
    assert not canvas.view.markers.items[0].isVisible()
    release_key(canvas.view, Qt.Key.Key_H)
    assert canvas.pixel(*INSIDE) != GREY
    assert canvas.view.markers.items[0].isVisible()


def test_masks_come_back_when_the_key_is_let_go_elsewhere(canvas: Canvas, qtbot: QtBot) -> None:
    canvas.put_mask(half_mask())
    canvas.view.setFocus()
    press_key(canvas.view, Qt.Key.Key_H)
    canvas.view.clearFocus()
    assert canvas.pixel(*INSIDE) != GREY


@pytest.mark.parametrize(
    ("mode", "inside", "outside"),
    [
        (ViewMode.OUTLINE, GREY, GREY),
        (ViewMode.MASK, None, (0, 0, 0)),
        (ViewMode.FADE, GREY, (8, 8, 8)),
        (ViewMode.POPUP, GREY, GREY),
        (ViewMode.GREEN, GREY, (0, 177, 64)),
        (ViewMode.LAYER, GREY, (200, 0, 100)),
    ],
)
def test_every_way_of_looking(
    canvas: Canvas,
    tmp_path_factory: pytest.TempPathFactory,
    mode: ViewMode,
    inside: tuple[int, int, int] | None,
    outside: tuple[int, int, int],
) -> None:
    canvas.put_mask(half_mask())
    layer = QImage(5, 5, QImage.Format.Format_RGB32)
    layer.fill(QColor(200, 0, 100))
    path = tmp_path_factory.mktemp("layer") / "layer.png"
    assert layer.save(str(path))
    canvas.document.set_layer(str(path))
    canvas.document.set_view_mode(mode)
    color = canvas.document.objects[0].color
    assert canvas.pixel(*INSIDE) == pytest.approx(inside or color, abs=1)
    assert canvas.pixel(*OUTSIDE) == pytest.approx(outside, abs=1)


def test_a_layer_that_is_no_picture_leaves_the_frame(canvas: Canvas) -> None:
    canvas.put_mask(half_mask())
    canvas.document.set_layer("/nowhere/at all.png")
    canvas.document.set_view_mode(ViewMode.LAYER)
    assert canvas.pixel(*OUTSIDE) == GREY


def test_side_by_side_shows_the_bare_frame_on_the_right(canvas: Canvas) -> None:
    canvas.put_mask(half_mask())
    canvas.document.set_view_mode(ViewMode.SIDE_BY_SIDE)
    assert canvas.pixel(*INSIDE) != GREY
    x, y = INSIDE
    assert canvas.pixel(WIDTH + 8 + x, y) == GREY
    canvas.document.set_view_mode(ViewMode.OVERLAY)
    assert canvas.view.content.width() == WIDTH


def test_an_outline_runs_along_the_edge_of_every_object(canvas: Canvas) -> None:
    canvas.put_mask(half_mask())
    canvas.document.set_view_mode(ViewMode.OUTLINE)
    canvas.view.zoom_to(4.0)
    assert canvas.pixel(150, 90) == GREY
    image = canvas.view.viewport().grab().toImage()
    ratio = image.devicePixelRatio()
    edge = canvas.view.to_viewport(QPointF(WIDTH // 2, 90)) * ratio
    row = [image.pixelColor(int(edge.x()) + dx, int(edge.y())) for dx in range(-9, 9)]
    color = QColor(*canvas.document.objects[0].color)
    # Two of the window's pixels at every zoom.
    assert sum(one == color for one in row) == 2 * max(1, round(ratio))


def test_the_object_under_the_cursor_stands_out(canvas: Canvas) -> None:
    canvas.put_mask(half_mask())
    QApplication.sendEvent(canvas.view, QEvent(QEvent.Type.Leave))
    before = canvas.view.grab().toImage()
    canvas.mouse.move(230, 90)
    image = canvas.view.grab().toImage()
    assert image != before
    QApplication.sendEvent(canvas.view, QEvent(QEvent.Type.Leave))
    assert canvas.view.grab().toImage() == before


def test_onion_skin_shows_where_objects_were_and_will_be(canvas: Canvas) -> None:
    canvas.put_mask(half_mask(), frame=1)
    QApplication.sendEvent(canvas.view, QEvent(QEvent.Type.Leave))
    before = canvas.view.grab().toImage()
    canvas.document.set_onion_skin(True)
    assert canvas.view.grab().toImage() != before
    canvas.document.set_onion_skin(False)
    assert canvas.view.grab().toImage() == before


def test_hatching_changes_the_inside_and_nothing_else(canvas: Canvas) -> None:
    canvas.put_mask(half_mask())
    before = canvas.view.viewport().grab().toImage()
    canvas.document.set_hatching(True)
    after = canvas.view.viewport().grab().toImage()
    assert before != after
    at = canvas.view.to_viewport(QPointF(*OUTSIDE)).toPoint()
    assert before.pixel(at) == after.pixel(at)


def test_a_grid_parts_pixels_that_are_large(canvas: Canvas) -> None:
    canvas.view.zoom_to(7.9)
    assert canvas.pixel(160, 90) == GREY
    image = canvas.view.viewport().grab().toImage()
    ratio = image.devicePixelRatio()
    at = (canvas.view.to_viewport(QPointF(160, 90.5)) * ratio).toPoint()
    assert QColor(image.pixel(at)) == QColor(*GREY)
    canvas.view.zoom_to(20.0)
    image = canvas.view.viewport().grab().toImage()
    edge = canvas.view.to_viewport(QPointF(160, 90.5)) * ratio
    near = [QColor(image.pixel(int(edge.x()) + dx, int(edge.y()))) for dx in (-1, 0, 1)]
    assert any(one != QColor(*GREY) for one in near)
    assert canvas.pixel(160, 90) == GREY  # not in the middle of one


def test_painting_part_by_part_gives_what_painting_at_once_gives(
    canvas: Canvas, qtbot: QtBot
) -> None:
    canvas.put_mask(half_mask())
    canvas.document.set_hatching(True)
    canvas.document.set_tool("brush")
    canvas.view.grab()
    canvas.mouse.press(200, 30)
    for x in range(205, 290, 9):
        canvas.mouse.move(x, 30 + x % 7)
        qtbot.wait(1)
    image = canvas.view.viewport().grab().toImage()
    canvas.view.repaint_all()
    assert canvas.view.viewport().grab().toImage() == image


def whole_canvas(canvas: Canvas) -> QImage:
    return canvas.view.viewport().grab().toImage()


def repainted(canvas: Canvas) -> QImage:
    canvas.view.repaint_all()
    return whole_canvas(canvas)


@pytest.mark.parametrize("zoom", [0.7, 1.0, 2.6, 11.0])
def test_a_picture_that_is_pushed_about_is_what_painting_it_there_gives(
    canvas: Canvas, zoom: float
) -> None:
    canvas.put_mask(half_mask())
    canvas.put_mask(half_mask(), frame=1)
    canvas.document.set_hatching(True)
    canvas.document.set_onion_skin(True)
    canvas.view.zoom_to(zoom)
    before = whole_canvas(canvas)
    for movement in ((7, 0), (-3, 12), (0.25, -9), (-40, -31), (6, 500)):
        canvas.view.pan_by(QPointF(*movement))
        moved = whole_canvas(canvas)
        assert moved != before
        assert moved == repainted(canvas)
        before = moved


def test_a_stroke_on_a_picture_that_is_being_pushed_is_painted_where_it_is(canvas: Canvas) -> None:
    canvas.document.set_tool("brush")
    canvas.view.zoom_to(2.0)
    canvas.mouse.press(150, 90)
    whole_canvas(canvas)
    canvas.view.pan_by(QPointF(30, -20))  # nothing is painted between the two
    canvas.mouse.move(170, 95)
    canvas.view.pan_by(QPointF(-11, 8))
    assert whole_canvas(canvas) == repainted(canvas)


def test_going_from_object_to_object_paints_what_painting_all_gives(
    canvas: Canvas, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = np.zeros_like(half_mask())
    labels[20:50, 30:70] = 1
    labels[120:160, 200:280] = 2
    canvas.put_mask(labels)
    canvas.mouse.move(5, 5)
    before = whole_canvas(canvas)
    painted: list[float] = []
    paint = Backdrop.paint

    def noted(
        self: Backdrop, painter: QPainter, to_window: QTransform, exposed: QRectF, ratio: float
    ) -> None:
        painted.append(exposed.width() * exposed.height())
        paint(self, painter, to_window, exposed, ratio)

    monkeypatch.setattr(Backdrop, "paint", noted)
    seen = [before]
    for place in ((40, 30), (240, 140), (5, 5)):
        canvas.mouse.move(*place)
        seen.append(whole_canvas(canvas))
    size = canvas.view.viewport().size()
    assert 0 < max(painted) < size.width() * size.height() / 4
    assert seen[0] != seen[1] != seen[2]
    assert seen[3] == before
    canvas.mouse.move(240, 140)
    assert repainted(canvas) == seen[2]


def test_onion_skin_is_the_same_after_coming_back_and_after_a_correction(canvas: Canvas) -> None:
    for frame in range(4):
        labels = np.roll(half_mask(), 9 * frame, 1)
        labels[:30] = 0
        canvas.put_mask(labels, frame=frame)
    canvas.document.set_onion_skin(True)
    canvas.document.set_frame(1)
    before = whole_canvas(canvas)
    for frame in (2, 3, 2, 1):
        canvas.document.set_frame(frame)
        whole_canvas(canvas)
    assert whole_canvas(canvas) == before
    canvas.put_mask(np.roll(half_mask(), 60, 0), frame=2)
    corrected = whole_canvas(canvas)
    assert corrected != before
    canvas.document.undo()
    canvas.document.set_frame(1)
    assert whole_canvas(canvas) == before
    canvas.document.set_visible(2, False)
    assert whole_canvas(canvas) != before


# Markers


def test_markers_lie_where_the_clicks_were_and_keep_their_size(canvas: Canvas) -> None:
    canvas.put_mask(half_mask(), clicks=[Click(30.25, 40.5, True), Click(90, 40, False)])
    first, second = canvas.view.markers.items
    assert (first.pos().x(), first.pos().y()) == (30.25, 40.5)
    assert second.click.is_positive is False
    for zoom in (1.0, 9.0):
        canvas.view.zoom_to(zoom)
        size = first.deviceTransform(canvas.view.viewportTransform()).mapRect(first.boundingRect())
        assert size.width() == pytest.approx(first.boundingRect().width())
    canvas.document.set_frame(1)
    assert canvas.view.markers.items == ()


def test_only_the_current_objects_clicks_are_marked(canvas: Canvas) -> None:
    canvas.put_mask(half_mask(), clicks=[Click(230, 90, True)], object_id=2)
    assert canvas.view.markers.items == ()
    canvas.document.set_current_object(2)
    assert len(canvas.view.markers.items) == 1
    canvas.document.set_current_object(1)
    assert canvas.view.markers.items == ()


def test_a_click_that_waits_is_marked_for_its_own_object_alone(canvas: Canvas) -> None:
    canvas.annotator.set_busy(Busy.CLICKING)
    canvas.mouse.click(30.5, 40.5)
    canvas.document.set_current_object(2)
    assert [marker.is_pending for marker in canvas.view.markers.items] == []
    canvas.document.set_current_object(1)
    assert [marker.is_pending for marker in canvas.view.markers.items] == [True]


def test_a_click_stays_marked_until_it_is_answered_beside_a_longer_run(
    canvas: Canvas, qtbot: QtBot
) -> None:
    canvas.annotator.set_busy(Busy.LEARNING)
    canvas.annotator.prompts.are_waiting = True
    canvas.mouse.click(30.5, 40.5)
    canvas.annotator.document.failed.emit(UserError("Something else went wrong."))
    assert [marker.is_pending for marker in canvas.view.markers.items] == [True]
    canvas.annotator.prompts.are_waiting = False  # and nothing changed
    canvas.annotator.operations.changed.emit()
    assert canvas.view.markers.items == ()


# The cursor


def test_the_cursor_says_that_a_locked_object_cannot_be_changed(canvas: Canvas) -> None:
    canvas.put_mask(half_mask())
    viewport = canvas.view.viewport()
    canvas.mouse.move(*OUTSIDE)
    assert viewport.cursor().shape() is Qt.CursorShape.CrossCursor
    canvas.document.set_locked(1, True)
    for tool in tool_classes():
        canvas.document.set_tool(tool)
        is_forbidden = viewport.cursor().shape() is Qt.CursorShape.ForbiddenCursor
        assert is_forbidden == (tool != "select")
    canvas.document.set_current_object(2)
    assert viewport.cursor().shape() is not Qt.CursorShape.ForbiddenCursor
    canvas.document.set_current_object(1)
    canvas.document.set_locked(1, False)
    assert viewport.cursor().shape() is not Qt.CursorShape.ForbiddenCursor


def test_the_place_and_object_under_the_cursor_are_emitted(canvas: Canvas, qtbot: QtBot) -> None:
    canvas.put_mask(half_mask())
    with qtbot.waitSignal(canvas.view.cursor_moved) as emitted:
        canvas.mouse.move(230.5, 90.25)
    x, y, object_id = emitted.args
    assert (x, y) == (pytest.approx(230.5), pytest.approx(90.25))
    assert object_id == 2
    with qtbot.waitSignal(canvas.view.cursor_moved) as emitted:
        QApplication.sendEvent(canvas.view, QEvent(QEvent.Type.Leave))
    assert emitted.args == [-1.0, -1.0, 0]


def test_the_magnifier_follows_the_cursor_and_lets_clicks_through(canvas: Canvas) -> None:
    canvas.put_mask(half_mask())
    canvas.view.set_magnifier(True)
    canvas.mouse.move(40, 90)
    glass = canvas.view.magnifier
    assert glass.isVisible()
    place = glass.pos()
    canvas.mouse.move(60, 90)
    assert glass.pos() != place
    image = glass.grab().toImage()
    color = canvas.document.objects[0].color
    # Off the middle, where the cross is.
    shown = QColor(image.pixel(image.width() // 2 + 30, image.height() // 2 + 30))
    grid_aside = mixed(color, GREY, 0.5)
    assert [shown.red(), shown.green(), shown.blue()] == pytest.approx(grid_aside, abs=50)
    canvas.mouse.click(60, 90)
    assert len(canvas.asked) == 1
    canvas.view.set_magnifier(False)
    assert not glass.isVisible()


def test_the_canvas_can_be_read_aloud(canvas: Canvas) -> None:
    assert canvas.view.accessibleName()
    assert canvas.view.magnifier.accessibleName()
    assert canvas.view.focusPolicy() & Qt.FocusPolicy.TabFocus


# Loading


def test_a_frame_being_decoded_leaves_the_one_before_in_sight(canvas: Canvas, qtbot: QtBot) -> None:
    canvas.put_mask(half_mask())
    canvas.video.slow.add(3)
    canvas.document.set_frame(3)
    assert canvas.view.shown_frame == 0
    assert canvas.pixel(*OUTSIDE) == GREY
    assert canvas.pixel(*INSIDE) != GREY  # with its own mask
    with qtbot.waitSignal(canvas.view.frame_shown):
        canvas.video.may_go_on.set()
    assert canvas.pixel(*OUTSIDE) == (50, 50, 50)
    assert canvas.pixel(*INSIDE) == (50, 50, 50)
    assert threading.main_thread().name not in canvas.video.decoded_on


def test_a_frame_that_cannot_be_decoded_says_so_and_the_next_one_shows(
    canvas: Canvas, qtbot: QtBot
) -> None:
    canvas.video.broken.add(2)
    with qtbot.waitSignal(canvas.view.frame_failed) as emitted:
        canvas.document.set_frame(2)
    frame, error = emitted.args
    assert frame == 2
    assert "noise" in str(error)
    image = canvas.view.viewport().grab().toImage()
    canvas.document.set_frame(1)
    assert canvas.view.viewport().grab().toImage() != image
    assert canvas.pixel(*OUTSIDE) == (30, 30, 30)


def test_the_newest_request_is_served_and_old_answers_are_dropped(qtbot: QtBot) -> None:
    video = MemoryVideo()
    video.slow |= {1, 2, 3}
    loader = FrameLoader(video)
    given: list[int] = []
    loader.loaded.connect(lambda frame, _: given.append(frame))
    loader.request(1)
    qtbot.waitUntil(lambda: len(video.decoded_on) == 1, timeout=5000)
    loader.request(2)
    loader.request(3)
    loader.request(0)  # in memory: given at once
    assert given == [0]
    video.may_go_on.set()
    loader.request(3)
    qtbot.waitUntil(lambda: 3 in given, timeout=5000)
    assert given == [0, 3]  # neither 2, which is not waited for, nor 1, which comes too late
    loader.close()
    loader.request(0)
    assert given == [0, 3]


def test_closing_while_a_frame_is_decoded_ends_the_thread(qtbot: QtBot) -> None:
    video = MemoryVideo()
    video.slow.add(1)
    loader = FrameLoader(video)
    given: list[int] = []
    loader.loaded.connect(lambda frame, _: given.append(frame))
    loader.request(1)
    qtbot.waitUntil(lambda: len(video.decoded_on) == 1, timeout=5000)
    threading.Timer(0.05, video.may_go_on.set).start()
    loader.close()
    QApplication.processEvents()
    assert given == []
    assert not [one for one in threading.enumerate() if one.name.startswith("frames")]


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 2000), (1080, 1920)])
def test_pictures_of_every_shape_are_painted_in_every_way(width: int, height: int) -> None:
    backdrop = Backdrop(width, height)
    picture = QImage(width, height, QImage.Format.Format_RGB32)
    picture.fill(QColor(9, 99, 199))
    backdrop.set_picture(picture)
    backdrop.set_labels(np.ones((height, width), np.uint8))
    image = QImage(100, 80, QImage.Format.Format_RGB32)
    for mode in ViewMode:
        backdrop.set_look(replace(Look(colors={1: 0xFF0000}), mode=mode))
        for scale in (0.02, 0.7, 64.0):
            image.fill(0)
            painter = QPainter(image)
            to_window = QTransform(scale, 0, 0, scale, 0.25, 0.5)
            backdrop.paint(painter, to_window, QRectF(image.rect()), 1.0)
            painter.end()
            assert image.pixelColor(99, 79) in (SURROUND, image.pixelColor(98, 79))
            assert image.pixelColor(0, 1) != QColor(0, 0, 0)
