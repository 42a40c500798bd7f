"""All of the canvas's promises once more on screens with several pixels for one of the window's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = ("test_canvas_view.py", "test_canvas_zoom.py", "test_tools.py")


@pytest.mark.e2e
@pytest.mark.parametrize("ratio", ["1.5", "2"])
def test_the_canvas_keeps_its_promises_on_a_dense_screen(ratio: str) -> None:
    folder = Path(__file__).parent
    files = [str(folder / name) for name in TESTS]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files],
        cwd=folder.parents[1],
        env={**os.environ, "QT_SCALE_FACTOR": ratio, "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-4000:]
