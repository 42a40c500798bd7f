"""What one was doing is found again, and it is not part of the project."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtGui import QImage
from pytestqt.qtbot import QtBot

from gui.preferences import Place, Preferences
from gui.window.app import begin_with_objects
from gui.window.main_window import MainWindow
from gui.window.workspace import Workspace
from gui.work.document import ViewMode

Open = Callable[[Path], Workspace]


def test_a_project_opens_where_it_was_left(window: MainWindow, open_path: Open, clip: Path) -> None:
    document = open_path(clip).document
    document.add_object("bear")
    cub = document.add_object("cub")
    document.add_object("tree")
    document.set_current_object(cub)
    document.set_frame(5)
    assert window.close_session()
    document = open_path(clip).document
    assert (document.frame, document.current_object) == (5, cub)


def test_another_project_begins_at_its_beginning(
    window: MainWindow, open_path: Open, clip: Path, tmp_path: Path
) -> None:
    open_path(clip).document.set_frame(5)
    assert window.close_session()
    other = clip.rename(tmp_path / "another clip")
    assert open_path(other).document.frame == 0


def test_how_one_works_is_kept_from_project_to_project(
    window: MainWindow, open_path: Open, clip: Path
) -> None:
    workspace = open_path(clip)
    document = workspace.document
    document.set_tool("brush")
    document.set_brush_radius_px(33)
    document.set_view_mode(ViewMode.FADE)
    document.set_onion_skin(True)
    document.set_opacity(0.3)
    until = workspace.propagation_panel.until
    until.setCurrentIndex(until.findData("settled"))
    assert window.close_session()
    workspace = open_path(clip)
    document = workspace.document
    assert (document.tool, document.brush_radius_px) == ("brush", 33)
    assert (document.view_mode, document.has_onion_skin) == (ViewMode.FADE, True)
    assert document.opacity == pytest.approx(0.3)
    assert workspace.propagation_panel.until.currentData() == "settled"


def test_the_layer_is_found_again_with_its_project_and_asked_of_no_other(
    window: MainWindow, open_path: Open, clip: Path, tmp_path: Path
) -> None:
    picture = QImage(8, 8, QImage.Format.Format_RGB32)
    picture.fill(0xFF00FF00)
    layer = tmp_path / "layer.png"
    assert picture.save(str(layer))
    document = open_path(clip).document
    document.set_layer(str(layer))
    document.set_view_mode(ViewMode.LAYER)
    assert window.close_session()
    document = open_path(clip).document
    assert (document.layer, document.view_mode) == (str(layer), ViewMode.LAYER)
    assert window.close_session()
    layer.unlink()
    assert open_path(clip).document.view_mode is ViewMode.OVERLAY


def test_nothing_of_this_is_in_the_projects_own_files(
    window: MainWindow, open_path: Open, clip: Path, tmp_path: Path
) -> None:
    document = open_path(clip).document
    document.add_object("bear")
    assert window.close_session()
    project = tmp_path / "clip.vos" / "project.json"
    before = project.read_bytes()
    document = open_path(clip).document
    document.set_frame(5)
    document.set_tool("eraser")
    assert window.close_session()
    assert project.read_bytes() == before


def test_a_program_that_is_killed_still_knows_where_one_was(
    open_path: Open, clip: Path, tmp_path: Path, preferences: Preferences, qtbot: QtBot
) -> None:
    folder = str(tmp_path / "clip.vos")
    open_path(clip).document.set_frame(4)

    def is_kept() -> bool:
        place = preferences.place(folder)
        return place is not None and place.frame == 4

    qtbot.waitUntil(is_kept, timeout=20_000)


@pytest.mark.parametrize(
    "damage",
    ["[]", "{", '{"p": 3}', '{"p": ["x", 1, ""]}', '{"p": [1]}', '{"p": [Infinity, 1, ""]}'],
)
def test_a_place_that_makes_no_sense_is_as_if_it_had_never_been_kept(
    tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "damaged.json"
    path.write_text(json.dumps({"places": damage}))
    preferences = Preferences(path)
    assert preferences.place("p") is None
    preferences.keep_place("p", Place(3, 1, ""))
    assert preferences.place("p") == Place(3, 1, "")


def test_a_frame_or_an_object_that_is_gone_is_no_reason_to_fail(
    open_path: Open, clip: Path, tmp_path: Path, preferences: Preferences
) -> None:
    preferences.keep_place(str(tmp_path / "clip.vos"), Place(9999, 77, "nowhere.png"))
    document = open_path(clip).document
    assert (document.frame, document.current_object) == (document.frame_count - 1, 0)


def test_objects_asked_for_on_the_command_line_begin_with_the_first(
    window: MainWindow, open_path: Open, clip: Path
) -> None:
    window.session_opened.connect(lambda session: begin_with_objects(window, session, 2))
    document = open_path(clip).document
    assert [one.name for one in document.objects] == ["Object 1", "Object 2"]
    assert document.current_object == document.objects[0].id
