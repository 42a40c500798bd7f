"""What the window feels like: start, first picture, stalls while the engine works, undo, memory.

    python -m benchmarks.gui [--seconds 60] [--json]

Offscreen. Start is a fresh process until the window is drawn, on a warm disk. A stall is the time
between two turns of the event loop, which is asked to turn every millisecond; medians and 95th
percentiles of all, and the longest. What the canvas and the timeline take to draw is measured by
`benchmarks.gui_canvas` and `benchmarks.gui_timeline`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np
import psutil
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from benchmarks.window import open_window, wait
from gui.preferences import Preferences
from gui.window.main_window import MainWindow
from gui.work.operations import Busy
from interaction.annotation.annotation import make_record
from interaction.annotation.types import Edit, FrameStatus, Stroke

_START = """
import os, sys, time
started = time.perf_counter()
from pathlib import Path
from PySide6.QtWidgets import QApplication
from gui.window.app import build
from gui.preferences import Preferences
application = QApplication([])
window = build(application, Preferences(Path(sys.argv[1])))
window.show()
application.processEvents()
window.grab()
print(time.perf_counter() - started, "torch" in sys.modules)
window.close()
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gui", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="of tracking, for the stalls")
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        report = measure(Path(name), arguments.seconds, arguments.starts)
    if arguments.json:
        print(json.dumps(report, indent=1))
        return
    for what, figures in report.items():
        print(f"{what}: {figures}")


def measure(folder: Path, seconds: float, starts: int) -> dict[str, object]:
    report: dict[str, object] = {"start_s": spread(start_times(folder, starts))}
    application = QApplication.instance() or QApplication([])
    assert isinstance(application, QApplication)
    memory = psutil.Process().memory_info().rss
    window = open_window(application, Preferences(folder / "gui.json"))
    report["first_frame_1080p_s"] = first_frame(window, folder)
    # Frames, widgets and Python; networks and torch come later.
    report["memory_without_models_mb"] = round((memory_now() - memory) / 1e6)
    assert window.close_session()
    write_video(folder / "many frames.mp4", 5000, 320, 180)
    window.open_path(folder / "many frames.mp4")
    wait(lambda: window.workspace is not None)
    report["undo_of_5000_frames_s"], report["redo_of_5000_frames_s"] = undo_times(window)
    window.close()
    window = open_window(application, Preferences(folder / "gui.json"))
    report["stall_ms"] = stalls(application, window, seconds)
    window.close()
    return report


def start_times(folder: Path, count: int) -> list[float]:
    times = []
    for _ in range(count + 1):  # the first one warms the disk
        output = subprocess.run(
            [sys.executable, "-c", _START, str(folder / "start.json")],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        assert output[1] == "False", "torch was imported before the window was there"
        times.append(float(output[0]))
    return times[1:]


def first_frame(window: MainWindow, folder: Path) -> dict[str, float]:
    """Until a picture of a long 1080p file is there, and until it can be worked on."""
    path = folder / "long.mp4"
    write_video(path, 1500, 1920, 1080)
    started = time.perf_counter()
    window.open_path(path)
    wait(lambda: window.opening.has_picture or window.workspace is not None)
    seen = time.perf_counter() - started
    wait(lambda: window.workspace is not None)
    return {"seen": round(seen, 3), "opened": round(time.perf_counter() - started, 3)}


def write_video(path: Path, frames: int, width: int, height: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.gop_size = 50
        rng = np.random.default_rng(0)
        small = rng.integers(0, 255, (4, height // 20, width // 20, 3), np.uint8)
        pictures = [np.kron(one, np.ones((20, 20, 1), np.uint8)) for one in small]
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(pictures[index // 100 % 4], format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def undo_times(window: MainWindow) -> tuple[float, float]:
    """A propagation of 5,000 frames taken back and made again, on the window's thread."""
    workspace = window.workspace
    assert workspace is not None
    document = workspace.document
    document.add_object()
    labels = np.zeros((document.annotation.height, document.annotation.width), np.uint8)
    records = []
    for index in range(8):
        labels[:] = 0
        labels[20 + 5 * index : 150, 30:200] = 1
        records.append(make_record(labels, FrameStatus.TRACKED))
    for frame in range(document.frame_count):
        before = {frame: document.annotation.record(frame)}
        document.apply(Edit("Track", before, {frame: records[frame % 8]}, group="run"))
    times = []
    for travel in (document.undo, document.redo):
        started = time.perf_counter()
        travel()
        QApplication.processEvents()
        times.append(round(time.perf_counter() - started, 3))
    return times[0], times[1]


def stalls(application: QApplication, window: MainWindow, seconds: float) -> dict[str, float]:
    """Measure redraws while the engine tracks the sample and the frame changes."""
    window.opener.open_sample()
    wait(lambda: window.workspace is not None)
    workspace = window.workspace
    assert workspace is not None
    annotator, document = workspace.annotator, workspace.document
    for frame in list(document.annotation.records):
        document.set_frame(frame)
        annotator.hand.clear_frame()
    document.set_frame(0)
    annotator.hand.stroke(Stroke(((300.0, 250.0),), 60))
    annotator.tracking.start("forward", most_frames=3)
    wait(lambda: annotator.operations.busy is Busy.IDLE)
    turns: list[float] = []
    ticking = QTimer(interval=1)
    ticking.timeout.connect(lambda: turns.append(time.perf_counter()))
    ticking.start()
    end = time.monotonic() + seconds
    frame = 0
    while time.monotonic() < end:
        if not annotator.tracking.is_running:
            document.set_frame(0)
            annotator.tracking.start("forward")
        frame = (frame + 1) % document.frame_count
        document.set_frame(frame)
        for _ in range(20):
            application.processEvents()
            time.sleep(0.001)
    ticking.stop()
    annotator.cancel()
    wait(lambda: annotator.operations.busy is Busy.IDLE)  # or closing would ask
    gaps_ms = np.diff(turns) * 1000
    return {
        "median": round(float(np.median(gaps_ms)), 1),
        "p95": round(float(np.percentile(gaps_ms, 95)), 1),
        "longest": round(float(gaps_ms.max()), 1),
    }


def memory_now() -> int:
    return int(psutil.Process().memory_info().rss)


def spread(values: list[float]) -> dict[str, float]:
    return {
        "median": round(float(np.median(values)), 3),
        "p95": round(float(np.percentile(values, 95)), 3),
    }


if __name__ == "__main__":
    main()
