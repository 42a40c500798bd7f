"""What a click network must offer, so that refinement can act inside it.

A network is cut into pieces at the places where f-BRS may insert a scale and a bias:

    picture_features -> features(point) -> [scale and bias] -> logits(point)

What depends on the picture alone comes from `picture_features` and is computed once for a frame
and crop; what follows is computed again for every click, and what follows `features` for every
step of the optimiser.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from enum import Enum

from torch import Tensor, nn


class InsertionPoint(Enum):
    """Where f-BRS acts (paper, section 3.3): the features before which part of the network."""

    BEFORE_CONTEXT = "A"
    AFTER_CONTEXT = "B"
    BEFORE_HEAD = "C"


class ClickNetwork(nn.Module, ABC):
    """Base of the published DeepLab-style network and of the bundled small one.

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
    def picture_features(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """What can be computed without clicks; may be no more than the pictures themselves."""

    @abstractmethod
    def features(
        self,
        picture: tuple[Tensor, ...],
        click_maps: Tensor,
        previous: Tensor,
        point: InsertionPoint,
    ) -> tuple[Tensor, ...]:
        """The features at `point`; the first is the one that is scaled and shifted, the others
        are what `logits` needs beside it."""

    @abstractmethod
    def logits(
        self, features: tuple[Tensor, ...], point: InsertionPoint, height: int, width: int
    ) -> Tensor:
        """(B, 1, H, W) from the features at `point`."""
