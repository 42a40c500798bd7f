"""`xmem-annotate export` and `import`, from a project to files and back."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interaction.annotation.mask_files import decode_labels, encode_labels
from interaction.annotation.types import FrameStatus
from interaction.command_line.app import main
from interaction.project.project import Project
from tests.unit.mask_scenes import scene, write_frames

WIDTH, HEIGHT, COUNT = 64, 48, 4
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        with pytest.raises(SystemExit) as exit_:
            main([str(one) for one in arguments])
        code = exit_.value.code
        out, err = capsys.readouterr()
        return int(code or 0), out, err

    return run


@pytest.fixture
def project(tmp_path: Path, run: Run) -> Path:
    """A project with masks of frames 0 to 2, imported."""
    frames = write_frames(tmp_path / "bear", COUNT, WIDTH, HEIGHT)
    masks = tmp_path / "masks"
    masks.mkdir()
    for index in range(3):
        (masks / f"{index:05d}.png").write_bytes(encode_labels(scene(WIDTH, HEIGHT, index)))
    folder = tmp_path / "bear.project"
    assert run("new", frames, "--project", folder, "--object", "dog")[0] == 0
    assert run("import", folder, masks)[0] == 0
    return folder


def info(run: Run, project: Path) -> Any:
    return json.loads(run("info", project, "--json")[1])


def test_what_was_imported_is_in_the_project_as_one_step(project: Path, run: Run) -> None:
    report = info(run, project)
    assert report["frames_by_status"]["confirmed"] == 3
    assert [(one["id"], one["name"], one["frames"]) for one in report["objects"]] == [
        (1, "dog", 3),
        (2, "Object 2", 3),
    ]
    assert report["steps"] == 2  # the object, the import


def test_what_was_imported_is_exported_again(project: Path, tmp_path: Path, run: Run) -> None:
    code, out, _ = run(
        "export",
        project,
        "--format",
        "palette-png",
        "--output",
        tmp_path / "out",
        "--last",
        2,
        "--json",
    )
    assert code == 0
    assert json.loads(out)["frames"] == 3
    for index in range(3):
        written = decode_labels((tmp_path / "out" / f"{index:05d}.png").read_bytes())
        np.testing.assert_array_equal(written, scene(WIDTH, HEIGHT, index))


def test_a_dry_run_of_an_export_tells_gaps_and_writes_nothing(
    project: Path, tmp_path: Path, run: Run
) -> None:
    output = tmp_path / "out"
    code, out, _ = run("export", project, "--format", "binary", "--output", output, "--dry-run")
    assert code == 0
    assert "object ‘dog’ has no mask on 1 frame: 3" in out
    assert not output.exists()


def test_settings_objects_and_range_are_taken_from_the_command_line(
    project: Path, tmp_path: Path, run: Run
) -> None:
    code, _, _ = run(
        "export", project, "--format", "png-sequence", "--output", tmp_path / "out",
        "--object", "dog", "--first", 1, "--only-annotated", "--set", "has_layers=yes",
        "--set", "first-number=1001",
    )  # fmt: skip
    assert code == 0
    files = sorted(path.name for path in (tmp_path / "out" / "001-dog").iterdir())
    assert files == ["dog.0001001.png", "dog.0001002.png"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--format", "gif"), "palette-png"),
        (("--format", "palette-png", "--object", "cow"), "dog"),
        (("--format", "palette-png", "--set", "speed=1"), "palette"),
        (("--format", "palette-png", "--first", 9), "0 to 3"),
    ],
)
def test_what_cannot_be_exported_is_reported_in_words(
    project: Path, tmp_path: Path, run: Run, arguments: tuple[object, ...], words: str
) -> None:
    code, _, err = run("export", project, "--output", tmp_path / "out", *arguments)
    assert code == 1
    assert words in err
    assert not (tmp_path / "out").exists()


def test_the_project_itself_is_no_place_for_an_export(project: Path, run: Run) -> None:
    code, _, err = run(
        "export", project, "--format", "palette-png", "--output", project / "masks", "--overwrite"
    )
    assert code == 1
    assert "Choose another place" in err


def test_formats_and_their_settings_can_be_listed(run: Run) -> None:
    code, out, _ = run("export", "--formats")
    assert code == 0
    assert "youtube-vis" in out
    assert "opacity=0.5" in out


def test_an_export_works_while_the_project_is_open_elsewhere(
    project: Path, tmp_path: Path, run: Run
) -> None:
    with Project.open(project):
        code, _, _ = run("export", project, "--format", "coco", "--output", tmp_path / "out")
    assert code == 0


def test_a_dry_run_of_an_import_changes_nothing(project: Path, tmp_path: Path, run: Run) -> None:
    before = info(run, project)
    code, out, _ = run("import", project, tmp_path / "masks", "--dry-run", "--json")
    assert code == 0
    assert json.loads(out)["given_conflicts"] == [0, 1, 2]
    assert info(run, project) == before


def test_a_dry_run_of_an_import_tells_what_the_import_then_does(
    project: Path, tmp_path: Path, run: Run
) -> None:
    masks = tmp_path / "more"
    masks.mkdir()
    for index in range(COUNT):
        (masks / f"{index:05d}.png").write_bytes(encode_labels(scene(WIDTH, HEIGHT, index + 5)))
    arguments = ("import", project, masks, "--first", 2, "--object", "1=1", "--keep-others")
    code, out, _ = run(*arguments, "--dry-run", "--json")
    assert code == 0
    plan = json.loads(out)["plan"]
    assert (plan["frames"], plan["left_given"], plan["left_outside"]) == ([3], [2], [0, 1])
    assert plan["objects"] == {"1": 1}
    assert plan["frames_by_status"]["corrected"] == 1
    code, out, _ = run(*arguments, "--dry-run")
    assert "1 frame will be imported: 3" in out
    assert "1 frame left alone, made or confirmed by hand: 2" in out
    assert "object 2 (no name) on 4 frames: left out" in out
    code, out, _ = run(*arguments, "--json")
    assert (code, json.loads(out)["changed"]) == (0, plan["frames"])
    assert info(run, project)["frames_by_status"]["corrected"] == 1


def test_a_dry_run_says_why_nothing_would_be_imported(
    project: Path, tmp_path: Path, run: Run
) -> None:
    code, out, _ = run("import", project, tmp_path / "masks", "--dry-run")
    assert code == 0
    assert "None of these masks would be imported" in out
    code, _, err = run("import", project, tmp_path / "masks", "--object", "8=1", "--dry-run")
    assert code == 1
    assert "no object 8" in err


def test_given_masks_are_replaced_only_on_request(project: Path, tmp_path: Path, run: Run) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "00001.png").write_bytes(encode_labels(np.full((HEIGHT, WIDTH), 5, np.uint8)))
    code, _, err = run("import", project, other)
    assert code == 1
    assert "by hand" in err
    code, out, _ = run(
        "import",
        project,
        other,
        "--replace-given",
        "--status",
        "tracked",
        "--object",
        "5=1",
        "--json",
    )
    assert code == 0
    assert json.loads(out)["changed"] == [1]
    with Project.open(project, read_only=True) as opened:
        annotation = opened.load_annotation()
    assert (annotation.labels(1) == 1).all()
    assert annotation.record(1).status is FrameStatus.TRACKED


def test_an_object_that_the_masks_do_not_hold_is_reported(
    project: Path, tmp_path: Path, run: Run
) -> None:
    code, _, err = run("import", project, tmp_path / "masks", "--replace-given", "--object", "8=1")
    assert code == 1
    assert "no object 8" in err
