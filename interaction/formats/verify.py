"""Whether an export belongs to a video, by the list of frames that lies with it."""

import csv
import io
import re
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from interaction.errors import UserError
from interaction.files import is_file, is_folder, read_regular
from interaction.formats.format import FRAMES_CSV
from interaction.steps import finish
from interaction.video.fingerprints import (
    MOST_LOOK_DISTANCE,
    Fingerprint,
    FingerprintReader,
    look_distance,
)
from interaction.video.video import Video
from xmem_core.messages import Message

__all__ = ["Verdict", "VerifyReport", "list_of", "read_list", "verified", "verify"]

_MOST_BYTES: Final = 2**26
_MOST_FRAME: Final = 2**31
_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_LOOK: Final = re.compile(r"[0-9a-f]{16}", re.ASCII)
_NUMBER: Final = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_MOST_LISTED: Final = 10


class Verdict(StrEnum):
    EXACT = "exact"  # every listed frame is the same picture at the same timestamp
    RETIMED = "retimed"  # every listed frame is the same picture, some at other timestamps
    ENCODED_ANEW = "encoded anew"  # every listed frame looks the same, but not to the bit
    PARTLY = "partly"  # some frames are the same or look the same
    OTHER = "other"  # no frame is


@dataclass(slots=True)
class VerifyReport:
    """Frame numbers are those of the export's list, ascending."""

    video: Path
    frames: int = 0  # listed with a hash
    equal: int = 0
    alike: list[int] = field(default_factory=list)  # look the same, another hash
    different: list[int] = field(default_factory=list)  # not in the video, or not to be decoded too
    moved: list[int] = field(default_factory=list)  # the same picture at another timestamp
    missing_files: int = 0  # of the export, that the list names

    @property
    def verdict(self) -> Verdict:
        if self.equal == self.frames:
            return Verdict.RETIMED if self.moved else Verdict.EXACT
        if not self.different:
            return Verdict.ENCODED_ANEW
        return Verdict.PARTLY if self.equal or self.alike else Verdict.OTHER

    @property
    def belongs(self) -> bool:
        """Whether every mask lies on the picture that it was made for, to the bit."""
        return self.equal == self.frames

    def to_json(self) -> dict[str, object]:
        return {
            "video": str(self.video),
            "belongs": self.belongs,
            "verdict": self.verdict.value,
            "frames": self.frames,
            "equal": self.equal,
            "alike": self.alike,
            "different": self.different,
            "moved": self.moved,
            "missing_files": self.missing_files,
        }

    def lines(self) -> list[Message]:
        """For people, a sentence a line."""
        lines = [
            Message(
                _VERDICTS[self.verdict].template,
                name=self.video.name,
                equal=self.equal,
                frames=self.frames,
                alike=len(self.alike),
            )
        ]
        if self.different and self.verdict is not Verdict.OTHER:
            lines.append(Message("Different or missing: {frames}", frames=_listing(self.different)))
        if self.moved:
            lines.append(
                Message("The same picture at another time: {frames}", frames=_listing(self.moved))
            )
        if self.missing_files:
            lines.append(
                Message(
                    "{count} file that the list names is not there.",
                    "{count} files that the list names are not there.",
                    count=self.missing_files,
                )
            )
        return lines


_VERDICTS: Final = {
    Verdict.EXACT: Message("The export belongs to “{name}”: all {frames} frames are equal."),
    Verdict.RETIMED: Message(
        "The export belongs to “{name}”: all {frames} frames are equal, but not all at the same "
        "time: the file was packed anew."
    ),
    Verdict.ENCODED_ANEW: Message(
        "Every frame of the export looks as in “{name}”, but {equal} of {frames} are equal to the "
        "bit: it was made from the same video in another encoding."
    ),
    Verdict.PARTLY: Message(
        "Only a part of the export belongs to “{name}”: {equal} of {frames} frames are equal, "
        "{alike} look the same."
    ),
    Verdict.OTHER: Message("The export does not belong to “{name}”: no frame is the same."),
}


def _listing(frames: list[int]) -> str:
    more = ", …" if len(frames) > _MOST_LISTED else ""
    return ", ".join(map(str, frames[:_MOST_LISTED])) + more


@dataclass(frozen=True, slots=True)
class _Listed:
    fingerprints: dict[int, Fingerprint]
    files: frozenset[str]


def list_of(export: Path) -> Path:
    """The list of frames of an export: a folder, a file with its list beside it, or the list.

    UserError if there is none.
    """
    if is_folder(export):
        path = export / FRAMES_CSV
    elif export.name.endswith(FRAMES_CSV):
        path = export
    else:
        path = export.with_name(f"{export.name}.{FRAMES_CSV}")
    if not is_file(path):
        raise UserError(
            "“{name}” has no list of frames ({list}), so nothing says which pictures "
            "its masks were made for.\n\nName the folder or the file of an export of this program.",
            name=export.name,
            list=path.name,
        )
    return path


def verify(export: Path, video: Video) -> Generator[int, None, VerifyReport]:
    """Compares every frame that the export lists; yields how many were compared.

    UserError at once if there is no list, or none with hashes. Nothing is changed.
    """
    path = list_of(export)
    listed = read_list(path)
    return _compare(path, listed, video)


def verified(export: Path | str, video: Video) -> VerifyReport:
    """`verify`, to its end."""
    return finish(verify(Path(export), video))


def _compare(path: Path, listed: _Listed, video: Video) -> Generator[int, None, VerifyReport]:
    report = VerifyReport(video.path)
    with closing(FingerprintReader(video.index)) as reader:
        for frame, wanted in sorted(listed.fingerprints.items()):
            found = reader.read(frame) if frame < len(video) else None
            report.frames += 1
            if found is None or (
                found.sha256 != wanted.sha256
                and look_distance(found.look, wanted.look) > MOST_LOOK_DISTANCE
            ):
                report.different.append(frame)
            elif found.sha256 != wanted.sha256:
                report.alike.append(frame)
            else:
                report.equal += 1
                if None not in (found.pts, wanted.pts) and found.pts != wanted.pts:
                    report.moved.append(frame)
            yield report.frames
    if path.name == FRAMES_CSV:
        # Some formats name pictures of the video instead: then none of them is there.
        missing = sum(not is_file(path.parent / name) for name in listed.files)
        report.missing_files = missing if missing < len(listed.files) else 0
    return report


def read_list(path: Path) -> _Listed:
    """What is read may be damaged or hostile. UserError."""
    fingerprints: dict[int, Fingerprint] = {}
    files: set[str] = set()
    try:
        text = read_regular(path, _MOST_BYTES).decode("utf-8")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        columns = reader.fieldnames or ()
        if "index" in columns and "sha256" not in columns:
            raise _problem(path, Message("it was written by a version that noted no hashes"))
        for number, row in enumerate(reader, start=2):
            sha256 = _text(row, "sha256")
            frame = _whole(row, "index", number)
            if not 0 <= frame < _MOST_FRAME:
                raise ValueError(
                    Message("line {number}: {frame} is no frame", number=number, frame=frame)
                )
            files.add(_file(row, number))
            if not sha256:
                continue  # a frame that could not be decoded, or an export without hashes
            if not _SHA256.fullmatch(sha256) or not _LOOK.fullmatch(_text(row, "look")):
                raise ValueError(Message("line {number}: the hash is invalid", number=number))
            pts = _whole(row, "pts", number) if _text(row, "pts") else None
            found = Fingerprint(pts, sha256, int(_text(row, "look"), 16))
            if fingerprints.setdefault(frame, found) != found:
                raise ValueError(
                    Message(
                        "line {number}: frame {frame} has two hashes", number=number, frame=frame
                    )
                )
    except OSError as error:
        raise _problem(path, error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise _problem(path, Message("it is not a text file that can be read")) from error
    except (ValueError, csv.Error) as error:
        raise _problem(path, str(error)) from error
    if not fingerprints:
        raise _problem(path, Message("no frame in it has a hash"))
    return _Listed(fingerprints, frozenset(files))


def _problem(path: Path, reason: str) -> UserError:
    return UserError(
        "“{name}” cannot be used to verify: {reason}. Nothing was changed.\n\n{remedy}",
        name=path.name,
        reason=reason,
        remedy=Message("Export again with hashes, or check a copy that is whole."),
    )


def _text(row: dict[str, str | None], key: str) -> str:
    return row.get(key) or ""


def _whole(row: dict[str, str | None], key: str, number: int) -> int:
    text = _text(row, key)
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"line {number}: “{text[:20]}” is no {key}")
    return int(text)


def _file(row: dict[str, str | None], number: int) -> str:
    name = _text(row, "file")
    parts = name.replace("\\", "/").split("/")
    if not name or "\0" in name or name.startswith(("/", "\\")) or ".." in parts or ":" in name:
        raise ValueError(f"line {number}: a file lies elsewhere")
    return name
