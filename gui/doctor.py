"""`xmem-annotate doctor`: does everything work that the program needs of this computer?"""

import json
import os
import subprocess
import sys
from typing import Annotated, Final

import typer

from interaction.doctor import Finding, as_text, examine

__all__ = ["doctor"]

# In a process of its own: Qt ends the process if it cannot open its platform.
_PROBE: Final = """
from PySide6.QtCore import qVersion
from PySide6.QtGui import QGuiApplication
application = QGuiApplication([])
screen = application.primaryScreen()
size = screen.size()
print(f"Qt {qVersion()} on {application.platformName()}, screen {size.width()}x{size.height()}, "
      f"scale {screen.devicePixelRatio():g}")
"""
_PROBE_TIMEOUT_S: Final = 30


def doctor(
    speed_test: Annotated[
        bool, typer.Option("--speed-test/--no-speed-test", help="Measure the device for a second.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Examine this computer: window system, device, memory, codecs, models, write access.

    One screen of plain text to copy into a bug report. Exit code 1 if something is wrong.
    """
    findings = [_window_system(), *examine(speed_test_s=1.0 if speed_test else 0.0)]
    if as_json:
        typer.echo(json.dumps([one.to_json() for one in findings], indent=2))
    else:
        typer.echo(as_text(findings))
    if not all(one.is_fine for one in findings):
        raise typer.Exit(1)


def _window_system() -> Finding:
    if sys.platform.startswith("linux") and not any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    ):
        return Finding("window", "no display; commands that open no window work")
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _PROBE],
            capture_output=True,
            text=True,
            timeout=_PROBE_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("window", f"Qt does not answer: {error}", False)
    if probe.returncode:
        reason = (probe.stderr.strip().splitlines() or ["no reason given"])[0]
        return Finding("window", f"Qt cannot open a window: {reason}", False)
    return Finding("window", probe.stdout.strip())
