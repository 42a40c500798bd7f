"""What was found odd in a project is announced when it is opened, and stays until it is read."""

from collections.abc import Callable
from pathlib import Path

from gui.window.main_window import MainWindow
from gui.window.workspace import Workspace
from interaction.annotation.mask_files import encode_labels
from interaction.annotation.types import Stroke
from tests import tiny

DAB = Stroke(((40.0, 20.0),), 6)


def test_another_program_s_change_of_a_locked_object_is_announced_in_the_window(
    window: MainWindow, open_path: Callable[[Path], Workspace], clip: Path, tmp_path: Path
) -> None:
    workspace = open_path(clip)
    workspace.annotator.hand.stroke(DAB)
    workspace.document.set_locked(workspace.document.current_object, True)
    assert window.close_session()
    (tmp_path / "clip.vos" / "masks" / "0000003.png").write_bytes(encode_labels(tiny.labels(3)))
    banner = open_path(clip).banner
    assert banner.isVisible()
    assert "Frame 3" in banner.text
    assert "locked" in banner.text
