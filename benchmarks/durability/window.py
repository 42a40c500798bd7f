"""The whole window, offscreen: killed while it edits, and left to work for hours."""

import ctypes
import gc
import itertools
import multiprocessing
import os
import pickle
import random
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import psutil

from benchmarks.durability.saving import Result
from interaction.annotation.annotation import make_record
from interaction.annotation.types import Edit, FrameStatus
from interaction.project.project import Project
from interaction.session import Session
from tests import tiny

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

__all__ = ["kills", "soak"]

_FRAMES: Final = 12


def _edit_until_killed(folder: Path, first: int, made: "Connection") -> None:
    """Opens the window and edits every 20 ms; sends the number of each edit, from `first` on, once
    it was made. An edit that repeats the mask before it would not be recorded."""
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication

    from gui.preferences import Preferences
    from gui.window.app import build
    from gui.window.arguments import WindowArguments

    application = QApplication([])
    preferences = Preferences(folder / "preferences.json")
    window = build(application, preferences, WindowArguments(folder / "p.vos"))
    window.show()
    numbers = itertools.count(first)

    def work() -> None:
        if window.workspace is None:
            return
        document, number = window.workspace.document, next(numbers)
        frame = number % document.frame_count
        record = make_record(tiny.labels(number % 40), FrameStatus.CORRECTED)
        old = document.annotation.record(frame)
        document.set_frame(frame)
        document.apply(Edit(f"Edit {number}", {frame: old}, {frame: record}))
        try:
            made.send((number, time.monotonic_ns()))
        except OSError:  # the proof itself was ended
            application.quit()

    timer = QTimer(window, interval=20)
    timer.timeout.connect(work)
    timer.start()
    application.exec()


def _project(folder: Path) -> Path:
    tiny.write_clip(folder / "clip", _FRAMES)
    with Session.open(folder / "clip", folder / "p.vos") as session:
        session.add_object("disc")
        session.add_object("box")
    return folder / "p.vos"


def kills(folder: Path, count: int, seed: int = 0) -> Result:
    """Kills the window `count` times while it edits every 20 ms, and opens the project after."""
    result = Result()
    place = _project(folder)
    chance = random.Random(seed)
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    # Where there is a fork server, it imports the window once for all of them.
    has_server = "forkserver" in multiprocessing.get_all_start_methods()
    context: Any = multiprocessing.get_context("forkserver" if has_server else "spawn")
    context.set_forkserver_preload([__name__, "gui.window.app", "gui.window.main_window", "torch"])
    worst, oldest_ms = 0, 0.0
    for _ in range(count):
        with Project.open(place) as project:
            before = len(project.view.history.entries)
        receiver, sender = context.Pipe(duplex=False)
        arguments = (folder, before, sender)
        process = context.Process(target=_edit_until_killed, args=arguments, daemon=True)
        process.start()
        sender.close()
        made = _received(receiver, chance.randrange(1, 60))
        time.sleep(chance.random() * 0.02)
        process.kill()
        killed_ns = time.monotonic_ns()
        process.join()
        made += _received(receiver, None)
        edits = len(made)
        if not edits:
            result.faults.append(f"the window ended by itself: {process.exitcode}")
        result.count("kills")
        result.count("edits made", edits)
        with Project.open(place) as project:
            entries = project.view.history.entries
            found = len(entries) - before
            if project.damages:
                result.faults.append(f"damaged: {project.damages[0]}")
            labels = [one.loaded().label for one in entries[before:]]
            if labels != [f"Edit {before + number}" for number in range(found)]:
                result.faults.append(f"not the edits that were made: {labels}")
            if found > edits + 1:
                result.faults.append(f"{found} edits were found and {edits} made")
        result.count("edits lost", max(0, edits - found))
        worst = max(worst, edits - found)
        if found < edits:
            oldest_ms = max(oldest_ms, (killed_ns - made[found][1]) / 1e6)
        if result.figures["kills"] % 10 == 0:
            sys.stderr.write(f"{result.figures}, at most {worst}, from {oldest_ms:.0f} ms before\n")
    result.figures["most edits lost by a kill"] = worst
    result.figures["oldest edit lost, ms before the kill"] = round(oldest_ms)
    return result


def _received(receiver: "Connection", count: int | None) -> list[tuple[int, int]]:
    """The next `count` edits, each as its number and its time in ns of the monotonic clock; for
    None, all edits until the sender's process ends."""
    numbers: list[tuple[int, int]] = []
    while count is None or len(numbers) < count:
        try:
            numbers.append(receiver.recv())
        except (EOFError, OSError, pickle.UnpicklingError):  # the sender was killed while it sent
            break
    return numbers


def soak(folder: Path, seconds: int) -> Result:
    """Scrubs, tracks, learns and edits in an open window for so long, and measures the process.

    A fault is reported where memory, threads or handles (open files, pipes, sockets) grow from the
    second quarter to the last: by 5 % of memory, by any thread, by any handle. Memory in use is
    what the C library has handed out, after a garbage collection; resident memory also holds what
    it keeps for later. A figure for each tenth shows the course.
    """
    from PySide6.QtWidgets import QApplication

    from gui.preferences import Preferences
    from gui.window.app import build
    from gui.window.arguments import WindowArguments

    place = _project(folder)
    application = QApplication.instance() or QApplication([])
    assert isinstance(application, QApplication)
    preferences = Preferences(folder / "preferences.json")
    preferences.internal_size_px = 96  # many rounds: what leaks does so at any size
    window = build(application, preferences, WindowArguments(place))
    window.show()
    deadline_s = time.monotonic() + 120
    while window.workspace is None and time.monotonic() < deadline_s:
        application.processEvents()
    assert window.workspace is not None, "the project did not open"
    document, session = window.workspace.document, window.workspace.session
    rows: list[tuple[float, ...]] = []
    end_s = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end_s:
        frame = number % (_FRAMES - 1)  # after the last there is nothing to track
        for step in range(_FRAMES):
            document.set_frame((frame + step) % _FRAMES)
            application.processEvents()
        old = document.annotation.record(frame)
        new = make_record(tiny.labels(number % 40), FrameStatus.CORRECTED)
        document.apply(Edit(f"Edit {number}", {frame: old}, {frame: new}))
        session.propagate(frame, most_frames=4, on_step=lambda _: application.processEvents())
        if number % 5 == 4:
            session.learn(steps=1, on_step=lambda _: application.processEvents())
        document.undo()
        document.redo()
        application.processEvents()
        rows.append(_measured())
        number += 1
        if number % 10 == 0:
            now = zip(_MEASURED, rows[-1], strict=True)
            figures = ", ".join(f"{value:.0f} {name}" for name, value in now)
            sys.stderr.write(f"round {number}: {figures}\n")
    window.close()
    return _growth(rows)


def _growth(rows: list[tuple[float, ...]]) -> Result:
    """rows: `_MEASURED` after each round."""
    result = Result()
    result.figures["rounds"] = len(rows)
    quarter, tenth = max(1, len(rows) // 4), max(1, len(rows) // 10)
    for column, name in enumerate(_MEASURED):
        share = 0.05 if "MB" in name else 0.0
        values = [row[column] for row in rows]
        early = statistics.median(values[quarter : 2 * quarter] or values)
        late = statistics.median(values[-quarter:])
        for part in range(tenth, len(rows) + 1, tenth):
            result.figures[f"{name}, round {part}"] = round(values[part - 1], 1)
        result.figures |= {f"{name}, 2nd quarter": round(early, 1), f"{name}, 4th": round(late, 1)}
        if late > early * (1 + share) and len(rows) >= 8:
            result.faults.append(f"{name} grew from {early:.1f} to {late:.1f}")
    return result


_MEASURED: Final = ("resident MB", "in use MB", "threads", "handles")


def _measured() -> tuple[float, ...]:
    """The values of _MEASURED, now."""
    gc.collect()
    process: Any = psutil.Process()
    handles = process.num_handles() if os.name == "nt" else process.num_fds()
    resident = process.memory_info().rss
    return resident / 2**20, (_heap_bytes() or resident) / 2**20, process.num_threads(), handles


class _MallInfo(ctypes.Structure):
    """struct mallinfo2 of glibc's malloc.h."""

    _fields_: ClassVar = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks"),
            *("uordblks", "fordblks", "keepcost"),
        )
    ]


def _heap_bytes() -> int | None:
    """What malloc has handed out and not got back; None outside Linux with glibc 2.33."""
    if sys.platform != "linux":
        return None
    try:
        mallinfo = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError):
        return None
    mallinfo.restype = _MallInfo
    info = mallinfo()
    return int(info.uordblks + info.hblkhd)
