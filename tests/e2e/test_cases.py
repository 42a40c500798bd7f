"""The small inputs of ../shared/cases that once failed: each script ends with 0.

They run in this process, the commands that they give too: thirteen new ones, and those of their
commands, would spend most of their time on imports.
"""

import contextlib
import importlib
import io
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from interaction.command_line.app import main

ROOT = Path(__file__).parents[2]
CASES = ROOT.parent / "shared" / "cases"
SHARED = ("common", "importing")  # modules of the scripts
SCRIPTS = sorted(one for one in CASES.glob("*.py") if one.stem not in SHARED)

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.reference,
    pytest.mark.filterwarnings("ignore:.* has moved to:DeprecationWarning"),
    pytest.mark.skipif(not SCRIPTS, reason="the cases are not here"),
    pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the ffmpeg command is not here"),
]


def command(*words: object) -> subprocess.CompletedProcess[str]:
    """What the shell's `xmem-annotate` with these words does and prints."""
    line = [str(word) for word in words]
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(line)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return subprocess.CompletedProcess(line, code, out.getvalue(), err.getvalue())


@pytest.fixture
def scripts_own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a script changes is put back: it takes a process to be its own."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "path", [str(CASES), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in SHARED:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(importlib.import_module("common"), "cli", command)
    if sys.platform != "win32":
        import fcntl

        monkeypatch.setattr(fcntl, "flock", fcntl.flock)  # one of them makes it fail


@pytest.mark.usefixtures("scripts_own_world")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda one: one.stem)
def test_an_input_that_failed_once_is_read_as_its_script_says(
    script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [str(script)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script), run_name="__main__")
    assert ended.value.code == 0, capsys.readouterr()
