"""Learning as tests of the window have it: the real checks, quick steps, and weights of no use."""

import threading
from collections.abc import Generator

from interaction.annotation.annotation import Annotation
from interaction.annotation.types import Frames
from interaction.errors import UserError
from interaction.learning import learned
from interaction.learning.learned import Learned, LearnedEngines, LearningStep, Part

__all__ = ["STEPS", "FakeLearning", "learn_at_once"]

STEPS = 4  # of each part


class FakeLearning:
    """Takes the place of `interaction.learning.learned.learning`."""

    def __init__(self) -> None:
        self.given: list[int] = []  # how many frames were given, each time it was begun
        self.may_end = threading.Event()  # until then its second step comes again and again
        self.may_end.set()
        self.fails_at: Part | None = None

    def __call__(
        self, annotation: Annotation, video: Frames, engines: LearnedEngines, *, seed: int
    ) -> Generator[LearningStep, None, None]:
        learned.learning(annotation, video, engines, steps=1).close()  # for what it refuses
        records = annotation.records.values()
        self.given.append(sum(record.status.is_given for record in records))
        return self._steps(engines, self.given[-1])

    def _steps(self, engines: LearnedEngines, frames: int) -> Generator[LearningStep, None, None]:
        yield LearningStep("tracker", 1, 2 * STEPS, 9.0)
        while not self.may_end.is_set():
            yield LearningStep("tracker", 2, 2 * STEPS, 9.0)
        for done in range(2, STEPS + 1):
            yield LearningStep("tracker", done, 2 * STEPS, 9.0)
        learn_at_once(engines, "tracker", frames)
        for done in range(STEPS + 1, 2 * STEPS + 1):
            if self.fails_at == "clicks":
                raise UserError("The device is full.\n\nUse another.")
            yield LearningStep("clicks", done, 2 * STEPS, 9.0)
        learn_at_once(engines, "clicks", frames)


def learn_at_once(
    engines: LearnedEngines, part: Part, frames: int, of: str = "no model here"
) -> None:
    """of: while another model is chosen, the engines do not ask for the weights."""
    engines.models.keep(part, Learned(of, frames), b"none")
