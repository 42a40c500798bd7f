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
from interaction.clicks.fbrs import (
    ClickNetwork,
    Features,
    Inputs,
    Refiner,
    StoppedError,
    click_squares,
)
from interaction.clicks.prompts import (
    Box,
    ClickConfig,
    check_inside,
    clicks_of_box,
    depth_inside,
)
from interaction.clicks.zoom import Crop, around, whole_frame
from xmem_core.arrays import Frame, Labels

_SURE: Final = 0.88  # the least probability, on its side, of what a click has changed
# A separate piece of less than this share of the object goes whole with one negative click.
_PIECE_SHARE: Final = 0.35
_MOST_BRIDGE_PX: Final = 2  # half the width of a bridge that does not count as hanging together
_FAINT: Final = 0.15  # the network's least agreement with a click that still tells a shape
_LEAST_SPOT_PX: Final = 1.5


def local_change(
    old: NDArray[np.bool_],
    agreement: NDArray[np.float32],
    clicks: Sequence[Click],
    *,
    threshold: float = 0.5,
) -> NDArray[np.bool_]:
    """Which pixels the last of `clicks` changes in a mask that was there; all (H, W).

    agreement: how far the network's answer is on the click's side, 0 to 1. What changes is of the
    click's sign and hangs together with the click. A negative click on a separate piece takes all
    of it. Otherwise the network's answer counts as far as it is connected with the click without
    a narrow bridge; where the network does not agree at the click itself, what it agrees on as
    much as there; and a small disc if it does not agree on anything, so that no click is lost.
    """
    click = clicks[-1]
    row, column = int(click.y), int(click.x)
    wrong = old != click.is_positive
    wanted = wrong & (agreement > threshold)
    if not wrong[row, column]:  # it asks for more than its own place: what lies at the edge
        return wanted & _touching(wanted, _part_of(~wrong, row, column))
    if not click.is_positive:
        piece = _part_of(old, row, column)
        kept = (c for c in clicks[:-1] if c.is_positive)
        is_small = piece.sum() < _PIECE_SHARE * old.sum()
        goes = is_small or (wanted & piece).sum() > piece.sum() / 2
        if goes and not any(piece[int(c.y), int(c.x)] for c in kept):
            return piece
    if wanted[row, column]:
        return _hanging_together(wanted, row, column)
    depth = float(_depth(wrong)[row, column])
    down, across = np.ogrid[: old.shape[0], : old.shape[1]]
    away = (down - row) ** 2 + (across - column) ** 2
    here = float(agreement[row, column])
    if here > _FAINT:
        faint = wrong & (agreement >= 0.9 * here) & (away <= (4 * depth) ** 2)
        return _hanging_together(faint, row, column)
    extent = float(np.sqrt(max(int(old.sum()), 1)))
    radius = max(_LEAST_SPOT_PX, min(depth - 1, 0.05 * extent))
    return wrong & (away <= radius**2)


def _hanging_together(region: NDArray[np.bool_], row: int, column: int) -> NDArray[np.bool_]:
    """The part of `region` that holds a pixel, cut off where it is much narrower than there: a
    band along the whole outline is no part of the arm that it leads to."""
    part = _part_of(region, row, column)
    radius = min(_MOST_BRIDGE_PX, int(float(_depth(part)[row, column]) / 3))
    if radius < 1:
        return part
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    inner = cv2.erode(part.astype(np.uint8), disc) > 0
    core = np.asarray(cv2.dilate(_part_of(inner, row, column).astype(np.uint8), disc), np.uint8)
    # Back to the part's own edge, but not along its bridges.
    return part & (np.asarray(cv2.dilate(core, disc)) > 0)


def _part_of(region: NDArray[np.bool_], row: int, column: int) -> NDArray[np.bool_]:
    parts = cv2.connectedComponents(region.astype(np.uint8), connectivity=8)[1]
    return np.asarray((parts == parts[row, column]) & region)


def _touching(region: NDArray[np.bool_], other: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The parts of `region` that touch `other`."""
    parts = cv2.connectedComponents(region.astype(np.uint8), connectivity=8)[1]
    near = cv2.dilate(other.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return np.asarray(np.isin(parts, np.unique(parts[near & region])) & region)


def _depth(region: NDArray[np.bool_]) -> NDArray[np.float32]:
    padded = np.pad(region.astype(np.uint8), 1)
    return np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 5), np.float32)[1:-1, 1:-1]


_STATES_KEPT: Final = 64
_PICTURES_KEPT: Final = 4
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


@dataclass(frozen=True, slots=True)
class _Question:
    """What is the same for all clicks of an answer."""

    frame: Frame
    frame_key: Hashable
    corrects: bool  # there was a mask before the clicks
    stop: Callable[[], bool]


class ClickSegmenter:
    """Answers clicks with one network. Not to be used from two threads at a time."""

    def __init__(self, network: ClickNetwork, config: ClickConfig | None = None) -> None:
        self._network = network
        self._config = suited_click_config(config, network)
        self._refiner = Refiner(
            network,
            self._config.mode,
            threshold=self._config.threshold,
            least_mask_change=self._config.least_mask_change,
            most_evaluations=self._config.most_evaluations,
        )
        self._device = next(network.parameters()).device
        self._states: OrderedDict[Hashable, _State] = OrderedDict()
        self._pictures: OrderedDict[Hashable, tuple[Tensor, Features]] = OrderedDict()
        # The latest answer to the first click on a new object, from the whole frame.
        self._first_look: tuple[Hashable, _State] | None = None

    @property
    def config(self) -> ClickConfig:
        return self._config

    @property
    def is_quick(self) -> bool:
        """Whether an answer takes a pass or two of the network, without any search."""
        return self._refiner.mode == "NoBRS"

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
        is_preview: bool = False,
    ) -> ClickResult:
        """The mask after `clicks`, in their order, on a frame whose mask was `start` before them.

        frame (H, W, 3) uint8 RGB, start (H, W) uint8 object ids. frame_key: what tells this frame
        from others, if anything is to be kept between calls. stop: asked often; StoppedError
        once it says so. is_preview: the last click is answered quickly, without refinement and, on
        a new object, without the second look from near. ValueError for a click outside the frame or
        no click at all.
        """
        check_prompt(frame, start, clicks)
        own = start == object_id
        question = _Question(frame, frame_key, bool(own.any()), stop)
        # Tensors made in inference mode cannot be optimised through, whatever the caller is in.
        with torch.inference_mode(False), torch.no_grad():
            state = self._state_after(
                question, own, object_id, tuple(clicks), is_preview=is_preview
            )
        probability = state.probability[0, 0].cpu().numpy()
        mask = probability > self._config.threshold
        if not self._network.takes_previous_mask:
            mask = explained_change(own, mask, clicks)
        return ClickResult(probability, merged(start, object_id, mask, locked))

    def look(self, frame: Frame, start: Labels, object_id: int, *, frame_key: Hashable) -> None:
        """Computes what the answer to a first click needs of the picture alone, and keeps it: of
        the whole frame; where the object is, of its surroundings, which serve every click inside
        its box. Arguments as for `segment`."""
        own = start == object_id
        is_there = bool(own.any())
        with torch.inference_mode(False), torch.no_grad():
            state = _State(torch.from_numpy(own).to(torch.float32)[None, None])
            crop = self._crop(state, (), is_new=not is_there, is_local=is_there)
            self._picture(frame, crop, frame_key)

    def segment_box(
        self,
        frame: Frame,
        start: Labels,
        object_id: int,
        box: Box,
        *,
        locked: Collection[int] = (),
        frame_key: Hashable = None,
    ) -> ClickResult:
        """The object that a box is drawn round, in one pass; outside the box nothing changes.

        Arguments as for `segment`. What the object has outside the box stays if that is most of it.
        """
        with torch.inference_mode(False), torch.no_grad():
            probability = self._boxed(frame, box, frame_key)
        return boxed(start, object_id, box, probability, locked, self._config.threshold)

    def denied(self, frame: Frame, labels: Labels, object_id: int) -> float:
        """The share of an object's mask that the network denies, clicked in the mask's middle and
        not shown it, 0 to 1; 0 of an empty mask. Keeps nothing: any thread may ask.

        frame (H, W, 3) uint8 RGB, labels (H, W) uint8 object ids.
        """
        own = labels == object_id
        if not own.any():
            return 0.0
        row, column = divmod(int(depth_inside(own).argmax()), own.shape[1])
        middle = (Click(column + 0.5, row + 0.5, is_positive=True),)
        config = self._config
        crop = self._around(
            own, middle, config.zoom_expansion, config.least_correction_px, config.zoom_px
        )
        assert crop is not None
        with torch.inference_mode(False), torch.no_grad():
            pictures, picture = self._picture(frame, crop, None)
            maps = self._network.click_maps(crop.rows_of(middle), crop.height, crop.width)
            found = self._without_mask(pictures, picture, maps)[0, 0].sigmoid()
            mask = crop.cut(torch.from_numpy(own.astype(np.float32))[None, None])[0, 0]
            mask = mask.to(self._device)
            agreed = float((mask * found).sum() / mask.sum().clamp_min(1e-6))
            return max(0.0, 1 - agreed)  # sums of floats

    def _boxed(self, frame: Frame, box: Box, frame_key: Hashable) -> NDArray[np.float32]:
        """(H, W) the object's probability: of a network that knows boxes the mean of what it says
        to the box and to clicks in and round it, which err differently."""
        height, width = frame.shape[:2]
        inside = np.zeros((height, width), np.bool_)
        inside[box.pixels] = True
        config = self._config
        crop = self._around(
            inside, (), config.zoom_expansion, config.least_correction_px, config.box_zoom_px
        )
        assert crop is not None
        pictures, picture = self._picture(frame, crop, frame_key)
        size = crop.height, crop.width
        asked = [self._network.click_maps(crop.rows_of(clicks_of_box(box, width, height)), *size)]
        if self._network.takes_boxes:
            maps = self._network.click_maps(torch.zeros(1, 0, 3), *size)
            seen = crop.cut(torch.from_numpy(inside.astype(np.float32))[None, None])
            maps[:, 2:] = (seen > 0.5).float()
            asked.append(maps)
        answers = []
        for one in asked:
            logits = self._without_mask(pictures, picture, one)
            answers.append(self._back(logits, crop, frame)[0, 0])
        mean: NDArray[np.float32] = torch.stack(answers).mean(dim=0).cpu().numpy()
        return mean

    def _without_mask(self, pictures: Tensor, picture: Features, maps: Tensor) -> Tensor:
        """(B, 1, H, W) the network's own logits without a previous mask. maps: of the prompts."""
        maps = self._both(maps.to(self._device))
        none = torch.zeros_like(maps[:, :1])
        inputs = Inputs(picture, pictures, maps, previous=none, positive=none, negative=none)
        return self._refiner.plain(inputs)

    def _state_after(
        self,
        question: _Question,
        own: NDArray[np.bool_],
        object_id: int,
        clicks: tuple[Click, ...],
        *,
        is_preview: bool,
    ) -> _State:
        """own: (H, W) the object's mask before the clicks."""
        frame_key = question.frame_key
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
            is_quick = is_preview and count == len(clicks)
            state = self._next(question, state, clicks[:count], is_quick=is_quick)
            # What is quick is the answer itself only where neither a search nor a look is left out.
            is_plain = self._refiner.mode == "NoBRS" and (question.corrects or count > 1)
            is_whole = is_plain or not is_quick
            if frame_key is not None and is_whole:
                self._states[frame_key, object_id, before, clicks[:count]] = state
                if len(self._states) > _STATES_KEPT:
                    self._states.popitem(last=False)
        return state

    def _next(
        self, question: _Question, state: _State, clicks: tuple[Click, ...], *, is_quick: bool
    ) -> _State:
        """The state after the last of `clicks`. is_quick: without refinement, and of a new object
        without a second look."""
        frame_key = question.frame_key
        is_new = len(clicks) == 1 and not question.corrects
        is_local = question.corrects or len(clicks) > self._config.free_clicks
        crop = self._crop(state, clicks, is_new, is_local)
        is_plain = is_quick or len(clicks) == 1
        kept = self._first_look if is_new and frame_key is not None else None
        if kept is not None and kept[0] == (frame_key, clicks):
            answer = kept[1]  # a preview has just had it
        else:
            answer = self._answer(question, state, clicks, crop, is_plain=is_plain)
        if is_new:
            self._first_look = (frame_key, clicks), answer
        if not self._network.takes_previous_mask:
            return answer
        if is_new and is_quick:
            return self._with_change(state, answer, clicks, is_local=is_local)
        if is_new:
            # Seen from afar outlines are coarse: what was found says where to look again.
            mask, config = self._mask_of(answer.probability), self._config
            near = self._around(
                mask, clicks, config.first_expansion, config.least_crop_px, config.first_zoom_px
            )
            crop = near or crop
            answer = self._answer(question, answer, clicks, crop, is_plain=True)
        result = self._with_change(state, answer, clicks, is_local=is_local)
        if self._refiner.mode != "NoBRS":
            return result
        # Asked again about its own answer, the network goes on with what it has begun.
        answer = self._answer(question, result, clicks, crop, is_plain=True)
        return self._with_change(state, answer, clicks, is_local=is_local)

    def _answer(
        self,
        question: _Question,
        state: _State,
        clicks: tuple[Click, ...],
        crop: Crop,
        *,
        is_plain: bool,
    ) -> _State:
        """What the network says, refined if the mode does so.

        Where the edge of `crop` cuts the mask off, a network that corrects its own masks is asked
        again with more in sight: a part outside is not seen, and a leak ends in a straight line.
        """
        config = self._config
        while True:
            pictures, picture = self._picture(question.frame, crop, question.frame_key)
            if question.stop():
                raise StoppedError
            rows = crop.rows_of(clicks)
            size = crop.height, crop.width
            maps = self._network.click_maps(rows[:, : config.most_network_clicks], *size)
            inputs = Inputs(
                picture=picture,
                pictures=pictures,
                click_maps=self._both(maps.to(self._device)),
                previous=self._both(crop.cut(state.probability)),
                positive=self._both(click_squares(rows, 1.0, *size).to(self._device)),
                negative=self._both(click_squares(rows, 0.0, *size).to(self._device)),
            )
            numbers = state.numbers
            if is_plain:
                logits = self._refiner.plain(inputs)
            else:
                logits, numbers = self._refiner.refined(inputs, numbers, question.stop)
            answer = _State(self._back(logits, crop, question.frame), crop, numbers)
            wider = None
            if self._network.takes_previous_mask:
                mask = self._mask_of(answer.probability)
                wider = crop.wider(mask, config.zoom_px, self._network.size_multiple)
            if wider is None:
                return answer
            crop = wider

    def _back(self, logits: Tensor, crop: Crop, frame: Frame) -> Tensor:
        """(1, 1, H, W) probabilities of the whole frame."""
        if self._config.is_flipped_too:
            logits = (logits[:1] + logits[1:].flip(3)) / 2
        return crop.back(logits.sigmoid(), *frame.shape[:2])

    def _with_change(
        self, state: _State, answer: _State, clicks: tuple[Click, ...], *, is_local: bool
    ) -> _State:
        """`answer` where the last click's change counts, what was there elsewhere; all of it while
        an object is new. In both cases the click is obeyed."""
        click, threshold = clicks[-1], self._config.threshold
        new = answer.probability
        row, column = int(click.y), int(click.x)
        if not is_local and bool(new[0, 0, row, column] > threshold) == click.is_positive:
            return answer
        base = state.probability if is_local else new
        old = self._mask_of(base)
        agreement = new if click.is_positive else 1 - new
        where = local_change(old, agreement[0, 0].cpu().numpy(), clicks, threshold=threshold)
        # What counts is on the click's side in any case, whatever the network makes of it.
        sure = new.clamp_min(_SURE) if click.is_positive else new.clamp_max(1 - _SURE)
        changed = torch.where(torch.from_numpy(where).to(new.device), sure, base)
        return replace(answer, probability=changed)

    def _crop(self, state: _State, clicks: tuple[Click, ...], is_new: bool, is_local: bool) -> Crop:
        """What to look at: near the object, and as for the click before where that still fits."""
        config = self._config
        height, width = state.probability.shape[2:]
        crop = None
        if len(clicks) >= config.zoom_from_click or not is_new:
            least_px = config.least_crop_px
            if is_local and self._network.takes_previous_mask:
                least_px = min(least_px, config.least_correction_px)
            mask = self._mask_of(state.probability)
            crop = self._around(mask, clicks, config.zoom_expansion, least_px, config.zoom_px)
        if crop is None:
            return whole_frame(height, width, config.longest_px, self._network.size_multiple)
        kept = state.crop
        if kept is None or kept.is_whole(height, width) or not all(kept.holds(c) for c in clicks):
            return crop
        return kept if crop.overlap(kept) > _SAME_CROP_OVERLAP else crop

    def _mask_of(self, probability: Tensor) -> NDArray[np.bool_]:
        mask: NDArray[np.bool_] = (probability[0, 0] > self._config.threshold).cpu().numpy()
        return mask

    def _around(
        self,
        mask: NDArray[np.bool_],
        clicks: Sequence[Click],
        expansion: float,
        least_px: int,
        target_px: int,
    ) -> Crop | None:
        """See `around`. None if there is nothing to look at more closely."""
        # Clicks that take away must be seen too: outside the crop nothing can change.
        seen = [Click(c.x, c.y, is_positive=True) for c in clicks]
        return around(
            mask,
            seen,
            expansion=expansion,
            least_px=least_px,
            target_px=target_px,
            multiple=self._network.size_multiple,
        )

    def _picture(self, frame: Frame, crop: Crop, frame_key: Hashable) -> tuple[Tensor, Features]:
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


def check_prompt(frame: Frame, start: Labels, clicks: Sequence[Click]) -> None:
    """ValueError if sizes differ, there is no click, or one lies outside the frame."""
    height, width = start.shape
    if frame.shape != (height, width, 3):
        raise ValueError(f"frame is {frame.shape}, the mask {start.shape}")
    if not clicks:
        raise ValueError("there must be at least one click")
    check_inside(clicks, width, height)


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


def boxed(
    start: Labels,
    object_id: int,
    box: Box,
    probability: NDArray[np.float32],
    locked: Collection[int] = (),
    threshold: float = 0.5,
) -> ClickResult:
    """The answer to a box, in which a network says `probability` (H, W) of the object: outside the
    box nothing changes, and what the object has there stays if that is most of it."""
    inside = np.zeros(start.shape, np.bool_)
    inside[box.widened().pixels] = True
    probability = probability * inside
    mask = probability > threshold
    own = start == object_id
    if (own & inside).sum() < own.sum() / 2:
        mask |= own & ~inside
    return ClickResult(probability, merged(start, object_id, mask, locked))


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


def published_click_config() -> ClickConfig:
    """As the published program answers clicks with its own network."""
    return ClickConfig(
        mode="f-BRS-B",
        threshold=0.5,
        zoom_from_click=2,
        zoom_px=480,
        zoom_expansion=1.4,
        least_crop_px=200,
        longest_px=800,
        most_network_clicks=_FEATURE_CLICKS,
        is_flipped_too=True,
        most_evaluations=20,
        least_mask_change=1e-3,
    )


def suited_click_config(config: ClickConfig | None, network: ClickNetwork) -> ClickConfig:
    """`config`, with no more clicks for the network than it was published to take; None for what
    suits the network: one that was trained to correct its own mask needs no refinement."""
    if network.takes_previous_mask:
        return config or ClickConfig()
    if config is None:
        return published_click_config()
    changes_input = config.mode in ("RGB-BRS", "DistMap-BRS")
    most = _INPUT_CLICKS if changes_input else _FEATURE_CLICKS
    return replace(config, most_network_clicks=min(config.most_network_clicks, most))
