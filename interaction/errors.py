"""Problems the annotator can do something about. Anything else that is raised is a bug."""

from pathlib import Path

from xmem_core.messages import Message
from xmem_core.messages import UserError as UserError


class UnreadableVideoError(UserError):
    """A video or a folder of pictures that cannot be opened, or one frame of it."""

    def __init__(self, path: Path, reason: str, remedy: str | None = None) -> None:
        remedy = remedy or Message(
            "Check that it plays in a video player. If it does, convert it to MP4 (H.264) "
            "and open that file instead."
        )
        super().__init__(
            "“{name}” could not be opened: {reason}.\n\n{remedy}",
            name=path.name,
            reason=reason,
            remedy=remedy,
        )


class DamagedFrameError(UnreadableVideoError):
    """One frame that cannot be decoded, while the others can."""


class UnreadableMaskError(UserError):
    """A mask picture that is damaged, hostile or of the wrong size."""

    def __init__(self, path: Path, reason: str, remedy: str) -> None:
        super().__init__(
            "The mask “{name}” could not be used: {reason}.\n\n{remedy}",
            name=path.name,
            reason=reason,
            remedy=remedy,
        )


class DiskFullError(UserError):
    """No room for a file that has to be written. What was there before is still there."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            "The disk is full: “{name}” could not be saved. What was saved before is "
            "untouched.\n\nFree some space on the disk that holds {folder}, then try again.",
            name=path.name,
            folder=path.parent,
        )


class UnwritableFileError(UserError):
    """A file that the system refuses to write, for a reason other than a full disk."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            "“{name}” could not be saved: {reason}. What was saved before is untouched.\n\n"
            "Check that {folder} is there and that you may write to it, then try again.",
            name=path.name,
            reason=reason,
            folder=path.parent,
        )


class ModelError(UserError):
    """A model that is not there, cannot be downloaded, or is not what its publisher made."""


class MissingModelError(ModelError):
    """A known model that can be downloaded and has not been yet."""

    def __init__(self, name: str, remedy: str) -> None:
        super().__init__(
            "The model “{name}” is not on this computer yet.\n\n{remedy}", name=name, remedy=remedy
        )
        self.name = name


class EngineMemoryError(UserError):
    """The device has no room for the next frame."""

    def __init__(self, device: str, frame: int) -> None:
        super().__init__(
            "The device “{device}” ran out of memory at frame {frame}. Every frame before it is "
            "kept.\n\nClose other programs that use it, or choose a smaller internal size, and "
            "propagate again.",
            device=device,
            frame=frame,
        )


class ProjectError(UserError):
    """A project folder that cannot be used as it was asked for."""


class ProjectInUseError(ProjectError):
    """Another program has the project open; it can still be looked at."""

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(
            "The project “{name}” is open {holder}. Nothing was changed.\n\n"
            "Close it there first, or open it for reading only.",
            name=folder.name,
            holder=holder,
        )


class NewerProjectError(ProjectError):
    """Written by a later version of the program, which knew more than this one."""

    def __init__(self, folder: Path, app_version: str) -> None:
        by = f" ({app_version})" if app_version else ""
        super().__init__(
            "The project “{name}” was saved by a newer version of this program{by}. It was not "
            "changed.\n\n"
            "Update the program, then open the project again.",
            name=folder.name,
            by=by,
        )


class DamagedProjectError(ProjectError):
    """So little of a project can be read that it cannot be opened at all."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(
            "The project “{name}” is damaged: {reason}. It was not changed.\n\n"
            "Put back a copy of the folder if you have one. The masks that are left are ordinary "
            "pictures in {masks}: open the video in a new project and import them.",
            name=folder.name,
            reason=reason,
            masks=folder / "masks",
        )


class ReadOnlyProjectError(ProjectError):
    """A change of a project that was opened for reading only."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(
            "The project “{name}” is open for reading only: {reason}. Nothing was changed.\n\n"
            "Save it as a new project to go on working.",
            name=folder.name,
            reason=reason,
        )


class SourceMissingError(ProjectError):
    """The video of a project is nowhere to be found."""

    def __init__(self, source: Path) -> None:
        super().__init__(
            "{what}\n\nPut it back, or show where it is now.", what=_not_where_it_was(source)
        )


class SourceMovedError(ProjectError):
    """The video of a project is elsewhere or has another name, which has to be confirmed.

    candidates: files or folders whose contents are those of the video, the likeliest first.
    """

    def __init__(self, source: Path, candidates: tuple[Path, ...]) -> None:
        self.candidates = candidates
        found = "\n".join(str(candidate) for candidate in candidates)
        super().__init__(
            "{what}\n\nThe same video was found here; confirm that it is the one:\n{found}",
            what=_not_where_it_was(source),
            found=found,
        )


class SourceChangedError(ProjectError):
    """There is a video where the project's video was, but its contents differ."""

    def __init__(self, source: Path, difference: str) -> None:
        super().__init__(
            "“{name}” is not the video that this project's masks were made on: {difference}. The "
            "masks are safe.\n\n"
            "Put the original video back, or show where it is now.",
            name=source.name,
            difference=difference,
        )


def _not_where_it_was(source: Path) -> Message:
    return Message(
        "The video “{name}” of this project is not where it was ({folder}). The masks are safe.",
        name=source.name,
        folder=source.parent,
    )
