"""Presence in the window: keys, the lane, the proposal that one key accepts, and undo."""

from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QHelpEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMenu, QToolTip
from pytestqt.qtbot import QtBot

from gui.timeline.painting import HEADER_PX, LANE_PX, LANES_TOP_PX
from gui.timeline.timeline import describe_frame
from gui.window.main_window import MainWindow
from gui.window.workspace import Workspace
from interaction.annotation.requests import AbsenceProposal
from interaction.annotation.types import PresenceRange, PresenceState
from tests import tiny

ABSENT, OCCLUDED = PresenceState.ABSENT, PresenceState.OCCLUDED


@pytest.fixture
def bear(workspace: Workspace) -> int:
    """On frames 0 to 3, tracked there by hand."""
    bear = workspace.document.add_object("bear")
    for frame in range(4):
        workspace.session.set_mask(frame, tiny.labels(frame, bear, 0))
    workspace.document.masks_changed.emit(set(range(4)))
    return bear


def press(window: MainWindow, key: Qt.Key, shift: bool = True) -> None:
    window.update_state()
    modifier = Qt.KeyboardModifier.ShiftModifier if shift else Qt.KeyboardModifier.NoModifier
    QTest.keyClick(window, key, modifier)


def presence(workspace: Workspace, object_id: int) -> tuple[PresenceRange, ...]:
    return workspace.session.annotation.object(object_id).presence


def test_keys_say_it_of_the_frame_or_of_the_range_and_undo_takes_it_back(
    window: MainWindow, workspace: Workspace, bear: int, qtbot: QtBot
) -> None:
    press(window, Qt.Key.Key_O)
    qtbot.waitUntil(
        lambda: presence(workspace, bear) == (PresenceRange(0, 0, OCCLUDED),), timeout=20_000
    )
    workspace.document.set_range(2, 5)
    qtbot.waitUntil(lambda: workspace.annotator.operations.is_free, timeout=20_000)
    press(window, Qt.Key.Key_A)
    qtbot.waitUntil(lambda: len(presence(workspace, bear)) == 2, timeout=20_000)
    qtbot.waitUntil(lambda: workspace.annotator.operations.is_free, timeout=20_000)
    assert bear not in workspace.session.annotation.record(2).present
    assert "“bear”: absent" in describe_frame(workspace.document, 3)
    workspace.annotator.undo()
    assert bear in workspace.session.annotation.record(2).present
    assert presence(workspace, bear) == (PresenceRange(0, 0, OCCLUDED),)


@pytest.mark.qt_log_ignore("This plugin does not support", extend=True)  # popups, offscreen
def test_a_stretch_of_the_lane_is_dragged_with_ctrl_and_gets_a_state_from_the_menu(
    workspace: Workspace, bear: int, qtbot: QtBot
) -> None:
    timeline = workspace.timeline
    y = LANES_TOP_PX + LANE_PX // 2

    def at(frame: int) -> QPoint:
        return QPoint(HEADER_PX + 1 + round(timeline.scale.center(frame)), y)

    viewport, ctrl = timeline.viewport(), Qt.KeyboardModifier.ControlModifier
    QTest.mousePress(viewport, Qt.MouseButton.LeftButton, ctrl, at(2))
    QTest.mouseMove(viewport, at(4))
    QTest.mouseRelease(viewport, Qt.MouseButton.LeftButton, ctrl, at(4))
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    [absent] = [action for action in menu.actions() if action.text() == "Absent"]
    absent.trigger()
    menu.close()
    qtbot.waitUntil(
        lambda: presence(workspace, bear) == (PresenceRange(2, 4, ABSENT),), timeout=20_000
    )
    qtbot.waitUntil(lambda: workspace.annotator.operations.is_free, timeout=20_000)


def test_an_abandoned_drag_changes_nothing(workspace: Workspace, bear: int) -> None:
    viewport = workspace.timeline.viewport()
    place = QPoint(HEADER_PX + 30, LANES_TOP_PX + LANE_PX // 2)
    QTest.mousePress(
        viewport, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ControlModifier, place
    )
    assert workspace.timeline.abandon_drag()
    QTest.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=place)
    assert QApplication.activePopupWidget() is None
    assert presence(workspace, bear) == ()


def place_of(workspace: Workspace, boundary: float) -> QPoint:
    """On the lane of the first object, where a frame begins."""
    timeline = workspace.timeline
    x = HEADER_PX + 1 + round(timeline.scale.x(boundary))
    return QPoint(x, LANES_TOP_PX + LANE_PX // 2)


def say(workspace: Workspace, qtbot: QtBot, *change: tuple[int, int, PresenceState]) -> None:
    [bear] = [one.id for one in workspace.document.objects]
    for first, last, state in change:
        workspace.annotator.bulk.set_presence(bear, first, last, state)
        qtbot.waitUntil(lambda: workspace.annotator.operations.is_free, timeout=20_000)


def drag(workspace: Workspace, start: float, end: float, *, releases: bool = True) -> None:
    viewport, left = workspace.timeline.viewport(), Qt.MouseButton.LeftButton
    QTest.mousePress(viewport, left, pos=place_of(workspace, start))
    QTest.mouseMove(viewport, place_of(workspace, (start + end) / 2))
    QTest.mouseMove(viewport, place_of(workspace, end))
    if releases:
        QTest.mouseRelease(viewport, left, pos=place_of(workspace, end))


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (2, 1, ((1, 4, ABSENT),)),  # to the left: more
        (2, 4.3, ((4, 4, ABSENT),)),  # to the right: less, to the nearest frame
        (2, 7, ((4, 4, ABSENT),)),  # one frame stays
        (5, 7.6, ((2, 7, ABSENT),)),  # to the end of the video
        (5, 0, ((2, 2, ABSENT),)),
    ],
)
def test_an_edge_of_presence_is_dragged_and_that_is_one_step(
    workspace: Workspace,
    bear: int,
    qtbot: QtBot,
    start: float,
    end: float,
    expected: tuple[tuple[int, int, PresenceState], ...],
) -> None:
    say(workspace, qtbot, (2, 4, ABSENT))
    steps, frame = len(workspace.session.history.entries), workspace.document.frame
    drag(workspace, start, end)
    wanted = tuple(PresenceRange(*one) for one in expected)
    qtbot.waitUntil(lambda: presence(workspace, bear) == wanted, timeout=20_000)
    qtbot.waitUntil(lambda: workspace.annotator.operations.is_free, timeout=20_000)
    assert len(workspace.session.history.entries) == steps + 1
    assert workspace.document.frame == frame
    for number in range(4):
        is_absent = any(first <= number <= last for first, last, _ in expected)
        is_here = bear in workspace.session.annotation.record(number).present
        was_cleared = 2 <= number <= 4
        assert is_here == (not is_absent and not was_cleared)
    workspace.annotator.undo()
    assert presence(workspace, bear) == (PresenceRange(2, 4, ABSENT),)


def test_between_two_ranges_one_edge_moves_both(
    workspace: Workspace, bear: int, qtbot: QtBot
) -> None:
    say(workspace, qtbot, (1, 3, OCCLUDED), (4, 6, ABSENT))
    drag(workspace, 4, 6)
    wanted = (PresenceRange(1, 5, OCCLUDED), PresenceRange(6, 6, ABSENT))
    qtbot.waitUntil(lambda: presence(workspace, bear) == wanted, timeout=20_000)
    qtbot.waitUntil(lambda: workspace.annotator.operations.is_free, timeout=20_000)
    drag(workspace, 6, 1)
    wanted = (PresenceRange(1, 1, OCCLUDED), PresenceRange(2, 6, ABSENT))
    qtbot.waitUntil(lambda: presence(workspace, bear) == wanted, timeout=20_000)
    qtbot.waitUntil(lambda: workspace.annotator.operations.is_free, timeout=20_000)


def test_escape_leaves_an_edge_where_it_was(
    window: MainWindow, workspace: Workspace, bear: int, qtbot: QtBot
) -> None:
    say(workspace, qtbot, (2, 4, ABSENT))
    steps = len(workspace.session.history.entries)
    workspace.timeline.setFocus()
    drag(workspace, 5, 7, releases=False)
    QTest.keyClick(workspace.timeline, Qt.Key.Key_Escape)
    QTest.mouseRelease(
        workspace.timeline.viewport(), Qt.MouseButton.LeftButton, pos=place_of(workspace, 7)
    )
    assert len(workspace.session.history.entries) == steps
    assert presence(workspace, bear) == (PresenceRange(2, 4, ABSENT),)


@pytest.mark.qt_log_ignore("This plugin does not support", extend=True)  # tips, offscreen
def test_an_edge_shows_that_it_can_be_dragged_and_a_click_there_only_goes_there(
    workspace: Workspace, bear: int, qtbot: QtBot
) -> None:
    say(workspace, qtbot, (2, 4, ABSENT))
    viewport, left = workspace.timeline.viewport(), Qt.MouseButton.LeftButton
    QTest.mouseMove(viewport, place_of(workspace, 5))
    assert viewport.cursor().shape() is Qt.CursorShape.SizeHorCursor
    QTest.mouseMove(viewport, place_of(workspace, 3.5))
    assert viewport.cursor().shape() is Qt.CursorShape.ArrowCursor
    for boundary, text in ((2, "absent from frame 2 on"), (5, "absent up to frame 4")):
        place = place_of(workspace, boundary)
        tip = QHelpEvent(QEvent.Type.ToolTip, place, viewport.mapToGlobal(place))
        QApplication.sendEvent(viewport, tip)
        assert text in QToolTip.text()
    QToolTip.hideText()
    steps = len(workspace.session.history.entries)
    QTest.mouseClick(viewport, left, pos=place_of(workspace, 5) + QPoint(2, 0))
    assert workspace.document.frame == 5
    assert len(workspace.session.history.entries) == steps
    workspace.document.set_frame(0)
    workspace.document.set_locked(bear, True)
    QTest.mouseMove(viewport, place_of(workspace, 2))
    assert viewport.cursor().shape() is Qt.CursorShape.ArrowCursor  # nothing of it can change
    drag(workspace, 5, 7)
    assert presence(workspace, bear) == (PresenceRange(2, 4, ABSENT),)


def test_one_key_accepts_a_proposed_absence_and_a_missing_one_is_reported(
    window: MainWindow,
    workspace: Workspace,
    bear: int,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[str] = []
    workspace.document.noticed.connect(heard.append)
    press(window, Qt.Key.Key_A, shift=False)
    assert heard == ["No absence is proposed."]
    tracking = workspace.annotator.tracking
    monkeypatch.setattr(
        "interaction.tracking.brakes.CollapseWatch.proposals",
        property(lambda _: (AbsenceProposal(bear, 5, 6),)),
    )
    tracking.start()
    qtbot.waitUntil(lambda: workspace.annotator.operations.is_free, timeout=30_000)
    assert "bear" in workspace.banner.text
    assert [(one.first, one.last) for one in tracking.absences] == [(5, 6)]
    press(window, Qt.Key.Key_A, shift=False)
    qtbot.waitUntil(
        lambda: presence(workspace, bear) == (PresenceRange(5, 6, ABSENT),), timeout=20_000
    )
    qtbot.waitUntil(lambda: workspace.annotator.operations.is_free, timeout=20_000)
    assert tracking.absences == ()
    assert bear not in workspace.session.annotation.record(5).present


def test_the_lane_shows_it(workspace: Workspace, bear: int, tmp_path: Path, qtbot: QtBot) -> None:
    before = workspace.timeline.grab().toImage()
    workspace.annotator.bulk.set_presence(bear, 5, 7, ABSENT)
    qtbot.waitUntil(lambda: bool(presence(workspace, bear)), timeout=20_000)
    qtbot.waitUntil(lambda: workspace.annotator.operations.is_free, timeout=20_000)
    after = workspace.timeline.grab().toImage()
    scale = workspace.timeline.scale
    y = LANES_TOP_PX + LANE_PX // 2

    def changed(first: int, last: int) -> int:
        xs = range(HEADER_PX + 2 + round(scale.x(first)), HEADER_PX + round(scale.x(last + 1)))
        rows = range(y - 5, y + 5)
        return sum(before.pixel(x, row) != after.pixel(x, row) for x in xs for row in rows)

    assert changed(5, 7) > 20
    assert changed(1, 3) == 0
