"""The small inputs of ../shared/cases that once failed: each script ends with 0."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CASES = ROOT.parent / "shared" / "cases"
SCRIPTS = sorted(CASES.glob("*.py")) if CASES.is_dir() else []

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.reference,
    pytest.mark.skipif(not SCRIPTS, reason="the cases are not here"),
    pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the ffmpeg command is not here"),
]


@pytest.mark.parametrize(
    "script",
    [one for one in SCRIPTS if one.stem not in ("common", "importing")],
    ids=lambda one: one.stem,
)
def test_an_input_that_failed_once_is_read_as_its_script_says(script: Path, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-B", str(script)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
