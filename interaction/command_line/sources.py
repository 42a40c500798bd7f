"""What can be named on the command line: a video, a folder of pictures, a project, the sample."""

from pathlib import Path
from typing import TYPE_CHECKING

from resources import sample_folder

if TYPE_CHECKING:
    from interaction.engine_settings import EngineSettings
    from interaction.session import Session

__all__ = ["SAMPLE", "open_session", "project_folder", "source_path"]

SAMPLE = "sample"


def source_path(text: str) -> Path:
    """The sample stands for itself, unless something of that name lies here."""
    if text == SAMPLE and not Path(SAMPLE).exists():
        return sample_folder() / "big-buck-bunny.mp4"
    return Path(text)


def project_folder(text: str) -> Path:
    """A project by its folder, or by a file in it such as its journal."""
    path = Path(text)
    return path.parent if path.is_file() else path


def open_session(source: str, project: Path | None, settings: "EngineSettings") -> "Session":
    """A project if `source` is one, else a video with the project it is to have, if any."""
    from interaction.project.layout import is_project
    from interaction.session import Session

    path = source_path(source)
    if project is None and is_project(path):
        return Session.open_project(path, settings=settings)
    return Session.open(path, project, settings=settings)
