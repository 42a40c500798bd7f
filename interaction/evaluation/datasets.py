"""Layouts and rules of the benchmarks: which pictures, which first masks, what is scored.

DAVIS 2016 and 2017 (Perazzi et al. 2016, Pont-Tuset et al. 2017), YouTube-VOS 2018 and 2019 (Xu
et al. 2018), LVOS (Hong et al. 2023), the Long-time Video set of AFB-URR (Liang et al. 2020), and
any folder with JPEGImages and Annotations.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from interaction.annotation.mask_files import learn_reading, read_mask
from interaction.annotation.mask_folders import list_pictures, natural_key
from interaction.errors import UserError
from interaction.evaluation.scores import ScoringRule
from interaction.files import JsonObject, is_file, is_folder, parse_json, read_regular
from xmem_core.arrays import Labels

Kind = Literal["davis16", "davis17", "ytvos18", "ytvos19", "lvos", "longvideo", "folder"]
_VOID: Final = 255
_MOST_LIST_BYTES: Final = 2**28
_RULES: Final[dict[str, ScoringRule]] = {
    "davis16": ScoringRule(is_single_object=True),
    "davis17": ScoringRule(),
    "ytvos18": ScoringRule(has_late_objects=True, scores_last=True),
    "ytvos19": ScoringRule(has_late_objects=True, scores_last=True),
    "lvos": ScoringRule(has_late_objects=True),
    "longvideo": ScoringRule(),
    "folder": ScoringRule(has_late_objects=True, scores_last=True),
}


@dataclass(frozen=True, slots=True)
class DatasetClip:
    """One clip of a data set."""

    name: str
    pictures: Path  # folder of all frames
    given: tuple[Path, ...]  # masks that may show an object for the first time, in order
    truths: tuple[Path, ...]  # masks to score against, in order; none for a test set
    saved: frozenset[str] | None  # names of the frames whose masks are results; None: all
    unseen: frozenset[int] | None  # objects of categories that training did not show; None: unknown


@dataclass(frozen=True, slots=True)
class Dataset:
    kind: Kind
    split: str
    clips: tuple[DatasetClip, ...]
    rule: ScoringRule
    zip_folder: str | None  # folder inside the zip for the server, "" for none; None: no zip
    internal_size: int | None  # shorter side at which the benchmark is tracked; None: the source's


def find_dataset(kind: Kind, root: Path, split: str = "val", truth: Path | None = None) -> Dataset:
    """The clips of the data set in `root`, as it is unpacked from its archives.

    split: "val", or "test" for DAVIS test-dev and the test sets of YouTube-VOS and LVOS. truth: a
    folder of ground truth that lies elsewhere, one folder a clip. UserError, with the folder that
    is missing, if `root` is laid out otherwise.
    """
    if not is_folder(root):
        raise UserError(
            "There is no folder “{root}”.\n\nGive the folder of the data set.", root=root
        )
    clips: Iterable[DatasetClip]
    if kind in ("davis16", "davis17"):
        clips = _davis(kind, root, split, truth)
    elif kind in ("ytvos18", "ytvos19"):
        clips = _youtube(root, split, truth)
    else:
        clips = _plain(kind, root, split, truth)
    found = tuple(clips)
    if not found:
        raise UserError(
            "“{root}” holds no clip of {kind}.\n\nGive the folder of the data set.",
            root=root,
            kind=kind,
        )
    # Without ground truth, a server scores: DAVIS wants the clips, YouTube-VOS one folder of them.
    is_for_server = kind not in ("longvideo", "folder") and not any(one.truths for one in found)
    zip_folder = ("" if kind.startswith("davis") else "Annotations") if is_for_server else None
    size = None if kind == "longvideo" else 480
    return Dataset(kind, split, found, _RULES[kind], zip_folder, size)


def first_masks(
    clip: DatasetClip, rule: ScoringRule, names: list[str], width: int, height: int
) -> dict[int, tuple[Labels, tuple[int, ...]]]:
    """Each object's first mask, by index of its frame: labels (height, width) with the new objects
    only, and their ids. names: of the clip's frames. UserError if there is none."""
    numbers = {name: index for index, name in enumerate(names)}
    reading = learn_reading(clip.given, width, height)
    found: dict[int, tuple[Labels, tuple[int, ...]]] = {}
    known: set[int] = set()
    for path in clip.given:
        if path.stem not in numbers:
            raise UserError(
                "The mask “{path}” belongs to no frame of “{pictures}”.",
                path=path,
                pictures=clip.pictures,
            )
        labels = read_mask(path, width, height, reading)
        labels[labels == _VOID] = 0
        if rule.is_single_object:
            labels[labels > 0] = 1
        new = sorted(set(np.unique(labels).tolist()) - known - {0})
        if new:
            labels[~np.isin(labels, new)] = 0
            found[numbers[path.stem]] = labels, tuple(new)
            known.update(new)
        if found and not rule.has_late_objects:
            break
    if not found:
        raise UserError("No mask of the clip “{name}” shows an object to follow.", name=clip.name)
    return found


def _davis(kind: Kind, root: Path, split: str, truth: Path | None) -> Iterable[DatasetClip]:
    if split == "test":
        base = root / "test-dev" if is_folder(root / "test-dev") else root
        lists = [base / "ImageSets" / "2017" / "test-dev.txt"]
    else:
        base = root / "trainval" if is_folder(root / "trainval") else root
        sets = base / "ImageSets"
        lists = [sets / "2017" / "val.txt"]
        if kind == "davis16":
            lists = [sets / "2016" / "val.txt", sets / "480p" / "val.txt"]
    images = _first_folder(*(base / "JPEGImages" / name for name in ("480p", "Full-Resolution")))
    masks = base / "Annotations" / images.name
    if not is_folder(masks):  # as DAVIS 2017 comes: annotations of one resolution, unscaled
        masks = _first_folder(base / "Annotations" / "480p", base / "Annotations")
    for name in _listed(*lists):
        given = tuple(list_pictures(masks / name)) if is_folder(masks / name) else ()
        truths = _truths(truth, name, given if split != "test" else ())
        yield DatasetClip(name, images / name, given, truths, None, None)


def _youtube(root: Path, split: str, truth: Path | None) -> Iterable[DatasetClip]:
    name = "test" if split == "test" else "valid"
    base = root / name if is_folder(root / name) else root
    sparse = _first_folder(base / "JPEGImages")
    every = next(
        (
            folder
            for folder in (
                root / "all_frames" / f"{name}_all_frames" / "JPEGImages",
                root / f"{name}_all_frames" / "JPEGImages",
            )
            if is_folder(folder)
        ),
        sparse,
    )
    categories = _categories(base / "meta.json")
    trained = {
        category
        for by_object in _categories(root / "train" / "meta.json").values()
        for category in by_object.values()
    }
    for clip in _clip_names(sparse):
        given = tuple(list_pictures(_first_folder(base / "Annotations" / clip)))
        saved = frozenset(path.stem for path in list_pictures(sparse / clip))
        unseen = None
        if trained and clip in categories:
            unseen = frozenset(
                one for one, category in categories[clip].items() if category not in trained
            )
        # As released, only first masks are there; with the full ground truth there are more.
        is_full = len(given) == len(saved)
        truths = _truths(truth, clip, given if is_full else ())
        yield DatasetClip(clip, every / clip, given, truths, saved, unseen)


def _plain(kind: Kind, root: Path, split: str, truth: Path | None) -> Iterable[DatasetClip]:
    """A folder of pictures and one of masks for each clip, not every frame with a mask."""
    folders = ("test",) if split == "test" else ("valid", "val")
    base = next((root / name for name in folders if is_folder(root / name)), root)
    images, masks = _first_folder(base / "JPEGImages"), _first_folder(base / "Annotations")
    listed = next(
        (
            path
            for path in (base / "unseen_videos.txt", root / "unseen_videos.txt")
            if is_file(path)
        ),
        None,
    )
    unseen = set(_listed(listed)) if listed is not None and kind == "lvos" else None
    for name in _clip_names(images):
        given = tuple(list_pictures(_first_folder(masks / name)))
        truths = _truths(truth, name, given if len(given) > 1 else ())
        saved = frozenset(path.stem for path in truths) if kind == "longvideo" else None
        every = frozenset(range(1, 256)) if unseen is not None and name in unseen else frozenset()
        yield DatasetClip(
            name, images / name, given, truths, saved, None if unseen is None else every
        )


def _first_folder(*folders: Path) -> Path:
    found = next((folder for folder in folders if is_folder(folder)), None)
    if found is None:
        raise UserError(
            "There is no folder “{folder}”.\n\nGive the folder of the data set as it comes "
            "out of its archives, and the right name of the data set.",
            folder=folders[0],
        )
    return found


def _clip_names(folder: Path) -> list[str]:
    names = [path.name for path in folder.iterdir() if is_folder(path) and path.name[0] != "."]
    return sorted(names, key=natural_key)


def _listed(*lists: Path) -> list[str]:
    """Names of clips, one a line; or, as in DAVIS 2016, picture and mask of a frame a line."""
    path = next((path for path in lists if is_file(path)), None)
    if path is None:
        raise UserError("There is no list “{path}”.\n\nIt comes with the data set.", path=lists[0])
    names: dict[str, None] = {}
    try:
        text = read_regular(path, _MOST_LIST_BYTES).decode()
    except (OSError, ValueError) as error:
        raise UserError(
            "The list “{path}” cannot be read: {reason}.\n\nUnpack it again.",
            path=path,
            reason=error,
        ) from None
    for line in text.splitlines():
        word = line.split()[0] if line.split() else ""
        names.setdefault(Path(word).parent.name if "/" in word else word)
    names.pop("", None)
    return list(names)


def _truths(elsewhere: Path | None, name: str, beside: tuple[Path, ...]) -> tuple[Path, ...]:
    if elsewhere is None:
        return beside
    return tuple(list_pictures(elsewhere / name)) if is_folder(elsewhere / name) else ()


def _categories(meta: Path) -> Mapping[str, dict[int, str]]:
    """Category of each object, by clip, of a meta.json of YouTube-VOS; nothing if there is none."""
    if not is_file(meta):
        return {}
    try:
        videos: JsonObject = parse_json(read_regular(meta, _MOST_LIST_BYTES))["videos"]
        return {
            clip: {int(one): str(info["category"]) for one, info in video["objects"].items()}
            for clip, video in videos.items()
        }
    except (OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise UserError(
            "“{meta}” is no meta.json of YouTube-VOS: {reason!r}.\n\nUnpack it again.",
            meta=meta,
            reason=error,
        ) from None
