"""The limits of the tracker's memory, changed in the panel with mouse and keys."""

import json
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from gui.panels.memory import MemoryLimits
from gui.window.main_window import MainWindow
from gui.window.workspace import Workspace
from interaction.annotation.types import Stroke
from interaction.engines import MEMORY_LIMITS, check_limits
from interaction.session import Session
from tests.fake_engines import FakeEngines
from tests.gui.windows import is_idle, once_at, press
from xmem_core import MemoryConfig

LEFT = Qt.MouseButton.LeftButton
DAB = Stroke(((20.0, 20.0),), 6)
FULL = {name: getattr(MemoryConfig(), name) for name in MEMORY_LIMITS}


@pytest.fixture
def limits(workspace: Workspace) -> MemoryLimits:
    """Unfolded."""
    workspace.tabs.setCurrentWidget(workspace.memory_panel)
    limits = workspace.memory_panel.limits
    workspace.tabs.setCurrentWidget(workspace.memory_panel)
    assert not limits.rows.isVisible()
    QTest.mouseClick(limits.fold, LEFT)
    assert limits.rows.isVisible()
    return limits


def type_into(limits: MemoryLimits, name: str, value: int) -> None:
    box = limits.boxes[name]
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, str(value))
    QTest.keyClick(box, Qt.Key.Key_Return)


def test_a_running_propagation_takes_new_limits_with_its_next_frame(
    window: MainWindow, workspace: Workspace, limits: MemoryLimits, qtbot: QtBot
) -> None:
    engines = window.opener.engines
    assert isinstance(engines, FakeEngines)
    workspace.annotator.hand.stroke(DAB)
    used: list[tuple[int, int]] = []
    running: list[object] = []

    def change() -> None:
        running.append(engines.trackers[-1])
        type_into(limits, "top_k", 7)
        type_into(limits, "memorize_every", 1)

    def note(_: int) -> None:
        config = engines.trackers[-1].config
        used.append((config.top_k, config.memorize_every))

    once_at(workspace.annotator, 2, change)
    workspace.annotator.tracking.tracked.connect(note)
    workspace.canvas.setFocus()
    press(window, Qt.Key.Key_F)
    qtbot.waitUntil(lambda: is_idle(workspace), timeout=20_000)
    assert used[-1] == (7, 1)
    assert running == [engines.trackers[-1]]  # the same run went on
    # Every frame after the change was taken into working memory or distilled from there.
    bank = engines.trackers[-1].bank
    assert len(bank.long_term) + len(bank.working) > 0


def test_limits_are_kept_with_the_project_and_reset(
    window: MainWindow, workspace: Workspace, limits: MemoryLimits, tmp_path: Path, qtbot: QtBot
) -> None:
    default = workspace.document.memory_limits
    assert not limits.reset.isEnabled()
    type_into(limits, "top_k", 12)
    assert not (tmp_path / "clip.vos").exists()  # a limit alone is no work on the video
    workspace.annotator.hand.stroke(DAB)
    chosen = workspace.document.memory_limits
    assert chosen["top_k"] == 12
    assert window.close_session()
    assert json.loads((tmp_path / "clip.vos" / "project.json").read_text())["memory"] == chosen

    window.open_path(tmp_path / "clip")
    qtbot.waitUntil(lambda: window.workspace is not None, timeout=20_000)
    again = window.workspace
    assert again is not None
    again.tabs.setCurrentWidget(again.memory_panel)
    panel = again.memory_panel.limits
    QTest.mouseClick(panel.fold, LEFT)
    assert panel.boxes["top_k"].value() == 12
    QTest.mouseClick(panel.reset, LEFT)
    assert again.document.memory_limits == default
    assert panel.boxes["top_k"].value() == default["top_k"]
    assert not panel.reset.isEnabled()
    again.session.flush()
    assert "memory" not in json.loads((tmp_path / "clip.vos" / "project.json").read_text())


def test_what_leaves_no_room_gives_way(limits: MemoryLimits, workspace: Workspace) -> None:
    def now() -> dict[str, int]:
        return workspace.document.memory_limits

    type_into(limits, "min_working_frames", 30)
    assert now()["max_working_frames"] == 31
    type_into(limits, "max_working_frames", 4)
    assert now()["min_working_frames"] == 3
    assert limits.boxes["min_working_frames"].value() == 3
    type_into(limits, "min_working_frames", 100)
    assert (now()["min_working_frames"], now()["max_working_frames"]) == (99, 100)
    type_into(limits, "max_long_term", 1000)
    type_into(limits, "prototypes", 1280)
    assert now()["max_long_term"] == 1280
    type_into(limits, "max_long_term", 1000)
    assert now()["prototypes"] == 1000
    for name, box in limits.boxes.items():
        assert (box.minimum(), box.maximum()) == (MEMORY_LIMITS[name][0], MEMORY_LIMITS[name][-1])
        assert f"{box.minimum()}–{box.maximum()}" in box.toolTip()


@pytest.mark.parametrize(
    "value",
    [
        {"top_k": 3},
        FULL | {"top_k": 0},
        FULL | {"top_k": True},
        FULL | {"prototypes": "128"},
        FULL | {"min_working_frames": 10, "max_working_frames": 10},
        FULL | {"__class__": 1},
        "text",
    ],
)
def test_limits_of_a_file_that_cannot_be_are_not_used(
    value: object, tmp_path: Path, clip: Path
) -> None:
    folder = tmp_path / "odd.vos"
    with Session.open(clip, folder, engines=FakeEngines()) as session:
        assert session.project is not None
        session.project.change_memory(FULL | {"top_k": 5})
    path = folder / "project.json"
    content = json.loads(path.read_text())
    assert content["memory"]["top_k"] == 5
    path.write_text(json.dumps(content | {"memory": value}))
    with Session.open_project(folder, engines=FakeEngines()) as session:
        assert not session.ledger.is_read_only
        assert session.engines.limits == {}
    with pytest.raises((ValueError, AttributeError)):
        check_limits(value)  # type: ignore[arg-type]
