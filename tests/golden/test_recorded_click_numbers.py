"""The published click networks give the numbers they gave when they were shown to agree."""

from pathlib import Path

import numpy as np
import pytest

from tests.golden import click_scene


@pytest.mark.parametrize("kind", ["fbrs_resnet50", "fbrs_resnet34"])
def test_a_published_click_network_gives_its_recorded_numbers(kind: str, tmp_path: Path) -> None:
    golden = np.load(click_scene.RECORDING)
    for name, array in click_scene.click_numbers(click_scene.checkpoint(kind, tmp_path)).items():
        expected = golden[f"{kind}_{name}"]
        np.testing.assert_allclose(
            array, expected, rtol=0, atol=2e-4 * abs(expected).max(), err_msg=name
        )


def test_the_scribble_network_gives_its_recorded_numbers(tmp_path: Path) -> None:
    golden = np.load(click_scene.RECORDING)["s2m_probability"]
    numbers = click_scene.scribble_numbers(click_scene.checkpoint("s2m", tmp_path))
    np.testing.assert_allclose(numbers["probability"], golden, rtol=0, atol=1e-4)
