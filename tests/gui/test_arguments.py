"""The window's command line: the published program's flags mean what they meant."""

from pathlib import Path

import pytest

import interactive_demo
from gui.window.arguments import WindowArguments
from interaction.engines import EngineSettings


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[WindowArguments]:
    """What the window was opened with, instead of the window."""
    given: list[WindowArguments] = []

    def remember(arguments: WindowArguments) -> int:
        given.append(arguments)
        return 0

    monkeypatch.setattr("gui.window.app.main", remember)
    return given


def start(monkeypatch: pytest.MonkeyPatch, *line: str) -> int:
    monkeypatch.setattr("sys.argv", ["xmem-annotate", *line])
    with pytest.raises(SystemExit) as ended:
        interactive_demo.main()
    return int(ended.value.code or 0)


def test_published_flags_reach_the_engine(
    opened: list[WindowArguments], monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = {
        "video": "a.mp4",
        "workspace": "w",
        "num_objects": 3,
        "size": 360,
        "model": "XMem",
        "fbrs_model": "fbrs",
        "s2m_model": "s2m",
        "mem_every": 7,
        "max_mid_term_frames": 12,
        "min_mid_term_frames": 6,
        "max_long_term_elements": 5000,
        "num_prototypes": 64,
        "top_k": 20,
        "buffer_size": 50,
        "deep_update_every": 15,
    }
    line = [part for name, value in flags.items() for part in (f"--{name}", str(value))]
    assert start(monkeypatch, *line, "--no_amp") == 0
    [given] = opened
    assert (given.source, given.project) == (Path("a.mp4"), Path("w"))
    assert (given.objects, given.cached_frames) == (3, 50)
    settings = given.changed(EngineSettings())
    assert (settings.tracker_model, settings.click_model) == ("XMem", "fbrs")
    assert (settings.scribble_model, settings.internal_size) == ("s2m", 360)
    assert not settings.allows_half_precision
    memory = settings.memory
    assert (memory.memorize_every, memory.top_k, memory.prototypes) == (7, 20, 64)
    assert (memory.min_working_frames, memory.max_working_frames) == (6, 12)
    assert (memory.max_long_term, memory.deep_update_every) == (5000, 15)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", WindowArguments()),
        ("window", WindowArguments()),
        ("bear.mp4 --num_objects 2", WindowArguments(Path("bear.mp4"), objects=2)),
        ("window bear.mp4", WindowArguments(Path("bear.mp4"))),
        ("--images bear --workspace w", WindowArguments(Path("bear"), Path("w"))),
        ("--workspace bear", WindowArguments(Path("bear"))),
        ("--size -1", WindowArguments(engine={"internal_size": None})),
        ("--deep_update_every -1", WindowArguments(memory={"deep_update_every": None})),
    ],
)
def test_a_line_without_a_command_opens_the_window(
    opened: list[WindowArguments],
    monkeypatch: pytest.MonkeyPatch,
    line: str,
    expected: WindowArguments,
) -> None:
    assert start(monkeypatch, *line.split()) == 0
    assert opened == [expected]


def test_without_flags_nothing_differs_from_the_preferences() -> None:
    settings = EngineSettings(internal_size=240, device="cpu")
    assert WindowArguments().changed(settings) == settings


@pytest.mark.parametrize(
    "line", ["--size 3", "--num_objects 256", "--top_k 0", "--max_mid_term_frames 2", "--nonsense"]
)
def test_numbers_that_make_no_sense_are_refused_with_a_message(
    opened: list[WindowArguments],
    monkeypatch: pytest.MonkeyPatch,
    line: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert start(monkeypatch, *line.split()) == 2
    assert opened == []

    assert line.split()[0].lstrip("-").split("_")[0] in capsys.readouterr().err.replace(
        "internal_size", "size"
    )
