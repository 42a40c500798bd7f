"""The window's command line: the published program's flags mean what they meant."""

from pathlib import Path

import pytest

from gui.window.arguments import parse_arguments
from interaction.engines import EngineSettings


def test_published_flags_reach_the_engine() -> None:
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
        "deep_update_every": -1,
    }
    line = [part for name, value in flags.items() for part in (f"--{name}", str(value))]
    given = parse_arguments([*line, "--no_amp"])
    assert (given.source, given.project) == (Path("a.mp4"), Path("w"))
    assert (given.objects, given.cached_frames) == (3, 50)
    settings = given.changed(EngineSettings())
    assert (settings.tracker_model, settings.click_model) == ("XMem", "fbrs")
    assert (settings.scribble_model, settings.internal_size) == ("s2m", 360)
    memory = settings.memory
    assert (memory.memorize_every, memory.top_k, memory.prototypes) == (7, 20, 64)
    assert (memory.min_working_frames, memory.max_working_frames) == (6, 12)
    assert memory.max_long_term == 5000


def test_without_flags_nothing_differs_from_the_preferences() -> None:
    settings = EngineSettings(internal_size=240, device="cpu")
    assert parse_arguments([]).changed(settings) == settings


def test_size_minus_one_keeps_the_source_size() -> None:
    assert parse_arguments(["--size", "-1"]).changed(EngineSettings()).internal_size is None


def test_a_workspace_alone_is_what_is_opened() -> None:
    given = parse_arguments(["--workspace", "bear"])
    assert (given.source, given.project) == (Path("bear"), None)


@pytest.mark.parametrize(
    "line", ["--size 3", "--num_objects 256", "--top_k 0", "--max_mid_term_frames 2", "--nonsense"]
)
def test_numbers_that_make_no_sense_are_refused_with_a_message(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse_arguments(line.split())
    assert stopped.value.code == 2
    assert line.split()[0].lstrip("-").split("_")[0] in capsys.readouterr().err
