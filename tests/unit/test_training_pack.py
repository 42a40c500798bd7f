"""The pack of training pictures, made from a made-up tree of installed packages."""

from __future__ import annotations

import csv
import hashlib
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.__main__ import main
from training.pack import Pack
from training.preparation.packages import SOURCES, Source, build_pack, chosen_sources
from training.preparation.pictures import (
    Seen,
    gradient_hash,
    read_background,
    read_cutout,
    read_drawing,
)

STAMPS = "usr/share/tuxpaint/stamps"
CLIPART = "usr/share/openclipart/png"
WALLPAPERS = "usr/share/wallpapers"


def scenery(seed: int, width: int = 640, height: int = 400) -> np.ndarray:
    """A smooth picture with things in it, (height, width, 3)."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (9, 14, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def stamp(seed: int, size: int = 400) -> np.ndarray:
    """A many-coloured ellipse on nothing, (size, size, 4)."""
    picture = np.dstack([scenery(seed, size, size), np.zeros((size, size), np.uint8)])
    alpha = np.zeros((size, size), np.uint8)
    cv2.ellipse(alpha, (size // 2, size // 2), (size // 3, size // 4), 0, 0, 360, 255, -1)
    picture[..., 3] = alpha
    return picture


def write(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    write(root / STAMPS / "animals/cat.png", stamp(1))
    write(root / STAMPS / "animals/copy-of-cat.png", cv2.resize(stamp(1), (300, 300)))
    write(root / STAMPS / "plants/tree.png", stamp(2))
    write(root / STAMPS / "town/flags/ours.png", stamp(3))
    for index in range(5):
        write(root / CLIPART / f"food/{index}.png", stamp(10 + index, 200))
    flat = np.zeros((100, 100, 4), np.uint8)
    cv2.circle(flat, (50, 50), 30, (10, 20, 200, 255), -1)
    write(root / CLIPART / "shapes/dot.png", flat)
    images = root / WALLPAPERS / "Hills/contents/images"
    write(images / "640x400.png", scenery(20))
    write(images / "1600x1000.png", scenery(20, 1600, 1000))
    write(root / WALLPAPERS / "Lake/contents/images/800x600.jpg", scenery(21, 800, 600))
    write(root / WALLPAPERS / "Plain/contents/images/800x600.png", np.full((600, 800, 3), 90))
    (root / WALLPAPERS / "broken.png").write_bytes(b"not a picture")
    documents = root / "usr/share/doc/tuxpaint-stamps-default"
    documents.mkdir(parents=True)
    (documents / "copyright").write_text("Licence: GPL-2, Ångström\n", encoding="utf-8")
    return root


def here(root: Path) -> Callable[[Source], Path]:
    return lambda _: root


def test_a_pack_holds_what_is_of_use_and_says_where_it_is_from(root: Path, tmp_path: Path) -> None:
    output = tmp_path / "pack"
    counts = build_pack(SOURCES, here(root), output, most_drawings=3)

    assert counts["tuxpaint-stamps-default"] == 2
    assert counts["openclipart-png"] == 3
    assert counts["plasma-workspace-wallpapers"] == 2
    assert counts["opencv-doc"] == 0
    with (output / "origins.csv").open(encoding="utf-8") as file:
        origins = {row["origin"]: row["file"] for row in csv.DictReader(file)}
    assert origins["animals/cat.png"] == "cutouts/photo/animals-cat-0000.webp"
    assert "animals/copy-of-cat.png" not in origins
    assert "town/flags/ours.png" not in origins
    assert "shapes/dot.png" not in origins
    assert "Hills/contents/images/1600x1000.png" in origins
    assert all((output / file).is_file() for file in origins.values())
    licence = (output / "licences/tuxpaint-stamps-default.txt").read_text(encoding="utf-8")
    assert "GPL-2, Ångström" in licence
    assert "openclipart-png | 3" in (output / "README.md").read_text(encoding="utf-8")
    assert not (output / "licences/opencv-doc.txt").exists()
    assert list(tmp_path.iterdir()) == [output]


def test_a_pack_can_be_trained_on(root: Path, tmp_path: Path) -> None:
    build_pack(SOURCES, here(root), tmp_path / "pack")
    pack = Pack(tmp_path / "pack")
    assert (len(pack.photos), len(pack.cliparts), len(pack.backgrounds)) == (2, 5, 2)
    rng = np.random.default_rng(0)
    for _ in range(6):
        cutout = pack.cutout(rng, photo_share=0.5)
        assert max(cutout.shape[:2]) <= 288
        assert cutout.shape[2] == 4
        assert {0, 255} <= set(np.unique(cutout[..., 3]))
        assert min(pack.background(rng).shape[:2]) <= 768


def test_the_same_packages_give_the_same_files(root: Path, tmp_path: Path) -> None:
    digests = []
    for name in ("first", "again"):
        build_pack(SOURCES, here(root), tmp_path / name, most_drawings=3)
        files = sorted(p for p in (tmp_path / name).rglob("*") if p.is_file())
        digests.append(
            [
                (str(p.relative_to(tmp_path / name)), hashlib.sha256(p.read_bytes()).hexdigest())
                for p in files
            ]
        )
    assert digests[0] == digests[1]


def test_pictures_of_other_packages_in_the_same_folder_are_not_a_packages_own(
    tmp_path: Path,
) -> None:
    folder = "usr/share/backgrounds"
    for index, name in enumerate(("desert.jpg", "mate/field.jpg")):
        write(tmp_path / folder / name, scenery(index))
    (tmp_path / "var/lib/dpkg/info").mkdir(parents=True)
    listing = tmp_path / "var/lib/dpkg/info/ukui-wallpapers.list"
    listing.write_text(f"/.\n/{folder}\n/{folder}/desert.jpg\n", encoding="utf-8")

    (ukui,) = chosen_sources(["ukui-wallpapers"])
    assert [name for _, name in ukui.pictures(tmp_path)] == ["desert.jpg"]


def test_nothing_is_overwritten_and_nothing_half_made_is_left(root: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(ValueError, match="exists"):
        build_pack(SOURCES, here(root), tmp_path / "there")
    with pytest.raises(ValueError, match="--fetch"):
        build_pack(SOURCES, here(tmp_path / "nowhere"), tmp_path / "pack")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["there"]
    with pytest.raises(ValueError, match="not a known source"):
        chosen_sources(["no-such-package"])


def test_the_command_makes_a_pack_of_the_named_packages(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["training", "pack", "--output", str(tmp_path / "pack"), "--root", str(root)]
    packages = ["--package", "tuxpaint-stamps-default", "--package", "plasma-workspace-wallpapers"]
    monkeypatch.setattr(sys, "argv", command + packages)
    main()
    pack = Pack(tmp_path / "pack")
    assert (len(pack.photos), len(pack.cliparts), len(pack.backgrounds)) == (2, 0, 2)


def test_a_picture_is_known_again_at_another_size_but_not_another_picture() -> None:
    seen = Seen()
    assert seen.is_new(scenery(1))
    smaller = cv2.resize(scenery(1), (333, 211), interpolation=cv2.INTER_AREA)
    darker = cv2.convertScaleAbs(scenery(1), alpha=0.9)
    assert not seen.is_new(np.asarray(smaller, np.uint8))
    assert not seen.is_new(np.asarray(darker, np.uint8))
    assert seen.is_new(scenery(2))
    assert seen.is_new(scenery(1)[:, ::-1])
    assert gradient_hash(scenery(1)).shape == (288,)


@pytest.mark.parametrize(
    "picture",
    [
        np.full((100, 100, 4), 255, np.uint8),  # opaque
        np.zeros((100, 100, 4), np.uint8),  # nothing
        np.pad(np.full((10, 10, 4), 255, np.uint8), ((0, 10), (0, 10), (0, 0))),  # tiny
        np.full((100, 100, 3), 9, np.uint8),  # without alpha
    ],
)
def test_useless_cutouts_are_left_out(picture: np.ndarray, tmp_path: Path) -> None:
    write(tmp_path / "x.png", picture)
    assert read_cutout(tmp_path / "x.png") is None


def test_drawings_need_colours_and_backgrounds_need_size_and_colour(tmp_path: Path) -> None:
    drawing = stamp(1)
    drawing[..., :3] = (30, 60, 90)
    write(tmp_path / "x.png", drawing)
    assert read_drawing(tmp_path / "x.png") is None
    assert read_cutout(tmp_path / "x.png") is not None
    write(tmp_path / "small.png", scenery(1, 300, 200))
    assert read_background(tmp_path / "small.png") is None
    write(tmp_path / "colour.png", scenery(1))
    write(tmp_path / "grey.png", cv2.cvtColor(scenery(1), cv2.COLOR_BGR2GRAY))
    assert read_background(tmp_path / "colour.png") is not None
    assert read_background(tmp_path / "grey.png") is None


def test_a_picture_that_would_fill_memory_is_left_out_unread(tmp_path: Path) -> None:
    small = (tmp_path / "small.png", tmp_path / "huge.png")
    write(small[0], stamp(1))
    data = bytearray(small[0].read_bytes())
    data[16:24] = (30_000).to_bytes(4, "big") * 2  # its header's width and height
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    small[1].write_bytes(data)
    assert read_cutout(small[0]) is not None
    assert read_cutout(small[1]) is None
    assert read_background(small[1]) is None


def test_edges_of_shrunk_cutouts_keep_their_colour(tmp_path: Path) -> None:
    picture = np.zeros((900, 900, 4), np.uint8)
    cv2.circle(picture, (450, 450), 400, (200, 100, 50, 255), -1)
    write(tmp_path / "x.png", picture)
    shrunk = read_cutout(tmp_path / "x.png")
    assert shrunk is not None
    assert shrunk.shape == (288, 288, 4)
    edge = (shrunk[..., 3] > 20) & (shrunk[..., 3] < 235)
    assert edge.any()
    np.testing.assert_allclose(shrunk[edge][:, :3], [[200, 100, 50]] * edge.sum(), atol=2)
