"""Work that is done step by step."""

from collections.abc import Callable, Generator
from contextlib import closing
from typing import TypeVar

Step = TypeVar("Step")
Result = TypeVar("Result")


def finish(
    steps: Generator[Step, None, Result], on_step: Callable[[Step], object] = lambda step: None
) -> Result:
    """What `steps` returns at its end. on_step: called with each step; what it raises ends them."""
    with closing(steps):
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                result: Result = end.value
                return result
            on_step(step)
