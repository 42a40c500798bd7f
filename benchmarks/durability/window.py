"""The whole window, offscreen: killed while it edits, and left to work for hours."""

import os
import random
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import psutil

from benchmarks.durability.saving import Result
from interaction.annotation.annotation import make_record
from interaction.annotation.types import Edit, FrameStatus
from interaction.project.project import Project
from interaction.session import Session
from tests import tiny

__all__ = ["kills", "soak"]

_ROOT: Final = Path(__file__).parents[2]
_FRAMES: Final = 12

_EDIT = """
import sys, itertools
from pathlib import Path
from PySide6.QtCore import QSettings, QTimer
from PySide6.QtWidgets import QApplication
from gui.preferences import Preferences
from gui.window.app import build
from gui.window.arguments import WindowArguments
from interaction.annotation.annotation import make_record
from interaction.annotation.types import Edit, FrameStatus
from tests import tiny
folder = Path(sys.argv[1])
application = QApplication([])
settings = QSettings(str(folder / "preferences.ini"), QSettings.Format.IniFormat)
window = build(application, Preferences(settings), WindowArguments(folder / "p.vos"))
window.show()
numbers = itertools.count()
def work():
    if window.workspace is None:
        return
    document, number = window.workspace.document, next(numbers)
    frame = number % document.frame_count
    record = make_record(tiny.labels(number % 40), FrameStatus.CORRECTED)
    old = document.annotation.record(frame)
    document.set_frame(frame)
    document.apply(Edit(f"Edit {number}", {frame: old}, {frame: record}))
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
timer = QTimer(window, interval=20)
timer.timeout.connect(work)
timer.start()
application.exec()
"""


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
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    worst = 0
    for _ in range(count):
        with Project.open(place) as project:
            before = len(project.view.load_history().entries)
        with subprocess.Popen(
            [sys.executable, "-c", _EDIT, str(folder)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
            env=environment,
        ) as process:
            assert process.stdout is not None
            made = [process.stdout.readline() for _ in range(chance.randrange(1, 60))]
            time.sleep(chance.random() * 0.02)
            process.send_signal(signal.SIGKILL)
            made += process.stdout.read().splitlines()
        edits = len([line for line in made if line.strip()])
        result.count("kills")
        result.count("edits made", edits)
        with Project.open(place) as project:
            entries = project.view.load_history().entries
            found = len(entries) - before
            if project.damages:
                result.faults.append(f"damaged: {project.damages[0]}")
            if any(one.loaded().label != f"Edit {n}" for n, one in enumerate(entries[before:])):
                result.faults.append("edits in the wrong order")
            if found > edits + 1:
                result.faults.append(f"{found} edits were found and {edits} made")
        result.count("edits lost", max(0, edits - found))
        worst = max(worst, edits - found)
    result.figures["most edits lost by a kill"] = worst
    return result


def soak(folder: Path, seconds: int) -> Result:
    """Scrubs, tracks, learns and edits in an open window for so long, and measures the process.

    A fault is reported where memory, threads or open files grow from the second quarter to the
    last: by 5 % of memory, by any thread, by any file. Memory settles after some hundred rounds,
    when caches are full; it is judged from then on.
    """
    from PySide6.QtCore import QSettings
    from PySide6.QtWidgets import QApplication

    from gui.preferences import Preferences
    from gui.window.app import build
    from gui.window.arguments import WindowArguments

    result = Result()
    place = _project(folder)
    application = QApplication.instance() or QApplication([])
    assert isinstance(application, QApplication)
    settings = QSettings(str(folder / "preferences.ini"), QSettings.Format.IniFormat)
    window = build(application, Preferences(settings), WindowArguments(place))
    window.show()
    deadline_s = time.monotonic() + 120
    while window.workspace is None and time.monotonic() < deadline_s:
        application.processEvents()
    assert window.workspace is not None, "the project did not open"
    document, session = window.workspace.document, window.workspace.session
    process = psutil.Process()
    rows: list[tuple[float, int, int]] = []
    end_s = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end_s:
        frame = number % _FRAMES
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
        rows.append(
            (process.memory_info().rss / 2**20, process.num_threads(), len(process.open_files()))
        )
        number += 1
    window.close()
    quarter = max(1, len(rows) // 4)
    figures: dict[str, float] = {"rounds": len(rows)}
    for name, column, share in (("memory MB", 0, 0.05), ("threads", 1, 0), ("open files", 2, 0)):
        early = statistics.median(row[column] for row in rows[quarter : 2 * quarter] or rows)
        late = statistics.median(row[column] for row in rows[-quarter:])
        figures |= {f"{name}, second quarter": round(early, 1), f"{name}, last": round(late, 1)}
        if late > early * (1 + share) and len(rows) >= (400 if column == 0 else 8):
            result.faults.append(f"{name} grew from {early:.1f} to {late:.1f}")
    result.figures |= figures
    return result
