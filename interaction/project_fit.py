"""Whether a project and a video belong together, and what a project notes of its engines."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from interaction.engine_settings import EngineSettings
from interaction.errors import ProjectError, UserError
from interaction.project.project import Project
from interaction.project.video import Video

__all__ = ["check_fit", "is_known_place", "plain_settings"]


def check_fit(project: Project, video: Video) -> None:
    """Raises ProjectError if the video has not the frames that the project is about."""
    source = project.source
    wanted = source.frame_count, source.width, source.height
    found = len(video), video.width, video.height
    if wanted != found:
        raise ProjectError(
            f"The project “{project.name}” is about {wanted[0]} frames of {wanted[1]}x{wanted[2]} "
            f"pixels; “{video.path.name}” has {found[0]} of {found[1]}x{found[2]}. Nothing was "
            "changed.",
            "Open the project with the video that it was made for.",
        )


def is_known_place(project: Project, source: Path) -> bool:
    """Whether the project's video is this very file, unchanged."""
    try:
        return project.find_source().samefile(source)
    except (OSError, UserError):
        return False


def plain_settings(settings: EngineSettings) -> dict[str, Any]:
    """For the project: what its masks were first made with."""
    plain = asdict(settings)
    return {name: plain[name] for name in sorted(plain)}
