"""The published scribble network, S2M: a picture, the mask so far and strokes become a mask.

Cheng et al., "Modular Interactive Video Object Segmentation", CVPR 2021,
https://arxiv.org/abs/2103.07941. DeepLabv3+ with a ResNet-50, output stride 16.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from interaction.annotation.strokes import stroke_mask
from interaction.annotation.types import Stroke
from interaction.clicks.deeplab import AtrousPyramid, DilatedResNet, conv_norm
from xmem_core.arrays import Frame, Labels
from xmem_core.pictures import normalise

_MULTIPLE: Final = 16  # the picture's sides are padded to multiples of this
_LEAST_PART_PX: Final = 480  # of a side that is looked at; the network was trained on such pictures
_RADIUS_PX: Final = 1.5  # the network was trained with lines three pixels wide


class ScribbleNetwork(nn.Module):
    """(B, 6, H, W), RGB normalised, mask, positive and negative strokes -> (B, 1, H, W) logits."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = DilatedResNet(50, (1, 2), in_channels=6)
        self.skip = conv_norm(self.trunk.fine_channels, 48, 1)
        self.context = AtrousPyramid(self.trunk.coarse_channels, 256, (6, 12, 18))
        self.head = nn.Sequential(*conv_norm(48 + 256, 256, 3), nn.Conv2d(256, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        fine, coarse = self.trunk(x)
        fine = self.skip(fine)
        context = F.interpolate(
            self.context(coarse), fine.shape[2:], mode="bilinear", align_corners=False
        )
        logits = self.head(torch.cat([fine, context], dim=1))
        return F.interpolate(logits, x.shape[2:], mode="bilinear", align_corners=False)


class ScribbleSegmenter:
    """Answers strokes with S2M. Not to be used from two threads at a time."""

    def __init__(self, network: ScribbleNetwork) -> None:
        self._network = network
        self._device = next(network.parameters()).device

    def segment(
        self, frame: Frame, start: Labels, object_id: int, strokes: Sequence[Stroke]
    ) -> NDArray[np.float32]:
        """(H, W) the object's probability after `strokes`.

        frame (H, W, 3) uint8 RGB, start (H, W) uint8 object ids before them. Only the strokes'
        lines count, not how thick they were drawn. In a large picture the network sees the part
        round object and strokes, as in the published local mode; outside of it the object stays as
        it is. ValueError for sizes that differ or no stroke.
        """
        if frame.shape != (*start.shape, 3):
            raise ValueError(f"frame is {frame.shape}, the mask {start.shape}")
        if not strokes:
            raise ValueError("there must be at least one stroke")
        part = rows, columns = _part(start == object_id, strokes)
        moved = [_moved(stroke, columns.start, rows.start) for stroke in strokes]
        whole = (start == object_id).astype(np.float32)
        whole[part] = self._segment(frame[part], start[part], object_id, moved)
        return whole

    def _segment(
        self, frame: Frame, start: Labels, object_id: int, strokes: Sequence[Stroke]
    ) -> NDArray[np.float32]:
        height, width = start.shape
        lines = np.zeros((2, height, width), np.bool_)
        for stroke in strokes:
            thin = Stroke(stroke.points, _RADIUS_PX, stroke.is_positive)
            mask = stroke_mask(height, width, thin)
            # The later one counts where two cross.
            own, other = (0, 1) if stroke.is_positive else (1, 0)
            lines[own] |= mask
            lines[other] &= ~mask
        picture = torch.tensor(np.ascontiguousarray(frame), device=self._device)
        picture = normalise(picture.movedim(2, 0)[None].float())
        prompts = torch.from_numpy(np.stack([start == object_id, *lines])).to(self._device)
        with torch.inference_mode():
            inputs = torch.cat([picture, prompts[None].float()], dim=1)
            right, bottom = -width % _MULTIPLE, -height % _MULTIPLE
            left, top = right // 2, bottom // 2
            inputs = F.pad(inputs, (left, right - left, top, bottom - top))
            inputs = inputs.contiguous(memory_format=torch.channels_last)
            probability = self._network(inputs).sigmoid()
        part = probability[0, 0, top : top + height, left : left + width]
        return np.ascontiguousarray(part.cpu().numpy())


def _part(mask: NDArray[np.bool_], strokes: Sequence[Stroke]) -> tuple[slice, slice]:
    """Rows and columns round an object (H, W) and strokes, with as much again on either side; all
    of them where the picture is not larger than the network is used to."""
    if min(mask.shape) <= _LEAST_PART_PX:
        return slice(0, mask.shape[0]), slice(0, mask.shape[1])
    points = [point for stroke in strokes for point in stroke.points]
    sides = []
    for axis, extent in enumerate(mask.shape):
        held = np.flatnonzero(mask.any(axis=1 - axis)).tolist()
        held += [round(point[1 - axis]) for point in points]
        middle, reach = (min(held) + max(held)) / 2, max(max(held) - min(held), _LEAST_PART_PX / 2)
        low = max(0, round(middle - reach))
        sides.append(slice(low, max(low + 1, min(extent, round(middle + reach)))))
    rows, columns = sides
    return rows, columns


def _moved(stroke: Stroke, left: int, top: int) -> Stroke:
    points = tuple((x - left, y - top) for x, y in stroke.points)
    return Stroke(points, stroke.radius_px, stroke.is_positive)
