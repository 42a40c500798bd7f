"""Where the public data sets keep their files.

Static sets: any folder of folders in which each JPEG has its mask as a PNG: beside it under the
same name (FSS-1000; DUTS, ECSSD, BIG and HRSOD as repackaged for STCN), beside it as `_im.jpg`
and `_gt.png` (BIG), or in a second folder of a matching name (`DUTS-TR-Image` and `DUTS-TR-Mask`,
`images` and `ground_truth_mask`, `HRSOD_train` and `HRSOD_train_mask`).
Photographs with instance masks: SET/images/* and SET/masks/*.png, palette or grey, 0 background,
1..K instances, 255 not labelled.
Videos: `JPEGImages/VIDEO/*` and `Annotations/VIDEO/*.png` (YouTube-VOS, BL30K), with another
folder `480p` between and lists in `ImageSets/2017` (DAVIS).
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from training.datasets.augmentation import Labels
from training.pack import Part, Picture, part_of

_FOLDER_ENDING = re.compile(
    r"[-_ ]?(ground[-_]?truth[-_]?masks?|images?|imgs?|masks?|gt)$", re.IGNORECASE
)
_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp"))
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
        frames = pairs_in(pictures / name, masks / name)
        if frames:
            videos.append(Video(name, frames))
    return videos


def pairs_in(pictures: Path, masks: Path) -> tuple[Pair, ...]:
    """The pictures of a folder with a mask of the same name in another, sorted by name."""
    with_mask = {path.stem: path for path in masks.glob("*.png")}
    return tuple(
        Pair(path, with_mask[path.stem])
        for path in sorted(pictures.glob("*"))
        if path.suffix.lower() in _SUFFIXES and path.stem in with_mask
    )


def find_photographs(root: Path, held_out: Collection[str], is_held_out: bool) -> list[Pair]:
    """Photographs with instance masks, SET/images and SET/masks below `root`; of the sets named in
    `held_out`, or of all others."""
    pairs: list[Pair] = []
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        if (folder.name in held_out) == is_held_out:
            pairs += pairs_in(folder / "images", folder / "masks")
    return pairs


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
    # This program's own export names the folder after the video's height.
    sizes = ("480p", "1080p", "Full-Resolution")
    size = next((one for one in sizes if (root / "JPEGImages" / one).is_dir()), sizes[0])
    return find_videos(root / "JPEGImages" / size, root / "Annotations" / size, names)


def plain_videos(root: Path, part: Part) -> list[Video]:
    """YouTube-VOS (its `train` or `train_480p` folder) or BL30K below `root`."""
    videos = find_videos(root / "JPEGImages", root / "Annotations")
    return [videos[index] for index in part_of(len(videos), part)]


def read_pair(pair: Pair, *, is_grey: bool = False) -> tuple[Picture, Labels]:
    """(H, W, 3) RGB and (H, W) ids; of a grey mask, what is brighter than half is object 1.

    Raises ValueError for what cannot be read, for masks in colour and for sizes that differ.
    """
    decoded = cv2.imread(str(pair.picture), cv2.IMREAD_COLOR)
    if decoded is None:
        raise ValueError(f"{pair.picture} cannot be read as a picture")
    picture = np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)
    try:
        with Image.open(pair.mask) as image:
            if is_grey:
                values = np.asarray(image.convert("L")) > 127
            elif image.mode in ("P", "L", "1"):
                values = np.asarray(image)
            else:
                raise ValueError(f"{pair.mask} is not a mask of ids: its mode is {image.mode}")
    except OSError as error:
        raise ValueError(f"{pair.mask} cannot be read as a mask: {error}") from None
    if values.shape != picture.shape[:2]:
        raise ValueError(
            f"{pair.mask} is {values.shape[1]}x{values.shape[0]}, but its picture is "
            f"{picture.shape[1]}x{picture.shape[0]}"
        )
    return picture, values.astype(np.int16)
