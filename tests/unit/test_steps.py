"""Work that is done step by step."""

from collections.abc import Generator

import pytest

from interaction.steps import finish


def test_steps_are_reported_and_their_result_comes_back_or_they_are_closed() -> None:
    ended: list[str] = []

    def work() -> Generator[int, None, str]:
        try:
            yield from (1, 2, 3)
            return "done"
        finally:
            ended.append("closed")

    steps: list[int] = []
    assert finish(work(), steps.append) == finish(work()) == "done"
    assert steps == [1, 2, 3]
    assert ended == ["closed"] * 2

    def stop(step: int) -> None:
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finish(work(), stop)
    assert ended == ["closed"] * 3
