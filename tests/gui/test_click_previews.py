"""What a click would do is shown under a pointer that rests, and the click takes it."""

import threading
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui.dialogs.preferences import PreferencesDialog
from gui.window.main_window import MainWindow
from gui.window.workspace import Workspace
from gui.work.operations import Busy, Kind, Operation
from gui.work.prompts import HoverPreview
from interaction.annotation.types import Stroke
from interaction.clicks.fbrs import StoppedError
from interaction.clicks.segmenter import ClickResult
from tests.fake_engines import DiscSegmenter, FakeEngines
from tests.gui.canvas_samples import Mouse
from tests.gui.windows import is_idle, once_at, press

RIGHT, SHIFT = Qt.MouseButton.RightButton, Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def mouse(workspace: Workspace, qtbot: QtBot) -> Mouse:
    qtbot.waitUntil(lambda: not workspace.engine.is_busy, timeout=20_000)  # networks are loaded
    return Mouse(workspace.canvas)


@pytest.fixture
def discs(window: MainWindow) -> DiscSegmenter:
    engines = window.opener.engines
    assert isinstance(engines, FakeEngines)
    return engines.discs


def rested(workspace: Workspace, mouse: Mouse, qtbot: QtBot, x: float, y: float) -> HoverPreview:
    """The exact preview at a place."""
    mouse.move(x, y)

    def is_there() -> bool:
        seen = workspace.canvas.hover_preview
        return seen is not None and seen.is_exact

    qtbot.waitUntil(is_there, timeout=20_000)
    seen = workspace.canvas.hover_preview
    assert seen is not None
    return seen


def after(workspace: Workspace, preview: HoverPreview) -> np.ndarray[Any, Any]:
    """The object's mask as the preview shows it."""
    mask = workspace.document.annotation.labels(preview.frame) == preview.object_id
    mask[preview.part.slices] |= preview.added
    mask[preview.part.slices] &= ~preview.removed
    return np.asarray(mask)


def mask_now(workspace: Workspace, object_id: int = 1) -> np.ndarray[Any, Any]:
    return np.asarray(workspace.document.annotation.labels(0) == object_id)


def color_at(workspace: Workspace, x: float, y: float) -> tuple[int, int, int]:
    image = workspace.canvas.viewport().grab().toImage()
    at = workspace.canvas.to_viewport(QPointF(x + 0.5, y + 0.5)) * image.devicePixelRatio()
    color = image.pixelColor(int(at.x()), int(at.y()))
    return color.red(), color.green(), color.blue()


def test_a_new_object_is_shown_in_its_colour_and_taken_by_the_click(
    workspace: Workspace, mouse: Mouse, qtbot: QtBot
) -> None:
    bare = color_at(workspace, 45, 38)
    preview = rested(workspace, mouse, qtbot, 45, 38)
    assert preview.is_new
    assert workspace.canvas.hint == "Click takes this mask."
    assert color_at(workspace, 45, 38) != bare
    assert workspace.document.objects == ()  # nothing has happened yet
    expected = after(workspace, preview)
    mouse.click(45, 38)
    qtbot.waitUntil(lambda: is_idle(workspace) and bool(mask_now(workspace).any()), timeout=20_000)
    assert np.array_equal(mask_now(workspace), expected)
    assert workspace.canvas.hover_preview is None


def test_a_trembling_hand_takes_what_is_in_sight(
    workspace: Workspace, mouse: Mouse, qtbot: QtBot
) -> None:
    expected = after(workspace, rested(workspace, mouse, qtbot, 30, 30))
    scale = workspace.canvas.scale_factor
    mouse.move(30 + 1.5 / scale, 30)
    assert workspace.canvas.hover_preview is not None
    mouse.click(30 + 1.5 / scale, 30)
    qtbot.waitUntil(lambda: is_idle(workspace) and bool(mask_now(workspace).any()), timeout=20_000)
    assert np.array_equal(mask_now(workspace), expected)
    record = workspace.document.annotation.record(0)
    assert record.prompts is not None
    assert (record.prompts.clicks[0].x, record.prompts.clicks[0].y) == (30, 30)


def test_a_correction_is_green_or_red_and_taken_by_the_click(
    workspace: Workspace, mouse: Mouse, qtbot: QtBot
) -> None:
    workspace.annotator.hand.stroke(Stroke(((20.0, 20.0),), 9))
    green = rested(workspace, mouse, qtbot, 40, 20)
    assert not green.is_new
    assert green.added.any()
    assert not green.removed.any()
    assert "green" in workspace.canvas.hint
    red_part, green_part, _ = color_at(workspace, 43, 20)
    assert green_part > red_part
    expected = after(workspace, green)
    mouse.click(40, 20)
    qtbot.waitUntil(lambda: np.array_equal(mask_now(workspace), expected), timeout=20_000)
    QTest.qWait(120)  # more than a rest: what was just clicked is not covered by the next preview
    assert workspace.canvas.hover_preview is None

    red = rested(workspace, mouse, qtbot, 14, 20)
    assert red.removed.any()
    assert not red.added.any()
    assert "red" in workspace.canvas.hint
    expected = after(workspace, red)
    mouse.click(14, 20, RIGHT)
    qtbot.waitUntil(lambda: np.array_equal(mask_now(workspace), expected), timeout=20_000)


def test_shift_takes_the_change_at_once(workspace: Workspace, mouse: Mouse, qtbot: QtBot) -> None:
    workspace.annotator.hand.stroke(Stroke(((20.0, 20.0),), 9))
    before = mask_now(workspace)
    mouse.click(18, 20, keys=SHIFT)  # nothing is shown yet: inside, it takes away
    qtbot.waitUntil(lambda: bool(mask_now(workspace).sum() < before.sum()), timeout=20_000)
    assert not mask_now(workspace)[20, 18]
    mouse.click(45, 20, keys=SHIFT)  # outside, it adds
    qtbot.waitUntil(lambda: bool(mask_now(workspace)[20, 45]), timeout=20_000)


def test_a_click_overtakes_the_preview_in_progress(
    workspace: Workspace,
    mouse: Mouse,
    discs: DiscSegmenter,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
) -> None:
    plain, begun, threads = discs.segment, threading.Event(), set[str]()

    def endless(*args: Any, stop: Callable[[], bool], **more: Any) -> ClickResult:
        threads.add(threading.current_thread().name)
        if begun.is_set():
            return plain(*args, stop=stop, **more)
        begun.set()
        while not stop():  # a preview that ends only when it is stopped
            threading.Event().wait(0.001)
        raise StoppedError

    monkeypatch.setattr(discs, "segment", endless)
    mouse.move(20, 20)
    qtbot.waitUntil(begun.is_set, timeout=20_000)
    assert workspace.annotator.operations.busy is Busy.IDLE  # it counts as nothing
    mouse.click(40, 30)
    qtbot.waitUntil(lambda: is_idle(workspace) and bool(mask_now(workspace).any()), timeout=20_000)
    assert mask_now(workspace)[30, 40]
    assert all(name.startswith("engine") for name in threads)


def test_there_are_none_while_tracking_and_none_of_what_is_left_behind(
    window: MainWindow, workspace: Workspace, mouse: Mouse, discs: DiscSegmenter, qtbot: QtBot
) -> None:
    workspace.annotator.hand.stroke(Stroke(((20.0, 20.0),), 6))

    def ask() -> None:
        workspace.annotator.previews.ask(45, 20)

    once_at(workspace.annotator, 2, ask)
    press(window, Qt.Key.Key_F)
    qtbot.waitUntil(lambda: workspace.document.annotation.record(7).mask is not None)
    qtbot.waitUntil(lambda: is_idle(workspace), timeout=20_000)
    assert discs.asked == []
    rested(workspace, mouse, qtbot, 45, 20)
    mouse.move(45, 28)
    assert workspace.canvas.hover_preview is None
    rested(workspace, mouse, qtbot, 45, 28)
    press(window, Qt.Key.Key_P)  # the brush has none
    mouse.move(46, 28)
    assert workspace.canvas.hover_preview is None


def test_they_are_off_in_the_preferences_and_with_models_that_search(
    window: MainWindow, workspace: Workspace, mouse: Mouse, discs: DiscSegmenter, qtbot: QtBot
) -> None:
    rested(workspace, mouse, qtbot, 45, 20)
    press(window, Qt.Key.Key_Comma, Qt.KeyboardModifier.ControlModifier)
    [dialog] = [w for w in QApplication.topLevelWidgets() if isinstance(w, PreferencesDialog)]
    assert "f-BRS" in dialog.previews.toolTip()
    QTest.mouseClick(dialog.previews, Qt.MouseButton.LeftButton)
    assert not window.preferences.has_previews
    qtbot.waitUntil(lambda: not workspace.engine.is_busy, timeout=20_000)
    asked = len(discs.asked)
    workspace.annotator.previews.ask(20, 20)
    assert not workspace.engine.is_busy
    QTest.mouseClick(dialog.previews, Qt.MouseButton.LeftButton)
    dialog.close()
    discs.is_quick = False
    workspace.annotator.previews.ask(20, 20)
    qtbot.waitUntil(lambda: not workspace.engine.is_busy, timeout=20_000)
    assert len(discs.asked) == asked


def test_another_frame_or_object_gets_its_own(
    window: MainWindow, workspace: Workspace, mouse: Mouse, qtbot: QtBot
) -> None:
    workspace.annotator.hand.stroke(Stroke(((20.0, 20.0),), 6))
    assert not rested(workspace, mouse, qtbot, 45, 30).is_new
    press(window, Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)

    def seen() -> tuple[int, int] | None:
        preview = workspace.canvas.hover_preview
        return None if preview is None else (preview.frame, preview.object_id)

    qtbot.waitUntil(lambda: seen() == (0, 2), timeout=20_000)
    press(window, Qt.Key.Key_Right)
    assert workspace.canvas.hover_preview is None
    qtbot.waitUntil(lambda: seen() == (1, 2), timeout=20_000)
    mouse.move(-50, 30)
    assert seen() is None


def frames_looked_at(discs: DiscSegmenter) -> list[int]:
    frames = []
    for key, _ in discs.looked_at:
        assert isinstance(key, tuple)
        frames.append(key[1])
    return frames


def test_a_frame_that_rests_is_looked_at_before_the_pointer_comes(
    window: MainWindow, workspace: Workspace, discs: DiscSegmenter, qtbot: QtBot
) -> None:
    qtbot.waitUntil(lambda: 0 in frames_looked_at(discs), timeout=20_000)
    assert discs.asked == []
    press(window, Qt.Key.Key_Right)
    qtbot.waitUntil(lambda: 1 in frames_looked_at(discs), timeout=20_000)
    press(window, Qt.Key.Key_P)  # the brush has no previews
    press(window, Qt.Key.Key_Right)
    qtbot.waitUntil(lambda: workspace.canvas.shown_frame == 2, timeout=20_000)
    QTest.qWait(400)  # longer than a frame has to rest
    assert 2 not in frames_looked_at(discs)
    workspace.document.set_tool("click")
    qtbot.waitUntil(lambda: 2 in frames_looked_at(discs), timeout=20_000)
    assert workspace.annotator.operations.busy is Busy.IDLE


def test_a_frame_that_is_left_is_not_looked_at_any_more(
    workspace: Workspace, mouse: Mouse, discs: DiscSegmenter, qtbot: QtBot
) -> None:
    may_go_on, begun = threading.Event(), threading.Event()

    def steps() -> Generator[None, None, None]:
        begun.set()
        assert may_go_on.wait(30)
        yield

    previews = workspace.annotator.previews
    workspace.document.set_frame(4)
    workspace.engine.start(Operation(Kind.BACKGROUND, steps))
    qtbot.waitUntil(begun.is_set, timeout=20_000)
    previews.look()
    workspace.document.set_frame(5)
    previews.look()
    may_go_on.set()
    qtbot.waitUntil(lambda: 5 in frames_looked_at(discs), timeout=20_000)
    assert 4 not in frames_looked_at(discs)
    previews.is_on = False
    workspace.document.set_frame(6)
    previews.look()
    assert not workspace.engine.is_busy


def test_no_frame_is_looked_at_while_tracking(
    window: MainWindow, workspace: Workspace, mouse: Mouse, discs: DiscSegmenter, qtbot: QtBot
) -> None:
    workspace.annotator.hand.stroke(Stroke(((20.0, 20.0),), 6))
    seen: list[bool] = []

    def look() -> None:
        before = len(discs.looked_at)
        workspace.document.set_frame(3)
        workspace.annotator.previews.look()
        workspace.annotator.tracking.tracked.connect(
            lambda _: seen.append(len(discs.looked_at) == before)
        )

    once_at(workspace.annotator, 2, look)
    press(window, Qt.Key.Key_F)
    qtbot.waitUntil(lambda: is_idle(workspace) and len(seen) > 2, timeout=20_000)
    assert all(seen)
    qtbot.waitUntil(lambda: 3 in frames_looked_at(discs), timeout=20_000)  # now it rests


def test_a_box_is_busy_at_once_and_leaves_no_marks(
    window: MainWindow,
    workspace: Workspace,
    mouse: Mouse,
    discs: DiscSegmenter,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
) -> None:
    canvas, may_go_on = workspace.canvas, threading.Event()
    plain = discs.segment_box
    asked: list[int] = []

    def slow(*args: Any, **more: Any) -> ClickResult:
        asked.append(1)
        assert may_go_on.wait(30)
        return plain(*args, **more)

    monkeypatch.setattr(discs, "segment_box", slow)
    press(window, Qt.Key.Key_X)
    mouse.drag([(12, 8), (20, 20), (40, 30)])
    assert canvas.is_answering  # in the very event that ended the box
    qtbot.waitUntil(lambda: asked == [1], timeout=20_000)
    bare = canvas.grab().toImage()
    qtbot.waitUntil(lambda: canvas.grab().toImage() != bare, timeout=20_000)  # it turns
    assert canvas.is_answering
    may_go_on.set()
    qtbot.waitUntil(lambda: is_idle(workspace), timeout=20_000)
    assert not canvas.is_answering
    assert canvas.markers.items == ()
    assert mask_now(workspace)[8:30, 12:40].all()
    assert workspace.document.annotation.record(0).prompts is None


def test_a_box_that_is_given_up_is_busy_no_more(
    window: MainWindow, workspace: Workspace, mouse: Mouse, qtbot: QtBot
) -> None:
    press(window, Qt.Key.Key_X)
    mouse.drag([(12, 8), (20, 20), (40, 30)])
    assert workspace.canvas.is_answering
    press(window, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not workspace.canvas.is_answering, timeout=20_000)
