"""Every command and every piece of Python in the README and in docs/ does what it is there for.

A command is an indented line, or a piece of code in a line of text, that begins with a name of the
program or of one of its commands. They run in the documents' order in a folder that holds what
they name: bear.mp4, bear-masks, PROJECT, MASKS, JOBS.csv, FILE and so on, with a tiny network.
"""

import json
import re
import shlex
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

import interactive_demo
from interaction.command_line.app import COMMANDS, app
from interaction.downloads import DownloadProgress
from interaction.engines import EngineSettings
from interaction.models import ModelStore
from interaction.session import Session
from tests import tiny
from tests.fake_engines import FakeEngines
from tests.unit.video_samples import write_video
from xmem_core.weights import network_bytes

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROGRAMS = (("xmem-annotate",), ("python", "interactive_demo.py"))
WIDTH, HEIGHT, FRAMES = 640, 360, 5
# A benchmark takes minutes, whatever the network; the window has tests of its own.
ONLY_PARSED = {"benchmark", "window"}


def spans(document: Path) -> Iterator[str]:
    """Indented lines, joined where a list's text wraps, and code in text; no fenced blocks."""
    text = re.sub(r"^```.*?^```", "", document.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for line in re.findall(r"^    (\S.*)$", text, flags=re.MULTILINE):
        yield from line.split(" && ")
    for span in re.findall(r"`([^`]+)`", text):
        yield " ".join(span.split())


def command_of(span: str) -> list[str] | None:
    """The arguments of a command line; None for what is none."""
    try:
        words = shlex.split(span)
    except ValueError:
        return None
    for program in PROGRAMS:
        if tuple(words[: len(program)]) == program:
            return words[len(program) :]
    # In a table, the program's name is left out: `undo PROJECT`.
    is_command = len(words) > 1 and words[0] in COMMANDS and words[0] not in ("import", "click")
    return words if is_command or words[:2] == ["import", "PROJECT"] else None


def commands() -> list[tuple[str, list[str]]]:
    found = []
    for document in DOCUMENTS:
        for span in spans(document):
            words = command_of(span)
            if words is not None:
                found.append((f"{document.name}: {span}", words))
    return found


def python_blocks() -> list[tuple[str, str]]:
    found = []
    for document in DOCUMENTS:
        blocks = re.findall(
            r"^```python\n(.*?)^```", document.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE
        )
        # Those of docs/scripting.md are one story: tests/e2e/test_main_job.py runs it.
        found += [
            (f"{document.name}, block {number}", block)
            for number, block in enumerate(blocks, 1)
            if document.name != "scripting.md"
        ]
    return found


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("interaction.models.user_cache_path", lambda *_, **__: tmp_path / "cache")
    monkeypatch.setattr(
        "interaction.command_line.config.user_config_path", lambda *_, **__: tmp_path / "settings"
    )
    video = tmp_path / "bear.mp4"
    write_video(video, [tiny.frame(i, HEIGHT, WIDTH) for i in range(FRAMES)])
    return tmp_path


@pytest.fixture
def prepared(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All that the documents' commands name."""
    weights = place / "tiny.safetensors"
    weights.write_bytes(network_bytes(tiny.network(), {}))
    (place / "settings").mkdir()
    engine = f'model = "{weights.as_posix()}"\ninternal-size = 32\n'
    (place / "settings" / "config.toml").write_text(
        'device = "cpu"\n'
        f"[propagate]\n{engine}end = 3\n[learn]\n{engine}steps = 1\n[replay]\n{engine}"
        f'[evaluate-dataset]\nmodel = "{weights.as_posix()}"\nsize = 32\n',
        "utf-8",
    )
    (place / "FILE").write_text("[suggest]\ncount = 3\n", "utf-8")
    (place / "JOBS.csv").write_text("source,masks\nbear.mp4,bear-masks\n", "utf-8")
    truth = tiny.labels(0, 1, 2, HEIGHT, WIDTH)
    tiny.write_mask(place / "bear-masks", 0, truth)
    tiny.write_mask(place / "MASKS", 2, truth)
    for frame in range(FRAMES):
        labels = tiny.labels(frame, 1, 2, HEIGHT, WIDTH)
        tiny.write_mask(place / "bear-truth", frame, labels)
        tiny.write_mask(place / "DAVIS/2017/Annotations/480p/bear", frame, tiny.labels(frame))
    tiny.write_clip(place / "DAVIS/2017/JPEGImages/480p/bear", FRAMES)
    (place / "DAVIS/2017/ImageSets/2017").mkdir(parents=True)
    (place / "DAVIS/2017/ImageSets/2017/val.txt").write_text("bear\n", "utf-8")
    with Session.open(place / "bear.mp4", place / "PROJECT", engines=FakeEngines()) as session:
        session.add_object("bear")
        session.set_mask(0, np.where(truth == 1, truth, 0).astype(np.uint8))
        session.export("palette-png", place / "EXPORT")
    monkeypatch.setattr(ModelStore, "download", fetch_nothing)
    return place


def fetch_nothing(store: ModelStore, name: str) -> Generator[DownloadProgress, None, Path]:
    """In place of a download: a known model arrives at once."""
    [model] = [model for model in store.models if model.name == name]
    store.folder.mkdir(parents=True, exist_ok=True)
    (store.folder / model.file).write_bytes(b"weights")
    yield from ()
    return store.folder / model.file


def test_the_documents_hold_what_this_test_looks_for() -> None:
    lines = [" ".join(words) for _, words in commands()]
    assert "propagate sample --output sample-masks" in lines
    assert "undo PROJECT" in lines
    assert "models download XMem" in lines
    assert len(lines) > 15
    assert python_blocks()


def test_every_command_of_the_documents_works(
    prepared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[object] = []

    def open_window(arguments: object) -> int:
        opened.append(arguments)
        return 0

    monkeypatch.setattr("gui.window.app.main", open_window)
    failed = {}
    done: set[str] = set()
    for number, (where, words) in enumerate(commands()):
        line = shlex.join(words)
        if line in done:
            continue
        done.add(line)
        name = words[0] if words and words[0] in COMMANDS else "window"
        if len(words) == 1 and name != "window" and needs_more(name):
            continue  # only named
        if words[1:2] == ["…"]:
            words = [
                name,
                "bear.mp4",
                "--masks",
                "bear-masks",
                "--output",
                f"o{number}",
                *words[2:],
            ]
        if name in ONLY_PARSED and name != "window":
            words = [*words, "--help"]
        monkeypatch.setattr("sys.argv", ["xmem-annotate", *words])
        with pytest.raises(SystemExit) as ended:
            interactive_demo.main()
        printed = capsys.readouterr()
        if ended.value.code:
            failed[where] = printed.err or printed.out
    assert not failed, "\n".join(f"{where}: {printed}" for where, printed in failed.items())
    assert opened


def test_every_option_that_stands_alone_is_one_of_propagate_or_of_all() -> None:
    """As in “be faster: `--internal-size 360`”."""
    known = {
        option
        for name in ("propagate", "batch", "info")
        for parameter in command_named(name).params
        for option in parameter.opts
    }
    known |= {"--help", "--config"}
    missing = [
        f"{document.name}: {span}"
        for document in (ROOT / "README.md", ROOT / "docs" / "scripting.md")
        for span in spans(document)
        if span.startswith("--")
        for option in re.findall(r"--[a-z-]+", span)
        if option not in known
    ]
    assert missing == []


@pytest.mark.parametrize(("where", "block"), python_blocks(), ids=lambda one: str(one)[:40])
def test_every_piece_of_python_runs(
    place: Path, monkeypatch: pytest.MonkeyPatch, where: str, block: str
) -> None:
    """With the bundled networks, at a small size where the block does not say one."""
    small = EngineSettings(internal_size=96)
    monkeypatch.setattr("interaction.engines.EngineSettings", lambda: small)
    exec(compile(block, where, "exec"), {"__name__": "script"})
    projects = [path for path in place.glob("*.vos") if (path / "project.json").is_file()]
    for project in projects:
        journal = (project / "journal.jsonl").read_text("utf-8").splitlines()
        assert all(json.loads(line) for line in journal)


def needs_more(name: str) -> bool:
    """Whether the command does nothing without arguments."""
    command = command_named(name)
    return hasattr(command, "commands") or any(one.required for one in command.params)


def command_named(name: str) -> Any:
    group: Any = typer.main.get_command(app)
    return group.get_command(None, name)
