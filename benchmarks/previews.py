"""How soon the preview of a click is seen after the pointer rests, in the window.

    python -m benchmarks.previews [--places 7] [--frames 6] [--json]

Offscreen, 1280x800, the sample, the bundled network, nothing annotated. `looked_at`: places of one
frame, one after another. `new`: on each of several frames the pointer moves for the first time a
second after the frame came. Milliseconds after the last movement until the first mask and until the
exact one are in sight, medians and the longest; `cpu` is the processor time of all threads
meanwhile, which a busy machine changes less, with OMP_NUM_THREADS=1 least: threads of a network
that wait for each other use the processor too.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Final

from PySide6.QtCore import QPoint, QPointF
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from benchmarks.window import open_window, sample_button, wait
from gui.preferences import Preferences
from gui.window.main_window import MainWindow
from gui.window.workspace import Workspace

# Shares of width and height: the rabbit, grass, trees and sky.
PLACES: Final = (
    (0.31, 0.70), (0.28, 0.52), (0.20, 0.66), (0.37, 0.53),
    (0.60, 0.30), (0.80, 0.62), (0.12, 0.18),
)  # fmt: skip
_COLUMNS: Final = ("rough", "exact", "rough_cpu", "exact_cpu")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.previews", description=__doc__)
    parser.add_argument("--places", type=int, default=len(PLACES))
    parser.add_argument("--frames", type=int, default=6)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    application = QApplication([])
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_DATA_HOME"] = name  # where the sample's project is made
        window = open_window(application, Preferences(Path(name) / "gui.json"))
        report = measure(window, arguments.places, arguments.frames)
        window.close()
    if arguments.json:
        print(json.dumps(report, indent=1))
        return
    for what, figures in report.items():
        print(f"{what}: {figures}")


def measure(window: MainWindow, places: int, frames: int) -> dict[str, dict[str, float]]:
    sample_button(window).click()
    wait(lambda: window.workspace is not None)
    workspace = window.workspace
    assert workspace is not None
    wait(lambda: workspace.canvas.shown_frame == 0 and not workspace.engine.is_busy)
    _settle()
    _seen(workspace, (0.5, 0.5))
    looked_at = [_seen(workspace, PLACES[n % len(PLACES)]) for n in range(places)]
    new = []
    for number in range(1, frames + 1):
        QTest.mouseMove(workspace.canvas.viewport(), _at(workspace, (-0.2, 0.5)))
        workspace.document.set_frame(number * 7)
        wait(lambda number=number: workspace.canvas.shown_frame == number * 7)  # type: ignore[misc]
        rested_s = time.monotonic() + 1.0
        wait(lambda: time.monotonic() > rested_s)  # noqa: B023
        new.append(_seen(workspace, PLACES[number % len(PLACES)]))
    return {"looked_at": _figures(looked_at), "new": _figures(new)}


def _seen(workspace: Workspace, place: tuple[float, float]) -> tuple[float, ...]:
    """Milliseconds until the first and the exact mask, and the processor's until then."""
    canvas = workspace.canvas
    QTest.mouseMove(canvas.viewport(), _at(workspace, place))
    began_s, processor_s = time.perf_counter(), time.process_time()
    now: list[float] = []

    def is_there(is_exact: bool) -> bool:
        seen = canvas.hover_preview
        return seen is not None and (seen.is_exact or not is_exact)

    for is_exact in (False, True):
        wait(partial(is_there, is_exact))
        now += [time.perf_counter() - began_s, time.process_time() - processor_s]
    return tuple(1e3 * now[index] for index in (0, 2, 1, 3))


def _settle() -> None:
    """Until cuts and thumbnails of the clip are found: less than a tenth of a processor is used."""
    while True:
        until_s, before_s = time.monotonic() + 1.0, time.process_time()
        wait(lambda: time.monotonic() > until_s)  # noqa: B023
        if time.process_time() - before_s < 0.1:
            return


def _at(workspace: Workspace, place: tuple[float, float]) -> QPoint:
    video = workspace.document.video
    point = QPointF(place[0] * video.width, place[1] * video.height)
    return workspace.canvas.to_viewport(point).toPoint()


def _figures(rows: list[tuple[float, ...]]) -> dict[str, float]:
    columns = dict(zip(_COLUMNS, zip(*rows, strict=True), strict=True))
    medians = {f"{name}_ms": round(statistics.median(column)) for name, column in columns.items()}
    return medians | {"longest_exact_ms": round(max(columns["exact"]))}


if __name__ == "__main__":
    main()
