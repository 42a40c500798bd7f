"""Real photographs and frames with masks, as samples to click at.

    ROOT/stills/SET/{images,masks}        palette or grey PNGs of instances, 255 not labelled
    ROOT/DAVIS/2017/trainval              clips, the foreground of each together one object
    ROOT/video/{JPEGImages,Annotations}   clips of instances

ERRORS, as `training.clicks.tracker_errors` writes it, holds masks that a tracker got wrong; they
are what is given before the first click. Where there is none, errors of the same kinds are made:
a swallowed neighbour, a leak or a loss along colours, stray pieces.
"""

import io
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from interaction.clicks.prompts import Box, Region
from interaction.learning.samples import Sample, damaged, first_clicks
from training.config import ClickTraining
from training.datasets.layouts import Pair, Video, davis_videos, find_photographs, find_videos
from training.pack import Part
from xmem_core.arrays import Frame, Pixels
from xmem_core.learning.losses import VOID

__all__ = ["Photographs"]

_CLIP_SHARE: Final = 0.3  # of samples that are frames of clips
# Everyday scenes teach most; sets with ragged masks, or masks of one kind of thing, least.
_SET_WEIGHTS: Final = {"coco_mini": 2.5, "coco128": 1.8, "coco_oneperson": 1.6, "ccp_person": 1.0}
_POOR: Final = frozenset(
    ("carparts", "face_masks", "wood_debris", "football_players", "misc_labelme", "fish_cool")
)
_SMALLEST_SHARE: Final = 0.004  # of the photograph that an object must cover
_SMALLEST_SEEN: Final = 0.006  # of the sample


@dataclass(frozen=True, slots=True)
class _Entry:
    picture: Path
    mask: Path
    is_one_object: bool
    errors: tuple[tuple[int, Path], ...]  # of which object, and where


class Photographs:
    """Samples from a generator alone. ValueError where no photographs are found."""

    def __init__(self, config: ClickTraining, *, held_out: bool = False) -> None:
        self._config, self._habits = config, config.habits
        root = Path(config.photographs_root)
        found = _errors_in(Path(config.tracker_errors)) if config.tracker_errors else {}
        self._stills = _stills(root / "stills", config.held_out_sets, held_out, found)
        self._clips = _clips(root, held_out, found)
        if not self._stills and not self._clips:
            raise ValueError(f"no photographs with masks were found under {root}")
        weights = np.array(
            [
                min(len(entries), 150) ** 0.7 * _SET_WEIGHTS.get(name, 0.4 if name in _POOR else 1)
                for name, entries in self._stills.items()
            ]
        )
        self._weights = weights / max(weights.sum(), 1e-9)
        self._files: dict[_Entry, tuple[NDArray[np.uint8], bytes]] = {}

    def sample(self, rng: np.random.Generator, size: int) -> Sample:
        """One object in a square of `size` pixels."""
        while True:
            entry = self._entry(rng)
            sample = self._drawn(entry, rng, size)
            if sample is not None:
                return sample

    def _entry(self, rng: np.random.Generator) -> _Entry:
        groups = list(self._stills.values())
        if not groups or (self._clips and rng.random() < _CLIP_SHARE):
            entries = self._clips[int(rng.integers(len(self._clips)))]
        else:
            entries = groups[int(rng.choice(len(groups), p=self._weights))]
        return entries[int(rng.integers(len(entries)))]

    def _read(self, entry: _Entry) -> tuple[Frame, NDArray[np.uint8]]:
        if entry not in self._files:  # compressed: 0.3 GB for all of them
            self._files[entry] = np.fromfile(entry.picture, np.uint8), entry.mask.read_bytes()
        encoded, mask = self._files[entry]
        decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
        if decoded is None:
            raise ValueError(f"{entry.picture} cannot be read as a picture")
        labels = _ids(mask, entry)
        return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8), labels

    def _drawn(self, entry: _Entry, rng: np.random.Generator, size: int) -> Sample | None:
        picture, labels = self._read(entry)
        if labels.shape != picture.shape[:2]:
            return None
        if (labels == VOID).mean() > (0.05 if entry.is_one_object else 0.001):
            return None
        counts = np.bincount(labels.ravel(), minlength=256)[:VOID]
        counts[0] = 0
        ids = np.flatnonzero(counts >= _SMALLEST_SHARE * labels.size)
        if not len(ids):
            return None
        shares = counts[ids] ** 0.35
        chosen = int(rng.choice(ids, p=shares / shares.sum()))
        truth = labels == chosen
        is_merged = len(ids) > 1 and rng.random() < self._config.merged_share
        if is_merged:
            truth |= _touching(labels, chosen)
        others = np.where(truth | (labels == VOID), 0, labels)
        given = None
        wants_box = rng.random() < self._config.box_share
        if not wants_box and rng.random() < self._habits.given_mask_share:
            real = [path for number, path in entry.errors if number == chosen]
            if real and not is_merged and rng.random() < 0.75:
                path = real[int(rng.integers(len(real)))]
                given = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8) > 127
            else:
                given = _wrong(picture, truth, others, rng)
        view = _view(truth, rng, size, self._config.whole_share)
        seen = _seen(_degraded(picture, view, rng), view, size, cv2.INTER_LINEAR)
        mask = _seen(truth.astype(np.float32), view, size, cv2.INTER_LINEAR) > 0.5
        if mask.mean() < _SMALLEST_SEEN:
            return None
        start = np.zeros_like(mask)
        if given is not None:
            start = _seen(given.astype(np.float32), view, size, cv2.INTER_LINEAR) > 0.5
            if np.array_equal(start, mask):
                start = np.zeros_like(mask)
        seen = _lit(np.asarray(seen, np.uint8), rng)
        if wants_box:
            return Sample(seen, mask, start, (), _loose_box(mask, rng))
        return Sample(seen, mask, start, first_clicks(mask, start, rng, self._habits))


def _errors_in(folder: Path) -> dict[tuple[str, str], list[tuple[int, Path]]]:
    found: dict[tuple[str, str], list[tuple[int, Path]]] = defaultdict(list)
    for path in sorted(folder.glob("*/*.png")):
        stem, number, _ = path.stem.rsplit("-", 2)
        found[path.parent.name, stem].append((int(number), path))
    return found


def _stills(
    root: Path,
    held_out_sets: Collection[str],
    held_out: bool,
    errors: Mapping[tuple[str, str], Sequence[tuple[int, Path]]],
) -> dict[str, list[_Entry]]:
    sets: dict[str, list[_Entry]] = defaultdict(list)
    for pair in find_photographs(root, held_out_sets, held_out):
        name = pair.mask.parents[1].name
        of_it = tuple(errors.get((name, pair.picture.stem), ()))
        sets[name].append(_Entry(pair.picture, pair.mask, False, of_it))
    return sets


def _clips(
    root: Path, held_out: bool, errors: Mapping[tuple[str, str], Sequence[tuple[int, Path]]]
) -> list[list[_Entry]]:
    part: Part = "held out" if held_out else "training"
    found = [(video, True) for video in davis_videos(root / "DAVIS" / "2017" / "trainval", part)]
    if not held_out:
        plain = find_videos(root / "video" / "JPEGImages", root / "video" / "Annotations")
        found += [(video, False) for video in plain]

    def entry(video: Video, pair: Pair, is_one_object: bool) -> _Entry:
        of_it = tuple(errors.get((f"davis_{video.name}", pair.picture.stem), ()))
        return _Entry(pair.picture, pair.mask, is_one_object, of_it)

    return [[entry(video, pair, is_one) for pair in video.frames] for video, is_one in found]


def _ids(mask: bytes, entry: _Entry) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(mask)) as image:
        if image.mode not in ("P", "L"):
            raise ValueError(f"{entry.mask} is not a mask of ids: its mode is {image.mode}")
        labels = np.array(image, np.uint8)
    if entry.is_one_object:
        labels[(labels > 0) & (labels < VOID)] = 1
    return labels


def _touching(labels: NDArray[np.uint8], chosen: int) -> Region:
    """The instance that touches the chosen one longest."""
    around = cv2.dilate((labels == chosen).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    counts = np.bincount(labels[around], minlength=256)
    counts[[0, chosen, VOID]] = 0
    other = int(counts.argmax())
    return (labels == other) & bool(counts[other] > 0)


def _wrong(
    picture: Frame, truth: Region, others: NDArray[np.uint8], rng: np.random.Generator
) -> Region:
    """A mask with one to three of a tracker's errors."""
    mask = truth.copy()
    extent = float(np.sqrt(max(int(truth.sum()), 16)))
    for _ in range(int(rng.integers(1, 4))):
        kind = int(rng.integers(6))
        if kind == 0 and others.any():  # a swallowed neighbour, or half of it
            ids = np.unique(others)[1:]
            other = others == int(rng.choice(ids))
            mask |= other if rng.random() < 0.6 else other & _half(other, rng)
        elif kind == 1:  # a leak along colours
            near = cv2.dilate(truth.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
            mask |= _alike(picture, near & ~truth, rng, extent * rng.uniform(0.3, 1.2)) & ~truth
        elif kind == 2:  # a part is lost, along colours
            mask &= ~(_alike(picture, truth, rng, extent * rng.uniform(0.3, 1.0)) & truth)
        elif kind == 3:  # a part is lost, by a line
            mask &= ~(truth & _half(truth, rng))
        elif kind == 4:  # stray pieces
            for _ in range(int(rng.integers(1, 3))):
                mask |= _alike(picture, ~truth, rng, extent * rng.uniform(0.1, 0.6)) & ~truth
        else:
            mask = _damaged_further(mask, truth, rng)
    return mask


def _damaged_further(mask: Region, truth: Region, rng: np.random.Generator) -> Region:
    height, width = truth.shape
    side = max(height, width)
    square = np.zeros((side, side), np.bool_)
    square[:height, :width] = truth
    changed = (damaged(square, rng) ^ square)[:height, :width]
    return mask ^ changed


def _half(region: Region, rng: np.random.Generator) -> Region:
    """All pixels on one side of a line through `region`."""
    rows, columns = np.nonzero(region)
    at = int(rng.integers(len(rows)))
    normal = rng.normal(size=2)
    grid = np.ogrid[: region.shape[0], : region.shape[1]]
    return np.asarray((grid[0] - rows[at]) * normal[0] + (grid[1] - columns[at]) * normal[1] > 0)


def _alike(picture: Frame, where: Region, rng: np.random.Generator, reach_px: float) -> Region:
    """What has the colour of a random place of `where`, hangs together with it and is near."""
    rows, columns = np.nonzero(where)
    if not len(rows):
        return np.zeros_like(where)
    at = int(rng.integers(len(rows)))
    seed = int(columns[at]), int(rows[at])
    smooth = cv2.GaussianBlur(picture, (0, 0), 1.5)
    barred = np.ones((where.shape[0] + 2, where.shape[1] + 2), np.uint8)
    away = np.ogrid[: where.shape[0], : where.shape[1]]
    radius = (away[0] - rows[at]) ** 2 + (away[1] - columns[at]) ** 2
    barred[1:-1, 1:-1] = radius > max(reach_px, 3.0) ** 2
    tolerance = (float(rng.uniform(12, 45)),) * 3
    flags = 4 | (2 << 8) | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE
    cv2.floodFill(smooth, barred, seed, 0, tolerance, tolerance, flags)
    filled = (barred[1:-1, 1:-1] == 2).astype(np.uint8)
    return np.asarray(cv2.morphologyEx(filled, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))) > 0


def _view(
    truth: Region, rng: np.random.Generator, size: int, whole_share: float
) -> NDArray[np.float64]:
    """(2, 3) pixels of the photograph -> of a square of `size`: most of it, or near the object."""
    height, width = truth.shape
    rows, columns = np.flatnonzero(truth.any(axis=1)), np.flatnonzero(truth.any(axis=0))
    spans = np.array([np.ptp(columns), np.ptp(rows)]) + 1.0
    middle = np.array([columns[0], rows[0]]) + spans / 2
    shorter = float(min(height, width))
    side = shorter * rng.uniform(0.85, 1.0)
    if rng.random() >= whole_share:
        side = float(np.clip(spans.max() * rng.uniform(1.1, 2.2), 56, shorter))
    middle = middle + rng.normal(0, 0.09 * side, 2)
    low, high = np.array([side / 2] * 2), np.array([width, height]) - side / 2
    middle = np.clip(middle, low, np.maximum(high, low))
    turn = float(rng.normal(0, 6)) if rng.random() < 0.5 else 0.0
    centre = float(middle[0]), float(middle[1])
    matrix = np.array(cv2.getRotationMatrix2D(centre, turn, size / side), np.float64)
    matrix[:, 2] += size / 2 - middle
    if rng.random() < 0.5:
        matrix[0] *= -1
        matrix[0, 2] += size - 1
    return matrix


def _seen(pixels: Pixels, view: NDArray[np.float64], size: int, how: int) -> Pixels:
    border = cv2.BORDER_REFLECT_101
    return np.asarray(cv2.warpAffine(pixels, view, (size, size), flags=how, borderMode=border))


def _degraded(picture: Frame, view: NDArray[np.float64], rng: np.random.Generator) -> Frame:
    scale = float(np.sqrt(abs(np.linalg.det(view[:, :2]))))
    blur = 0.4 / scale if scale < 0.75 else 0.0
    if rng.random() < 0.15:
        blur += rng.uniform(0.3, 1.3)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), blur), np.uint8) if blur else picture


def _lit(picture: Frame, rng: np.random.Generator) -> Frame:
    gains = np.exp(rng.normal(0, 0.13) + rng.normal(0, 0.05, 3))
    lit = (picture * gains + rng.normal(0, 6)).clip(0, 255).astype(np.uint8)
    if rng.random() < 0.05:
        lit = np.repeat(cv2.cvtColor(lit, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    return np.asarray(lit, np.uint8)


def _loose_box(truth: Region, rng: np.random.Generator) -> Box:
    """The object's box as a hand draws it: mostly a little outside."""
    rows, columns = np.flatnonzero(truth.any(axis=1)), np.flatnonzero(truth.any(axis=0))
    low = np.array([columns[0], rows[0]], float)
    high = np.array([columns[-1] + 1, rows[-1] + 1], float)
    spans = high - low
    low = low - rng.normal(0.015, 0.035, 2) * spans
    high = high + rng.normal(0.015, 0.035, 2) * spans
    height, width = truth.shape
    low = np.clip(low, 0, (width - 1, height - 1))
    high = np.clip(high, low + 1, (width, height))
    return Box(float(low[0]), float(low[1]), float(high[0]), float(high[1]))
