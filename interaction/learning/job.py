"""Learn from given frames, step by step; the engines use the learned weights from then on."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Final

from interaction.annotation.annotation import Annotation
from interaction.annotation.types import FrameRecord, Frames
from interaction.errors import ModelError, UserError
from interaction.learning.learned import Learned, LearnedEngines, LearnedModels, Part

if TYPE_CHECKING:
    import torch

    from interaction.clicks.small_network import SmallClickNetwork
    from interaction.learning.examples import Example
    from interaction.learning.networks import Plan


# Steps of each network that are worth while, and the time they are shortened to on this computer.
_FIRST_STEPS, _STEPS_A_FRAME, _MOST_STEPS, _FEWEST_STEPS = 60, 20, 300, 20
_BUDGET_S, _BUDGET_FRAMES = 110.0, 5  # for up to so many frames; more of them may take longer
_TIMED_STEPS = 2  # of which the last is timed: the first also sets things up


@dataclass(frozen=True, slots=True)
class LearningStep:
    """One step of one network was taken."""

    part: Part
    done: int  # of both networks' steps
    total: int  # settled once both networks have taken their first steps
    seconds_left: float | None  # None until then


def learning(
    annotation: Annotation,
    video: Frames,
    engines: LearnedEngines,
    *,
    steps: int | None = None,
    seed: int = 0,
) -> Generator[LearningStep, None, None]:
    """Lets the tracker, then the click network learn from the frames given so far.

    It goes on from what was learned before. A network is used from the end of its steps on, and
    kept with the project; one that is cancelled stays as it was. Only the bundled kind of click
    network learns. steps: of each network; by default more with more frames, and no more than take
    about two minutes for five frames, as the first steps of both networks measure it. seed: another
    one shows the networks other views of the frames.
    The generator belongs to the engines' thread. UserError, with the reason, if there is nothing
    to learn from, a model is missing, a device is full or the project cannot be written.
    """
    engines.models.check_writable()
    _check_learns(engines.settings.tracker_model)
    given = {f: r for f, r in annotation.records.items() if r.status.is_given}
    if not any(record.present & record.given for record in given.values()):
        raise UserError(
            "There is no frame to learn from yet.\n\n"
            "Correct or confirm a few frames first; then the program can learn from them."
        )
    return _learning(given, video, engines, steps, seed)


def _check_learns(tracker_model: str) -> None:
    """UserError for a tracker of another package, whose network is not XMem's."""
    from interaction.models import default_store

    known, _ = default_store().resolve(tracker_model)
    if known is not None and known.plugin != "xmem":
        raise UserError(
            "“{name}” cannot learn from a video. The masks are safe.\n\n"
            "Choose the bundled tracker or one of XMem's, and learn again.",
            name=known.name,
        )


def _learning(
    given: Mapping[int, FrameRecord],
    video: Frames,
    engines: LearnedEngines,
    steps: int | None,
    seed: int,
) -> Generator[LearningStep, None, None]:
    from interaction.learning.examples import examples_of
    from interaction.learning.networks import Plan
    from xmem_core.device import best_device, is_out_of_memory

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
        yield from _taking_turns(plans, works, None if steps else _budget_s(len(given)))
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


def _budget_s(frames: int) -> float:
    """How long learning from as many given frames may take."""
    return _BUDGET_S * max(1.0, frames / _BUDGET_FRAMES)


def _taking_turns(
    plans: Mapping[Part, "Plan"],
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
    examples: "Sequence[Example]",
    plan: "Plan",
    seed: int,
    device: "torch.device",
) -> Generator[None, None, None]:
    from interaction.learning.networks import learn_tracker
    from interaction.models import find_model
    from xmem_core.weights import UnusableWeightsError, load_xmem, network_bytes

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
    network: "SmallClickNetwork",
    examples: "Sequence[Example]",
    plan: "Plan",
    seed: int,
    device: "torch.device",
) -> Generator[None, None, None]:
    from interaction.clicks.small_network import click_network_bytes
    from interaction.learning.networks import learn_clicks

    model, models = engines.settings.click_model, engines.models
    learned = yield from learn_clicks(network, examples, plan=plan, seed=seed, device=device)
    about = Learned(model, len(examples))
    models.keep("clicks", about, click_network_bytes(learned, {"learned_of": model}))
    engines.renew()


def _click_network(models: LearnedModels, model: str) -> "SmallClickNetwork | None":
    """What to go on from; None for a network of another kind."""
    from interaction.clicks.small_network import read_click_network
    from interaction.models import find_model

    for path in (models.weights_of("clicks", model), find_model(model)):
        if path is not None:
            with suppress(ModelError):
                return read_click_network(path)
    return None
