"""Operations: every step arrives in order, a cancel keeps what is finished, nothing waits."""

import threading
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError

import pytest
from pytestqt.qtbot import QtBot

from gui.work.operations import EngineThread, Kind, Operation


class Record:
    """What the callbacks of one operation got, and on which thread."""

    def __init__(self, steps: Generator[object, None, None]) -> None:
        self.steps: list[object] = []
        self.ends: list[Exception | None] = []
        self.threads: set[int] = set()
        self.on_step: Callable[[object], None] = lambda _: None
        self.operation = Operation(Kind.BACKGROUND, lambda: steps, self._step, self._end)

    def _step(self, step: object) -> None:
        self.steps.append(step)
        self.threads.add(threading.get_ident())
        self.on_step(step)

    def _end(self, error: Exception | None) -> None:
        self.ends.append(error)
        self.threads.add(threading.get_ident())


def counting(count: int) -> Generator[int, None, None]:
    yield from range(count)


def ended(record: Record) -> Callable[[], bool]:
    return lambda: bool(record.ends)


def test_every_step_arrives_in_order_on_the_gui_thread(engine: EngineThread, qtbot: QtBot) -> None:
    record = Record(counting(1000))
    engine.start(record.operation)
    qtbot.waitUntil(ended(record))
    assert record.steps == list(range(1000))
    assert record.ends == [None]
    assert record.threads == {threading.get_ident()}
    assert not engine.is_busy


def test_the_generator_runs_and_closes_on_the_engine_thread(
    engine: EngineThread, qtbot: QtBot
) -> None:
    threads = []

    def steps() -> Generator[int, None, None]:
        try:
            while True:
                threads.append(threading.current_thread().name)
                yield 1
        finally:
            threads.append(threading.current_thread().name)

    record = Record(steps())
    record.on_step = lambda _: record.operation.cancel()
    engine.start(record.operation)
    qtbot.waitUntil(ended(record))
    assert len(threads) >= 2
    assert {name.split("_")[0] for name in threads} == {"engine"}


def test_a_cancel_comes_after_the_step_in_progress_which_is_kept(
    engine: EngineThread, qtbot: QtBot
) -> None:
    is_within, may_go_on = threading.Event(), threading.Event()

    def steps() -> Generator[str, None, None]:
        yield "finished before"
        is_within.set()
        may_go_on.wait(10)
        yield "in progress"
        yield "never"

    record = Record(steps())
    engine.start(record.operation)
    qtbot.waitUntil(is_within.is_set)
    record.operation.cancel()
    may_go_on.set()
    qtbot.waitUntil(ended(record))
    assert record.steps == ["finished before", "in progress"]
    assert isinstance(record.ends[0], CancelledError)


@pytest.mark.parametrize("error", [ValueError("no"), RuntimeError("torch's kind"), KeyError(3)])
def test_every_exception_arrives_after_the_steps_before_it(
    engine: EngineThread, qtbot: QtBot, error: Exception
) -> None:
    def steps() -> Generator[int, None, None]:
        yield 1
        raise error

    record = Record(steps())
    engine.start(record.operation)
    qtbot.waitUntil(ended(record))
    assert record.steps == [1]
    assert record.ends == [error]


def test_a_window_that_does_not_look_stops_the_engine_instead_of_being_flooded(
    engine: EngineThread, qtbot: QtBot
) -> None:
    made = []

    def steps() -> Generator[int, None, None]:
        for step in range(100):
            made.append(step)
            yield step

    record = Record(steps())
    engine.start(record.operation)
    started = threading.Event()

    def tell() -> Generator[None, None, None]:
        started.set()
        yield

    engine.start(Operation(Kind.BACKGROUND, tell))
    assert started.wait(10)  # the engine thread is free for others meanwhile
    assert len(made) <= 2
    qtbot.waitUntil(ended(record))
    assert record.steps == list(range(100))


def test_a_short_job_is_served_while_a_long_one_goes_on(engine: EngineThread, qtbot: QtBot) -> None:
    def endless() -> Generator[int, None, None]:
        while True:
            yield 0

    long, short = Record(endless()), Record(counting(3))
    engine.start(long.operation)
    engine.start(short.operation)
    qtbot.waitUntil(ended(short))
    assert not long.ends
    long.operation.cancel()
    qtbot.waitUntil(ended(long))


def test_a_paused_job_stands_still_and_goes_on_where_it_was(
    engine: EngineThread, qtbot: QtBot
) -> None:
    record = Record(counting(50))
    record.on_step = lambda step: record.operation.pause() if step == 5 else None
    engine.start(record.operation)
    qtbot.waitUntil(lambda: record.operation.is_paused)
    idle = Record(counting(20))  # done later, while the paused one stands
    engine.start(idle.operation)
    qtbot.waitUntil(ended(idle))
    standing = len(record.steps)
    assert standing <= 8
    assert not record.ends
    record.operation.resume()
    qtbot.waitUntil(ended(record))
    assert record.steps == list(range(50))


def test_a_paused_job_can_be_cancelled(engine: EngineThread, qtbot: QtBot) -> None:
    record = Record(counting(50))
    record.on_step = lambda _: record.operation.pause()
    engine.start(record.operation)
    qtbot.waitUntil(lambda: record.operation.is_paused)
    record.operation.cancel()
    qtbot.waitUntil(ended(record))
    assert isinstance(record.ends[0], CancelledError)


def test_shutting_down_closes_what_runs_and_what_waits(qtbot: QtBot) -> None:
    engine = EngineThread("engine")
    closed = []

    def steps(name: str) -> Generator[int, None, None]:
        try:
            while True:
                yield 1
        finally:
            closed.append(name)

    paused = Record(steps("paused"))
    paused.on_step = lambda _: paused.operation.pause()
    engine.start(paused.operation)
    qtbot.waitUntil(lambda: paused.operation.is_paused)
    engine.start(Record(steps("running")).operation)
    engine.shutdown()
    engine.shutdown()
    assert {"paused"} <= set(closed)
    assert not paused.ends  # no callback comes any more
