"""`xmem-annotate doctor`: does everything work that the program needs of this computer?"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Final

import psutil
import typer

from interaction.doctor import Finding, as_text, examine

if TYPE_CHECKING:
    from gui.window.main_window import MainWindow

__all__ = ["doctor", "has_display"]

_PROBE_TIMEOUT_S: Final = 30
_WINDOW_TIMEOUT_S: Final = 300
_TRACKED_FRAMES: Final = 3
_RABBIT: Final = ((338.0, 433.0), (326.0, 301.0))  # on the sample's first frame


def doctor(
    speed_test: Annotated[
        bool, typer.Option("--speed-test/--no-speed-test", help="Measure the device for a second.")
    ] = True,
    window: Annotated[
        bool,
        typer.Option(
            "--window", help="Also open the window on the sample, click, and track three frames."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    probe: Annotated[bool, typer.Option("--probe", hidden=True)] = False,
) -> None:
    """Examine this computer: window system, device, memory, codecs, models, write access.

    One screen of plain text to copy into a bug report. Exit code 1 if something is wrong.
    """
    if probe:
        _probe()
        return
    # First, so that what is loaded for the rest does not count as start-up.
    trial = _try_window() if window else []
    findings = [_window_system(), *trial, *examine(speed_test_s=1.0 if speed_test else 0.0)]
    if as_json:
        typer.echo(json.dumps([one.to_json() for one in findings], indent=2))
    else:
        typer.echo(as_text(findings))
    if not all(one.is_fine for one in findings):
        raise typer.Exit(1)


def _probe() -> None:
    """Says what Qt draws on. In a process of its own: Qt ends it if it cannot open its platform."""
    from PySide6.QtCore import qVersion
    from PySide6.QtGui import QGuiApplication

    application = QGuiApplication([])
    screen = application.primaryScreen()
    size = screen.size()
    typer.echo(
        f"Qt {qVersion()} on {application.platformName()}, screen {size.width()}x{size.height()}, "
        f"scale {screen.devicePixelRatio():g}"
    )


def has_display() -> bool:
    """Without one, Qt would end the program without a word that helps."""
    names = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return not sys.platform.startswith("linux") or any(map(os.environ.get, names))


def _window_system() -> Finding:
    if not has_display():
        return Finding("window", "no display; commands that open no window work")
    line = [sys.executable, "-c", "from gui.doctor import _probe; _probe()"]
    if getattr(sys, "frozen", False):  # a built application is its own interpreter
        line = [sys.executable, "doctor", "--probe"]
    try:
        probe = subprocess.run(
            line,
            capture_output=True,
            text=True,
            timeout=_PROBE_TIMEOUT_S,
            check=False,
            cwd=Path(__file__).parents[1],
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("window", f"Qt does not answer: {error}", False)
    if probe.returncode:
        reason = (probe.stderr.strip().splitlines() or ["no reason given"])[0]
        return Finding("window", f"Qt cannot open a window: {reason}", False)
    return Finding("window", probe.stdout.strip())


def _try_window() -> list[Finding]:
    """Opens the window on the sample, with preferences and a project that are thrown away, clicks,
    and tracks. What it took, or what did not happen."""
    from PySide6.QtWidgets import QApplication

    from gui.preferences import Preferences
    from gui.window.app import build
    from gui.window.arguments import WindowArguments
    from gui.window.opening import sample_video
    from interaction.errors import UserError

    application = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(application, QApplication)
    with TemporaryDirectory(prefix="xmem-annotate-", ignore_cleanup_errors=True) as place:
        preferences = Preferences(Path(place) / "trial.json")
        given = WindowArguments(source=sample_video(), project=Path(place) / "trial.vos")
        window = build(application, preferences, given)
        window.show()
        try:
            return [_click_and_track(window)]
        except UserError as error:
            return [Finding("trial", str(error), False)]
        finally:
            if window.workspace is not None:  # what did not end would make the window ask
                operations = window.workspace.annotator.operations
                operations.discard(*operations)
            window.close_session()
            window.close()


def _click_and_track(window: "MainWindow") -> Finding:
    """UserError if something did not happen in time."""
    from gui.work.operations import Busy

    process = psutil.Process()
    _wait(lambda: window.windowHandle().isExposed(), "A window")
    shown_s, shown_cpu_s = time.time() - process.create_time(), time.process_time()
    _wait(lambda: window.workspace is not None, "The sample's picture")
    workspace = window.workspace
    assert workspace is not None
    document, annotator = workspace.document, workspace.annotator
    _wait(lambda: workspace.canvas.shown_frame == document.frame, "The sample's picture")
    opened_s = time.time() - process.create_time()

    def is_idle() -> bool:
        return annotator.operations.busy is Busy.IDLE

    for x, y in _RABBIT:
        annotator.prompts.click(x, y)
    _wait(is_idle, "An answer to clicks")
    began = time.monotonic()
    annotator.tracking.start(most_frames=_TRACKED_FRAMES)
    _wait(is_idle, "Tracking")
    tracked_s = time.monotonic() - began
    masks = sum(bool(one.present) for one in workspace.session.annotation.records.values())
    return Finding(
        "trial",
        f"window after {shown_s:.2f} s ({shown_cpu_s:.2f} s of a processor), sample after "
        f"{opened_s:.2f} s, {masks - 1} frames tracked in {tracked_s:.2f} s",
        masks == 1 + _TRACKED_FRAMES,
    )


def _wait(condition: Callable[[], object], what: str) -> None:
    from PySide6.QtCore import QCoreApplication

    from interaction.errors import UserError

    deadline = time.monotonic() + _WINDOW_TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            raise UserError(
                "{what} did not happen within {seconds} seconds.",
                what=what,
                seconds=_WINDOW_TIMEOUT_S,
            )
        QCoreApplication.processEvents()
        time.sleep(0.001)
