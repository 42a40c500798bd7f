"""The Debian packages whose pictures are composed into clips, and the pack made of them:
`python -m training pack --output FOLDER`.

The same packages give the same files. The pack is built beside its place and moved there whole,
so a run that was stopped leaves no half of one.
"""

import csv
import logging
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from training.pack import Picture
from training.preparation.pictures import Seen, read_background, read_cutout, read_drawing

log = logging.getLogger(__name__)

Kind = Literal["photo", "clipart", "background"]


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
class Source:
    """One package: what its pictures are for, and where it puts them."""

    package: str
    kind: Kind
    folders: tuple[str, ...]  # relative to the root of the file system
    suffixes: tuple[str, ...]
    licence: str  # in a few words; the package's own file goes into the pack
    left_out: frozenset[str] = frozenset()  # folders of these names hold no such pictures

    def pictures(self, root: Path) -> Iterator[tuple[Path, str]]:
        """Files under `root`, each with its name below the source's folder, sorted by that.

        Where the package system says which files are the package's, others are none of its. Of
        one wallpaper in many sizes (files named 1920x1080 and so on) only the largest counts.
        """
        own = _installed_files(root, self.package)
        found: dict[str, Path] = {}
        for folder in self.folders:
            top = root / folder
            for path in top.rglob("*"):
                inside = path.relative_to(top)
                if path.suffix.lower() not in self.suffixes or path.is_symlink():
                    continue
                if not path.is_file():
                    continue
                if own is not None and f"/{folder}/{inside.as_posix()}" not in own:
                    continue
                if self.left_out.isdisjoint(inside.parts[:-1]):
                    found.setdefault(inside.as_posix(), path)
        for name in sorted(_largest_only(found)):
            yield found[name], name

    def copyright(self, root: Path) -> Path:
        return root / "usr/share/doc" / self.package / "copyright"


_PHOTOGRAPHS = (".jpg", ".jpeg", ".png", ".webp")
_CREATIVE_COMMONS = "CC0-1.0, CC-BY-4.0, CC-BY-SA-3.0 and CC-BY-SA-4.0, by picture"


def _backgrounds(
    package: str, *folders: str, suffixes: tuple[str, ...] = _PHOTOGRAPHS, licence: str
) -> Source:
    return Source(package, "background", folders, suffixes, licence)


def _installed_files(root: Path, package: str) -> frozenset[str] | None:
    """Absolute paths, as dpkg knows them; None where it does not know the package."""
    listing = root / "var/lib/dpkg/info" / f"{package}.list"
    if not listing.is_file():
        return None
    return frozenset(listing.read_text(encoding="utf-8").splitlines())


def _largest_only(names: Iterable[str]) -> list[str]:
    """Without the smaller ones among names like folder/1920x1080.png."""
    largest: dict[str, tuple[int, str]] = {}
    kept = []
    for name in sorted(names):
        folder, _, file = name.rpartition("/")
        size = re.fullmatch(r"(\d+)x(\d+)\..+", file)
        if size is None:
            kept.append(name)
            continue
        area = int(size[1]) * int(size[2])
        largest[folder] = max(largest.get(folder, (0, "")), (area, name))
    return kept + [name for _, name in largest.values()]


SOURCES: tuple[Source, ...] = (
    Source(
        "tuxpaint-stamps-default",
        "photo",
        ("usr/share/tuxpaint/stamps",),
        (".png",),
        "GPL-2",
        # Flat drawings; the clip art has better ones.
        frozenset({"symbols", "flags", "cartoon", "clipart"}),
    ),
    Source(
        "openclipart-png", "clipart", ("usr/share/openclipart/png",), (".png",), "public domain"
    ),
    _backgrounds(
        "plasma-workspace-wallpapers",
        "usr/share/wallpapers",
        licence="GPL-2+; LGPL-3 and CC-BY-SA-4.0 in the pictures' metadata",
    ),
    _backgrounds(
        "gnome-backgrounds", "usr/share/backgrounds/gnome", licence="CC-BY and CC-BY-SA, by picture"
    ),
    _backgrounds(
        "mate-backgrounds",
        "usr/share/backgrounds/mate",
        licence="GPL-2+ and CC-BY-SA-4.0, by picture",
    ),
    _backgrounds("lomiri-wallpapers-16.04", "usr/share/backgrounds", licence=_CREATIVE_COMMONS),
    _backgrounds("lomiri-wallpapers-20.04", "usr/share/backgrounds", licence=_CREATIVE_COMMONS),
    _backgrounds("ukui-wallpapers", "usr/share/backgrounds", licence="CC-BY-SA-3.0"),
    # Its PNGs are diagrams and test charts.
    _backgrounds(
        "opencv-doc",
        "usr/share/doc/opencv-doc/examples",
        suffixes=(".jpg", ".jpeg"),
        licence="Apache-2.0 and BSD-3-Clause",
    ),
    # The rest are drawings to colour in.
    _backgrounds(
        "tuxpaint-data", "usr/share/tuxpaint/templates", suffixes=(".jpg",), licence="GPL-2+"
    ),
)


def chosen_sources(packages: list[str] | None) -> tuple[Source, ...]:
    """The sources of these names, in the usual order; all for None. ValueError for a stranger."""
    known = {source.package: source for source in SOURCES}
    for package in packages or ():
        if package not in known:
            raise ValueError(f"{package} is not a known source; known are {', '.join(known)}")
    return SOURCES if packages is None else tuple(s for s in SOURCES if s.package in packages)


def fetch(sources: tuple[Source, ...], folder: Path) -> None:
    """Downloads each package and unpacks it into `folder` / its name; nothing is installed.

    Needs apt-get and dpkg-deb. Raises ValueError, with their output, when one fails.
    """
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise ValueError(f"{program} was not found: fetching works on Debian and its kin only")
    downloads = folder / "downloads"
    downloads.mkdir(parents=True)
    for source in sources:
        assert re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", source.package)
        _run("apt-get", "-q", "download", source.package, folder=downloads)
        for archive in sorted(downloads.glob("*.deb")):
            _run("dpkg-deb", "-x", str(archive), str(folder / source.package), folder=downloads)
            archive.unlink()  # together they are half a gigabyte


def _run(*command: str, folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"{' '.join(command)} failed:\n{done.stderr.strip()}")


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
