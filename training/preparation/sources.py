"""The Debian packages whose pictures make the training pack, and how to get at their files."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["photo", "clipart", "background"]


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

    Needs apt-get and dpkg-deb. Raises ValueError, with what they said, when one fails.
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
