"""Problems the annotator can do something about. Anything else that is raised is a bug."""

from pathlib import Path

from xmem_core.errors import UserError

__all__ = [
    "DiskFullError",
    "EngineMemoryError",
    "ModelError",
    "UnreadableMaskError",
    "UnreadableVideoError",
    "UnwritableFileError",
    "UserError",
]


class UnreadableVideoError(UserError):
    """A video or a folder of pictures that cannot be opened, or one frame of it."""

    def __init__(self, path: Path, reason: str, remedy: str | None = None) -> None:
        remedy = remedy or (
            "Check that it plays in a video player. If it does, convert it to MP4 (H.264) "
            "and open that file instead."
        )
        super().__init__(f"“{path.name}” could not be opened: {reason}.\n\n{remedy}")


class UnreadableMaskError(UserError):
    """A mask picture that is damaged, hostile or of the wrong size."""

    def __init__(self, path: Path, reason: str, remedy: str) -> None:
        super().__init__(f"The mask “{path.name}” could not be used: {reason}.\n\n{remedy}")


class DiskFullError(UserError):
    """No room for a file that has to be written. What was there before is still there."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"The disk is full: “{path.name}” could not be saved. What was saved before is "
            f"untouched.\n\nFree some space on the disk that holds {path.parent}, then try again."
        )


class UnwritableFileError(UserError):
    """A file that the system refuses to write, for a reason other than a full disk."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"“{path.name}” could not be saved: {reason}. What was saved before is untouched.\n\n"
            f"Check that {path.parent} is there and that you may write to it, then try again."
        )


class ModelError(UserError):
    """A model that is not there, cannot be downloaded, or is not what its publisher made."""

    def __init__(self, what_happened: str, remedy: str) -> None:
        super().__init__(f"{what_happened}\n\n{remedy}")


class EngineMemoryError(UserError):
    """The device has no room for the next frame."""

    def __init__(self, device: str, frame: int) -> None:
        super().__init__(
            f"The device “{device}” ran out of memory at frame {frame}. Every frame before it is "
            "kept.\n\nClose other programs that use it, or choose a smaller internal size, and "
            "propagate again."
        )
