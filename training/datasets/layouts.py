"""Where the public data sets keep their files.

Static sets: any folder of folders in which each JPEG has its mask as a PNG: beside it under the
same name (FSS-1000; DUTS, ECSSD, BIG and HRSOD as repackaged for STCN), beside it as `_im.jpg`
and `_gt.png` (BIG), or in a second folder of a matching name (`DUTS-TR-Image` and `DUTS-TR-Mask`,
`images` and `ground_truth_mask`, `HRSOD_train` and `HRSOD_train_mask`).
Videos: `JPEGImages/VIDEO/*.jpg` and `Annotations/VIDEO/*.png` (YouTube-VOS, BL30K), with another
folder `480p` between and lists in `ImageSets/2017` (DAVIS).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Part = Literal["all", "training", "held out"]
HELD_OUT_ONE_IN = 50  # videos or pictures kept back for the curve, where a set has no such list

_FOLDER_ENDING = re.compile(
    r"[-_ ]?(ground[-_]?truth[-_]?masks?|images?|imgs?|masks?|gt)$", re.IGNORECASE
)
_STEM_ENDING = re.compile(r"_(im|gt)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Pair:
    """A picture, or a frame, and its mask."""

    picture: Path
    mask: Path


@dataclass(frozen=True, slots=True)
class Video:
    """A video's frames in their order; only those that have a mask."""

    name: str
    frames: tuple[Pair, ...]


def find_pairs(folder: Path) -> list[Pair]:
    """Every picture with a mask below `folder`, sorted by path."""
    masks = {_key(folder, path): path for path in sorted(folder.rglob("*.png"))}
    pairs = []
    for path in sorted(folder.rglob("*.jpg")):
        mask = masks.get(_key(folder, path))
        if mask is not None:
            pairs.append(Pair(path, mask))
    return pairs


def _key(top: Path, path: Path) -> tuple[str, str]:
    folder = path.parent.relative_to(top).as_posix()
    return _FOLDER_ENDING.sub("", folder), _STEM_ENDING.sub("", path.stem)


def find_videos(pictures: Path, masks: Path, names: list[str] | None = None) -> list[Video]:
    """The videos of these names, all for None, sorted by name; those without masks are left out."""
    if names is None:
        names = [path.name for path in masks.iterdir() if path.is_dir()] if masks.is_dir() else []
    videos = []
    for name in sorted(names):
        with_mask = {path.stem: path for path in (masks / name).glob("*.png")}
        frames = [
            Pair(path, with_mask[path.stem])
            for path in sorted((pictures / name).glob("*.jpg"))
            if path.stem in with_mask
        ]
        if frames:
            videos.append(Video(name, tuple(frames)))
    return videos


def davis_videos(root: Path, part: Part) -> list[Video]:
    """DAVIS 2017 below `root` (its `trainval` folder): the lists say what is held out."""
    lists = {"training": ("train",), "held out": ("val",), "all": ("train", "val")}[part]
    names: list[str] = []
    for name in lists:
        file = root / "ImageSets" / "2017" / f"{name}.txt"
        if file.is_file():
            names += file.read_text(encoding="utf-8").split()
    for name in names:
        # A name is one folder's, never a way out of the data.
        if Path(name).name != name or name == "..":
            raise ValueError(f"{root} lists {name!r}, which is not the name of a video")
    return find_videos(root / "JPEGImages" / "480p", root / "Annotations" / "480p", names)


def plain_videos(root: Path, part: Part) -> list[Video]:
    """YouTube-VOS (its `train` or `train_480p` folder) or BL30K below `root`."""
    videos = find_videos(root / "JPEGImages", root / "Annotations")
    return [videos[index] for index in part_of(len(videos), part)]


def part_of(count: int, part: Part) -> list[int]:
    """Indices of a part; what is too little to be divided is used whole for both."""
    if part == "all" or count < HELD_OUT_ONE_IN:
        return list(range(count))
    wanted = part == "held out"
    return [index for index in range(count) if (index % HELD_OUT_ONE_IN == 0) == wanted]
