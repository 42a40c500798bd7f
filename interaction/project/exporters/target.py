"""Where an export is written: out of sight until it is whole, then under its own name.

Everything goes into a hidden folder beside the target. When the export is finished a new folder
takes its name in one step; in a folder that holds files already, each file takes its place by
itself, and only if that was asked for. Files that the export did not make are never touched.
"""

import contextlib
import os
import shutil
import uuid
from pathlib import Path
from typing import Final

from interaction.errors import UserError
from interaction.project.atomic_files import TEMPORARY_SUFFIX, replace_file, writing_problem

__all__ = ["ExportTarget", "safe_name"]

_MOST_NAMED: Final = 3
_RESERVED: Final = {"con", "prn", "aux", "nul"} | {
    f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)
}  # no file on Windows can be called so
_LONGEST_NAME: Final = 80


def safe_name(text: str, otherwise: str) -> str:
    """`text` as the name of a file on every system; `otherwise` if nothing is left of it."""
    kept = "".join(
        one if one.isprintable() and one not in '<>:"/\\|?*' else "_" for one in text.strip()
    )
    kept = kept.strip(" .")[:_LONGEST_NAME].strip(" .")
    return otherwise if not kept or kept.lower().split(".")[0] in _RESERVED else kept


class ExportTarget:
    """One export's place on disk.

    path: the folder, or for exports that are one file the file; its side files lie beside it.
    """

    def __init__(self, path: Path, *, is_folder: bool, overwrites: bool) -> None:
        self.path = Path(os.path.abspath(path))  # noqa: PTH100  (resolve() would follow links)
        self.is_folder = is_folder
        self.overwrites = overwrites
        self._made: list[Path] = []  # parents that were created, outermost first
        self.folder = self.path.parent / f".{uuid.uuid4().hex}{TEMPORARY_SUFFIX}"

    def check(self, protects: tuple[Path, ...], side_files: tuple[str, ...] = ()) -> None:
        """UserError if something is in the way, before anything is written."""
        problem = self.problem(protects, side_files)
        if problem is not None:
            raise UserError(problem)

    def problem(self, protects: tuple[Path, ...], side_files: tuple[str, ...] = ()) -> str | None:
        """What keeps the export from being written here, in words; None if nothing does."""
        real = self.path.resolve()
        for kept in protects:
            kept_real = kept.resolve()
            if real == kept_real or (kept_real.is_dir() and kept_real in real.parents):
                return (
                    f"“{self.path.name}” lies in “{kept.name}”, which this project is made from; "
                    "an export there could damage it. Nothing was changed.\n\nChoose another place."
                )
        if self.is_folder and self.path.exists() and not self.path.is_dir():
            return (
                f"“{self.path.name}” is a file, and this format is a folder of files. Nothing was "
                "changed.\n\nChoose another name."
            )
        if not self.is_folder and self.path.is_dir():
            return (
                f"“{self.path.name}” is a folder, and this format is one file. Nothing was "
                "changed.\n\nChoose another name."
            )
        if self.overwrites:
            return None
        if self.is_folder:
            present = _first_files(self.path)
        else:
            beside = (self.path, *(self.path.parent / name for name in side_files))
            present = [path.name for path in beside if path.exists() or path.is_symlink()]
        if not present:
            return None
        where = "already there" if not self.is_folder else f"in “{self.path.name}” already"
        names = ", ".join(present[:_MOST_NAMED]) + (", …" if len(present) > _MOST_NAMED else "")
        return (
            f"There is something {where}: {names}. Nothing was changed.\n\nChoose another name, "
            "or allow files to be replaced."
        )

    def prepare(self) -> None:
        """Creates the hidden folder. UserError."""
        try:
            missing = [one for one in self.path.parents if not one.exists()]
            for parent in reversed(missing):
                parent.mkdir(exist_ok=True)
                self._made.append(parent)
            self.folder.mkdir()
        except OSError as error:
            self.discard()
            raise writing_problem(self.path, error) from error

    def finish(self) -> int:
        """Gives everything its own name; how many foreign files were left lying in a folder.

        UserError; then what was there is still there, except files that were already replaced.
        """
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        # Something may have come since: what the export brings beside its main file is known now.
        beside = () if self.is_folder else tuple(file.name for file in files)
        self.check((), beside)
        try:
            for file in files:
                _force_to_disk(file)
            if self.is_folder and not _first_files(self.path):
                if self.path.is_dir() and not self.path.is_symlink():
                    self.path.rmdir()
                if not self.path.exists():
                    replace_file(self.folder, self.path)
                    return 0
            root = self.path if self.is_folder else self.path.parent
            names = {file.relative_to(self.folder) for file in files}
            for name in sorted(names):
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                replace_file(self.folder / name, root / name)
        except OSError as error:
            raise writing_problem(self.path, error) from error
        shutil.rmtree(self.folder, ignore_errors=True)
        if not self.is_folder:
            return 0
        present = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
        return sum(1 for path in present if path not in names)

    def discard(self) -> None:
        """Leaves no trace of an export that was not finished."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for parent in reversed(self._made):
            with contextlib.suppress(OSError):  # someone else has put something there
                parent.rmdir()


def _first_files(folder: Path) -> list[str]:
    """Names in `folder`, a few; nothing if it does not exist."""
    names: list[str] = []
    if folder.is_dir():
        try:
            for path in folder.iterdir():
                names.append(path.name)
                if len(names) > _MOST_NAMED:
                    break
        except OSError as error:
            raise writing_problem(folder, error) from error
    return sorted(names)


def _force_to_disk(file: Path) -> None:
    # Without this the new name can reach the disk before the bytes do.
    descriptor = os.open(file, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
