"""A run pauses at a cut and where a mask goes wrong, says why, and waits to be resumed."""

from pathlib import Path

import pytest
from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QImage, QPainter, QPalette
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui.dialogs.preferences import PreferencesDialog
from gui.preferences import Preferences
from gui.timeline.cuts import Cuts
from gui.timeline.painting import draw_cuts
from gui.timeline.scale import TimeScale
from gui.window.main_window import MainWindow
from gui.work.annotator import Annotator
from gui.work.document import Document
from gui.work.operations import Busy
from gui.work.tracking import AtCut
from interaction.annotation.requests import AbsenceProposal
from interaction.annotation.types import Stroke
from interaction.session import Session
from interaction.tracking.brakes import CollapseWatch, WrongMask
from tests.fake_engines import FakeEngines
from tests.unit.test_brakes import write_film
from xmem_core.messages import Message

DAB = Stroke(((20.0, 20.0),), 6)
CUT = 5


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """In place of the tiny clip: another shot begins at frame 5."""
    write_film(tmp_path / "clip")
    return tmp_path / "clip"


@pytest.fixture
def offered(clip: Path, document: Document) -> list[tuple[str, object]]:
    offers: list[tuple[str, object]] = []
    document.offered.connect(lambda text, button, do: offers.append((text, do)))
    document.noticed.connect(lambda text: offers.append((text, None)))
    return offers


def tracked(document: Document) -> list[int]:
    return sorted(document.annotation.records)


def start(annotator: Annotator, at_cut: AtCut) -> None:
    annotator.tracking.at_cut = at_cut
    annotator.hand.stroke(DAB)
    annotator.tracking.start("forward")


def wait_for_a_pause(annotator: Annotator, offered: list[tuple[str, object]], qtbot: QtBot) -> None:
    """Its reason is offered a moment after the state has changed."""
    qtbot.waitUntil(lambda: annotator.operations.busy is Busy.PAUSED and bool(offered))


def test_a_run_pauses_before_the_first_frame_of_another_shot_and_goes_on(
    offered: list[tuple[str, object]], annotator: Annotator, document: Document, qtbot: QtBot
) -> None:
    start(annotator, "pause")
    wait_for_a_pause(annotator, offered, qtbot)
    assert tracked(document) == [0, 1, 2, 3, 4]
    assert document.frame == CUT
    [(text, go_on)] = offered
    assert "Frame 5" in text
    assert "another shot" in text
    go_on()  # type: ignore[operator]
    qtbot.waitUntil(lambda: annotator.operations.busy is Busy.IDLE)
    assert tracked(document) == list(range(8))


@pytest.mark.parametrize(("at_cut", "count"), [("stop", CUT), ("go_on", 8)])
def test_a_run_stops_or_goes_on_at_a_cut_if_that_is_preferred(
    offered: list[tuple[str, object]],
    annotator: Annotator,
    document: Document,
    qtbot: QtBot,
    at_cut: AtCut,
    count: int,
) -> None:
    start(annotator, at_cut)
    qtbot.waitUntil(lambda: annotator.operations.busy is Busy.IDLE)
    assert tracked(document) == list(range(count))
    assert bool(offered) is (at_cut == "stop")


def test_a_run_pauses_at_the_frame_where_a_mask_goes_wrong(
    offered: list[tuple[str, object]],
    annotator: Annotator,
    document: Document,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def wrong(brakes: object, watch: object, names: dict[int, str]) -> WrongMask | None:
        return WrongMask(1, Message("It jumps.")) if len(tracked(document)) == 3 else None

    monkeypatch.setattr("interaction.tracking.brakes.Brakes.mask", wrong)
    annotator.tracking.pauses_at_wrong_masks = True
    start(annotator, "go_on")
    wait_for_a_pause(annotator, offered, qtbot)
    here = document.frame
    assert tracked(document) == list(range(here + 1))  # not one frame more
    assert offered[0][0] == f"Frame {here}. It jumps."
    annotator.cancel()
    qtbot.waitUntil(lambda: annotator.operations.busy is Busy.IDLE)
    assert tracked(document) == list(range(here + 1))


@pytest.mark.parametrize("paused_for", [1, 2])
def test_a_collapse_that_a_pause_has_announced_is_not_announced_again_before_the_end(
    offered: list[tuple[str, object]],
    annotator: Annotator,
    document: Document,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
    paused_for: int,
) -> None:
    def wrong(brakes: object, watch: object, names: dict[int, str]) -> WrongMask | None:
        is_it = len(tracked(document)) == 3 and not offered
        return WrongMask(paused_for, Message("It collapses.")) if is_it else None

    def proposals(watch: object) -> tuple[AbsenceProposal, ...]:
        count = len(tracked(document))
        return (AbsenceProposal(1, 4, count),) if count >= 5 else ()

    monkeypatch.setattr("interaction.tracking.brakes.Brakes.mask", wrong)
    monkeypatch.setattr(CollapseWatch, "proposals", property(proposals))
    annotator.tracking.pauses_at_wrong_masks = True
    start(annotator, "go_on")
    wait_for_a_pause(annotator, offered, qtbot)
    [(_, go_on)] = offered
    go_on()  # type: ignore[operator]
    qtbot.waitUntil(lambda: annotator.operations.busy is Busy.IDLE)
    asked = [text for text, _ in offered if "is it absent?" in text]
    assert len(asked) == (1 if paused_for == 1 else 2)


def test_cuts_are_found_kept_with_the_project_and_shown(
    clip: Path, tmp_path: Path, qapp: QApplication, qtbot: QtBot
) -> None:
    with Session.open(clip, tmp_path / "p.vos", engines=FakeEngines()) as session:
        cuts = Cuts.of(Document(session))
        assert (cuts.frames, cuts.is_done) == ((), False)
        with qtbot.waitSignal(cuts.changed):
            cuts.find()
        assert (cuts.frames, cuts.is_done) == ((CUT,), True)
        assert (cuts.beside(0, 1), cuts.beside(CUT, 1)) == (CUT, None)
        assert (cuts.beside(7, -1), cuts.beside(CUT, -1)) == (CUT, None)
        cuts.close()
    with Session.open_project(tmp_path / "p.vos", engines=FakeEngines()) as session:
        again = Cuts.of(Document(session))
        assert (again.frames, again.is_done) == ((CUT,), True)
        again.close()
    image = QImage(80, 40, QImage.Format.Format_RGB32)
    image.fill(QColor("white"))
    painter = QPainter(image)
    draw_cuts(painter, QRectF(image.rect()), TimeScale(8, 80), (CUT,), QPalette())
    painter.end()
    dark = [x for x in range(80) if image.pixelColor(x, 1).lightness() < 128]
    assert dark
    assert abs(sum(dark) / len(dark) - 10 * CUT) <= 1


def test_both_brakes_are_preferences_that_hold_at_once(
    window: MainWindow, preferences: Preferences, clip: Path, qtbot: QtBot
) -> None:
    dialog = PreferencesDialog(preferences, window.actions_table)
    qtbot.addWidget(dialog)
    dialog.at_cut.setCurrentIndex(dialog.at_cut.findData("stop"))
    dialog.brakes.setChecked(True)
    assert preferences.at_cut == "stop"
    assert preferences.pauses_at_wrong_masks


def give_an_overlap(annotator: Annotator, document: Document, qtbot: QtBot) -> None:
    """A bear on the first frame that keeps what a cub covers of it."""
    bear = document.add_object("bear")
    annotator.bulk.keep_covered(bear, True)
    qtbot.waitUntil(lambda: bear in document.annotation.keepers and annotator.operations.is_free)
    annotator.hand.stroke(DAB)
    document.add_object("cub")
    annotator.hand.stroke(Stroke(((24.0, 20.0),), 6))


def test_a_cut_that_stops_a_run_leaves_no_covered_pixels_untracked(
    offered: list[tuple[str, object]],
    annotator: Annotator,
    document: Document,
    qtbot: QtBot,
) -> None:
    give_an_overlap(annotator, document, qtbot)
    engines = document.session.engines.plain
    assert isinstance(engines, FakeEngines)
    annotator.tracking.at_cut = "stop"
    annotator.tracking.start("forward")
    qtbot.waitUntil(lambda: annotator.operations.busy is Busy.IDLE)
    assert tracked(document) == list(range(CUT))
    assert len(engines.trackers) == 2


def test_covered_pixels_of_a_run_that_the_annotator_stops_are_offered(
    offered: list[tuple[str, object]],
    annotator: Annotator,
    document: Document,
    qtbot: QtBot,
) -> None:
    give_an_overlap(annotator, document, qtbot)
    engines = document.session.engines.plain
    assert isinstance(engines, FakeEngines)
    annotator.tracking.at_cut = "pause"
    annotator.tracking.start("forward")
    wait_for_a_pause(annotator, offered, qtbot)
    offered.clear()
    annotator.cancel()
    qtbot.waitUntil(lambda: annotator.operations.busy is Busy.IDLE and bool(offered))
    text, track = offered[-1]
    assert text == "What others cover of “bear” is not tracked yet: frames 0–5."
    assert len(engines.trackers) == 1
    track()  # type: ignore[operator]
    qtbot.waitUntil(lambda: annotator.operations.busy is Busy.IDLE and len(engines.trackers) == 2)
