"""What benchmarks of the window share: opening it, waiting, and the times of what is repeated."""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication, QToolButton

from gui.preferences import Preferences
from gui.window.app import build
from gui.window.main_window import MainWindow

__all__ = ["open_window", "print_times", "sample_button", "times_of", "wait"]


def open_window(application: QApplication, preferences: Preferences) -> MainWindow:
    window = build(application, preferences)
    window.resize(1280, 800)
    window.show()
    return window


def sample_button(window: MainWindow) -> QToolButton:
    """That of the start page which opens the sample."""
    buttons = window.welcome.findChildren(QToolButton)
    [sample] = [button for button in buttons if "sample" in button.text().lower()]
    return sample


def wait(condition: Callable[[], object], limit_s: float = 600) -> None:
    """Until it holds once all that is pending is done, asleep between events: what waits takes no
    time from what is measured. TimeoutError after the limit."""
    awake = QTimer(interval=50)  # what is no event, as the time, is looked at so often
    awake.start()
    end_s = time.monotonic() + limit_s
    QApplication.processEvents()
    while not condition():
        if time.monotonic() > end_s:
            raise TimeoutError("what was waited for did not come")
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
        QApplication.processEvents()


def times_of(rounds: Sequence[tuple[float, float]]) -> dict[str, float]:
    """rounds: seconds of the clock and of the thread's processor time. In milliseconds, the median
    and the 95th percentile of both."""
    (median, cpu_median), (late, cpu_late) = np.percentile(rounds, [50, 95], axis=0).tolist()
    times_s = {"median": median, "p95": late, "cpu_median": cpu_median, "cpu_p95": cpu_late}
    return {f"{name}_ms": round(1000 * seconds, 2) for name, seconds in times_s.items()}


def print_times(results: Mapping[str, Mapping[str, float]], *, as_json: bool) -> None:
    """results: as `times_of`, by what was done."""
    if as_json:
        print(json.dumps(results, indent=1))
        return
    width = max(map(len, results))
    print(f"{'':{width}}   median      p95  cpu med.  cpu p95  (ms)")
    for name, figures in results.items():
        print(f"{name:{width}} " + " ".join(f"{figure:8.2f}" for figure in figures.values()))
