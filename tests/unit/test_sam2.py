"""SAM 2 as a click model: clicks, boxes, masks as prompts. A tiny network of random weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from interaction.annotation.types import Click
from interaction.clicks.fbrs import StoppedError
from interaction.clicks.prompts import Box
from interaction.errors import ModelError
from xmem_core.arrays import Frame, Labels

transformers = pytest.importorskip(
    "transformers", reason='SAM 2 needs: python -m pip install "xmem-annotate[sam2]"'
)
from interaction.clicks.sam2 import Sam2Segmenter, load_sam2  # noqa: E402

SIDE = 64
HEIGHT, WIDTH = 48, 80
SEEN = Click(20, 12, is_positive=True)
NOT = Click(60, 40, is_positive=False)


def tiny_network() -> Any:
    config = transformers.Sam2Config(
        vision_config={
            "backbone_config": {
                "model_type": "sam2_hiera_det_model",
                "hidden_size": 8,
                "image_size": [SIDE, SIDE],
                "window_positional_embedding_background_size": [4, 4],
                "num_query_pool_stages": 3,
                "blocks_per_stage": [1, 1, 2, 1],
                "embed_dim_per_stage": [8, 16, 32, 64],
                "num_attention_heads_per_stage": [1, 1, 2, 2],
                "window_size_per_stage": [4, 4, 2, 2],
                "global_attention_blocks": [3],
            },
            "backbone_channel_list": [64, 32, 16, 8],
            "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
            "fpn_hidden_size": 32,
        },
        prompt_encoder_config={"hidden_size": 32, "image_size": SIDE, "patch_size": 16},
        mask_decoder_config={
            "hidden_size": 32,
            "mlp_dim": 32,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 16,
        },
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return transformers.Sam2Model(config)


@pytest.fixture
def segmenter() -> Sam2Segmenter:
    return Sam2Segmenter(tiny_network())


@pytest.fixture
def frame() -> Frame:
    return np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)


def empty() -> Labels:
    return np.zeros((HEIGHT, WIDTH), np.uint8)


def counted(segmenter: Sam2Segmenter, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """What is asked of the network; pictures as {"picture": …}."""
    asked: list[dict[str, object]] = []
    network = segmenter._network
    look, forward = network.get_image_embeddings, network.forward

    def looking(pixels: torch.Tensor) -> list[torch.Tensor]:
        asked.append({"picture": pixels.shape})
        seen: list[torch.Tensor] = look(pixels)
        return seen

    def asking(**prompts: object) -> object:
        asked.append(prompts)
        return forward(**prompts)

    monkeypatch.setattr(network, "get_image_embeddings", looking)
    monkeypatch.setattr(network, "forward", asking)
    return asked


def test_a_picture_is_looked_at_once_and_earlier_clicks_are_not_asked_again(
    segmenter: Sam2Segmenter, frame: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = counted(segmenter, monkeypatch)
    first = segmenter.segment(frame, empty(), 1, [SEEN], frame_key="a")
    second = segmenter.segment(frame, empty(), 1, [SEEN, NOT], frame_key="a")
    segmenter.segment_box(frame, empty(), 1, Box(10, 5, 40, 30), frame_key="a")
    assert [("picture" in one) for one in asked] == [True, False, False, False]
    assert asked[0]["picture"] == (1, 3, SIDE, SIDE)
    # The first click is ambiguous: the best of three. The next one corrects what it gave.
    assert (asked[1]["multimask_output"], asked[1]["input_masks"]) == (True, None)
    assert asked[2]["multimask_output"] is False
    assert isinstance(asked[2]["input_masks"], torch.Tensor)
    assert first.probability.shape == second.probability.shape == (HEIGHT, WIDTH)
    again = segmenter.segment(frame, empty(), 1, [SEEN], frame_key="a")
    assert len(asked) == 4
    assert np.array_equal(again.labels, first.labels)
    fresh = Sam2Segmenter(tiny_network()).segment(frame, empty(), 1, [SEEN, NOT])
    assert np.allclose(fresh.probability, second.probability, atol=1e-5)


def test_places_are_those_of_the_frame(
    segmenter: Sam2Segmenter, frame: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = counted(segmenter, monkeypatch)
    segmenter.segment(frame, empty(), 1, [SEEN, NOT])
    segmenter.segment_box(frame, empty(), 1, Box(8, 6, 40, 24))
    points = asked[2]["input_points"]
    assert isinstance(points, torch.Tensor)
    scale = torch.tensor([SIDE / WIDTH, SIDE / HEIGHT])
    assert torch.allclose(points[0, 0], torch.tensor([[20.0, 12.0], [60.0, 40.0]]) * scale)
    labels, corners = asked[2]["input_labels"], asked[4]["input_boxes"]
    assert isinstance(labels, torch.Tensor)
    assert labels.tolist() == [[[1, 0]]]
    assert isinstance(corners, torch.Tensor)
    assert torch.allclose(corners[0, 0], torch.tensor([8.0, 6.0, 40.0, 24.0]) * scale.repeat(2))


def answering(segmenter: Sam2Segmenter, mask: NDArray[np.bool_]) -> None:
    """Makes the network say `mask` (HEIGHT, WIDTH) to everything."""
    probability = np.where(mask, 0.9, 0.1).astype(np.float32)
    segmenter._ask = lambda *_, **__: (torch.zeros(1, 1, 4, 4), probability)  # type: ignore[method-assign]


def test_only_what_a_click_explains_changes_and_locked_objects_keep_their_pixels(
    segmenter: Sam2Segmenter, frame: Frame
) -> None:
    start = empty()
    start[30:40, 50:70] = 1
    start[10:14, 18:30] = 2
    wanted = np.zeros((HEIGHT, WIDTH), np.bool_)
    wanted[8:20, 10:30] = True  # gained round the click; the old part is lost without one
    answering(segmenter, wanted)
    labels = segmenter.segment(frame, start, 1, [SEEN], locked=[2]).labels
    assert (labels[30:40, 50:70] == 1).all()
    assert (labels == 2).sum() == (start == 2).sum()
    assert (labels == 1).sum() == 200 + 240 - (start == 2).sum()
    without = segmenter.segment(frame, start, 1, [Click(60, 35, is_positive=False)]).labels
    assert not (without[30:40, 50:70] == 1).any()


def test_outside_a_box_nothing_changes(segmenter: Sam2Segmenter, frame: Frame) -> None:
    answering(segmenter, np.ones((HEIGHT, WIDTH), np.bool_))
    box = Box(10, 10, 30, 20)
    labels = segmenter.segment_box(frame, empty(), 3, box).labels
    inside = np.zeros((HEIGHT, WIDTH), np.bool_)
    inside[box.widened().pixels] = True
    assert np.array_equal(labels == 3, inside)


def test_what_a_click_segmenter_refuses_is_refused(segmenter: Sam2Segmenter, frame: Frame) -> None:
    with pytest.raises(ValueError, match="outside"):
        segmenter.segment(frame, empty(), 1, [Click(WIDTH, 0, is_positive=True)])
    with pytest.raises(ValueError, match="at least one"):
        segmenter.segment(frame, empty(), 1, [])
    with pytest.raises(ValueError, match="the mask"):
        segmenter.segment(frame[1:], empty(), 1, [SEEN])
    with pytest.raises(StoppedError):
        segmenter.segment(frame, empty(), 1, [SEEN], stop=lambda: True)


def test_weights_are_read_from_a_folder_of_the_hub_s_cache(tmp_path: Path, frame: Frame) -> None:
    network = tiny_network()
    network.save_pretrained(tmp_path)
    loaded = load_sam2(tmp_path / "model.safetensors", torch.device("cpu"))
    expected = Sam2Segmenter(network).segment(frame, empty(), 1, [SEEN])
    found = loaded.segment(frame, empty(), 1, [SEEN])
    assert np.allclose(found.probability, expected.probability, atol=1e-6)
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="cannot be used as a SAM 2 model"):
        load_sam2(tmp_path / "model.safetensors", torch.device("cpu"))
