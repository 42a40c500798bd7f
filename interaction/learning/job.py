"""Learn from given frames, step by step; the engines use the learned weights from then on."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass

from interaction.annotation.annotation import Annotation
from interaction.annotation.types import FrameRecord, Frames
from interaction.errors import UserError
from interaction.learning.learned import LearnedEngines, Part


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
    from interaction.learning.networks import learn  # torch, not on the window's thread

    yield from learn(given, video, engines, steps, seed)
