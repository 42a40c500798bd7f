"""Jobs: every step arrives in order, a cancel keeps what is finished, nothing waits."""

import threading
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError

import pytest
from pytestqt.qtbot import QtBot

from gui.work.engine_thread import EngineThread, Job


class Record:
    """What the callbacks of one job were told, and on which thread."""

    def __init__(self) -> None:
        self.steps: list[object] = []
        self.ends: list[Exception | None] = []
        self.threads: set[int] = set()
        self.on_step: Callable[[object], None] = lambda _: None
        self.job = Job(self._step, self._end)

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
    record = Record()
    engine.start(counting(1000), record.job)
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

    record = Record()
    record.on_step = lambda _: record.job.cancel()
    engine.start(steps(), record.job)
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

    record = Record()
    engine.start(steps(), record.job)
    qtbot.waitUntil(is_within.is_set)
    record.job.cancel()
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

    record = Record()
    engine.start(steps(), record.job)
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

    record = Record()
    engine.start(steps(), record.job)
    started = threading.Event()

    def tell() -> Generator[None, None, None]:
        started.set()
        yield

    engine.start(tell(), Job(lambda _: None, lambda _: None))
    assert started.wait(10)  # the engine thread is free for others meanwhile
    assert len(made) <= 2
    qtbot.waitUntil(ended(record))
    assert record.steps == list(range(100))


def test_a_short_job_is_served_while_a_long_one_goes_on(engine: EngineThread, qtbot: QtBot) -> None:
    def endless() -> Generator[int, None, None]:
        while True:
            yield 0

    long, short = Record(), Record()
    engine.start(endless(), long.job)
    engine.start(counting(3), short.job)
    qtbot.waitUntil(ended(short))
    assert not long.ends
    long.job.cancel()
    qtbot.waitUntil(ended(long))


def test_a_paused_job_stands_still_and_goes_on_where_it_was(
    engine: EngineThread, qtbot: QtBot
) -> None:
    record = Record()
    record.on_step = lambda step: record.job.pause() if step == 5 else None
    engine.start(counting(50), record.job)
    qtbot.waitUntil(lambda: record.job.is_paused)
    idle = Record()  # jobs that come later are done, and the paused one has not moved
    engine.start(counting(20), idle.job)
    qtbot.waitUntil(ended(idle))
    standing = len(record.steps)
    assert standing <= 8
    assert not record.ends
    record.job.resume()
    qtbot.waitUntil(ended(record))
    assert record.steps == list(range(50))


def test_a_paused_job_can_be_cancelled(engine: EngineThread, qtbot: QtBot) -> None:
    record = Record()
    record.on_step = lambda _: record.job.pause()
    engine.start(counting(50), record.job)
    qtbot.waitUntil(lambda: record.job.is_paused)
    record.job.cancel()
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

    paused = Record()
    paused.on_step = lambda _: paused.job.pause()
    engine.start(steps("paused"), paused.job)
    qtbot.waitUntil(lambda: paused.job.is_paused)
    engine.start(steps("running"), Record().job)
    engine.shutdown()
    engine.shutdown()
    assert {"paused"} <= set(closed)
    assert not paused.ends  # nobody is told any more
