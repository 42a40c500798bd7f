"""A project that closes while a question about it is on the screen takes the question back."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QTimer
from PySide6.QtWidgets import QApplication, QDialog, QFileDialog, QInputDialog, QPushButton
from pytestqt.qtbot import QtBot

from gui.dialogs.export import ExportDialog
from gui.window.main_window import MainWindow
from gui.window.workspace import Workspace
from interaction.annotation.types import Stroke
from interaction.session import Session
from tests.fake_engines import FakeEngines

DAB = Stroke(((20.0, 20.0),), 6)


def dialogs() -> list[QDialog]:
    """Those that are on the screen."""
    found = [one for one in QApplication.topLevelWidgets() if isinstance(one, QDialog)]
    return [one for one in found if one.isVisible()]


def once_asked(act: Callable[[QDialog], object]) -> QTimer:
    """As soon as a dialog is on the screen; of several, one that is not yet known."""
    timer, known = QTimer(interval=1), dialogs()

    def look() -> None:
        found = [one for one in dialogs() if one not in known]
        if found:
            timer.stop()
            act(found[0])

    timer.timeout.connect(look)
    timer.start()
    return timer


def answer_what_is_left() -> list[str]:
    """Once the events that are on their way have come; gives the titles of what was left."""
    left: list[str] = []

    def answer() -> None:
        for question in dialogs():
            left.append(question.windowTitle())
            question.done(QDialog.DialogCode.Accepted)

    QTimer.singleShot(0, lambda: QTimer.singleShot(0, answer))
    return left


@pytest.fixture
def begun(workspace: Workspace, qtbot: QtBot) -> Workspace:
    """Two objects and a range: every question can be asked."""
    document = workspace.document
    workspace.annotator.hand.stroke(DAB)
    document.add_object()
    workspace.annotator.hand.stroke(Stroke(((40.0, 20.0),), 6))
    document.set_range(0, 3)
    qtbot.waitUntil(lambda: not workspace.engine.is_busy)
    return workspace


@pytest.mark.parametrize(
    "name",
    [
        "edit.remove_pieces",
        "edit.clean_range",
        "object.rename",
        "object.recolor",
        "object.merge",
        "object.swap",
        "file.verify",
        "file.save_copy",
        "view.choose_layer",
        "file.import",
        "file.export",
        "file.save_version",
        "view.effort",
    ],
)
def test_a_project_that_closes_takes_its_question_back(
    window: MainWindow,
    begun: Workspace,
    open_path: Callable[[Path], Workspace],
    clip: Path,
    tmp_path: Path,
    qtbot: QtBot,
    name: str,
) -> None:
    """As it does once another video that was being opened is there."""
    entries = begun.session.history.entries
    preferred = window.preferences.last_folder
    left: list[list[str]] = []

    def close(_: QDialog) -> None:
        window.show_session(Session.open(clip, tmp_path / "other.vos", engines=FakeEngines()))
        left.append(answer_what_is_left())

    timer = once_asked(close)
    window.update_state()
    window.actions_table[name].trigger()
    qtbot.waitUntil(lambda: bool(left) and not dialogs())
    assert left == [[]]
    assert not timer.isActive()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert window.workspace is not None
    assert window.workspace is not begun
    assert not window.workspace.session.annotation.records
    assert not window.workspace.document.layer
    assert window.preferences.last_folder == preferred
    assert not window.opener.is_busy
    assert window.close_session()
    project = open_path(tmp_path / "clip.vos").session.project
    assert project is not None
    assert [one.label for one in project.view.history.entries] == [one.label for one in entries]
    assert not project.view.versions()


def test_a_question_of_a_dialog_goes_with_it(
    window: MainWindow, begun: Workspace, qtbot: QtBot
) -> None:
    """And with what it writes."""
    window.actions_table["file.export"].trigger()
    [dialog] = window.findChildren(ExportDialog)
    left: list[list[str]] = []

    def close(question: QDialog) -> None:
        assert isinstance(question, QFileDialog)
        assert window.close_session()
        left.append(answer_what_is_left())

    timer = once_asked(close)
    [browse] = [one for one in dialog.findChildren(QPushButton) if one.text() == "Choose…"]
    browse.click()
    qtbot.waitUntil(lambda: bool(left) and not dialogs())
    assert left == [[]]
    assert not timer.isActive()


def test_whether_to_close_is_asked_once(window: MainWindow, begun: Workspace, qtbot: QtBot) -> None:
    """The system ends the session while the annotator is being asked."""
    annotator = begun.annotator
    begun.propagation_panel.start("forward")
    annotator.operations.pause()
    answers: list[bool] = []

    def close_again(question: QDialog) -> None:
        again = once_asked(lambda second: second.reject())
        answers.extend([window.close_session(), again.isActive()])
        again.stop()
        [stop] = [
            one for one in question.findChildren(QPushButton) if one.text().startswith("Stop")
        ]
        stop.click()

    timer = once_asked(close_again)
    assert window.close_session()
    assert not timer.isActive()
    assert answers == [False, True]  # refused, with no second question
    assert window.workspace is None


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("object.rename", 1),
        ("object.recolor", 1),
        ("object.merge", 1),
        ("object.merge", 2),
    ],
)
def test_an_answer_about_an_object_that_is_gone_changes_nothing(
    window: MainWindow, begun: Workspace, qtbot: QtBot, name: str, gone: int
) -> None:
    """An edit of many frames that was running takes it away while the question is asked."""
    document, operations = begun.document, begun.annotator.operations
    document.set_current_object(1)
    answered: list[str] = []
    failures: list[Exception] = []
    document.failed.connect(failures.append)
    steps = begun.session.history.position

    def delete(question: QDialog) -> None:
        assert begun.annotator.bulk.delete_object(gone)
        qtbot.waitUntil(lambda: operations.is_free and len(document.objects) == 1)
        if isinstance(question, QInputDialog):
            question.setTextValue("another")
        answered.append(question.windowTitle())
        question.done(QDialog.DialogCode.Accepted)

    once_asked(delete)
    window.update_state()
    window.actions_table[name].trigger()
    qtbot.waitUntil(lambda: bool(answered) and operations.is_free)
    assert begun.session.history.position == steps + 1
    assert not failures
