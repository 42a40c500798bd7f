"""Learn from given frames, step by step; the engines use the learned weights from then on."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from interaction.annotation.annotation import Annotation
from interaction.annotation.types import FrameRecord, Frames
from interaction.errors import ModelError, UserError
from interaction.learning.learned import Learned, LearnedEngines, LearnedModels, Part

if TYPE_CHECKING:
    import torch

    from interaction.clicks.small_network import SmallClickNetwork
    from interaction.learning.examples import Example

__all__ = ["LearningStep", "learning"]

_FIRST_STEPS, _STEPS_A_FRAME, _MOST_STEPS = 60, 20, 300


@dataclass(frozen=True, slots=True)
class LearningStep:
    """One step of one network was taken."""

    part: Part
    done: int  # of both networks' steps
    total: int


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
    network learns. steps: of each network; by default more with more frames. seed: another one
    shows the networks other views of the frames.
    The generator belongs to the engines' thread. UserError, with the reason, if there is nothing
    to learn from, a model is missing, a device is full or the project cannot be written.
    """
    engines.models.check_writable()
    given = {f: r for f, r in annotation.records.items() if r.status.is_given}
    if not any(record.present & record.given for record in given.values()):
        raise UserError(
            "There is no frame to learn from yet.\n\n"
            "Correct or confirm a few frames first; then the program can learn from them."
        )
    if steps is None:
        steps = min(_MOST_STEPS, _FIRST_STEPS + _STEPS_A_FRAME * len(given))
    return _learning(given, video, engines, steps, seed)


def _learning(
    given: Mapping[int, FrameRecord], video: Frames, engines: LearnedEngines, steps: int, seed: int
) -> Generator[LearningStep, None, None]:
    from interaction.learning.examples import examples_of
    from xmem_core.device import best_device, is_out_of_memory

    device = best_device(engines.settings.device)
    examples = examples_of(given, video)
    clicks = _click_network(engines.models, engines.settings.click_model)
    total = steps * (1 if clicks is None else 2)
    try:
        work = _tracker_learning(engines, examples, steps, seed, device)
        for done, _ in enumerate(work, start=1):
            yield LearningStep("tracker", done, total)
        if clicks is not None:
            work = _click_learning(engines, clicks, examples, steps, seed, device)
            for done, _ in enumerate(work, start=steps + 1):
                yield LearningStep("clicks", done, total)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(
            f"The device “{device}” ran out of memory while learning. The masks are safe.\n\n"
            "Close other programs that use it, or choose another device, and learn again."
        ) from None


def _tracker_learning(
    engines: LearnedEngines,
    examples: "Sequence[Example]",
    steps: int,
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
        steps=steps,
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
    steps: int,
    seed: int,
    device: "torch.device",
) -> Generator[None, None, None]:
    from interaction.clicks.small_network import click_network_bytes
    from interaction.learning.networks import learn_clicks

    model, models = engines.settings.click_model, engines.models
    learned = yield from learn_clicks(network, examples, steps=steps, seed=seed, device=device)
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
                network = read_click_network(path)
                network.first_look = None  # what has learned its objects knows them at first sight
                return network
    return None
