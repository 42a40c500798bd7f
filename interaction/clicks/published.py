"""The published click network of f-BRS and scribble network S2M, and loading them.

Both are DeepLabv3+ on dilated ResNets. S2M (Cheng et al., "Modular Interactive Video Object
Segmentation", CVPR 2021, https://arxiv.org/abs/2103.07941; ResNet-50, output stride 16) makes a
mask of a picture, the mask so far and strokes.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from interaction.annotation.strokes import stroke_mask
from interaction.annotation.types import Stroke
from interaction.clicks.fbrs import ClickNetwork, Features, InsertionPoint
from interaction.clicks.small_network import load_small_click_network
from interaction.errors import ModelError
from xmem_core.arrays import Frame, Labels
from xmem_core.messages import Message
from xmem_core.network.inference import fold_batch_norms
from xmem_core.pictures import normalise
from xmem_core.weights import (
    CheckpointFileError,
    check_entries,
    is_safetensors,
    read_named_tensors,
    renamed,
)

Depth = Literal[34, 50, 101]


class DilatedResNet(nn.Module):
    """torchvision's ResNet with chosen dilations of its last two stages, without a classifier.

    dilations: of stages 3 and 4; 1 leaves the stage's stride of 2, anything else replaces it, and
    the stage's first 3x3 convolution has half of it. has_deep_stem: three 3x3 convolutions in
    front instead of one of 7x7 ("v1s").
    """

    def __init__(
        self,
        depth: Depth,
        dilations: tuple[int, int],
        *,
        in_channels: int = 3,
        has_deep_stem: bool = False,
    ) -> None:
        super().__init__()
        from torchvision.models import resnet34, resnet50, resnet101  # seconds; see ResNetTrunk

        makers = {34: resnet34, 50: resnet50, 101: resnet101}
        resnet = makers[depth](weights=None)
        self.conv1: nn.Module
        if has_deep_stem:
            self.conv1 = _deep_stem(in_channels)
            self.bn1 = nn.BatchNorm2d(128)
            # The first stage's first block takes the wider stem.
            first = resnet.layer1[0]
            first.conv1 = nn.Conv2d(128, 64, 1, bias=False)
            first.downsample[0] = nn.Conv2d(128, 256, 1, bias=False)
        else:
            self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
            self.bn1 = resnet.bn1
        self.layer1, self.layer2 = resnet.layer1, resnet.layer2
        self.layer3, self.layer4 = resnet.layer3, resnet.layer4
        for stage, dilation in zip((self.layer3, self.layer4), dilations, strict=True):
            if dilation != 1:
                _dilate(stage, dilation)
        self.fine_channels = 64 if depth == 34 else 256
        self.coarse_channels = 512 if depth == 34 else 2048

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C_in, H, W) -> features at stride 4, (B, fine_channels, H/4, W/4), and of the last
        stage."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), kernel_size=3, stride=2, padding=1)
        fine = self.layer1(x)
        return fine, self.layer4(self.layer3(self.layer2(fine)))


class AtrousPyramid(nn.Module):
    """Context at several distances at once: convolutions of several dilations beside the mean of
    the whole picture, brought together."""

    def __init__(self, in_channels: int, out_channels: int, rates: Sequence[int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [conv_norm(in_channels, out_channels, 1)]
            + [conv_norm(in_channels, out_channels, 3, rate) for rate in rates]
        )
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), *conv_norm(in_channels, out_channels, 1))
        self.project = conv_norm((len(rates) + 2) * out_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:  # (B, C_in, h, w) -> (B, C_out, h, w)
        whole = self.pool(x).expand(-1, -1, *x.shape[2:])
        result: Tensor = self.project(torch.cat([*(b(x) for b in self.branches), whole], dim=1))
        return result


def conv_norm(in_channels: int, out_channels: int, kernel: int, dilation: int = 1) -> nn.Sequential:
    """A convolution that keeps the size, batch norm, ReLU."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(
            in_channels, out_channels, kernel, padding=padding, dilation=dilation, bias=False
        ),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


def separable(in_channels: int, out_channels: int) -> nn.Sequential:
    """A 3x3 convolution in each channel, a 1x1 across them, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


def _deep_stem(in_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, 64, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=1, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.Conv2d(64, 128, 3, padding=1, bias=False),
    )


def _dilate(stage: nn.Module, dilation: int) -> None:
    """Turns a stage's stride into dilation: it sees as far, at twice the resolution."""
    is_first = True
    for module in stage.modules():
        if not isinstance(module, nn.Conv2d):
            continue
        module.stride = (1, 1)
        if module.kernel_size == (3, 3):
            own = dilation // 2 if is_first else dilation
            module.dilation = module.padding = (own, own)
            is_first = False


_NORM_RADIUS_PX: Final = 260.0  # a click's map is tanh(2 * distance / this)
_SKIP_CHANNELS: Final = 32
_RATES: Final = (12, 24, 36)


class DeepLabClickNetwork(ClickNetwork):
    """Output stride 8; takes pictures of any size.

    width: channels of context and decoder; the head has half as many.
    """

    takes_previous_mask = False
    size_multiple = 1

    def __init__(self, depth: Depth = 50, width: int = 128) -> None:
        super().__init__()
        # Three channels of picture and two of clicks become three that look like a picture.
        self.mix = nn.Sequential(
            nn.Conv2d(5, 8, 1), nn.LeakyReLU(0.2), nn.BatchNorm2d(8), nn.Conv2d(8, 3, 1)
        )
        self.trunk = DilatedResNet(depth, (2, 4), has_deep_stem=depth != 34)
        self.skip = conv_norm(self.trunk.fine_channels, _SKIP_CHANNELS, 1)
        self.context = AtrousPyramid(self.trunk.coarse_channels, width, _RATES)
        self.decoder = nn.Sequential(
            separable(width + _SKIP_CHANNELS, width),
            separable(width, width),
            nn.Conv2d(width, width, 1),
        )
        self.head = nn.Sequential(
            separable(width, width // 2),
            separable(width // 2, width // 2),
            nn.Conv2d(width // 2, 1, 1),
        )
        self.insertion_channels = {
            InsertionPoint.BEFORE_CONTEXT: self.trunk.coarse_channels,
            InsertionPoint.AFTER_CONTEXT: width + _SKIP_CHANNELS,
            InsertionPoint.BEFORE_HEAD: width,
        }

    def click_maps(self, clicks: Tensor, height: int, width: int) -> Tensor:
        rows = torch.arange(height, device=clicks.device).view(1, 1, -1, 1)
        columns = torch.arange(width, device=clicks.device).view(1, 1, 1, -1)
        maps = clicks.new_ones(clicks.shape[0], 2, height, width)
        for channel, wanted in enumerate((1.0, 0.0)):
            is_wanted = clicks[:, :, 2] == wanted
            if not is_wanted.any():
                continue
            # The published program measures from the middle of the pixel.
            places = torch.floor(clicks[:, :, :2] + 0.5)
            row, column = (part[:, :, None, None] for part in places.unbind(dim=2))
            squared = (rows - row).square() + (columns - column).square()  # (B, N, H, W)
            squared.masked_fill_(~is_wanted[:, :, None, None], float("inf"))
            maps[:, channel] = torch.tanh(squared.amin(dim=1).sqrt() * (2 / _NORM_RADIUS_PX))
        return maps

    def picture_features(self, pictures: Tensor) -> Features:
        # Clicks are mixed in before everything else: nothing more can be known without them.
        return (normalise(pictures * 255),)

    def features(
        self, picture: Features, click_maps: Tensor, previous: Tensor, point: InsertionPoint
    ) -> Features:
        fine, coarse = self.trunk(self.mix(torch.cat([picture[0], click_maps], dim=1)))
        fine = self.skip(fine)
        if point is InsertionPoint.BEFORE_CONTEXT:
            return coarse, fine
        joined = self._joined(coarse, fine)
        return (joined if point is InsertionPoint.AFTER_CONTEXT else self.decoder(joined),)

    def logits(self, features: Features, point: InsertionPoint, height: int, width: int) -> Tensor:
        x = features[0]
        if point is InsertionPoint.BEFORE_CONTEXT:
            x = self._joined(*features)
        if point is not InsertionPoint.BEFORE_HEAD:
            x = self.decoder(x)
        return F.interpolate(self.head(x), (height, width), mode="bilinear", align_corners=True)

    def _joined(self, coarse: Tensor, fine: Tensor) -> Tensor:
        context = F.interpolate(
            self.context(coarse), fine.shape[2:], mode="bilinear", align_corners=True
        )
        return torch.cat([context, fine], dim=1)


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


# Published name -> ours, first match of a name's start.
_CLICK_NAMES: Final = (
    (r"rgb_conv\.", "mix."),
    (r"feature_extractor\.backbone\.", "trunk."),
    (r"feature_extractor\.skip_project\.skip_project\.", "skip."),
    (r"feature_extractor\.aspp\.concurent\.4\.gap\.", "context.pool."),
    (r"feature_extractor\.aspp\.concurent\.", "context.branches."),
    (r"feature_extractor\.aspp\.project\.", "context.project."),
    (r"feature_extractor\.head\.block\.(\d)\.body\.", r"decoder.\1."),
    (r"feature_extractor\.head\.block\.", "decoder."),
    (r"head\.layers\.(\d)\.body\.", r"head.\1."),
    (r"head\.layers\.", "head."),
)
_SCRIBBLE_NAMES: Final = (
    (r"backbone\.", "trunk."),
    (r"classifier\.project\.", "skip."),
    (r"classifier\.aspp\.convs\.4\.", "context.pool."),
    (r"classifier\.aspp\.convs\.", "context.branches."),
    (r"classifier\.aspp\.project\.", "context.project."),
    (r"classifier\.classifier\.", "head."),
)
_DEPTHS: Final[Mapping[tuple[bool, int], Depth]] = {  # bottlenecks or not, blocks in stage 3
    (False, 6): 34,
    (True, 6): 50,
    (True, 23): 101,
}
_WIDTHS: Final = range(16, 1025)

_Network = TypeVar("_Network", bound=nn.Module)


def load_click_network(path: Path) -> ClickNetwork:
    """The network in `path`, on the CPU and ready for use; ModelError for anything else.

    Takes this program's safetensors files and the published f-BRS checkpoints. No code in the
    file is ever run.
    """
    try:
        if not is_safetensors(path):
            return _click_network(read_named_tensors(path))
    except CheckpointFileError as error:
        raise ModelError(
            "“{name}” cannot be used as a click model: {reason}. Nothing was changed.\n\n"
            "Choose another click model (fbrs.pth as published), or download it again.",
            name=path.name,
            reason=error,
        ) from None
    return load_small_click_network(path)


def load_scribble_network(path: Path) -> ScribbleNetwork:
    """The network of an S2M checkpoint, on the CPU and ready for use.

    ModelError for anything else; no code in the file is ever run.
    """
    try:
        state = read_named_tensors(path)
        if not any(name.startswith("classifier.aspp.") for name in state):
            raise CheckpointFileError(Message("it holds {kind}", kind=_kind_of(state)))
        with torch.device("meta"):
            network = ScribbleNetwork()
        return _filled(network, renamed(state, _SCRIBBLE_NAMES))
    except CheckpointFileError as error:
        raise ModelError(
            "“{name}” cannot be used as a scribble model: {reason}. Nothing was changed.\n\n"
            "Choose another scribble model (s2m.pth as published), or download it again.",
            name=path.name,
            reason=error,
        ) from None


def _click_network(state: Mapping[str, Tensor]) -> DeepLabClickNetwork:
    if not any(name.startswith("feature_extractor.aspp.") for name in state):
        raise CheckpointFileError(Message("it holds {kind}", kind=_kind_of(state)))
    pattern = re.compile(r"feature_extractor\.backbone\.layer3\.(\d+)\.conv([123])\.weight$")
    found = [match for name in state if (match := pattern.match(name))]
    blocks = len({match[1] for match in found})
    depth = _DEPTHS.get((any(match[2] == "3" for match in found), blocks))
    project = state.get("feature_extractor.aspp.project.0.weight")
    width = project.shape[0] if project is not None and project.ndim == 4 else 0
    if depth is None or width not in _WIDTHS:
        raise CheckpointFileError(Message("its ResNet has a size that was never published"))
    with torch.device("meta"):  # no memory or random numbers for weights about to be replaced
        network = DeepLabClickNetwork(depth, width)
    return _filled(network, renamed(state, _CLICK_NAMES))


def _filled(network: _Network, state: dict[str, Tensor]) -> _Network:
    """The network with these weights, checked one by one, and its batch norms folded."""
    check_entries(network.state_dict(), state)
    for name, tensor in state.items():
        if name.endswith("running_var") and bool((tensor < 0).any()):
            raise CheckpointFileError(Message("{name} holds a negative variance", name=name))
    network.load_state_dict(state, assign=True)
    network.eval().requires_grad_(False)
    fold_batch_norms(network)
    return network.to(memory_format=torch.channels_last)


def _kind_of(state: Mapping[str, Tensor]) -> str:
    if any(name.startswith("key_encoder.") for name in state):
        return Message("the weights of a tracker (XMem)")
    if any(name.startswith("classifier.aspp.") for name in state):
        return Message("the weights of a scribble network (S2M)")
    if any(name.startswith("feature_extractor.aspp.") for name in state):
        return Message("the weights of a click network (f-BRS)")
    if any(name.startswith("feature_extractor.stage2.") for name in state):
        return Message("the weights of an HRNet, which this program does not know")
    return Message("{count} entries of another network", count=len(state))
