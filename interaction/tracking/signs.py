"""Read signs of trouble while tracking: the input of `interaction.tracking.trust`."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from interaction.annotation.types import Signs
from interaction.tracking.propagation import TrackedFrame
from interaction.tracking.trust import MOST, SIGNS
from interaction.video.cuts import GRID, motion
from xmem_core.pictures import EncodedFrame, Prediction, unpad

__all__ = ["View", "Watch", "disagreement", "flow_between", "look", "read_signs"]

_SMALLEST: Final = 6  # grid positions; below it a mask is too small to judge its shape
_SMALLEST_PIECE: Final = 0.02  # of the object's area
_CROSS: Final = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


@dataclass(frozen=True)
class View:
    """A tracked frame, small: what its signs are read from and the next frame is compared with."""

    objects: tuple[int, ...]
    probabilities: NDArray[np.float32]  # (1 + K, h, w), background first
    grey: NDArray[np.uint8] | None  # (h, w)
    match: NDArray[np.float32] | None  # (2, h, w) as in `Prediction`
    keys: Mapping[int, NDArray[np.float32]] = field(default_factory=dict)  # by object, (C_key,)
    extent: tuple[int, int] = (0, 0)  # height and width in source pixels

    def mask(self, object_id: int) -> NDArray[np.bool_]:
        """(h, w) where the object is the likeliest."""
        if object_id not in self.objects:
            return np.zeros(self.probabilities.shape[1:], np.bool_)
        return np.asarray(self.likeliest == 1 + self.objects.index(object_id))

    @cached_property
    def likeliest(self) -> NDArray[np.int64]:
        """(h, w): the channel of `probabilities` that is highest. Every sign of every object
        wants it, and NumPy's search across channels is slow."""
        return self.probabilities.argmax(axis=0)

    def lead(self) -> NDArray[np.float32]:
        """(h, w): how far the likeliest channel is ahead of the second."""
        others = self.probabilities.copy()
        np.put_along_axis(others, self.likeliest[np.newaxis], 0.0, axis=0)
        return np.asarray(self.probabilities.max(axis=0) - others.max(axis=0))

    def key_distance(self, other: "View", object_id: int) -> float | None:
        """1 less the cosine of the object's keys; None if one of them has none that fits."""
        here, there = self.keys.get(object_id), other.keys.get(object_id)
        if here is None or there is None or here.shape != there.shape:
            return None
        lengths = float(np.linalg.norm(here) * np.linalg.norm(there))
        return 1 - float(here @ there) / max(1e-6, lengths)

    def key_bytes(self, object_id: int) -> bytes:
        """The object's key, scaled to signed bytes; empty if it has no pixel."""
        key = self.keys.get(object_id)
        if key is None:
            return b""
        return np.rint(key * (127 / max(float(np.abs(key).max()), 1e-6))).astype(np.int8).tobytes()


@torch.inference_mode()
def look(prediction: Prediction, picture: EncodedFrame | None) -> View:
    """What is worth keeping of one result; costs a few milliseconds, whatever the frame's size.
    Of a close-up it is what the tracker looked at."""
    found, window = prediction.small, prediction.window
    if window is None and picture is not None and picture.size.window is not None:
        window = picture.size.window  # a given mask is the whole picture's
        found = found[(slice(None), *window.slices)]
    height, width = prediction.source_size if window is None else (window.height, window.width)
    grid = _grid_of(height, width)

    def small(x: torch.Tensor, mode: str) -> torch.Tensor:
        return F.interpolate(x.unsqueeze(0).float(), grid, mode=mode)[0].cpu()

    probabilities = small(found, "nearest").numpy()
    if picture is None:
        return View(prediction.objects, probabilities, None, None, {}, (height, width))
    inner = unpad(picture.picture[0], picture.size.padding)
    brightness = small(inner.mean(dim=0, keepdim=True), "area")[0]
    grey = (brightness * 58 + 118).clamp(0, 255).to(torch.uint8).numpy()
    # The padding, less than an element each side, is left in: positions are half an element off.
    match = None if prediction.match is None else small(prediction.match, "nearest").numpy()
    key = picture.features.key[0].float()
    masks = F.interpolate(found[1:].unsqueeze(0).float(), key.shape[1:], mode="area")[0]
    keys = {}
    for object_id, mask in zip(prediction.objects, masks, strict=True):
        weight = float(mask.sum())
        if weight > 0:
            keys[object_id] = ((key * mask).sum(dim=(1, 2)) / weight).cpu().numpy()
    return View(prediction.objects, probabilities, grey, match, keys, (height, width))


def _grid_of(height: int, width: int) -> tuple[int, int]:
    """Height and width of a view of that many source pixels."""
    scale = GRID / max(height, width)
    return max(8, round(height * scale)), max(8, round(width * scale))


def _view_state(view: View | None, name: str) -> dict[str, Tensor]:
    if view is None:
        return {}
    arrays = {"probabilities": view.probabilities, "grey": view.grey, "match": view.match}
    arrays |= {f"key.{one}": key for one, key in view.keys.items()}
    state = {
        f"{name}.{part}": torch.from_numpy(np.array(array))
        for part, array in arrays.items()
        if array is not None
    }
    state[f"{name}.objects"] = torch.tensor(view.objects, dtype=torch.int64)
    state[f"{name}.extent"] = torch.tensor(view.extent, dtype=torch.int64)
    return state


def _restored_view(state: Mapping[str, Tensor], name: str) -> View | None:
    if f"{name}.objects" not in state:
        return None

    objects, height, width = state[f"{name}.objects"].tolist(), *state[f"{name}.extent"].tolist()
    grid = _grid_of(height, width)

    def array(part: str, channels: tuple[int, ...], dtype: torch.dtype) -> NDArray[Any] | None:
        tensor = state.get(f"{name}.{part}")
        if tensor is not None and (tensor.shape != (*channels, *grid) or tensor.dtype != dtype):
            raise ValueError(f"{name}.{part} is {tensor.dtype} {tuple(tensor.shape)}")
        return None if tensor is None else tensor.numpy()

    probabilities = array("probabilities", (1 + len(objects),), torch.float32)
    if probabilities is None:
        raise ValueError(f"{name} has no probabilities")
    prefix = f"{name}.key."
    keys = {int(k.removeprefix(prefix)): t for k, t in state.items() if k.startswith(prefix)}
    if not all(
        t.dim() == 1 and t.is_floating_point() and t.isfinite().all() for t in keys.values()
    ):
        raise ValueError(f"{name} has odd keys")
    return View(
        tuple(objects),
        probabilities,
        array("grey", (), torch.uint8),
        array("match", (2,), torch.float32),
        {object_id: key.numpy() for object_id, key in keys.items()},
        (height, width),
    )


class Watch:
    """Reads the signs of one run's frames, in the order of travel."""

    def __init__(self, known: Collection[int]) -> None:
        """known: the given frames, and the one that the run begins with."""
        self._known = tuple(known)
        self._start: View | None = None  # of the latest of them that was passed
        self.view: View | None = None  # the frame that was read last
        self.before: View | None = None  # the one before it
        self.flow: NDArray[np.float32] | None = None  # `motion` between them
        self._least_denied: dict[int, float] = {}  # by object, of the masks so far

    def state(self) -> dict[str, Tensor]:
        """By name; `restore` is its inverse."""
        return {
            **_view_state(self._start, "start"),
            **_view_state(self.view, "view"),
            **_view_state(self.before, "before"),
            "denied.objects": torch.tensor(list(self._least_denied), dtype=torch.int64),
            "denied.least": torch.tensor(list(self._least_denied.values()), dtype=torch.float64),
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """ValueError and the like for what no `state` gave."""
        self._start, self.view, self.before = (
            _restored_view(state, name) for name in ("start", "view", "before")
        )
        none = torch.zeros(0)  # a run of before there were opinions
        objects = state.get("denied.objects", none).tolist()
        least = state.get("denied.least", none).tolist()
        self._least_denied = dict(zip(map(int, objects), map(float, least), strict=True))
        if not all(0 <= one <= 1 for one in self._least_denied.values()):
            raise ValueError("the share that was denied is none")

    def signs(
        self, result: TrackedFrame, opinions: Mapping[int, tuple[float, float]] = {}
    ) -> tuple[Signs, ...]:
        """Of every object that was looked for; none of a frame that cannot be decoded. opinions:
        by object, as `SecondOpinion.on` has them."""
        if result.is_damaged:
            return ()
        view = look(result.prediction, result.picture)
        earlier, self.before, self.view = self.before, self.view, view
        if self.before is not None and self.before.extent != view.extent:
            self.before = earlier = self._start = None  # seen at another scale
        away = min(abs(result.frame - frame) for frame in self._known)
        if away == 0:
            self._start = view
        self.flow = flow_between(self.before, view)
        denied = beyond_least(opinions, self._least_denied)
        values = read_signs(view, self.before, earlier, self._start, away, self.flow, denied)
        return tuple(Signs.of(one, row, view.key_bytes(one)) for one, row in values.items())


def beyond_least(
    opinions: Mapping[int, tuple[float, float]], least: dict[int, float]
) -> dict[int, float]:
    """By object, how much more is denied than the least so far. opinions: see `SecondOpinion.on`.
    least: by object, of the frames before; it is brought up to date."""
    for one, shares in opinions.items():
        least[one] = min(*shares, least.get(one, 1.0))
    return {one: denied - least[one] for one, (denied, _) in opinions.items()}


def flow_between(before: View | None, now: View) -> NDArray[np.float32] | None:
    """None where one of them has no picture."""
    if before is None or before.grey is None or now.grey is None:
        return None
    return motion(before.grey, now.grey)


def read_signs(
    now: View,
    before: View | None,
    earlier: View | None,
    start: View | None,
    frames_away: int,
    flow: NDArray[np.float32] | None = None,
    denied: Mapping[int, float] = {},
) -> dict[int, tuple[float, ...]]:
    """By object, its signs, in the order of `SIGNS`.

    before, earlier: the one and two frames before in the direction of travel; start: the given
    frame that was passed last; all of the same video. frames_away: from the nearest given frame.
    flow: `motion` from `before`. denied: see `beyond_least`.
    """
    lead = now.lead()
    result = {}
    for object_id in now.objects:
        signs = dict.fromkeys(SIGNS, 0.0)
        signs["away"] = math.log2(1 + frames_away)
        _read_shape(signs, now, object_id, lead)
        _compare(signs, now, before, earlier, object_id, flow)
        drift = None if start is None else now.key_distance(start, object_id)
        signs["drift"] = drift or 0.0
        signs["is_asked"] = float(object_id in denied)
        signs["denied"] = denied.get(object_id, 0.0)
        result[object_id] = tuple(
            round(min(max(signs[name], 0.0), MOST.get(name, 1.0)), 3) for name in SIGNS
        )
    return result


def disagreement(first: View, second: View, object_id: int) -> float:
    """1 - IoU of what two passes found of the object on the same frame."""
    return round(1 - _iou(first.mask(object_id), second.mask(object_id)), 3)


def _read_shape(
    signs: dict[str, float], view: View, object_id: int, lead: NDArray[np.float32]
) -> None:
    """What the frame itself says."""
    mask = view.mask(object_id)
    area = int(np.count_nonzero(mask))
    signs["small"] = -math.log10(max(area, 0.2) / mask.size)
    probability = view.probabilities[1 + view.objects.index(object_id)]
    if area < _SMALLEST:
        signs["is_gone"] = float(area == 0)
        signs["inside"] = float(probability.max())
        return
    stamp = mask.astype(np.uint8)
    inside = cv2.erode(stamp, _CROSS, borderType=cv2.BORDER_REPLICATE) > 0
    band = (cv2.dilate(stamp, _CROSS) > 0) & ~inside
    outline = max(1, area - int(np.count_nonzero(inside)))
    if band.any():  # an object that fills the picture has no outline
        p = np.clip(probability[band], 1e-6, 1 - 1e-6)
        signs["entropy"] = float(np.mean(-p * np.log2(p) - (1 - p) * np.log2(1 - p)))
        signs["margin"] = float(np.mean(1 - lead[band]))
    signs["soft"] = float(np.count_nonzero((probability > 0.1) & (probability < 0.9))) / outline
    signs["inside"] = float(np.mean(1 - lead[inside])) if inside.any() else 0.0
    signs["outline"] = outline / area
    signs["unsure"] = 1 - float(probability[mask].sum() / (area + probability[~mask].sum()))
    if view.match is not None:
        similarity, given = view.match[:, mask].mean(axis=1)
        signs["strange"] = float(-similarity) if math.isfinite(similarity) else MOST["strange"]
        signs["own"] = 1 - float(given)
        ring = (cv2.dilate(stamp, np.ones((7, 7), np.uint8)) > 0) & ~mask
        if ring.any():
            signs["beside"] = 1 - float(view.match[1, ring].mean())


def _compare(
    signs: dict[str, float],
    now: View,
    before: View | None,
    earlier: View | None,
    object_id: int,
    flow: NDArray[np.float32] | None,
) -> None:
    """What the frames before say."""
    if before is None or object_id not in before.objects:
        return
    mask, old = now.mask(object_id), before.mask(object_id)
    area, old_area = int(np.count_nonzero(mask)), int(np.count_nonzero(old))
    if max(area, old_area) < _SMALLEST:
        return
    signs["jump"] = abs(math.log2((area + 1) / (old_area + 1)))
    signs["pieces"] = float(_count_pieces(mask) - _count_pieces(old))
    if area and old_area:
        move = np.argwhere(mask).mean(axis=0) - np.argwhere(old).mean(axis=0)
        signs["shift"] = float(np.hypot(*move)) / math.sqrt(max(area, old_area))
    moved = old
    if flow is not None:
        x, y = flow[..., 0], flow[..., 1]
        stamp = old.astype(np.float32)
        warped = cv2.remap(stamp, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        moved = np.asarray(warped > 0.5)
    signs["warp"] = 1 - _iou(mask, moved)
    if earlier is not None and object_id in earlier.objects:
        signs["returns"] = _iou(mask, earlier.mask(object_id)) - max(
            _iou(mask, old), _iou(old, earlier.mask(object_id))
        )


def _iou(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """1 of two empty masks."""
    union = np.count_nonzero(first | second)
    return 1.0 if union == 0 else float(np.count_nonzero(first & second) / union)


def _count_pieces(mask: NDArray[np.bool_]) -> int:
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    sizes = stats[1:, cv2.CC_STAT_AREA]
    return int(np.count_nonzero(sizes >= max(1.0, _SMALLEST_PIECE * mask.sum())))
