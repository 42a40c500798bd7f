"""The whole program as a person starts it: words, exit codes, files.

What depends on the process (signals, streams, exit codes) runs in one of its own; the many wordings
run in this one, because each new process imports torch.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from interaction.annotation.mask_files import decode_labels
from interaction.command_line.app import main
from tests import tiny
from xmem_core.weights import network_bytes

pytestmark = pytest.mark.e2e

PROGRAM = Path(__file__).parents[2] / "interactive_demo.py"
FRAMES = 50
TIMEOUT_S = 180
COMMANDS = [
    (),
    ("propagate",),
    ("evaluate",),
    ("benchmark",),
    ("models",),
    ("models", "list"),
    ("models", "download"),
    ("models", "verify"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    tiny.write_clip(folder / "clip", FRAMES)
    tiny.write_mask(folder / "masks", 0, tiny.labels(0, 3, 200))
    (folder / "tiny.safetensors").write_bytes(network_bytes(tiny.network(), {}))
    return folder


def command_line(*arguments: str) -> list[str]:
    return [sys.executable, "-W", "error", str(PROGRAM), *arguments]


def environment(folder: Path) -> dict[str, str]:
    """Without a display, without a terminal's width, with a cache of its own."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if "DISPLAY" not in name and name != "QT_QPA_PLATFORM"
    }
    return inherited | {
        "XDG_CACHE_HOME": str(folder / "cache"),
        "COLUMNS": "200",
        "OMP_NUM_THREADS": "1",
        "PYTHONUTF8": "1",
    }


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command_line(*arguments),
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT_S,
        check=False,
    )


@dataclass(frozen=True)
class Printed:
    exit_code: int
    out: str
    err: str


Here = Callable[..., Printed]


@pytest.fixture
def here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Here:
    """Runs a command line in this process."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def run_here(*arguments: str) -> Printed:
        with pytest.raises(SystemExit) as caught:
            main(list(arguments))
        code = caught.value.code
        printed = capsys.readouterr()
        return Printed(code if isinstance(code, int) else 0, printed.out, printed.err)

    return run_here


def propagate(place: Path, output: Path, *more: str) -> tuple[str, ...]:
    return (
        *("propagate", str(place / "clip"), "--masks", str(place / "masks")),
        *("--output", str(output), "--model", str(place / "tiny.safetensors")),
        *("--device", "cpu", "--internal-size", "16", "--memory-every", "2"),
        *("--max-working-frames", "4", "--min-working-frames", "2"),
        *("--num-prototypes", "4", "--max-long-term-elements", "12", *more),
    )


def masks_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.png"))}


def test_a_clip_and_a_mask_give_a_mask_for_every_frame_and_a_report(
    place: Path, tmp_path: Path, here: Here
) -> None:
    output = tmp_path / "out"
    done = run(tmp_path, *propagate(place, output, "--end", "9", "--json"))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report == json.loads((output / "report.json").read_text("utf-8"))
    assert (report["frames"], report["objects"], report["device"]) == (10, [3, 200], "cpu")
    assert 0 < report["memory_elements"]["long_term"] <= 12
    masks = masks_in(output)
    assert set(masks) == {f"{index:05d}.png" for index in range(10)}
    np.testing.assert_array_equal(decode_labels(masks["00000.png"]), tiny.labels(0, 3, 200))

    again = here(*propagate(place, output, "--end", "9"))
    assert again.exit_code == 1
    assert "already holds masks for 10 of these frames" in again.err
    assert masks_in(output) == masks


def test_without_json_a_person_reads_what_was_done(place: Path, tmp_path: Path, here: Here) -> None:
    done = here(*propagate(place, tmp_path / "out", "--end", "3"))
    assert done.exit_code == 0, done.err
    assert done.out == ""
    assert "4 masks in" in done.err
    assert "frames a second on cpu" in done.err


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT is sent otherwise on Windows")
def test_control_c_keeps_what_is_done_and_resume_goes_on(
    place: Path, tmp_path: Path, here: Here
) -> None:
    output = tmp_path / "out"
    with subprocess.Popen(
        command_line(*propagate(place, output, "--json")),
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        while process.poll() is None and not (output / "00002.png").exists():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.01)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130, stderr
    assert stdout == ""
    assert "Stopped" in stderr
    assert "--resume" in stderr
    assert "Traceback" not in stderr
    done = masks_in(output)
    assert 3 <= len(done) < FRAMES
    assert not (output / "report.json").exists()

    resumed = here(*propagate(place, output, "--json", "--resume"))
    assert resumed.exit_code == 0, resumed.err
    assert json.loads(resumed.out)["frames"] == FRAMES
    masks = masks_in(output)
    assert len(masks) == FRAMES
    assert done.items() <= masks.items()
    assert here(*propagate(place, tmp_path / "whole")).exit_code == 0
    assert masks_in(tmp_path / "whole") == masks


def test_a_run_of_which_nothing_is_kept_does_not_promise_to_go_on(
    place: Path, tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def stopped() -> Iterator[threading.Event]:
        stop = threading.Event()
        stop.set()
        yield stop

    monkeypatch.setattr("interaction.command_line.propagate.stop_on_interrupt", stopped)
    done = here(*propagate(place, tmp_path / "out"))
    assert done.exit_code == 130
    assert "with --overwrite begins again" in done.err
    assert "--resume" not in done.err


def test_a_mistake_ends_the_program_with_words_and_without_a_traceback(tmp_path: Path) -> None:
    done = run(tmp_path, "propagate", "nowhere.mp4", "--masks", "m", "--output", "o")
    assert done.returncode == 1
    assert "“nowhere.mp4” could not be opened" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("change", "exit_code", "message"),
    [
        (("--bogus",), 2, "No such option: --bogus"),
        (("--internal-size", "8"), 2, "--internal-size"),
        (("--direction", "sideways"), 2, "sideways"),
        (("--min-working-frames", "9"), 2, "min_working_frames"),
        (("--model", "nonesuch"), 1, "There is no model “nonesuch”."),
        (("--model", "nowhere.pth"), 1, "There is no file “nowhere.pth”."),
        (("--masks", "nowhere"), 1, "There is no file or folder “nowhere”."),
        (("--device", "abacus"), 1, "The device “abacus” is not available"),
        (("--start", "500"), 1, "--start 500 lies outside the video."),
    ],
)
def test_a_mistake_is_reported_in_words_and_an_exit_code(
    place: Path, tmp_path: Path, here: Here, change: tuple[str, ...], exit_code: int, message: str
) -> None:
    done = here(*propagate(place, tmp_path / "out", *change))
    assert done.exit_code == exit_code
    assert message in done.err
    assert done.out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("propagate", "nowhere.mp4", "--masks", "m", "--output", "o"), "nowhere.mp4"),
        (("propagate", "nowhere.mp4", "--output", "o"), "No masks to start from were given."),
        (("models", "verify", "nowhere.pth"), "nowhere.pth"),
        (("models", "download", "nonesuch"), "There is no model “nonesuch”."),
        (("benchmark", "--model", "nonesuch"), "There is no model “nonesuch”."),
        (("evaluate", "nowhere", "neither"), "nowhere"),
    ],
)
def test_a_file_that_is_not_there_is_reported(
    here: Here, arguments: tuple[str, ...], message: str
) -> None:
    done = here(*arguments)
    assert done.exit_code == 1
    assert message in done.err


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(here: Here, command: tuple[str, ...]) -> None:
    done = here(*command, "--help")
    assert done.exit_code == 0, done.err
    assert "Usage:" in done.out
    assert done.err == ""


def test_propagate_s_help_names_every_option_of_the_specification(here: Here) -> None:
    text = here("propagate", "--help").out
    options = (
        "--masks --output --model --device --internal-size --start --end --direction "
        "--memory-every --top-k --max-working-frames --min-working-frames "
        "--max-long-term-elements --num-prototypes --no-long-term --no-sensory "
        "--affinity --save-probabilities --resume --json"
    )
    assert [option for option in options.split() if option not in text] == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere there is a display")
def test_no_command_without_a_display_says_in_one_line_how_to_go_on(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "xmem-annotate propagate" in done.stderr
