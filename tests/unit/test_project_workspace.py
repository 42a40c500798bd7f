"""A workspace of another program opens as a project, and stays as it was."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from interaction.annotation.annotation import Annotation
from interaction.annotation.mask_files import encode_labels
from interaction.annotation.types import Edit, FrameStatus
from interaction.errors import UnreadableMaskError
from interaction.project.layout import is_project
from interaction.project.manifest import describe_source
from interaction.project.project import Project
from interaction.project.workspace import (
    is_workspace,
    workspace_edits,
    workspace_images,
    workspace_project,
)
from interaction.video.video import open_video
from tests.unit.project_samples import Annotator

NAMES = [f"{number:05d}" for number in range(1, 9)]  # from pictures that were numbered from 1


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Eight frames, masks on the frames 0, 3, 4 and 7."""
    folder = tmp_path / "my workspace"
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    for name in NAMES:
        Image.fromarray(np.zeros((16, 24, 3), np.uint8)).save(folder / "images" / f"{name}.jpg")
    for frame, object_id in ((0, 1), (3, 2), (4, 1), (7, 40)):
        labels = np.zeros((16, 24), np.uint8)
        labels[2:6, frame : frame + 4] = object_id
        (folder / "masks" / f"{NAMES[frame]}.png").write_bytes(encode_labels(labels))
    return folder


def edits_of(workspace: Path) -> list[Edit]:
    return list(workspace_edits(workspace, NAMES, Annotation(8, 24, 16)))


def statuses_of(workspace: Path) -> dict[int, FrameStatus]:
    return {frame: edit.after[frame].status for edit in edits_of(workspace) for frame in edit.after}


def test_it_becomes_a_project_of_one_step_and_is_not_touched(workspace: Path) -> None:
    before = {path: path.read_bytes() for path in workspace.rglob("*") if path.is_file()}
    assert is_workspace(workspace)
    with open_video(workspace_images(workspace)) as video:
        names = [video.name(frame) for frame in range(len(video))]
        source = describe_source(video.path, len(video), video.width, video.height)
        folder = workspace_project(workspace)
    annotator = Annotator()
    with Project.create(folder, source) as project:
        annotator = Annotator(project)
        for edit in workspace_edits(workspace, names, annotator.annotation):
            annotator.apply(edit)
        assert len(annotator.history.entries) == 1
        assert (annotator.annotation.labels(7)[2:6, 7:11] == 40).all()
        assert [one.id for one in annotator.annotation.objects] == [1, 2, 40]
    assert is_project(folder)
    with Project.open(folder) as project:
        assert dict(project.load_annotation().records) == dict(annotator.annotation.records)
        assert project.view.find_source() == workspace / "images"
    assert {path: path.read_bytes() for path in before} == before
    assert is_workspace(workspace)


def test_masks_in_a_row_were_tracked_and_lone_ones_made_by_hand(workspace: Path) -> None:
    assert statuses_of(workspace) == {
        0: FrameStatus.CORRECTED,
        3: FrameStatus.TRACKED,
        4: FrameStatus.TRACKED,
        7: FrameStatus.CORRECTED,
    }


def test_references_of_xmem_plus_plus_are_confirmed(workspace: Path) -> None:
    (workspace / "info.json").write_text(json.dumps({"references": [3, 9, "x"], "num_objects": 2}))
    assert [frame for frame, one in statuses_of(workspace).items() if one.is_given] == [3]
    assert statuses_of(workspace)[3] is FrameStatus.CONFIRMED


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"references": 5}', "[" * 9999])
def test_a_list_of_references_that_says_nothing_is_as_none(workspace: Path, text: str) -> None:
    (workspace / "info.json").write_text(text)
    assert statuses_of(workspace)[0] is FrameStatus.CORRECTED


def test_a_workspace_without_masks_is_one_to_begin_with(workspace: Path) -> None:
    for path in (workspace / "masks").iterdir():
        path.unlink()
    assert is_workspace(workspace)
    assert edits_of(workspace) == []


def test_a_mask_that_cannot_be_used_is_named(workspace: Path) -> None:
    (workspace / "masks" / "00004.png").write_bytes(b"no picture")
    with pytest.raises(UnreadableMaskError, match=r"00004\.png"):
        edits_of(workspace)


def test_a_folder_with_only_pictures_is_no_workspace(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    assert not is_workspace(tmp_path)
