"""What ships with the program is there, whole, and credited."""

import json
import re
from pathlib import Path

import pytest

from interaction.annotation.mask_files import read_mask
from interaction.models import find_model, read_model_list
from interaction.video.video import open_video
from resources import models_file, sample_folder, weights_folder
from xmem_core import load_xmem
from xmem_core.weights import file_sha256

ROOT = Path(__file__).parents[2]


def test_the_sample_has_its_frames_and_a_mask_of_the_first() -> None:
    with open_video(sample_folder() / "big-buck-bunny.mp4") as video:
        assert (len(video), video.width, video.height) == (132, 1280, 720)
        labels = read_mask(sample_folder() / "masks" / "0000000.png", 1280, 720)
    assert set(labels.ravel().tolist()) == {0, 1}
    assert labels[430, 350] == 1  # the rabbit's chest
    assert labels[450, 180] == 0  # the stone beside it


def test_the_sample_is_credited_beside_the_file() -> None:
    credit = (sample_folder() / "LICENSE.md").read_text("utf-8")
    assert "Blender Foundation" in credit
    assert "creativecommons.org/licenses/by/3.0" in credit


def test_the_bundled_model_is_the_listed_one_and_small() -> None:
    [small] = [model for model in read_model_list() if model.name == "small"]
    path = find_model("small")
    assert path == weights_folder() / small.file
    assert path.stat().st_size == small.size_bytes
    assert path.stat().st_size <= 16_000_000
    assert file_sha256(path) == small.sha256
    network = load_xmem(path)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert parameters == small.parameters
    assert parameters <= 8_000_000


def test_no_model_is_fetched_from_an_insecure_address() -> None:
    for entry in json.loads(models_file().read_text("utf-8"))["models"]:
        assert entry["address"] is None or entry["address"].startswith("https://")


@pytest.mark.parametrize(
    "document", ["README.md", *(p.name for p in (ROOT / "docs").rglob("*.md"))]
)
def test_links_between_documents_lead_somewhere(document: str) -> None:
    [path] = [p for p in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")) if p.name == document]
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text("utf-8")):
        assert (path.parent / target).exists(), target
