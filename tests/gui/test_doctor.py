"""The examination of the computer, by command and in a bug report."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import interactive_demo
from gui.errors import report_of
from interaction.doctor import as_text, examine, writable


def run(monkeypatch: pytest.MonkeyPatch, *line: str) -> int:
    monkeypatch.setattr("sys.argv", ["xmem-annotate", "doctor", *line])
    with pytest.raises(SystemExit) as ended:
        interactive_demo.main()
    return int(ended.value.code or 0)


def test_the_command_covers_every_topic_on_one_screen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(monkeypatch, "--json")
    findings = {one["topic"]: one for one in json.loads(capsys.readouterr().out)}
    assert code == int(not all(one["is_fine"] for one in findings.values()))
    assert {"window", "device", "speed", "memory", "decoders", "models", "cache"} <= set(findings)
    assert "offscreen" in findings["window"]["text"]
    assert "GFLOP/s" in findings["speed"]["text"]
    assert "h264" in findings["decoders"]["text"]
    assert len(findings) <= 24


@pytest.mark.parametrize("library", ["cv2", "numpy"])
def test_the_command_works_where_a_library_does_not_load(tmp_path: Path, library: str) -> None:
    broken = tmp_path / library / "__init__.py"
    broken.parent.mkdir()
    broken.write_text("raise ImportError('libGL.so.1: no such file')")
    program = Path(interactive_demo.__file__)
    ended = subprocess.run(
        [sys.executable, str(program), "doctor", "--no-speed-test"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(program.parent)))},
    )
    assert "memory" in ended.stdout, ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_folder_that_cannot_be_written_and_a_damaged_model_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert writable("cache", tmp_path / "not" / "there").is_fine
    (tmp_path / "file").write_bytes(b"")
    refused = writable("cache", tmp_path / "file")
    assert not refused.is_fine
    assert "cannot write" in refused.text

    weights = tmp_path / "weights"
    weights.mkdir()
    monkeypatch.setattr("interaction.models.weights_folder", lambda: weights)
    [models] = [one for one in examine(speed_test_s=0) if one.topic == "models"]
    assert not models.is_fine
    assert "BAD" in as_text([models])


def test_a_bug_report_holds_the_examination() -> None:
    report = report_of(ValueError("broken"))
    assert report.index("memory") < report.index("ValueError: broken")
    assert "xmem-annotate" in report
