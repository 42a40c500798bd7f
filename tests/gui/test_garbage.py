"""Garbage is collected on the thread of the window alone."""

import gc
import threading
import weakref
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from gui.window.garbage import GarbageCollection


@pytest.fixture
def garbage() -> Iterator[GarbageCollection]:
    parent = QObject()
    collection = GarbageCollection(parent)
    yield collection
    collection.stop()


def a_cycle(dropped_on: list[str]) -> None:
    """A widget's like that only a collection drops."""
    one = QObject()
    one.own = one  # type: ignore[attr-defined]
    weakref.finalize(one, lambda: dropped_on.append(threading.current_thread().name))


def make_objects() -> None:
    for _ in range(20 * gc.get_threshold()[0]):
        kept = [[] for _ in range(3)]  # type: ignore[var-annotated]
    del kept


def test_a_busy_thread_drops_nothing_and_the_window_does(
    qtbot: QtBot, garbage: GarbageCollection
) -> None:
    gc.enable()  # as it is in the program until then
    garbage.start()
    dropped_on: list[str] = []
    a_cycle(dropped_on)
    kept = [[] for _ in range(20 * gc.get_threshold()[0])]  # type: ignore[var-annotated]
    worker = threading.Thread(target=make_objects, name="worker")
    worker.start()
    worker.join()
    assert dropped_on == []
    qtbot.waitUntil(lambda: bool(dropped_on))
    assert dropped_on == [threading.main_thread().name]
    assert kept


def test_afterwards_it_is_automatic_again(garbage: GarbageCollection) -> None:
    gc.enable()
    garbage.start()
    assert not gc.isenabled()
    garbage.stop()
    assert gc.isenabled()
