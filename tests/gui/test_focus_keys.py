"""What has the focus is operated with its own keys; the window's shortcuts come after it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from gui.window.main_window import MainWindow
from gui.window.workspace import Workspace
from interaction.annotation.types import FrameStatus, Stroke
from tests.gui.wheel import turn_wheel

DAB = Stroke(((20.0, 20.0),), 6)


@pytest.fixture
def workspace(
    window: MainWindow, open_path: Callable[[Path], Workspace], clip: Path, qtbot: QtBot
) -> Workspace:
    workspace = open_path(clip)
    workspace.annotator.hand.stroke(DAB)
    window.update_state()
    qtbot.waitUntil(window.isActiveWindow, timeout=20_000)
    return workspace


@pytest.fixture
def press(window: MainWindow) -> Callable[[QWidget, Qt.Key], None]:
    def run(widget: QWidget, key: Qt.Key) -> None:
        widget.setFocus()
        assert QApplication.focusWidget() is widget
        QTest.keyClick(widget, key)
        QApplication.processEvents()

    return run


Press = Callable[[QWidget, Qt.Key], None]


def test_space_ticks_a_check_box_and_does_not_play(workspace: Workspace, press: Press) -> None:
    box = workspace.propagation_panel.only_current
    press(box, Qt.Key.Key_Space)
    assert box.isChecked()
    assert not workspace.player.is_playing


@pytest.mark.parametrize("key", [Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter])
def test_space_and_return_press_a_button_once_and_do_nothing_else(
    workspace: Workspace, press: Press, key: Qt.Key
) -> None:
    document = workspace.document
    press(workspace.objects_panel.add, key)
    assert len(document.objects) == 2
    document.set_frame(3)
    press(workspace.transport.range_in, key)
    assert document.range_in == 3
    document.set_frame(0)
    assert document.annotation.record(0).status is FrameStatus.CORRECTED
    assert not workspace.player.is_playing


@pytest.mark.qt_log_ignore("This plugin does not support", extend=True)  # popups, offscreen
def test_space_opens_a_list_and_does_not_play(workspace: Workspace, press: Press) -> None:
    until = workspace.propagation_panel.until
    press(until, Qt.Key.Key_Space)
    assert until.view().isVisible()
    assert not workspace.player.is_playing
    until.hidePopup()


def test_arrows_and_ends_move_a_slider_and_not_the_frame(
    workspace: Workspace, press: Press
) -> None:
    workspace.document.set_frame(3)
    zoom = workspace.transport.zoom
    before = zoom.value()
    press(zoom, Qt.Key.Key_Right)
    assert zoom.value() > before
    press(zoom, Qt.Key.Key_End)
    assert zoom.value() == zoom.maximum()
    assert workspace.document.frame == 3


def test_arrows_choose_a_tab_which_has_a_name(workspace: Workspace, press: Press) -> None:
    bar = workspace.tabs.tabBar()
    press(bar, Qt.Key.Key_Right)
    assert workspace.tabs.currentWidget() is workspace.memory_panel
    assert workspace.document.frame == 0
    assert bar.accessibleName()


def test_remembered_frames_are_gone_through_and_shown_with_the_keys(
    workspace: Workspace, press: Press
) -> None:
    document = workspace.document
    for frame in (2, 5):
        document.set_frame(frame)
        workspace.annotator.hand.stroke(DAB)
    document.set_frame(0)
    workspace.tabs.setCurrentWidget(workspace.memory_panel)
    view = workspace.memory_panel.groups["permanent"].view
    press(view, Qt.Key.Key_Right)
    assert document.frame == 0
    press(view, Qt.Key.Key_Return)
    assert document.frame == 2
    assert document.annotation.record(2).status is FrameStatus.CORRECTED


def test_elsewhere_the_keys_are_the_windows(workspace: Workspace, press: Press) -> None:
    press(workspace.timeline, Qt.Key.Key_Space)
    assert workspace.player.is_playing
    workspace.player.stop()
    workspace.document.set_frame(0)  # on a busy machine it has played on
    press(workspace.objects_panel.add, Qt.Key.Key_Right)
    assert workspace.document.frame == 1
    press(workspace.canvas, Qt.Key.Key_Return)
    assert workspace.document.annotation.record(1).status is FrameStatus.CONFIRMED


def test_the_wheel_changes_no_choice_it_passes_over(workspace: Workspace) -> None:
    until = workspace.propagation_panel.until
    workspace.canvas.setFocus()
    turn_wheel(until)
    assert until.currentIndex() == 0
