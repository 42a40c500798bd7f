"""What training minimises: bootstrapped cross-entropy and dice on aggregated probabilities, and the
normalised focal loss on logits."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

VOID = 255  # a label of pixels that no loss counts
_SMALLEST = 1e-7  # a probability below this counts as this, as in the aggregation


def bootstrapped_cross_entropy(probabilities: Tensor, labels: Tensor, share: float) -> Tensor:
    """Mean cross-entropy over the worst `share` of each picture's pixels.

    probabilities (B, 1 + K, H, W) sum to 1 over channels; labels (B, H, W) int64 in 0..K;
    share in (0, 1], 1 for all pixels. Returns a scalar.
    """
    labelled = labels != VOID
    chosen = probabilities.gather(1, (labels * labelled).unsqueeze(1)).squeeze(1)
    entropy = -chosen.clamp_min(_SMALLEST).log()
    entropy = (entropy * labelled).flatten(1)  # (B, H*W)
    if share < 1:
        kept = max(1, int(share * entropy.shape[1]))
        entropy = entropy.topk(kept, dim=1, sorted=False).values
    return entropy.mean()


def dice(probabilities: Tensor, labels: Tensor, present: Tensor | None = None) -> Tensor:
    """1 - (2 Σpg + 1) / (Σp + Σg + 1), mean over objects and then over pictures; a scalar.

    probabilities (B, 1 + K, H, W), of which the background's channel 0 does not count;
    labels (B, H, W) int64 in 0..K; present (B, K) bool: only these objects count, all for None.
    """
    objects = probabilities.shape[1] - 1
    labelled = labels != VOID
    truth = F.one_hot(labels * labelled, objects + 1).movedim(3, 1)[:, 1:].to(probabilities.dtype)
    predicted = probabilities[:, 1:] * labelled.unsqueeze(1)
    overlap = (predicted * truth).sum(dim=(2, 3))
    total = predicted.sum(dim=(2, 3)) + truth.sum(dim=(2, 3))
    losses = 1 - (2 * overlap + 1) / (total + 1)
    if present is None:
        return losses.mean()
    return ((losses * present).sum(dim=1) / present.sum(dim=1).clamp_min(1)).mean()


def falling_share(progress: float, start: float, end: float, final: float) -> float:
    """The share of pixels that count: 1 until `start`, then linearly down to `final` at `end`."""
    if progress <= start:
        return 1.0
    if progress >= end:
        return final
    return 1.0 - (1.0 - final) * (progress - start) / (end - start)


def mean_iou(predicted: Tensor, labels: Tensor, objects: int) -> Tensor:
    """(B,) intersection over union, mean over objects 1..objects; 1 where both are empty.

    predicted and labels are (B, H, W) int64.
    """
    scores = []
    for label in range(1, objects + 1):
        ours, truth = predicted == label, labels == label
        overlap = (ours & truth).sum(dim=(1, 2))
        union = (ours | truth).sum(dim=(1, 2))
        scores.append(torch.where(union > 0, overlap / union.clamp_min(1), 1.0))
    return torch.stack(scores).mean(dim=0)


def normalised_focal_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy of each pixel weighted by how wrong it is, the weights of each picture summing
    to one (Sofiiuk et al., AdaptIS, ICCV 2019, section 3.3; the exponent is 2). A scalar.

    logits and truth are (B, 1, H, W), truth 0 or 1.
    """
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none").flatten(1)
    # How wrong: 1 - p of the truth. Weights carry no gradient, so that none is gained by them.
    weight = (1 - (-entropy.detach()).exp()).square()
    total = weight.sum(dim=1, keepdim=True)
    return (weight * entropy / (total + 1e-3)).sum(dim=1).mean()
