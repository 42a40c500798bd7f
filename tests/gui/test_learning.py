"""The networks learn from given frames while the annotator goes on, and announce the result."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui.actions.table import Needs
from gui.window.bars import hint_for
from gui.window.handlers import state_of
from gui.window.main_window import MainWindow
from gui.window.workspace import Workspace
from gui.work.annotator import Annotator
from gui.work.document import Document
from gui.work.operations import Busy, EngineThread, Progress
from interaction.annotation.requests import StrokeRequest
from interaction.annotation.types import Stroke
from interaction.errors import ReadOnlyProjectError, UserError
from interaction.session import Session
from tests import tiny
from tests.fake_engines import FakeEngines
from tests.gui.learning_samples import STEPS, FakeLearning, learn_at_once
from tests.gui.windows import press_when_asked

DAB = Stroke(((20.0, 20.0),), 6)
OTHER = Stroke(((45.0, 30.0),), 8)


@pytest.fixture
def learning(monkeypatch: pytest.MonkeyPatch) -> FakeLearning:
    fake = FakeLearning()
    monkeypatch.setattr("gui.work.learning.learning", fake)
    return fake


@pytest.fixture
def held(learning: FakeLearning) -> Iterator[FakeLearning]:
    """Learning that does not end before the test says so."""
    learning.may_end.clear()
    yield learning
    learning.may_end.set()


@pytest.fixture
def notices(annotator: Annotator) -> list[str]:
    """Notices and errors."""
    words: list[str] = []
    annotator.document.noticed.connect(words.append)
    annotator.document.failed.connect(lambda error: words.append(str(error)))
    return words


def wait_until_idle(annotator: Annotator, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: annotator.operations.busy is Busy.IDLE, timeout=20_000)


def at_step(annotator: Annotator, done: int, act: Callable[[], object]) -> None:
    """Acts when learning has come so far for the first time."""
    seen: list[int] = []

    def follow(progress: Progress) -> None:
        if progress.done == done and not seen:
            seen.append(done)
            act()

    annotator.operations.progressed.connect(follow)


# From the start to the end


def test_it_learns_from_what_is_given_and_changes_no_mask(
    annotator: Annotator, document: Document, learning: FakeLearning, qtbot: QtBot
) -> None:
    annotator.hand.stroke(DAB)
    before, position = dict(document.annotation.records), document.session.history.position
    steps: list[Progress] = []
    annotator.operations.progressed.connect(steps.append)
    changes: list[bool] = []
    annotator.learning.changed.connect(lambda: changes.append(True))
    with qtbot.waitSignal(annotator.learning.learned, timeout=20_000) as learned:
        annotator.learning.start()
        assert annotator.operations.busy is Busy.LEARNING
    assert learned.args == [1]
    assert not annotator.operations.is_running
    assert {step.label for step in steps} == {"Learning"}
    assert steps[-1].done == steps[-1].total == 2 * STEPS
    assert steps[-1].seconds_left == 0
    assert len(changes) == 2  # of the tracker, and of both
    assert dict(document.annotation.records) == before
    assert document.session.history.position == position
    assert not document.session.engines.models.is_empty


def test_clicks_that_are_not_answered_yet_are_learned_from_too(
    annotator: Annotator, learning: FakeLearning, qtbot: QtBot
) -> None:
    annotator.prompts.click(20, 20)
    with qtbot.waitSignal(annotator.learning.learned, timeout=20_000):
        annotator.learning.start()
    assert learning.given == [1]


def test_nothing_to_learn_from_is_refused_with_the_reason(
    annotator: Annotator, learning: FakeLearning, qtbot: QtBot
) -> None:
    with qtbot.waitSignal(annotator.document.failed) as failed:
        annotator.learning.start()
    assert isinstance(failed.args[0], UserError)
    assert annotator.operations.busy is Busy.IDLE
    assert not learning.given


def test_it_stands_still_in_a_pause_and_goes_on_from_there(
    annotator: Annotator, learning: FakeLearning, qtbot: QtBot
) -> None:
    annotator.hand.stroke(DAB)
    done: list[int] = []
    annotator.operations.progressed.connect(lambda progress: done.append(progress.done))
    at_step(annotator, 3, annotator.operations.pause)
    annotator.learning.start()
    qtbot.waitUntil(lambda: annotator.operations.busy is Busy.PAUSED)
    assert annotator.operations.is_paused
    assert annotator.learning.is_running
    assert not annotator.tracking.is_running
    with qtbot.waitSignal(annotator.learning.learned, timeout=20_000):
        annotator.operations.resume()
    assert done == list(range(1, 2 * STEPS + 1))


def test_learning_that_is_cancelled_while_the_tracker_learns_changes_nothing(
    annotator: Annotator,
    document: Document,
    learning: FakeLearning,
    notices: list[str],
    qtbot: QtBot,
) -> None:
    annotator.hand.stroke(DAB)
    at_step(annotator, 1, annotator.cancel)
    annotator.learning.start()
    wait_until_idle(annotator, qtbot)
    assert notices == ["Learning was stopped; nothing was changed."]
    assert document.session.engines.models.is_empty


def test_a_tracker_that_has_learned_is_kept_when_the_rest_is_cancelled(
    annotator: Annotator,
    document: Document,
    learning: FakeLearning,
    notices: list[str],
    qtbot: QtBot,
) -> None:
    annotator.hand.stroke(DAB)
    at_step(annotator, STEPS + 1, annotator.cancel)
    annotator.learning.start()
    wait_until_idle(annotator, qtbot)
    assert notices == ["Learning was stopped; the tracker has learned, clicks have not."]
    assert document.session.engines.models.frames == 1


def test_a_paused_run_can_be_cancelled(
    annotator: Annotator, learning: FakeLearning, notices: list[str], qtbot: QtBot
) -> None:
    annotator.hand.stroke(DAB)
    at_step(annotator, 2, annotator.operations.pause)
    annotator.learning.start()
    qtbot.waitUntil(lambda: annotator.operations.busy is Busy.PAUSED)
    assert annotator.cancel()
    wait_until_idle(annotator, qtbot)
    assert len(notices) == 1


def test_what_goes_wrong_is_announced_and_what_was_finished_is_kept(
    annotator: Annotator,
    document: Document,
    learning: FakeLearning,
    notices: list[str],
    qtbot: QtBot,
) -> None:
    learning.fails_at = "clicks"
    annotator.hand.stroke(DAB)
    annotator.learning.start()
    wait_until_idle(annotator, qtbot)
    assert notices == ["The device is full.\n\nUse another."]
    assert document.session.engines.models.frames == 1


# Beside other work


def test_a_click_is_answered_while_it_learns(
    annotator: Annotator, document: Document, held: FakeLearning, qtbot: QtBot
) -> None:
    annotator.hand.stroke(DAB)
    annotator.learning.start()
    annotator.prompts.click(45, 30)
    assert annotator.prompts.are_waiting
    qtbot.waitUntil(lambda: not annotator.prompts.are_waiting)
    assert document.annotation.labels(0)[30, 45] == 1
    assert annotator.operations.busy is Busy.LEARNING


def test_undo_is_about_masks_while_it_learns(
    annotator: Annotator, document: Document, held: FakeLearning, qtbot: QtBot
) -> None:
    annotator.hand.stroke(DAB)
    painted = document.annotation.record(0)
    annotator.learning.start()
    annotator.hand.stroke(OTHER)
    annotator.undo()
    assert document.annotation.record(0) == painted
    assert annotator.operations.busy is Busy.LEARNING
    held.may_end.set()
    with qtbot.waitSignal(annotator.learning.learned, timeout=20_000):
        pass


def test_nothing_else_of_many_frames_begins_before_learning_is_done(
    annotator: Annotator, document: Document, held: FakeLearning, notices: list[str]
) -> None:
    annotator.hand.stroke(DAB)
    annotator.learning.start()
    annotator.tracking.start("forward")
    annotator.bulk.delete_object(1)
    annotator.learning.start()
    annotator.learning.forget()
    assert notices == ["Wait until learning is done, or cancel it."] * 4
    assert document.objects
    assert held.given == [1]


def test_learning_does_not_begin_before_tracking_is_done(
    annotator: Annotator, learning: FakeLearning, notices: list[str], qtbot: QtBot
) -> None:
    annotator.hand.stroke(DAB)
    annotator.tracking.start("forward")
    annotator.learning.start()
    wait_until_idle(annotator, qtbot)
    assert notices == ["Wait until tracking is done, or cancel it."]
    assert not learning.given


# Forgetting


def test_what_was_learned_is_forgotten_and_that_is_announced(
    annotator: Annotator, document: Document, notices: list[str], qtbot: QtBot
) -> None:
    annotator.hand.stroke(DAB)
    painted = document.annotation.record(0)
    learn_at_once(document.session.engines, "tracker", 6)
    with qtbot.waitSignal(annotator.learning.changed):
        annotator.learning.forget()
    assert document.session.engines.models.is_empty
    assert document.annotation.record(0) == painted
    assert len(notices) == 1
    assert "forgotten" in notices[0]


def test_a_project_that_can_only_be_read_neither_learns_nor_forgets(
    clip: Path, tmp_path: Path, engine: EngineThread, files: EngineThread, qtbot: QtBot
) -> None:
    project = tmp_path / "clip.vos"
    with Session.open(clip, project, engines=FakeEngines()) as session:
        session.do(StrokeRequest(0, session.add_object("bear"), DAB))
        learn_at_once(session.engines, "tracker", 3)
    with Session.open_project(project, engines=FakeEngines(), read_only=True) as session:
        annotator = Annotator(Document(session), engine, files)
        failures: list[Exception] = []
        annotator.document.failed.connect(failures.append)
        annotator.learning.start()
        annotator.learning.forget()
        qtbot.waitUntil(lambda: len(failures) == 2)
        assert all(isinstance(error, ReadOnlyProjectError) for error in failures)
        assert annotator.operations.busy is Busy.IDLE
        assert session.engines.models.frames == 3


# In the window


@pytest.fixture
def workspace(
    window: MainWindow, open_path: Callable[[Path], Workspace], clip: Path, qtbot: QtBot
) -> Workspace:
    workspace = open_path(clip)
    qtbot.waitUntil(lambda: workspace.canvas.shown_frame == 0, timeout=20_000)
    return workspace


def is_enabled(window: MainWindow, *names: str) -> list[bool]:
    window.update_state()
    return [window.actions_table[name].isEnabled() for name in names]


def test_learning_and_forgetting_are_offered_when_they_make_sense(
    window: MainWindow, workspace: Workspace, held: FakeLearning, qtbot: QtBot
) -> None:
    names = ("track.learn", "track.forget", "track.pause", "track.forward")
    assert is_enabled(window, *names) == [False, False, False, True]
    assert window.actions_table.missing("track.learn") == Needs.GIVEN
    assert window.actions_table.missing("track.forget") == Needs.LEARNED
    workspace.annotator.hand.stroke(DAB)
    assert is_enabled(window, *names) == [True, False, False, True]
    window.actions_table["track.learn"].trigger()
    assert is_enabled(window, *names) == [False, False, True, False]
    held.may_end.set()
    qtbot.waitUntil(lambda: window.actions_table["track.forget"].isEnabled(), timeout=20_000)
    assert is_enabled(window, *names) == [True, True, False, True]
    window.actions_table["track.forget"].trigger()
    qtbot.waitUntil(lambda: not window.actions_table["track.forget"].isEnabled())
    qtbot.waitUntil(lambda: "forgotten" in workspace.banner.text)


def test_space_pauses_it_and_escape_cancels_it(
    window: MainWindow, workspace: Workspace, held: FakeLearning, qtbot: QtBot
) -> None:
    def press(key: Qt.Key) -> None:
        QTest.keyClick(workspace.canvas.viewport(), key)
        QApplication.processEvents()

    annotator = workspace.annotator
    annotator.hand.stroke(DAB)
    annotator.learning.start()
    workspace.canvas.setFocus()
    assert "Learning" in hint_for(workspace)
    press(Qt.Key.Key_Space)
    assert annotator.operations.busy is Busy.PAUSED
    assert "no mask changes" in hint_for(workspace)
    press(Qt.Key.Key_Space)
    assert not annotator.operations.is_paused
    press(Qt.Key.Key_Escape)
    wait_until_idle(annotator, qtbot)
    assert "stopped" in workspace.banner.text
    assert Needs.LEARNED not in state_of(workspace)


def test_tracking_again_is_one_button_away_once_it_has_learned(
    workspace: Workspace, learning: FakeLearning, qtbot: QtBot
) -> None:
    annotator, button = workspace.annotator, workspace.banner.button
    workspace.document.set_frame(4)
    annotator.hand.stroke(DAB)
    annotator.learning.start()
    qtbot.waitUntil(button.isVisible, timeout=20_000)
    assert workspace.banner.text == "Learned from 1 frame. Track again to use it."
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert annotator.tracking.is_running
    wait_until_idle(annotator, qtbot)
    assert sorted(workspace.document.annotation.records) == list(range(8))


def test_an_offer_stays_until_something_else_is_done(workspace: Workspace) -> None:
    banner = workspace.banner
    banner.show_notice("First.")
    banner.show_notice("Learned.", ("Track", lambda: None))
    assert banner.text == "Learned."
    assert banner.button.isVisible()
    workspace.annotator.hand.stroke(DAB)
    assert banner.isHidden()
    banner.show_notice("Something to know.")
    assert not banner.button.isVisible()
    workspace.annotator.hand.stroke(OTHER)
    assert banner.isVisible()  # that one goes by itself


def test_closing_while_it_learns_asks_first_and_ends_it(
    window: MainWindow,
    workspace: Workspace,
    held: FakeLearning,
) -> None:
    workspace.annotator.hand.stroke(DAB)
    workspace.annotator.learning.start()
    press_when_asked("Go on learning")
    assert not window.close_session()
    assert workspace.annotator.operations.busy is Busy.LEARNING
    press_when_asked("Stop learning and close")
    assert window.close_session()
    assert not workspace.is_busy


def test_a_project_that_has_learned_says_so_when_it_is_opened_again(
    window: MainWindow, open_path: Callable[[Path], Workspace], tmp_path: Path
) -> None:
    tiny.write_clip(tmp_path / "learned clip", 8)
    project = tmp_path / "learned.vos"
    engines = FakeEngines()
    with Session.open(tmp_path / "learned clip", project, engines=engines) as session:
        session.do(StrokeRequest(0, session.add_object("bear"), DAB))
        learn_at_once(session.engines, "tracker", 6, of=engines.settings.tracker_model)
    assert (project / "learned").is_dir()
    workspace = open_path(project)
    assert workspace.propagation_panel.learning.state.text() == "Learned from 6 frames"
    assert is_enabled(window, "track.forget") == [True]
