"""`new`, `click`, `info` and `replay`, as a person types them."""

import json
from pathlib import Path

import numpy as np
import pytest

from interaction.annotation.mask_files import decode_labels
from interaction.annotation.requests import StrokeRequest
from interaction.annotation.types import Stroke
from interaction.command_line.app import main
from interaction.session import Session
from tests import tiny
from tests.fake_engines import FakeEngines
from tests.unit.test_brakes import write_film
from xmem_core.weights import network_bytes

pytestmark = pytest.mark.e2e


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    tiny.write_clip(tmp_path / "clip", 6)
    return tmp_path / "clip"


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def printed(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, object]:
    code, out, err = run(capsys, *arguments, "--json")
    assert code == 0, err
    report = json.loads(out)
    assert isinstance(report, dict)
    return report


def test_a_project_is_made_clicked_described_and_replayed(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "bear.vos"
    made = printed(capsys, "new", clip, "--project", folder, "--object", "bear", "--object", "cub")
    assert (made["frames"], made["width"], made["height"]) == (6, 60, 48)
    clicked = printed(
        capsys, "click", folder, "--frame", "2", "--object", "bear",
        "--click", "20,20,+", "--click", "50,40,-", "--output", tmp_path / "mask.png",
    )  # fmt: skip
    assert (clicked["object"], clicked["name"], clicked["clicks"]) == (1, "bear", 2)
    labels = decode_labels((tmp_path / "mask.png").read_bytes())
    assert clicked["pixels"] == np.count_nonzero(labels == 1)

    about = printed(capsys, "info", folder)
    assert about["frames_by_status"] == {"empty": 5, "tracked": 0, "corrected": 1, "confirmed": 0}
    assert about["steps"] == about["steps_in_effect"] == 4
    assert about["source_found"] == str(clip)
    code, out, _ = run(capsys, "info", folder)
    assert code == 0
    assert "bear" in out

    again = printed(capsys, "replay", folder / "journal.jsonl", "--project", tmp_path / "again.vos")
    assert (again["steps"], again["taken_over"]) == (4, [])
    assert again["equal_frames"] == again["frames"] == 1
    assert printed(capsys, "info", tmp_path / "again.vos")["steps"] == 4


def test_a_project_is_confirmed_undone_suggested_and_exported_beside_itself(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "p.vos"
    with Session.open(clip, folder, engines=FakeEngines()) as session:
        session.add_object("bear")
        session.do(StrokeRequest(0, 1, Stroke(((20.0, 20.0),), 8)))
        session.propagate(0, last=1)
        session.flush()
        assert run(capsys, "suggest", folder)[1].endswith("Frames without a mask: 4.\n")
        session.propagate(0)
        listed = [one.frame for one in session.next_frames(goal=0.99)]
    suggested = printed(capsys, "suggest", folder, "--count", "2", "--goal", "0.99")["frames"]
    assert [one["frame"] for one in suggested] == listed[:2]  # type: ignore[attr-defined]
    assert listed

    assert printed(capsys, "confirm", folder, "2", "3", "3")["changed"] == [2, 3]
    assert printed(capsys, "confirm", folder, "3", "--unconfirm")["changed"] == [3]
    about = printed(capsys, "info", folder)
    assert about["frames_by_status"] == {"empty": 0, "tracked": 4, "corrected": 1, "confirmed": 1}
    code, _, err = run(capsys, "confirm", folder, "1", "6")
    assert (code, "no frame 6" in err) == (1, True)

    steps = about["steps_in_effect"]
    undone = printed(capsys, "undo", folder, "--steps", "3")
    assert undone["steps_in_effect"] == steps - 3  # type: ignore[operator]
    again = printed(capsys, "undo", folder, "--redo", "--steps", "9")
    assert again == {"steps": undone["steps"][::-1], "steps_in_effect": steps}  # type: ignore[index]
    assert run(capsys, "undo", folder, "--redo")[0] == 1

    code, _, err = run(capsys, "export", folder, "--format", "coco")
    assert code == 0, err
    assert (tmp_path / "p-coco").exists()


def test_cuts_are_listed_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_film(tmp_path / "film")
    assert printed(capsys, "cuts", tmp_path / "film") == {"cuts": [5]}
    folder = tmp_path / "film.vos"
    Session.open(tmp_path / "film", folder, engines=FakeEngines()).close()
    assert printed(capsys, "cuts", folder) == {"cuts": [5]}
    with Session.open_project(folder, engines=FakeEngines()) as session:
        assert session.project is not None
        assert session.project.view.load_cuts() == (5,)
        (folder / "cuts.json").write_text('{"digest": "another", "cuts": [5]}')
        assert session.project.view.load_cuts() is None
        (folder / "cuts.json").write_text('{"cuts": [-5]}')
        assert session.project.view.load_cuts() is None


def test_info_counts_frames_by_object_and_names_doubtful_ones(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Session.open(clip, tmp_path / "p.vos", engines=FakeEngines()) as session:
        session.add_object("bear")
        session.do(StrokeRequest(0, 1, Stroke(((20.0, 20.0),), 8)))
        session.propagate(0)
        session.undo()
        session.redo()
        session.flush()
        about = printed(capsys, "info", tmp_path / "p.vos")  # also while it is open
    assert about["frames_by_status"] == {"empty": 0, "tracked": 5, "corrected": 1, "confirmed": 0}
    assert len(about["objects"]) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("click", "clip", "--click", "5,5"), "nowhere to keep the mask"),
        (("click", "clip", "--click", "5", "--output", "m.png"), "X,Y,+ or X,Y,-"),
        (("click", "clip", "--click", "5,5,x", "--output", "m.png"), "X,Y,+ or X,Y,-"),
        (("click", "clip", "--click", "60,5", "--output", "m.png"), "lies outside the frame"),
        (("click", "clip", "--frame", "6", "--click", "5,5", "--output", "m.png"), "no frame 6"),
        (("click", "clip", "--object", "0", "--click", "5,5", "--output", "m.png"), "no object 0"),
        (("info", "clip"), "There is no project"),
        (("replay", "clip"), "There is no project"),
        (("new", "nothing.mp4", "--project", "p.vos"), "does not exist"),
    ],
)
def test_what_cannot_be_done_is_reported_in_words(
    clip: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(clip.parent)
    monkeypatch.setenv("COLUMNS", "200")
    code, _, err = run(capsys, *arguments)
    assert code != 0
    assert message in err
    assert sorted(path.name for path in clip.parent.iterdir()) == ["clip"]


def test_a_project_is_tracked_by_command(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tiny.safetensors").write_bytes(network_bytes(tiny.network(), {}))
    folder = tmp_path / "p.vos"
    with Session.open(clip, folder, engines=FakeEngines()) as session:
        session.add_object("disc")
        session.add_object("box")
        session.set_mask(1, tiny.labels(1))
    line = ("propagate", folder, "--model", tmp_path / "tiny.safetensors", "--device", "cpu")
    report = printed(capsys, *line, "--internal-size", "16", "--end", "3", "--object", "disc")
    assert report["frames"] == 2
    with Session.open_project(folder, read_only=True) as session:
        assert set(session.annotation.records) == {1, 2, 3}
        assert 2 not in np.unique(session.masks[2])
        np.testing.assert_array_equal(session.masks[1], tiny.labels(1))
        assert session.history.position == 4  # all of it is one step
    assert printed(capsys, *line, "--direction", "both", "--from", "3")["frames"]
    code, _, err = run(capsys, *line, "--output", tmp_path / "out")
    assert (code, "--output" in err) == (2, True)
    code, _, err = run(capsys, "propagate", clip, "--until", "settled", "--output", tmp_path / "o")
    assert (code, "projects only" in err) == (2, True)


def test_a_project_learns_and_forgets_by_command(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tiny.safetensors").write_bytes(network_bytes(tiny.network(), {}))
    folder = tmp_path / "p.vos"
    with Session.open(clip, folder, engines=FakeEngines()) as session:
        session.add_object("bear")
        session.flush()
    model = "--model", tmp_path / "tiny.safetensors", "--steps", "1"
    code, _, problem = run(capsys, "learn", folder, *model)
    assert code == 1
    assert "no frame to learn from" in problem
    with Session.open_project(folder, engines=FakeEngines()) as session:
        session.do(StrokeRequest(0, 1, Stroke(((20.0, 20.0),), 8)))
        session.flush()
    assert printed(capsys, "learn", folder, *model)["learned_from_frames"] == 1
    assert (folder / "learned" / "tracker.safetensors").is_file()
    assert printed(capsys, "learn", folder, "--forget")["learned_from_frames"] == 0
    assert not (folder / "learned" / "tracker.safetensors").exists()
