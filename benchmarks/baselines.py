"""What no tracker should lose to: two baselines that learn nothing of tracking, on real clips.

    python -m benchmarks.baselines --clips FOLDER [--model FILE | --imagenet] [--json]

FOLDER has the DAVIS layout. "copy" answers every frame with the first mask. "nearest" carries
labels on by the trunk's raw stride-16 features: each element takes the labels of the five most
alike elements of the first and the last six frames that lie within eight elements of it, as
self-supervised features are judged (Jabri et al., NeurIPS 2020, https://arxiv.org/abs/2006.14613).
Scored as `xmem-annotate evaluate` does: J, without the first and the last frame.
"""

import argparse
import json
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from interaction.annotation.mask_files import decode_labels
from interaction.evaluation.scores import region_similarity
from interaction.models import find_model
from training.trunk_weights import find_trunk_weights, load_trunk
from xmem_core.arrays import Frame, Labels
from xmem_core.network.backbones import LiteTrunk
from xmem_core.pictures import PictureSize
from xmem_core.probabilities import normalise, one_hot, pad, unpad
from xmem_core.weights import load_xmem

_RECENT_FRAMES = 6
_REACH = 8  # elements, in each direction
_LISTENED_TO = 5
_TEMPERATURE = 0.1  # of cosine similarities


@dataclass(frozen=True, slots=True)
class Clip:
    """Frames and true labels of one clip, both by index."""

    name: str
    frames: Sequence[Frame]
    truths: Sequence[Labels]


@dataclass(frozen=True, slots=True)
class Scores:
    """Mean J of one clip, over objects and all frames but the first and the last."""

    clip: str
    copy: float
    nearest: float


def clips_in(folder: Path) -> Iterator[Clip]:
    """Clips whose every frame has a mask."""
    for masks in sorted((folder / "Annotations").iterdir()):
        paths = sorted((folder / "JPEGImages" / masks.name).glob("*.jpg"))
        truths = [masks / f"{path.stem}.png" for path in paths]
        if len(paths) < 3 or not all(path.is_file() for path in truths):
            continue
        pictures = (cv2.imread(str(path)) for path in paths)
        frames = [
            np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
            for picture in pictures
            if picture is not None
        ]
        yield Clip(masks.name, frames, [decode_labels(p.read_bytes(), p) for p in truths])


def copies(clip: Clip) -> Iterator[Labels]:
    """The first mask, again and again."""
    for _ in clip.frames:
        yield clip.truths[0]


@torch.inference_mode()
def nearest_neighbours(clip: Clip, trunk: nn.Module, internal_size: int) -> Iterator[Labels]:
    """Labels (H, W) of every frame from the first mask. trunk: pictures (1, 3, H, W) -> something
    with `stride16`, (1, C, h, w)."""
    first = clip.truths[0]
    ids = tuple(sorted(set(np.unique(first).tolist()) - {0, 255}))
    size = PictureSize.of(first.shape[0], first.shape[1], internal_size)
    masks = pad(size.to_internal(one_hot(first, ids)), size.padding)
    share = F.avg_pool2d(masks, 16)  # (K, h, w)
    near = within_reach(share.shape[1], share.shape[2], _REACH)
    remembered: deque[tuple[Tensor, Tensor]] = deque(maxlen=_RECENT_FRAMES)
    origin: tuple[Tensor, Tensor] | None = None
    for frame in clip.frames:
        picture = size.to_internal(torch.tensor(frame).permute(2, 0, 1))
        picture = pad(normalise(picture.float()), size.padding)
        feature = F.normalize(trunk(picture.unsqueeze(0)).stride16[0].flatten(1).T, dim=1)
        if origin is None:
            origin = feature, share.flatten(1).T
            yield first
            continue
        memory = [origin, *remembered]
        similarity = feature @ torch.cat([key for key, _ in memory]).T
        similarity = similarity.masked_fill(~near.repeat(1, len(memory)), -torch.inf)
        best, index = similarity.topk(_LISTENED_TO, dim=1)
        weights = (best / _TEMPERATURE).softmax(dim=1)
        values = torch.cat([value for _, value in memory])  # (N, K)
        read = (weights.unsqueeze(2) * values[index]).sum(dim=1)  # (Q, K)
        remembered.append((feature, read))
        yield _labels(read.T.unflatten(1, share.shape[1:]), ids, size)


def within_reach(height: int, width: int, reach: int) -> Tensor:
    """(h*w, h*w) bool: which elements lie within `reach` of each, in both directions."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    where = torch.stack([rows.flatten(), columns.flatten()], dim=1)
    return (where[:, None] - where[None]).abs().amax(dim=2) <= reach


def _labels(share: Tensor, ids: tuple[int, ...], size: PictureSize) -> Labels:
    """Objects' shares (K, h, w) of each element -> the likeliest label at source size."""
    soft = F.interpolate(share.unsqueeze(0), scale_factor=16, mode="bilinear")
    soft = F.interpolate(unpad(soft, size.padding), size.source, mode="bilinear")[0]
    position = torch.cat([1 - soft.sum(dim=0, keepdim=True), soft]).argmax(dim=0)
    return np.asarray(np.array((0, *ids), np.uint8)[position.numpy()], np.uint8)


def mean_j(predictions: Iterator[Labels], truths: Sequence[Labels]) -> float:
    """Over the objects of the first mask, and all frames but the first and the last."""
    ids = sorted(set(np.unique(truths[0]).tolist()) - {0, 255})
    pairs = list(zip(predictions, truths, strict=True))[1:-1]
    return float(
        np.mean([region_similarity(ours == i, truth == i) for ours, truth in pairs for i in ids])
    )


def score(clip: Clip, trunk: nn.Module, internal_size: int) -> Scores:
    return Scores(
        clip.name,
        copy=mean_j(copies(clip), clip.truths),
        nearest=mean_j(nearest_neighbours(clip, trunk, internal_size), clip.truths),
    )


def imagenet_trunk() -> LiteTrunk:
    """EfficientNet-Lite0 as ImageNet left it, from the package that the training starts from."""
    trunk = LiteTrunk()
    load_trunk(trunk, torch.load(find_trunk_weights(), map_location="cpu", weights_only=True))
    return trunk.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--model", default="small", help="whose key trunk gives the features")
    parser.add_argument("--imagenet", action="store_true", help="features of the pretrained trunk")
    parser.add_argument("--internal-size", type=int, default=480)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    trunk: nn.Module = (
        imagenet_trunk()
        if options.imagenet
        else load_xmem(find_model(options.model)).key_encoder.trunk
    )
    results = [score(clip, trunk, options.internal_size) for clip in clips_in(options.clips)]
    if options.json:
        print(json.dumps([asdict(result) for result in results], indent=2))
        return
    for result in results:
        print(f"{result.clip:16} copy {result.copy:.3f}  nearest {result.nearest:.3f}")


if __name__ == "__main__":
    main()
