"""The canvas with the real annotator: from the mouse to the mask, and nothing left behind."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import shiboken6
from pytestqt.qtbot import QtBot

from gui.canvas import CanvasView
from gui.work.annotator import Annotator
from gui.work.document import Document
from interaction.annotation.types import FrameStatus
from tests.gui.canvas_samples import RIGHT, Mouse


@pytest.fixture
def view(qtbot: QtBot, document: Document, annotator: Annotator) -> Iterator[CanvasView]:
    canvas = CanvasView(document, annotator)
    qtbot.addWidget(canvas)
    canvas.resize(640, 480)
    with qtbot.waitSignal(canvas.frame_shown, timeout=5000, raising=False):
        canvas.show()
    qtbot.waitUntil(lambda: canvas.shown_frame == 0, timeout=5000)
    yield canvas
    canvas.shutdown()


def wait_until_idle(qtbot: QtBot, annotator: Annotator) -> None:
    qtbot.waitUntil(lambda: annotator.operations.busy.value == "idle", timeout=10_000)


def test_clicks_become_a_mask_and_markers(
    qtbot: QtBot, view: CanvasView, document: Document, annotator: Annotator
) -> None:
    mouse = Mouse(view)
    mouse.click(20.5, 20.5)
    assert view.markers.items[0].is_pending
    mouse.click(40.5, 20.5, RIGHT)
    wait_until_idle(qtbot, annotator)
    assert [one.click.is_positive for one in view.markers.items] == [True, False]
    assert not any(one.is_pending for one in view.markers.items)
    assert view.shown_labels[20, 20] == document.current_object
    annotator.prompts.remove_last_click()
    wait_until_idle(qtbot, annotator)
    assert len(view.markers.items) == 1


def test_a_stroke_is_one_step_that_undo_takes_back_exactly(
    view: CanvasView, document: Document
) -> None:
    document.add_object("dog")
    document.set_tool("brush")
    document.set_brush_radius_px(4)
    steps = document.session.history.position
    Mouse(view).drag([(10, 10), (20, 14), (30, 10)])
    assert document.session.history.position == steps + 1
    assert document.annotation.record(0).status is FrameStatus.CORRECTED
    np.testing.assert_array_equal(view.shown_labels, document.annotation.labels(0))
    document.undo()
    assert not view.shown_labels.any()


def test_a_stroke_with_a_locked_object_leaves_no_trace(
    view: CanvasView, document: Document, annotator: Annotator, qtbot: QtBot
) -> None:
    one = document.add_object("dog")
    document.set_locked(one, True)
    document.set_tool("brush")
    steps = document.session.history.position
    with qtbot.waitSignal(annotator.document.noticed):
        Mouse(view).drag([(10, 10), (20, 14)])
    assert not view.shown_labels.any()
    assert document.session.history.position == steps


def test_a_box_and_a_scribble_become_masks(
    qtbot: QtBot, view: CanvasView, document: Document, annotator: Annotator
) -> None:
    document.set_tool("box")
    Mouse(view).drag([(8, 8), (40, 40)])
    wait_until_idle(qtbot, annotator)
    assert view.shown_labels.any()
    document.set_frame(1)
    qtbot.waitUntil(lambda: view.shown_frame == 1, timeout=5000)
    assert not view.shown_labels.any()
    document.set_tool("scribble")
    Mouse(view).drag([(10, 20), (20, 22), (30, 20)])
    wait_until_idle(qtbot, annotator)
    assert view.shown_labels.any()


def test_a_canvas_that_is_destroyed_takes_its_thread_along(
    qtbot: QtBot, document: Document, annotator: Annotator
) -> None:
    canvas = CanvasView(document, annotator)
    canvas.show()
    qtbot.waitUntil(lambda: canvas.shown_frame == 0, timeout=5000)
    shiboken6.delete(canvas)
    assert not [one for one in threading.enumerate() if one.name.startswith("frames")]
    document.set_frame(1)  # there is nothing left to follow
