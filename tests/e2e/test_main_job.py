"""The main job on the bundled sample, from the first click to the finished video, by the script of
docs/scripting.md, as it stands there."""

import shutil
import socket
from pathlib import Path

import av
import numpy as np
import pytest

from interaction.annotation.mask_files import decode_labels
from interaction.annotation.types import FrameStatus
from interaction.evaluation.scores import region_similarity
from interaction.session import Session
from resources import sample_folder

pytestmark = pytest.mark.e2e

DOCUMENT = Path(__file__).parents[2] / "docs" / "scripting.md"
FRAMES = 132
TRUTH = sample_folder() / "masks" / "0000000.png"
# Places (x, y) on frame 91, seen in the picture.
RABBIT = {"belly": (460, 350), "arm": (250, 195), "left ear": (350, 116), "foot": (510, 610)}
NOT_RABBIT = {"hole": (300, 420), "lower hole": (310, 490), "rock": (200, 400), "sky": (1100, 100)}


def scripts() -> list[str]:
    blocks = DOCUMENT.read_text("utf-8").split("```python\n")[1:]
    return [block.split("```", 1)[0] for block in blocks]


def _no_network(*_: object, **__: object) -> None:
    raise AssertionError("the main job asks for the network")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the script has been run, without a network."""
    folder = tmp_path_factory.mktemp("job")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(socket.socket, "connect", _no_network)
        patch.setattr(socket.socket, "bind", _no_network)
        patch.setattr(socket, "getaddrinfo", _no_network)
        exec(compile(scripts()[0], str(DOCUMENT), "exec"), {"__name__": "script"})
    return folder


def test_a_few_clicks_cut_the_rabbit_out(folder: Path) -> None:
    truth = decode_labels(TRUTH.read_bytes()) == 1
    clicked = decode_labels((folder / "rabbit.vos" / "masks" / "0000000.png").read_bytes()) == 1
    assert region_similarity(clicked, truth) > 0.9


def test_every_frame_has_the_rabbit_and_the_correction_is_kept(folder: Path) -> None:
    with Session.open_project(folder / "rabbit.vos", read_only=True) as session:
        records = session.annotation.records
        given = [frame for frame, record in records.items() if record.status.is_given]
        assert sorted(given) == [0, 91]
        assert all(records[frame].present == {1} for frame in range(FRAMES))
        assert {r.status for f, r in records.items() if f not in given} == {FrameStatus.TRACKED}


def test_the_correction_reaches_the_frames_around_it(folder: Path) -> None:
    """The rabbit hardly moves from frame 80 to 97, so what is where stays the same."""
    with Session.open_project(folder / "rabbit.vos", read_only=True) as session:
        for frame in (80, 85, 91, 97):
            labels = session.annotation.labels(frame)
            for name, (x, y) in RABBIT.items():
                if frame == 91 or name != "left ear":
                    assert labels[y, x] == 1, (frame, name)
            for name, (x, y) in NOT_RABBIT.items():
                assert labels[y, x] == 0, (frame, name)


def test_the_exports_hold_every_frame(folder: Path) -> None:
    masks = sorted(path for path in (folder / "rabbit-masks").rglob("*.png"))
    assert len(masks) == FRAMES
    with Session.open_project(folder / "rabbit.vos", read_only=True) as session:
        for frame in (0, 91, 131):
            labels = decode_labels(masks[frame].read_bytes())
            assert np.array_equal(labels, session.annotation.labels(frame))
    with av.open(folder / "rabbit.mp4") as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (1280, 720)
        assert sum(1 for _ in container.decode(stream)) == FRAMES


def test_all_of_it_is_undone_to_nothing_and_redone_to_the_byte(folder: Path) -> None:
    with Session.open_project(folder / "rabbit.vos") as session:
        before = dict(session.annotation.records), session.annotation.objects
        steps = session.history.position
        assert [e.label for e in session.history.entries].count("Track forward") == 1
        session.ledger.go_to(0)
        assert (dict(session.annotation.records), session.annotation.objects) == ({}, ())
        session.ledger.go_to(steps)
        assert (dict(session.annotation.records), session.annotation.objects) == before


def test_the_other_scripts_of_the_document_run_too(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(folder, tmp_path / "job")
    monkeypatch.chdir(tmp_path / "job")
    for script in scripts()[1:]:
        exec(compile(script, str(DOCUMENT), "exec"), {"__name__": "script"})
    assert "box of the rabbit:" in capsys.readouterr().out
    with Session.open_project("rabbit.vos", read_only=True) as session:
        assert session.history.position == 0
        assert {"Confirm frame", "Rename ‘rabbit’"} <= {
            entry.label for entry in session.history.entries
        }
