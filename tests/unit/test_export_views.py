"""Every view of the window, exported as a video and as pictures; a layer behind the objects too."""

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from interaction.annotation.annotation import Annotation
from interaction.command_line.app import app
from interaction.errors import UserError
from interaction.formats import looks
from interaction.formats.export import FORMATS, ExportSettings, check_export, export_pictures
from interaction.formats.format import ExportSource
from interaction.formats.views import VIEWS
from interaction.session import Session
from interaction.video.video import Video, open_video
from tests import tiny
from tests.frames import write_video
from tests.unit.mask_scenes import annotate, open_frames, run_export, scene
from tests.unit.video_samples import write_numbered

WIDTH, HEIGHT = 64, 48
RED = (200, 30, 40)


@pytest.fixture
def video(tmp_path: Path) -> Iterator[Video]:
    with open_frames(tmp_path / "in", 4, WIDTH, HEIGHT) as video:
        yield video


@pytest.fixture
def annotation(video: Video) -> Annotation:
    return annotate({frame: scene(WIDTH, HEIGHT, frame) for frame in range(4)}, video)


@pytest.fixture
def source(annotation: Annotation, video: Video) -> ExportSource:
    return ExportSource.of(annotation, video)


def options_of(name: str, **options: object) -> ExportSettings:
    return ExportSettings(format=name, target=Path("out"), options=FORMATS[name].options(**options))


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    """A picture, left red, right half transparent blue."""
    pixels = np.zeros((20, 40, 4), np.uint8)
    pixels[:, :20], pixels[:, 20:] = (*RED, 255), (0, 0, 255, 128)
    path = tmp_path / "layer.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("view", VIEWS)
def test_pictures_are_what_the_view_draws(
    view: str,
    video: Video,
    annotation: Annotation,
    source: ExportSource,
    layer: Path,
    tmp_path: Path,
) -> None:
    options = {"view": view, "opacity": 0.3, "outline_px": 2, "layer": str(layer)}
    report = run_export(annotation, video, "overlay-pictures", tmp_path / "out", options=options)
    assert report.frame_count == 4
    laid = np.asarray(Image.open(layer)) if view == "layer" else None
    table = looks.color_table(source.objects)
    for frame in range(4):
        with Image.open(tmp_path / "out" / f"{source.frame_name(frame)}.png") as picture:
            made = np.asarray(picture)
        expected = looks.draw_view(
            video[frame], source.labels(frame), table, VIEWS[view],
            opacity=0.3, outline_px=2, layer=laid,
        )  # fmt: skip
        assert np.array_equal(made, expected)


@pytest.mark.parametrize("view", VIEWS)
def test_a_video_is_made_of_every_view(
    view: str,
    video: Video,
    annotation: Annotation,
    source: ExportSource,
    layer: Path,
    tmp_path: Path,
) -> None:
    run_export(
        annotation, video, "overlay-video", tmp_path / "out",
        options={"view": view, "layer": str(layer), "quality": 1},
    )  # fmt: skip
    [shown] = export_pictures(
        source, options_of("overlay-video", view=view, layer=str(layer)), 2, video, 1000
    )
    with open_video(tmp_path / "out.mp4") as made:
        assert len(made) == 4
        assert made[2].shape == shown.picture.shape
        # The codec keeps colours in coarser blocks than brightness.
        coarse = [
            cv2.resize(one, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA).astype(int)
            for one in (made[2], shown.picture)
        ]
        assert np.abs(coarse[0] - coarse[1]).mean() < 8


def test_the_objects_stand_before_the_inserted_picture(
    video: Video, source: ExportSource, layer: Path
) -> None:
    settings = options_of("overlay-pictures", view="layer", layer=str(layer))
    [shown] = export_pictures(source, settings, 1, video, 1000)
    is_object = source.labels(1) > 0
    assert np.array_equal(shown.picture[is_object], video[1][is_object])
    left = ~is_object & (np.arange(WIDTH) < WIDTH // 2 - 2)
    assert (shown.picture[left] == RED).all()
    right = ~is_object & (np.arange(WIDTH) > WIDTH // 2 + 2)
    mixed = video[1][right] * (127 / 255) + np.array([0, 0, 255]) * (128 / 255)
    np.testing.assert_allclose(shown.picture[right].astype(int), mixed, atol=2)


def test_a_video_as_layer_runs_along_and_starts_again(
    video: Video, annotation: Annotation, source: ExportSource, tmp_path: Path
) -> None:
    behind = write_numbered(tmp_path / "behind.mp4", 3)
    options = {"view": "layer", "layer": str(behind)}
    run_export(annotation, video, "overlay-pictures", tmp_path / "out", options=options)
    far = source.labels(0) == 0
    with open_video(behind) as laid:
        for frame in range(4):
            with Image.open(tmp_path / "out" / f"{source.frame_name(frame)}.png") as picture:
                made = np.asarray(picture)
            layer = np.dstack([laid[frame % 3], np.full(laid[0].shape[:2], 255, np.uint8)])
            expected = looks.compose(
                looks.ViewMode.LAYER, video[frame], source.labels(frame), range(1, 256), layer
            )
            assert np.array_equal(made[far], expected[far])


def test_a_layer_that_cannot_be_used_is_reported_before_anything_is_written(
    video: Video, annotation: Annotation, source: ExportSource, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    for path, reason in (("", "nothing to lay"), (tmp_path / "gone.png", "not there")):
        settings = options_of("overlay-video", view="layer", layer=str(path))
        with pytest.raises(UserError, match=reason):
            check_export(source, settings)
    with pytest.raises(UserError, match="cannot lie behind"):
        run_export(
            annotation, video, "overlay-pictures", tmp_path / "out",
            options={"view": "layer", "layer": str(broken)},
        )  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_the_command_line_inserts_a_layer(tmp_path: Path, layer: Path) -> None:
    tiny.write_clip(tmp_path / "clip", 3)
    with Session.open(tmp_path / "clip", tmp_path / "clip.vos") as session:
        disc = session.add_object("disc")
        for frame in range(3):
            session.set_mask(frame, tiny.labels(frame, disc, 0))
    made = CliRunner().invoke(
        app,
        [
            "export", str(tmp_path / "clip.vos"), "--format", "overlay-pictures",
            "--set", "view=layer", "--set", f"layer={layer}", "--set", "file_format=jpg",
            "--output", str(tmp_path / "out"), "--json",
        ],
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["frames"] == 3
    assert len(list((tmp_path / "out").glob("*.jpg"))) == 3


def _layer_as_target(kind: str, folder: Path) -> tuple[str, Path, Path]:
    """The format, the layer, and a target that would replace it."""
    if kind == "the layer's video":
        write_video(folder / "layer.mp4", 3, 48, 32)
        return "overlay-video", folder / "layer.mp4", folder / "layer.mp4"
    if kind == "the layer's video by another name":
        write_video(folder / "layer.mp4", 3, 48, 32)
        (folder / "link.mp4").symlink_to(folder / "layer.mp4")
        return "overlay-video", folder / "link.mp4", folder / "layer.mp4"
    (folder / "out").mkdir()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / "out" / "00002.png")
    if kind == "a picture of the layer's folder":
        return "overlay-pictures", folder / "out", folder / "out"
    return "overlay-pictures", folder / "out" / "00002.png", folder / "out"


_LAYER_TARGETS = (
    "the layer's video",
    "the layer's video by another name",
    "a picture of the layer's folder",
    "the layer's picture",
)


@pytest.mark.parametrize("kind", _LAYER_TARGETS)
def test_an_export_never_replaces_its_own_layer(
    kind: str, video: Video, annotation: Annotation, tmp_path: Path
) -> None:
    name, layer, target = _layer_as_target(kind, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match="made from"):
        run_export(
            annotation, video, name, target, overwrites=True,
            options={"view": "layer", "layer": str(layer)},
        )  # fmt: skip
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("kind", _LAYER_TARGETS)
def test_the_command_line_refuses_to_replace_the_layer(kind: str, tmp_path: Path) -> None:
    tiny.write_clip(tmp_path / "clip", 3)
    with Session.open(tmp_path / "clip", tmp_path / "clip.vos") as session:
        session.set_mask(0, tiny.labels(0, session.add_object("disc"), 0))
    name, layer, target = _layer_as_target(kind, tmp_path)
    before = layer.read_bytes() if layer.is_file() else b""
    made = CliRunner().invoke(
        app,
        [
            "export", str(tmp_path / "clip.vos"), "--format", name, "--overwrite",
            "--set", "view=layer", "--set", f"layer={layer}", "--output", str(target),
        ],
    )  # fmt: skip
    assert made.exit_code != 0
    assert "made from" in str(made.exception)
    assert not before or layer.read_bytes() == before


@pytest.mark.parametrize("name", ["overlay-video", "green-screen"])
def test_the_video_itself_is_no_target(name: str, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_video(path, 3, 48, 32)
    before = path.read_bytes()
    with open_video(path) as video:
        annotation = annotate({0: scene(48, 32, 0)}, video)
        with pytest.raises(UserError, match="made from"):
            run_export(annotation, video, name, path, overwrites=True)
    assert path.read_bytes() == before
