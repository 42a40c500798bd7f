"""Turn an ordered list of clicks into the mask of one object on one frame."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interaction.annotation.types import Click
from interaction.clicks.fbrs import Inputs, Mode, Refiner, click_squares
from interaction.clicks.network import ClickNetwork
from interaction.clicks.prompts import ClickConfig
from interaction.clicks.zoom import Crop, around, whole_frame
from xmem_core.arrays import Frame, Labels

__all__ = [
    "ClickConfig",
    "ClickResult",
    "ClickSegmenter",
    "explained_change",
    "merged",
    "suited_click_config",
]

_SURE: Final = 2.0  # the least logit, on its side, of what is known


def reach_of(mask: NDArray[np.bool_], click: Click, most_share: float) -> float:
    """How far around `click` everything is on its side, in pixels; 0 if only the click itself is.

    mask: (H, W), what there was before the click. most_share: of the mask's extent, the square
    root of its area, that a click may be away from what is right to tell anything.
    """
    row, column = int(click.y), int(click.x)
    wrong = mask != click.is_positive
    if not wrong[row, column] or not mask.any() or wrong.all():
        return 0.0
    extent = float(np.sqrt(mask.sum()))
    distance = cv2.distanceTransform(wrong.astype(np.uint8), cv2.DIST_L2, 5)[row, column]
    return float(distance) - 1 if distance < most_share * extent else 0.0


def local_change(
    old: NDArray[np.bool_],
    new: NDArray[np.bool_],
    click: Click,
    *,
    reach_px: float,
    most_times: float,
) -> NDArray[np.bool_]:
    """Where `new` counts, if `click` corrects a mask `old` that is mostly right; all (H, W).

    What changes is of the click's sign, hangs together with the click, and lies no farther from it
    than `most_times` the way to the nearest edge of `old`. Everything within `reach_px` (from
    `reach_of`), and the clicked pixel itself, counts in any case.
    """
    row, column = int(click.y), int(click.x)
    alike = old == old[row, column]
    depth = float("inf")
    if not alike.all():
        depth = float(cv2.distanceTransform(alike.astype(np.uint8), cv2.DIST_L2, 5)[row, column])
    down, across = np.ogrid[: old.shape[0], : old.shape[1]]
    away = (down - row) ** 2 + (across - column) ** 2
    right = old == click.is_positive
    change = ~right & (new == click.is_positive)
    if right[row, column]:
        change |= right  # it asks for more than its own place: what it changes begins at the edge
    counts = (change & (away <= (most_times * depth) ** 2)) | (away <= reach_px**2)
    parts = cv2.connectedComponents(counts.astype(np.uint8), connectivity=8)[1]
    return np.asarray(parts == parts[row, column])


def obeyed(logits: Tensor, rows: Tensor, reaches_px: Sequence[float]) -> Tensor:
    """`logits` (1, 1, H, W), but on a click's side wherever it reaches.

    rows (1, N, 3) row, column, sign; reaches_px (N,) radii, at least one pixel each. A click
    reaches no farther than half the way to the nearest click of the other sign. So no click is
    without effect, whatever the network makes of it.
    """
    result = logits.clone()
    down = torch.arange(logits.shape[2], device=logits.device).view(-1, 1)
    across = torch.arange(logits.shape[3], device=logits.device).view(1, -1)
    places, signs = rows[0, :, :2], rows[0, :, 2]
    for (row, column), sign, reach in zip(places.tolist(), signs.tolist(), reaches_px, strict=True):
        others = places[signs != sign]
        radius = max(reach, 1.0)
        if len(others):
            apart = (others - torch.tensor([row, column])).norm(dim=1).min()
            radius = min(radius, float(apart) / 2)
        inside = (down - row).square() + (across - column).square() <= radius**2
        sure = result.clamp_min(_SURE) if sign > 0 else result.clamp_max(-_SURE)
        result = torch.where(inside, sure, result)
    return result


_STATES_KEPT: Final = 64
_PICTURES_KEPT: Final = 4
# A crop that shows less of the frame is worth a second look: only of what is really small in the
# frame does the network find more from near.
_NEARER_SHARE: Final = 0.1
_CERTAIN: Final = 0.88  # the least probability, on its side, of what a click has changed
_SAME_CROP_OVERLAP: Final = 0.7  # above it the crop stays, and with it what was computed of it


@dataclass(frozen=True, slots=True)
class ClickResult:
    probability: NDArray[np.float32]  # (H, W) of the object, by itself
    labels: Labels  # (H, W) the frame's new mask


@dataclass(frozen=True, slots=True)
class _State:
    """What one click leaves for the next."""

    probability: Tensor  # (1, 1, H, W)
    crop: Crop | None = None
    numbers: NDArray[np.float64] | None = None
    reaches_px: tuple[float, ...] = ()  # of the clicks so far, see `reach_of`


class ClickSegmenter:
    """Answers clicks with one network. Not to be used from two threads at a time."""

    def __init__(self, network: ClickNetwork, config: ClickConfig | None = None) -> None:
        self._network = network
        self._config = config or ClickConfig()
        self._refiner = Refiner(
            network,
            self._config.mode,
            threshold=self._config.threshold,
            least_mask_change=self._config.least_mask_change,
            most_evaluations=self._config.most_evaluations,
        )
        self._device = next(network.parameters()).device
        self._first: ClickSegmenter | None = None
        if network.first_look is not None:
            self._first = ClickSegmenter(network.first_look, self._config)
        self._states: OrderedDict[Hashable, _State] = OrderedDict()
        self._pictures: OrderedDict[Hashable, tuple[Tensor, tuple[Tensor, ...]]] = OrderedDict()

    @property
    def config(self) -> ClickConfig:
        return self._config

    def segment(
        self,
        frame: Frame,
        start: Labels,
        object_id: int,
        clicks: Sequence[Click],
        *,
        locked: Collection[int] = (),
        frame_key: Hashable = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> ClickResult:
        """The mask after `clicks`, in their order, on a frame whose mask was `start` before them.

        frame (H, W, 3) uint8 RGB, start (H, W) uint8 object ids. frame_key: what tells this frame
        from others, if anything is to be kept between calls. stop: asked often; StoppedError
        once it says so. ValueError for a click outside the frame or no click at all.
        """
        height, width = start.shape
        if frame.shape != (height, width, 3):
            raise ValueError(f"frame is {frame.shape}, the mask {start.shape}")
        if not clicks:
            raise ValueError("there must be at least one click")
        for click in clicks:
            if not (0 <= click.x < width and 0 <= click.y < height):
                raise ValueError(f"the click ({click.x}, {click.y}) lies outside {width}x{height}")
        # Tensors made in inference mode cannot be optimised through, whatever the caller is in.
        with torch.inference_mode(False), torch.no_grad():
            state = self._state_after(frame, start, object_id, tuple(clicks), frame_key, stop)
        probability = state.probability[0, 0].cpu().numpy()
        mask = probability > self._config.threshold
        if not self._network.takes_previous_mask:
            mask = explained_change(start == object_id, mask, clicks)
        return ClickResult(probability, merged(start, object_id, mask, locked))

    def _state_after(
        self,
        frame: Frame,
        start: Labels,
        object_id: int,
        clicks: tuple[Click, ...],
        frame_key: Hashable,
        stop: Callable[[], bool],
    ) -> _State:
        own = start == object_id
        before = hashlib.blake2b(np.packbits(own).tobytes(), digest_size=16).digest()
        given = torch.from_numpy(own).to(self._device, torch.float32)[None, None]
        state, done = _State(given), 0
        if frame_key is not None:
            for count in range(len(clicks), 0, -1):
                kept = self._states.get((frame_key, object_id, before, clicks[:count]))
                if kept is not None:
                    state, done = kept, count
                    break
        for count in range(done + 1, len(clicks) + 1):
            state = self._next(frame, state, clicks[:count], bool(own.any()), frame_key, stop)
            if frame_key is not None:
                self._states[frame_key, object_id, before, clicks[:count]] = state
                if len(self._states) > _STATES_KEPT:
                    self._states.popitem(last=False)
        return state

    def _next(
        self,
        frame: Frame,
        state: _State,
        clicks: tuple[Click, ...],
        corrects: bool,
        frame_key: Hashable,
        stop: Callable[[], bool],
    ) -> _State:
        """The state after the last of `clicks`; `corrects`: a mask that was there before them."""
        config = self._config
        is_new = len(clicks) == 1 and not corrects
        if is_new and self._first is not None:
            return self._first._next(frame, state, clicks, corrects, frame_key, stop)
        is_local = corrects or len(clicks) > config.free_clicks
        crop = self._crop(state, clicks, is_new, is_local)
        answer = self._answer(frame, state, clicks, crop, frame_key, stop, is_local=is_local)
        if not self._network.takes_previous_mask:
            return answer
        if is_new and crop.is_whole(*frame.shape[:2]):
            # Seen as a whole the object may be small: what was found says where to look.
            nearer = self._around(
                answer.probability, clicks, config.first_expansion, config.least_crop_px
            )
            if nearer is not None and nearer.share_of(*frame.shape[:2]) < _NEARER_SHARE:
                answer = self._answer(frame, state, clicks, nearer, frame_key, stop)
        return answer

    def _answer(
        self,
        frame: Frame,
        state: _State,
        clicks: tuple[Click, ...],
        crop: Crop,
        frame_key: Hashable,
        stop: Callable[[], bool],
        *,
        is_local: bool = False,
    ) -> _State:
        config = self._config
        pictures, picture = self._picture(frame, crop, frame_key)
        previous = crop.cut(state.probability)
        rows = crop.rows_of(clicks)
        size = crop.height, crop.width
        knows_mask = self._network.takes_previous_mask
        reach = 0.0
        if knows_mask:
            mask = (state.probability[0, 0] > config.threshold).cpu().numpy()
            reach = reach_of(mask, clicks[-1], config.most_reach)
        reaches_px = (*state.reaches_px, reach)
        scale = crop.height / (crop.bottom - crop.top)
        reaches = [reach * scale for reach in reaches_px]
        maps = self._network.click_maps(rows[:, : config.most_network_clicks], *size)
        inputs = Inputs(
            picture=picture,
            pictures=pictures,
            click_maps=self._both(maps.to(self._device)),
            previous=self._both(previous),
            positive=self._both(click_squares(rows, 1.0, *size, reaches).to(self._device)),
            negative=self._both(click_squares(rows, 0.0, *size, reaches).to(self._device)),
        )
        numbers = state.numbers
        if len(clicks) == 1:
            logits = self._refiner.plain(inputs)
        else:
            logits, numbers = self._refiner.refined(inputs, numbers, stop)
        if config.is_flipped_too:
            logits = (logits[:1] + logits[1:].flip(3)) / 2
        if knows_mask and not is_local and config.mode != "NoBRS":
            # At least the pixel of the frame itself, whichever corner of it was clicked on.
            logits = obeyed(logits, rows, [max(reach, 1.5 * scale) for reach in reaches])
        answer = crop.back(logits.sigmoid(), *frame.shape[:2])
        if knows_mask and is_local:
            answer = self._kept_elsewhere(state.probability, answer, clicks[-1], reach)
        return _State(answer, crop, numbers, reaches_px)

    def _kept_elsewhere(self, old: Tensor, new: Tensor, click: Click, reach_px: float) -> Tensor:
        """Probabilities (1, 1, H, W): `new` where the click's change counts, `old` elsewhere."""
        threshold = self._config.threshold
        before, after = ((one[0, 0] > threshold).cpu().numpy() for one in (old, new))
        times = self._config.most_spread
        where = local_change(before, after, click, reach_px=reach_px, most_times=times)
        # What counts is on the click's side in any case, whatever the network makes of it.
        sure = new.clamp_min(_CERTAIN) if click.is_positive else new.clamp_max(1 - _CERTAIN)
        return torch.where(torch.from_numpy(where).to(new.device), sure, old)

    def _crop(self, state: _State, clicks: tuple[Click, ...], is_new: bool, is_local: bool) -> Crop:
        """What to look at: near the object, and as for the click before where that still fits."""
        config = self._config
        height, width = state.probability.shape[2:]
        crop = None
        if len(clicks) >= config.zoom_from_click or not is_new:
            least_px = config.least_crop_px
            if is_local and self._network.takes_previous_mask:
                least_px = min(least_px, config.least_correction_px)
            crop = self._around(state.probability, clicks, config.zoom_expansion, least_px)
        if crop is None:
            return whole_frame(height, width, config.longest_px, self._network.size_multiple)
        kept = state.crop
        if kept is None or kept.is_whole(height, width) or not all(kept.holds(c) for c in clicks):
            return crop
        return kept if crop.overlap(kept) > _SAME_CROP_OVERLAP else crop

    def _around(
        self, probability: Tensor, clicks: tuple[Click, ...], expansion: float, least_px: int
    ) -> Crop | None:
        config = self._config
        mask = (probability[0, 0] > config.threshold).cpu().numpy()
        # Clicks that take away must be seen too: outside the crop nothing can change.
        seen = [Click(c.x, c.y, is_positive=True) for c in clicks]
        return around(
            mask,
            seen,
            expansion=expansion,
            least_px=least_px,
            target_px=config.zoom_px,
            multiple=self._network.size_multiple,
        )

    def _picture(
        self, frame: Frame, crop: Crop, frame_key: Hashable
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The crop's pixels and what the network makes of them without clicks."""
        kept = self._pictures.get((frame_key, crop)) if frame_key is not None else None
        if kept is not None:
            self._pictures.move_to_end((frame_key, crop))
            return kept
        part = frame[crop.top : crop.bottom, crop.left : crop.right].copy()  # frames are read-only
        pixels = torch.from_numpy(part).to(self._device).movedim(2, 0)[None].float() / 255
        size = (crop.height, crop.width)
        if pixels.shape[2:] != size:
            pixels = torch.nn.functional.interpolate(
                pixels, size, mode="bilinear", align_corners=True
            )
        pictures = self._both(pixels).contiguous(memory_format=torch.channels_last)
        result = pictures, self._network.picture_features(pictures)
        if frame_key is not None:
            self._pictures[frame_key, crop] = result
            if len(self._pictures) > _PICTURES_KEPT:
                self._pictures.popitem(last=False)
        return result

    def _both(self, tensor: Tensor) -> Tensor:
        """With its mirror image, if that is asked about too."""
        return torch.cat([tensor, tensor.flip(3)]) if self._config.is_flipped_too else tensor


def explained_change(
    old: NDArray[np.bool_], new: NDArray[np.bool_], clicks: Sequence[Click]
) -> NDArray[np.bool_]:
    """`new` where a click explains why it differs from `old`, `old` everywhere else.

    A connected part of what was gained is explained by a positive click in it, of what was lost
    by a negative one. All (H, W). With nothing in `old`, everything new is explained.
    """
    if not old.any():
        return new
    result = old.copy()
    for change, is_positive in ((new & ~old, True), (old & ~new, False)):
        count, parts = cv2.connectedComponents(change.astype(np.uint8), connectivity=8)
        if count == 1:
            continue
        named = {int(parts[int(c.y), int(c.x)]) for c in clicks if c.is_positive == is_positive}
        result[np.isin(parts, sorted(named - {0}))] = is_positive
    return result


def merged(
    labels: Labels, object_id: int, mask: NDArray[np.bool_], locked: Collection[int] = ()
) -> Labels:
    """`labels` with `object_id` covering exactly `mask` (H, W), except where a locked object is.

    Inside its mask the object takes pixels from others; pixels it gives up become background.
    A locked object keeps every pixel, and gets none if it is the one that was clicked on.
    """
    result = labels.copy()
    if object_id in locked:
        return result
    result[labels == object_id] = 0
    free = mask & ~np.isin(labels, sorted(set(locked) - {object_id}))
    result[free] = object_id
    return result


# Clicks that the network itself is given; it gets confused by more [net_clicks_limit].
_FEATURE_CLICKS: Final = 8
_INPUT_CLICKS: Final = 5  # where the input is what is optimised


def suited_click_config(config: ClickConfig, network: ClickNetwork) -> ClickConfig:
    """`config`, with no more clicks for the network than it was published to take."""
    if network.takes_previous_mask:
        return config
    most = min(config.most_network_clicks, _most_network_clicks(config.mode))
    return replace(config, most_network_clicks=most)


def _most_network_clicks(mode: Mode) -> int:
    return _INPUT_CLICKS if mode in ("RGB-BRS", "DistMap-BRS") else _FEATURE_CLICKS
