"""Problems the annotator can do something about. Anything else that is raised is a bug."""

from pathlib import Path

from xmem_core.errors import UserError

__all__ = [
    "UnreadableMaskError",
    "UnreadableVideoError",
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
