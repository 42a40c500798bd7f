"""Optimise the tracker and the click network on a project's given frames.

Clicks are learned in rounds: the trunk sees a picture once, and each round's answer, as the network
gives it, decides where the next click goes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim

from interaction.annotation.types import Click, FrameRecord, Frames
from interaction.clicks.fbrs import Features
from interaction.clicks.prompts import next_click
from interaction.clicks.small_network import (
    SmallClickNetwork,
    box_map,
    click_network_bytes,
    read_click_network,
)
from interaction.errors import ModelError, UserError
from interaction.learning.examples import Example, clip_of, examples_of, sample_of
from interaction.learning.learned import Learned, LearnedEngines, LearnedModels, LearningStep, Part
from interaction.learning.samples import ClickHabits, Sample, annotator_click
from interaction.models import find_model
from xmem_core.device import autocast, best_device, half_precision, is_out_of_memory
from xmem_core.learning.lean import (
    MovingAverage,
    fold_norms,
    freeze_costly,
    unfolded,
    unfolded_state,
)
from xmem_core.learning.losses import dice, normalised_focal_loss
from xmem_core.learning.unroll import ClipLoss
from xmem_core.network.xmem import XMem
from xmem_core.pictures import PictureSize
from xmem_core.weights import UnusableWeightsError, load_xmem, network_bytes

_OBEDIENCE = 0.1  # weight of the loss at the clicked pixels themselves
_EVALUATION_CLICKS = 5


class ClickRounds(nn.Module):
    """The loss of some rounds of clicks, as a module, so that DistributedDataParallel can wrap
    it; the trunk runs once for all of them."""

    def __init__(self, network: SmallClickNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, samples: list[Sample], habits: ClickHabits, rng: np.random.Generator
    ) -> Tensor:  # a scalar
        network = self.network
        device = next(network.parameters()).device
        pictures = torch.from_numpy(np.stack([s.picture for s in samples])).to(device)
        pictures = pictures.movedim(3, 1).float() / 255
        truth = torch.from_numpy(np.stack([s.truth for s in samples])).to(device).float()
        truth = truth.unsqueeze(1)
        previous = torch.from_numpy(np.stack([s.given for s in samples])).to(device)
        previous = previous.unsqueeze(1).float()
        clicks = [list(sample.clicks) for sample in samples]
        boxes = torch.cat([box_map(sample.box, *sample.truth.shape) for sample in samples])
        boxes = boxes.to(device)
        picture = network.picture_features(pictures)
        learned = habits.learned_rounds(rng)
        losses = []
        for turn in range(max(learned) + 1):
            with torch.set_grad_enabled(turn in learned):
                box = boxes if turn == 0 else None
                logits = _answer(network, picture, clicks, previous, box).float()
            if turn in learned:
                losses.append(_loss(logits, truth, clicks))
            previous = logits.detach().sigmoid()
            if turn < max(learned):
                masks = previous[:, 0].cpu().numpy() > 0.5
                for own, sample, mask in zip(clicks, samples, masks, strict=True):
                    click = annotator_click(mask, sample.truth, tuple(own), rng, habits)
                    if click is not None:
                        own.append(click)
        return torch.stack(losses).mean()


def _loss(logits: Tensor, truth: Tensor, clicks: list[list[Click]]) -> Tensor:
    """Normalised focal loss and dice, and that every click is obeyed."""
    foreground = logits.sigmoid()
    both = torch.cat([1 - foreground, foreground], dim=1)
    loss = normalised_focal_loss(logits, truth) + dice(both, truth[:, 0].long())
    columns = []
    for index, own in enumerate(clicks):
        for click in own:
            sign = 1.0 if click.is_positive else -1.0
            columns.append(-sign * logits[index, 0, int(click.y), int(click.x)])
    if not columns:
        return loss
    return loss + _OBEDIENCE * F.softplus(torch.stack(columns)).mean()


def _answer(
    network: SmallClickNetwork,
    picture: Features,
    clicks: list[list[Click]],
    previous: Tensor,
    boxes: Tensor | None = None,
) -> Tensor:
    height, width = previous.shape[2:]
    maps = network.click_maps(_as_rows(clicks).to(previous.device), height, width)
    if boxes is not None:
        maps[:, 2:] = boxes
    point = next(reversed(network.insertion_channels))
    return network.logits(network.features(picture, maps, previous, point), point, height, width)


def _as_rows(clicks: list[list[Click]]) -> Tensor:
    """(B, N, 3) row, column, sign; -1 where a picture has fewer than the most."""
    most = max(len(own) for own in clicks)
    rows = torch.full((len(clicks), most, 3), -1.0)
    for index, own in enumerate(clicks):
        for at, click in enumerate(own):
            rows[index, at] = torch.tensor([click.y, click.x, float(click.is_positive)])
    return rows


@torch.inference_mode()
def clicked_scores(network: SmallClickNetwork, sample: Sample) -> list[float]:
    """IoU after each of five clicks on a new object."""
    device = next(network.parameters()).device
    picture = torch.from_numpy(sample.picture).to(device).movedim(2, 0)[None].float() / 255
    features = network.picture_features(picture)
    previous = torch.zeros(1, 1, *sample.truth.shape, device=device)
    mask = np.zeros_like(sample.truth)
    clicks: list[Click] = []
    scores = []
    for _ in range(_EVALUATION_CLICKS):
        click = next_click(mask, sample.truth, clicks)
        if click is not None:
            clicks.append(click)
            previous = _answer(network, features, [clicks], previous).sigmoid()
            mask = previous[0, 0].cpu().numpy() > 0.5
        union = int((mask | sample.truth).sum())
        scores.append(float((mask & sample.truth).sum() / max(union, 1)))
    return scores


_WARM_UP_STEPS: Final = 10
_WEIGHT_DECAY: Final = 1e-4
_GRADIENT_LIMIT: Final = 1.0
_AVERAGE_DECAY: Final = 0.97  # of weights over some thirty steps


@dataclass(slots=True)
class Plan:
    """How many steps a network takes. May be shortened while it learns."""

    steps: int


class Descent:
    """Changes a network's parameters that want gradients; `average` is what is to be kept."""

    def __init__(self, network: nn.Module, plan: Plan, rate: float) -> None:
        self.average = MovingAverage(network, _AVERAGE_DECAY)
        self._network, self._plan, self._rate_at_most, self._done = network, plan, rate, 0
        self._parameters = [one for one in network.parameters() if one.requires_grad]
        self._optimizer = optim.AdamW(self._parameters, lr=rate, weight_decay=_WEIGHT_DECAY)
        self._device = self._parameters[0].device

    def step(self, loss_of: Callable[[], Tensor]) -> float:
        """One step; the loss before it. A step whose gradients are not finite changes nothing."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate()
        with torch.inference_mode(False), torch.enable_grad():
            with self._autocast():
                loss = loss_of()
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(self._parameters, _GRADIENT_LIMIT)
        if bool(torch.isfinite(norm)):
            self._optimizer.step()
        self.average.update(self._network, self._done)
        self._done += 1
        return float(loss.detach())

    def _rate(self) -> float:
        """A short warm-up, then a cosine down to nothing."""
        warm_up = min(1.0, (self._done + 1) / _WARM_UP_STEPS)
        falling = 0.5 * (1 + math.cos(math.pi * self._done / self._plan.steps))
        return self._rate_at_most * warm_up * falling

    @property
    def is_done(self) -> bool:
        return self._done >= self._plan.steps

    def _autocast(self) -> AbstractContextManager[object]:
        """In bfloat16 where that is fast. Never in float16: small gradients would be lost."""
        half = half_precision(self._device, tolerates_bfloat16=True)
        return autocast(self._device, None if half is None else torch.bfloat16)


_SIZE_PX: Final = 352
_FRAMES: Final = 3
_RATE: Final = 5e-4  # at twice that, going on from what was learned does harm
_WORST_SHARE: Final = 0.35  # of the pixels count


def learn_tracker(
    network: XMem,
    examples: Sequence[Example],
    *,
    plan: Plan,
    seed: int,
    internal_size: int | None,
    device: torch.device,
) -> Generator[None, None, XMem]:
    """Yields after each step of `plan`; returns another network, on the CPU.

    network: as `load_xmem` gives it; it is used up. internal_size: what it will track at. The
    trunks stay as they are: they know more pictures than these few.
    """
    fold_norms(network)
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.train().requires_grad_(True)
    network.key_encoder.trunk.requires_grad_(False)
    network.value_encoder.trunk.requires_grad_(False)
    freeze_costly(network)
    height, width = examples[0].labels.shape
    size = PictureSize.of(height, width, internal_size)
    scale = size.internal[0] / height
    rng = np.random.default_rng(seed)
    loss_of, descent = ClipLoss(network), Descent(network, plan, _RATE)
    while not descent.is_done:
        pictures, labels, objects = clip_of(
            examples, rng, size=_SIZE_PX, frames=_FRAMES, scale=scale
        )
        frames = torch.from_numpy(pictures).movedim(3, 1)[None].to(device)
        truth = torch.from_numpy(labels)[None].to(device)
        memorized = range(1, _FRAMES)
        descent.step(partial(loss_of, frames, truth, objects, memorized, _WORST_SHARE))
        yield
    return unfolded(network, descent.average.state).cpu()


# Near the size at which clicks are answered: fine outlines show only there.
_CLICK_SIZE_PX: Final = 448
_CLICK_RATE: Final = 1e-3
_HABITS: Final = ClickHabits(rounds=2, most_rounds=5, given_mask_share=0.6)


def learn_clicks(
    network: SmallClickNetwork,
    examples: Sequence[Example],
    *,
    plan: Plan,
    seed: int,
    device: torch.device,
) -> Generator[None, None, SmallClickNetwork]:
    """Yields after each step of `plan`; returns another network, on the CPU.

    network: as `read_click_network` gives it; it is used up. The trunk stays as it is.
    """
    fold_norms(network)
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.train().requires_grad_(True)
    network.trunk.requires_grad_(False)
    rng = np.random.default_rng(seed)
    loss_of, descent = ClickRounds(network), Descent(network, plan, _CLICK_RATE)
    while not descent.is_done:
        sample = sample_of(examples, rng, _HABITS, _CLICK_SIZE_PX)
        descent.step(partial(loss_of, [sample], _HABITS, rng))
        yield
    return averaged_click_network(descent.average.state).cpu()


def averaged_click_network(state: Mapping[str, Tensor]) -> SmallClickNetwork:
    """The plain network with averaged weights, in evaluation mode."""
    plain = SmallClickNetwork()
    plain.load_state_dict(unfolded_state(plain, dict(state)))
    return plain.eval()


# Steps of each network that are worth while, and the time they are shortened to on this computer.
_FIRST_STEPS, _STEPS_A_FRAME, _MOST_STEPS, _FEWEST_STEPS = 60, 20, 300, 20
_BUDGET_S, _BUDGET_FRAMES = 110.0, 5  # time limit, and the number of frames it holds for
_TIMED_STEPS = 2  # of which the last is timed: the first also sets things up


def learn(
    given: Mapping[int, FrameRecord],
    video: Frames,
    engines: LearnedEngines,
    steps: int | None,
    seed: int,
) -> Generator[LearningStep, None, None]:
    """The steps of `interaction.learning.learned.learning`. given: the records of given frames."""
    device = best_device(engines.settings.device)
    examples = examples_of(given, video)
    clicks = _click_network(engines.models, engines.settings.click_model)
    worth_while = min(_MOST_STEPS, _FIRST_STEPS + _STEPS_A_FRAME * len(given))
    plans: dict[Part, Plan] = {"tracker": Plan(steps or worth_while)}
    works: dict[Part, Generator[object, None, None]] = {}
    works["tracker"] = _tracker_learning(engines, examples, plans["tracker"], seed, device)
    if clicks is not None:
        plan = plans["clicks"] = Plan(steps or worth_while)
        works["clicks"] = _click_learning(engines, clicks, examples, plan, seed, device)
    try:
        budget_s = _BUDGET_S * max(1.0, len(given) / _BUDGET_FRAMES)
        yield from _taking_turns(plans, works, None if steps else budget_s)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(
            "The device “{device}” ran out of memory while learning. The masks are safe.\n\n"
            "Close other programs that use it, or choose another device, and learn again.",
            device=device,
        ) from None
    finally:
        for work in works.values():
            work.close()


def _taking_turns(
    plans: Mapping[Part, Plan],
    works: Mapping[Part, Generator[object, None, None]],
    budget_s: float | None,
) -> Generator[LearningStep, None, None]:
    """First a few steps of each part, which say how long one takes; then one part after the other,
    with as many steps as fit into `budget_s` seconds; None: with all that are planned."""
    done: dict[Part, int] = dict.fromkeys(plans, 0)
    step_s: dict[Part, float] = {}
    is_settled = False

    def step(part: Part) -> LearningStep | None:
        began = monotonic()
        if next(works[part], _END) is _END:
            return None
        done[part] += 1
        if done[part] == _TIMED_STEPS:
            step_s[part] = monotonic() - began
        left = None
        if is_settled:
            left = sum((plans[one].steps - done[one]) * step_s.get(one, 0.0) for one in plans)
        total = sum(plan.steps for plan in plans.values())
        return LearningStep(part, sum(done.values()), total, left)

    for part, plan in plans.items():
        for _ in range(min(_TIMED_STEPS, plan.steps)):
            taken = step(part)
            assert taken is not None  # it plans as many
            yield taken
    if budget_s is not None:
        needed_s = sum(plan.steps * step_s[part] for part, plan in plans.items())
        for plan in plans.values():
            fitting = int(plan.steps * budget_s / max(needed_s, 1e-9))
            plan.steps = max(min(plan.steps, fitting), _FEWEST_STEPS)
    is_settled = True
    for part in plans:
        while (taken := step(part)) is not None:
            yield taken


_END: Final = object()


def _tracker_learning(
    engines: LearnedEngines,
    examples: Sequence[Example],
    plan: Plan,
    seed: int,
    device: torch.device,
) -> Generator[None, None, None]:
    settings, models = engines.settings, engines.models
    model = settings.tracker_model
    network = None
    earlier = models.weights_of("tracker", model)
    if earlier is not None:
        with suppress(UnusableWeightsError):  # then it begins with the model itself
            network = load_xmem(earlier)
    learned = yield from learn_tracker(
        network or load_xmem(find_model(model)),
        examples,
        plan=plan,
        seed=seed,
        internal_size=settings.internal_size,
        device=device,
    )
    about = Learned(model, len(examples))
    models.keep("tracker", about, network_bytes(learned, {"learned_of": model}))
    engines.renew()


def _click_learning(
    engines: LearnedEngines,
    network: SmallClickNetwork,
    examples: Sequence[Example],
    plan: Plan,
    seed: int,
    device: torch.device,
) -> Generator[None, None, None]:
    model, models = engines.settings.click_model, engines.models
    learned = yield from learn_clicks(network, examples, plan=plan, seed=seed, device=device)
    about = Learned(model, len(examples))
    models.keep("clicks", about, click_network_bytes(learned, {"learned_of": model}))
    engines.renew()


def _click_network(models: LearnedModels, model: str) -> SmallClickNetwork | None:
    """What to go on from; None for a network of another kind."""
    for path in (models.weights_of("clicks", model), find_model(model)):
        if path is not None:
            with suppress(ModelError):
                return read_click_network(path)
    return None
