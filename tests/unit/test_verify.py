"""Exact frames: what frames.csv says of the pictures, and whether an export belongs to a video."""

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from interaction.command_line.app import main
from interaction.errors import UserError
from interaction.formats.verify import Verdict, list_of, verified
from interaction.session import Session
from interaction.video.fingerprints import FingerprintReader
from interaction.video.video import open_video
from tests import tiny
from tests.fake_engines import FakeEngines
from tests.unit.video_samples import write_video, x264

FRAMES = 6


def pictures(shift: int = 0) -> list[np.ndarray]:
    return [np.roll(tiny.frame(i, 96, 128), shift, axis=1) for i in range(FRAMES)]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "bear.mp4"
    write_video(path, pictures())
    return path


@pytest.fixture
def export(video: Path, tmp_path: Path) -> Path:
    target = tmp_path / "elsewhere" / "masks"
    with Session.open(video, engines=FakeEngines()) as session:
        session.click(2, session.add_object("bear"), 40, 40)
        session.export("palette-png", target)
    return target


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_list_has_timestamp_and_hash_of_each_decoded_picture(video: Path, export: Path) -> None:
    """As another decoder of the same file gives them."""
    with av.open(str(video)) as container:
        decoded = list(container.decode(video=0))
    expected = [
        (str(one.pts), hashlib.sha256(one.to_ndarray().tobytes()).hexdigest()) for one in decoded
    ]
    assert [(row["pts"], row["sha256"]) for row in rows(export / "frames.csv")] == expected
    assert len(expected) == FRAMES


def test_an_export_belongs_to_its_video_wherever_that_lies(
    video: Path, export: Path, tmp_path: Path
) -> None:
    moved = video.rename(tmp_path / "renamed.mp4")
    with Session.open(moved, engines=FakeEngines()) as session:
        report = verified(export, session.video)
    assert report.belongs
    assert report.verdict is Verdict.EXACT
    assert report.equal == FRAMES
    assert report.missing_files == 0
    (export / "0000003.png").unlink()
    with Session.open(moved, engines=FakeEngines()) as session:
        assert verified(export, session.video).missing_files == 1


def test_another_video_another_encoding_and_a_cut_one_are_distinguished(
    export: Path, tmp_path: Path
) -> None:
    def verdict(name: str, frames: list[np.ndarray], **settings: object) -> Verdict:
        write_video(tmp_path / name, frames, **settings)  # type: ignore[arg-type]
        with Session.open(tmp_path / name, engines=FakeEngines()) as session:
            report = verified(export, session.video)
        assert not report.belongs
        return report.verdict

    assert verdict("coarse.mp4", pictures(), options=x264(crf=30)) is Verdict.ENCODED_ANEW
    assert verdict("other.mp4", [p[::-1].copy() for p in pictures()]) is Verdict.OTHER
    assert verdict("cut.mp4", pictures()[:3], options=x264(crf=30)) is Verdict.PARTLY


def test_frames_of_a_folder_are_compared_by_their_pixels(tmp_path: Path) -> None:
    tiny.write_clip(tmp_path / "clip", 4)
    with Session.open(tmp_path / "clip", engines=FakeEngines()) as session:
        session.add_object("bear")
        session.export("palette-png", tmp_path / "masks")
        assert verified(tmp_path / "masks", session.video).verdict is Verdict.EXACT
    assert {row["pts"] for row in rows(tmp_path / "masks" / "frames.csv")} == {""}


def test_a_frame_has_the_same_hash_in_whatever_order_frames_are_read(video: Path) -> None:
    with open_video(video) as opened:
        reader = FingerprintReader(opened.index)
        found = [reader.read(frame) for frame in (3, 0, 3)]
        reader.close()
    assert found[0] == found[2]
    assert found[0] != found[1]


def test_an_export_without_hashes_says_so(video: Path, tmp_path: Path) -> None:
    with Session.open(video, engines=FakeEngines()) as session:
        session.add_object("bear")
        session.export("palette-png", tmp_path / "masks", has_hashes=False)
        with pytest.raises(UserError, match="no frame in it has a hash"):
            verified(tmp_path / "masks", session.video)


def old(text: str) -> str:
    lines = [line.split(",") for line in text.splitlines()]
    return "\n".join(",".join((line[0], line[1], line[5])) for line in lines)


@pytest.mark.parametrize(
    "change",
    [
        old,
        lambda text: text.replace("\n0,", "\n-1,", 1),
        lambda text: text.replace("\n0,", "\n99999999999,", 1),
        lambda text: text.replace("\n1,", "\n0,", 1),
        lambda text: text.replace("0000001.png", "../../secret.png"),
        lambda text: text.replace("0000001.png", "/etc/passwd"),
        lambda text: text.replace("0000001.png", "a\0b"),
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: 'index,sha256\n"',
        lambda text: text.replace("sha256", "sha512"),
    ],
)
def test_a_list_that_is_damaged_or_hostile_is_refused_in_words(
    video: Path, export: Path, change: Callable[[str], str]
) -> None:
    path = export / "frames.csv"
    path.write_text(change(path.read_text("utf-8")), "utf-8")
    with Session.open(video, engines=FakeEngines()) as session, pytest.raises(UserError):
        verified(export, session.video)


def test_what_is_no_text_or_a_pipe_is_refused(export: Path, video: Path, tmp_path: Path) -> None:
    (export / "frames.csv").write_bytes(b"\xff\xfe\x00index")
    with Session.open(video, engines=FakeEngines()) as session, pytest.raises(UserError):
        verified(export, session.video)
    with pytest.raises(UserError, match="no list of frames"):
        list_of(tmp_path)


def exit_code(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


def test_the_command_has_exit_codes_and_json_and_finds_the_video_beside(
    video: Path, export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code("verify", export, video, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["belongs"], report["verdict"], report["equal"]) == (True, "exact", FRAMES)
    write_video(tmp_path / "other.mp4", [p[::-1].copy() for p in pictures()])
    assert exit_code("verify", export, tmp_path / "other.mp4") == 3
    assert "does not belong" in capsys.readouterr().out
    assert exit_code("verify", tmp_path / "nothing", video) == 1
    assert exit_code("verify", export) == 1  # no video beside it
    (export.parent / "other.mp4").write_bytes((tmp_path / "other.mp4").read_bytes())
    (export.parent / "z.mp4").write_bytes(video.read_bytes())
    capsys.readouterr()
    assert exit_code("verify", export) == 0
    assert "z.mp4" in capsys.readouterr().out
