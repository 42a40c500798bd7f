"""Losses against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from xmem_core.learning.losses import bootstrapped_cross_entropy, dice, falling_share, mean_iou

# Two pixels, background and one object: the truth is object, background.
PROBABILITIES = torch.tensor([[[[0.5, 0.8]], [[0.5, 0.2]]]])  # (1, 2, 1, 2)
LABELS = torch.tensor([[[1, 0]]])


def test_cross_entropy_over_all_pixels() -> None:
    loss = bootstrapped_cross_entropy(PROBABILITIES, LABELS, share=1.0)
    assert float(loss) == pytest.approx(-(math.log(0.5) + math.log(0.8)) / 2)


def test_bootstrapping_keeps_the_worst_pixels() -> None:
    loss = bootstrapped_cross_entropy(PROBABILITIES, LABELS, share=0.5)
    assert float(loss) == pytest.approx(-math.log(0.5))


def test_a_share_below_one_pixel_keeps_one() -> None:
    loss = bootstrapped_cross_entropy(PROBABILITIES, LABELS, share=0.01)
    assert float(loss) == pytest.approx(-math.log(0.5))


def test_certain_mistakes_cost_a_finite_amount() -> None:
    loss = bootstrapped_cross_entropy(torch.tensor([[[[1.0]], [[0.0]]]]), torch.tensor([[[1]]]), 1)
    assert float(loss) == pytest.approx(-math.log(1e-7), rel=1e-4)


def test_dice_by_hand() -> None:
    # Overlap 0.5, sum of predictions 0.7, of truth 1: 1 - (2 * 0.5 + 1) / (1.7 + 1).
    assert float(dice(PROBABILITIES, LABELS)) == pytest.approx(1 - 2.0 / 2.7)


def test_dice_is_zero_for_a_perfect_mask_and_for_a_perfect_absence() -> None:
    perfect = torch.tensor([[[[0.0, 1.0]], [[1.0, 0.0]]]])
    assert float(dice(perfect, LABELS)) == pytest.approx(0)
    absent = torch.tensor([[[[1.0, 1.0]], [[0.0, 0.0]]]])
    assert float(dice(absent, torch.zeros_like(LABELS))) == pytest.approx(0)


def test_unlabelled_pixels_count_nothing() -> None:
    wrong = torch.cat([PROBABILITIES, torch.tensor([[[[0.9]], [[0.1]]]])], dim=3)
    labels = torch.tensor([[[1, 0, 255]]])
    assert float(dice(wrong, labels)) == pytest.approx(float(dice(PROBABILITIES, LABELS)))
    worst = bootstrapped_cross_entropy(wrong, labels, share=0.34)
    assert float(worst) == pytest.approx(-math.log(0.5))


def test_the_share_falls_linearly() -> None:
    shares = [falling_share(step, 10, 20, 0.2) for step in (0, 10, 15, 20, 99)]
    assert shares == pytest.approx([1.0, 1.0, 0.6, 0.2, 0.2])


def test_mean_iou_by_hand() -> None:
    predicted = torch.tensor([[[1, 1, 0, 2]]])
    labels = torch.tensor([[[1, 0, 0, 2]]])
    assert mean_iou(predicted, labels, 2).tolist() == pytest.approx([(0.5 + 1.0) / 2])
    assert mean_iou(predicted * 0, labels * 0, 2).tolist() == [1.0]
