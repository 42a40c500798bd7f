"""Back-propagating refinement: a click network's answer is bent until it agrees with every click.

f-BRS (Sofiiuk et al., CVPR 2020, https://arxiv.org/abs/2001.10331), section 3.3, and BRS (Jang and
Kim, CVPR 2019), of which it is the fast form. The only code that needs gradients.

A network is cut into pieces at the places where f-BRS may insert a scale and a bias:

    picture_features -> features(point) -> [scale and bias] -> logits(point)

What depends on the picture alone comes from `picture_features` and is computed once for a frame
and crop; what follows is computed again for every click, and what follows `features` for every
step of the optimiser.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from interaction.clicks.prompts import Mode
from xmem_core.pictures import IMAGENET_STD

Features = tuple[Tensor, ...]  # of a batch of pictures, each (B, C, h, w)


class InsertionPoint(Enum):
    """Where f-BRS acts (paper, section 3.3): the features before which part of the network."""

    BEFORE_CONTEXT = "A"
    AFTER_CONTEXT = "B"
    BEFORE_HEAD = "C"


class ClickNetwork(nn.Module, ABC):
    """What a network must offer, so that refinement can act inside it: base of the published
    DeepLab-style network and of the bundled small one.

    Pictures are float (B, 3, H, W), RGB in 0..1; each network normalises them itself.
    click_maps: (B, 2, H, W), one of positive and one of negative clicks, as `click_maps_of` gives.
    previous: (B, 1, H, W) the object's probability so far, zeros where there is none; a network
    without `takes_previous_mask` ignores it.
    """

    takes_previous_mask: bool
    takes_boxes = False  # whether its click maps have a third channel, 1 inside a box
    insertion_channels: Mapping[InsertionPoint, int]  # channels of the features to act on
    size_multiple: int  # H and W must be multiples of this; 1 if any size will do

    @abstractmethod
    def click_maps(self, clicks: Tensor, height: int, width: int) -> Tensor:
        """clicks (B, N, 3) as row, column, sign (1 positive, 0 negative, -1 padding), in pixels of
        the (resized) crop -> (B, 2, H, W) maps of the kind this network was trained with."""

    @abstractmethod
    def picture_features(self, pictures: Tensor) -> Features:
        """What can be computed without clicks; may be no more than the pictures themselves."""

    @abstractmethod
    def features(
        self, picture: Features, click_maps: Tensor, previous: Tensor, point: InsertionPoint
    ) -> Features:
        """The features at `point`; the first is the one that is scaled and shifted, the others
        are what `logits` needs beside it."""

    @abstractmethod
    def logits(self, features: Features, point: InsertionPoint, height: int, width: int) -> Tensor:
        """(B, 1, H, W) from the features at `point`."""


_POINTS: Final = {
    "f-BRS-A": InsertionPoint.BEFORE_CONTEXT,
    "f-BRS-B": InsertionPoint.AFTER_CONTEXT,
    "f-BRS-C": InsertionPoint.BEFORE_HEAD,
}
_SCALE_WEIGHT, _BIAS_WEIGHT = 1e-3, 1e-2  # of the squares of what is optimised
_CORRECTIONS, _MOST_ITERATIONS = 20, 40  # of L-BFGS


class StoppedError(Exception):
    """The stop flag was raised while a click was being computed; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a network is asked about, at the crop's size; B is 2 if the flipped picture is too."""

    picture: Features  # from `picture_features`
    pictures: Tensor  # (B, 3, H, W) in 0..1
    click_maps: Tensor  # (B, 2, H, W)
    previous: Tensor  # (B, 1, H, W)
    positive: Tensor  # (B, 1, H, W), how much a pixel must be the object; see `click_squares`
    negative: Tensor  # the same of what must not


def click_squares(rows: Tensor, sign: float, height: int, width: int) -> Tensor:
    """(1, 1, H, W): 1 within one pixel, in both directions, of the pixel nearest to each click of
    that sign. rows: (1, N, 3) row, column, sign."""
    squares = torch.zeros(1, 1, height, width)
    for row, column, own in rows[0].tolist():
        if own == sign:
            y, x = round(row), round(column)
            squares[:, :, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2] = 1
    return squares


class Refiner:
    """One mode of refinement for one network."""

    def __init__(
        self,
        network: ClickNetwork,
        mode: Mode = "f-BRS-B",
        *,
        threshold: float = 0.5,
        least_mask_change: float = 1e-3,
        most_evaluations: int = 20,
    ) -> None:
        self.network = network
        self.mode = mode
        self.threshold = threshold
        self._least_mask_change = least_mask_change
        self._most_evaluations = most_evaluations
        self.point = self._point()

    def plain(self, inputs: Inputs) -> Tensor:
        """The network's own answer: (B, 1, H, W) logits."""
        with torch.no_grad():
            features = self.network.features(
                inputs.picture, inputs.click_maps, inputs.previous, self.point
            )
            return self._logits(features, inputs)

    def refined(
        self, inputs: Inputs, start: NDArray[np.float64] | None, stop: Callable[[], bool]
    ) -> tuple[Tensor, NDArray[np.float64] | None]:
        """(B, 1, H, W) logits that agree with the clicks as far as possible, and the optimised
        numbers, to start the next click from. start: of the click before, or None.

        Raises StoppedError as soon as `stop` says so; it is asked before every evaluation.
        """
        if self.mode == "NoBRS":
            return self.plain(inputs), None
        with torch.no_grad():
            features = self.network.features(
                inputs.picture, inputs.click_maps, inputs.previous, self.point
            )
        # Half a second, and clicks without refinement, the default, do without.
        from scipy.optimize import fmin_l_bfgs_b

        size = self._size(inputs, features)
        begin = start if start is not None and start.size == size else np.zeros(size)
        search = _Search(self, inputs, features, stop)
        fmin_l_bfgs_b(
            search.evaluate,
            begin,
            m=_CORRECTIONS,
            factr=0,
            pgtol=1e-8,
            maxfun=self._most_evaluations,
            maxiter=_MOST_ITERATIONS,
        )
        assert search.best is not None  # the first evaluation sets it
        return search.best, search.best_numbers

    def changed_logits(
        self, numbers: Tensor, inputs: Inputs, features: Features
    ) -> tuple[Tensor, Tensor]:
        """Logits with `numbers` inserted, and the penalty on them."""
        if self.mode in ("RGB-BRS", "DistMap-BRS"):
            return self._changed_input(numbers, inputs)
        scale, bias = numbers.view(2, 1, -1, 1, 1)
        changed = features[0] * (1 + scale) + bias
        penalty = _SCALE_WEIGHT * scale.square().sum() + _BIAS_WEIGHT * bias.square().sum()
        return self._logits((changed, *features[1:]), inputs), penalty

    def loss_of(self, logits: Tensor, inputs: Inputs) -> tuple[Tensor, bool]:
        """The clicks' disagreement with the answer, and whether all are on their side."""
        probability = logits.sigmoid()
        missed = (1 - probability) * inputs.positive
        spilled = probability * inputs.negative
        loss = (missed.square().sum()) / (inputs.positive.sum() + 1e-5)
        loss = loss + (spilled.square().sum()) / (inputs.negative.sum() + 1e-5)
        decided = probability.detach()
        least = decided.masked_fill(inputs.positive == 0, 1).amin()
        most = decided.masked_fill(inputs.negative == 0, 0).amax()
        return loss, bool(least > self.threshold) and bool(most < self.threshold)

    def has_settled(self, mask: Tensor, before: Tensor | None) -> bool:
        """Whether two masks in a row are all but the same."""
        if before is None:
            return False
        union = (mask | before).sum()
        return bool(union > 0) and bool((mask & before).sum() / union > 1 - self._least_mask_change)

    def _changed_input(self, numbers: Tensor, inputs: Inputs) -> tuple[Tensor, Tensor]:
        pictures, maps = inputs.pictures, inputs.click_maps
        height, width = pictures.shape[2:]
        change = numbers.view(1, -1, height, width)
        if len(pictures) == 2:
            change = torch.cat([change, change.flip(3)])
        picture = inputs.picture
        if self.mode == "RGB-BRS":
            # The numbers belong to the normalised picture, as published: the penalty is theirs.
            deviation = change.new_tensor(IMAGENET_STD).view(3, 1, 1)
            picture = self.network.picture_features(pictures + change * deviation)
        else:
            maps = maps + change
        features = self.network.features(picture, maps, inputs.previous, self.point)
        return self._logits(features, inputs), _SCALE_WEIGHT * numbers.square().sum()

    def _logits(self, features: Features, inputs: Inputs) -> Tensor:
        return self.network.logits(features, self.point, *inputs.pictures.shape[2:])

    def _size(self, inputs: Inputs, features: Features) -> int:
        """How many numbers are optimised."""
        pixels = inputs.pictures.shape[2] * inputs.pictures.shape[3]
        maps = inputs.click_maps.shape[1]
        by_mode = {"RGB-BRS": 3 * pixels, "DistMap-BRS": maps * pixels}
        return by_mode.get(self.mode, 2 * features[0].shape[1])

    def _point(self) -> InsertionPoint:
        """Where to act; the next later point where the network lacks the one of the mode."""
        wanted = _POINTS.get(self.mode, InsertionPoint.BEFORE_HEAD)
        later = [point for point in InsertionPoint if point.value >= wanted.value]
        return next(point for point in later if point in self.network.insertion_channels)


@dataclass(slots=True)
class _Search:
    """One line of evaluations; remembers the best."""

    refiner: Refiner
    inputs: Inputs
    features: Features
    stop: Callable[[], bool]
    best_loss: float = float("inf")
    best: Tensor | None = None
    best_numbers: NDArray[np.float64] | None = None
    mask_before: Tensor | None = None

    def evaluate(self, values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """The objective and its gradient; a gradient of zero tells L-BFGS to stop."""
        if self.stop():
            raise StoppedError
        refiner, inputs = self.refiner, self.inputs
        with torch.enable_grad():
            numbers = torch.tensor(values, dtype=torch.float32, device=inputs.pictures.device)
            numbers.requires_grad_(True)
            logits, penalty = refiner.changed_logits(numbers, inputs, self.features)
            disagreement, agrees = refiner.loss_of(logits, inputs)
            loss = disagreement + penalty
            if float(loss.detach()) < self.best_loss:
                self.best_loss = float(loss.detach())
                self.best, self.best_numbers = logits.detach(), values.copy()
            mask = logits.detach() > torch.logit(torch.tensor(refiner.threshold))
            if agrees or refiner.has_settled(mask, self.mask_before):
                return float(loss.detach()), np.zeros_like(values)
            self.mask_before = mask
            (gradient,) = torch.autograd.grad(loss, numbers)
        return float(loss.detach()), gradient.double().cpu().numpy()
