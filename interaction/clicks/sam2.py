"""SAM 2.1 as a click model: clicks, boxes and the previous mask as prompts.

Ravi et al., "SAM 2: Segment Anything in Images and Videos", 2024,
https://arxiv.org/abs/2408.00714. The network is that of the package `transformers`.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor

from interaction.annotation.types import Click
from interaction.clicks.fbrs import StoppedError
from interaction.clicks.prompts import Box
from interaction.clicks.segmenter import ClickResult, boxed, check_prompt, explained_change, merged
from interaction.errors import ModelError
from xmem_core.arrays import Frame, Labels

if TYPE_CHECKING:
    from transformers import Sam2Model


_GIVEN_LOGIT: Final = 10.0  # of a mask that was not made by the network, as its publisher scales it
_PICTURES_KEPT: Final = 4
_ANSWERS_KEPT: Final = 64


def load_sam2(weights: Path, device: torch.device) -> Sam2Segmenter:
    """weights: `model.safetensors`, with its `config.json` beside it. Nothing is downloaded, and no
    code of the repository is run. ModelError if they cannot be used."""
    from transformers import Sam2Model
    from transformers.utils import logging

    # The file also holds the part that tracks, which is not used: no warning of it, and no bar.
    level, has_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        network = Sam2Model.from_pretrained(
            weights.parent, local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            "“{folder}” cannot be used as a SAM 2 model: {reason}. Nothing was changed.\n\n"
            "Choose another click model, or download this one again.",
            folder=weights.parent,
            reason=reason,
        ) from error
    finally:
        logging.set_verbosity(level)
        if has_bar:
            logging.enable_progress_bar()
    return Sam2Segmenter(network.to(device))


class Sam2Segmenter:
    """Answers clicks and boxes with SAM 2. Not to be used from two threads at a time.

    Every click is answered with all clicks before it and the network's own last answer as a mask
    prompt; the first one is ambiguous, so the best of three masks is taken. What a mask had before
    changes only where a click explains it.
    """

    def __init__(self, network: Sam2Model) -> None:
        from transformers import Sam2ImageProcessor, Sam2Processor

        self._network: Any = network.eval().requires_grad_(False)
        side = network.config.prompt_encoder_config.image_size
        size = {"height": side, "width": side}
        self._processor: Any = Sam2Processor(Sam2ImageProcessor(size=size), target_size=side)
        self._device = network.device
        self._pictures: OrderedDict[Hashable, list[Tensor]] = OrderedDict()
        # After some clicks: the network's logits (1, 1, h, w), and probabilities of the frame.
        self._answers: OrderedDict[Hashable, tuple[Tensor, NDArray[np.float32]]] = OrderedDict()

    @property
    def is_quick(self) -> bool:
        """A CPU takes seconds for each picture that it has not seen."""
        return bool(self._device.type != "cpu")

    def segment(
        self,
        frame: Frame,
        start: Labels,
        object_id: int,
        clicks: Sequence[Click],
        *,
        locked: Collection[int] = (),
        frame_key: Hashable = None,
        stop: Callable[[], bool] = lambda: False,
        is_preview: bool = False,
    ) -> ClickResult:
        """As `ClickSegmenter.segment`. is_preview changes nothing: every answer is quick once the
        picture is known."""
        check_prompt(frame, start, clicks)
        own = start == object_id
        before = hashlib.blake2b(np.packbits(own).tobytes(), digest_size=16).digest()
        picture: list[Tensor] | None = None
        previous: Tensor | None = None
        if own.any():
            given = torch.from_numpy(own).to(self._device, torch.float32)
            previous = (2 * given - 1)[None, None] * _GIVEN_LOGIT
        probability = np.zeros(start.shape, np.float32)
        with torch.inference_mode():
            for count in range(1, len(clicks) + 1):
                key = (frame_key, object_id, before, tuple(clicks[:count]))
                answer = None if frame_key is None else self._answers.get(key)
                if answer is None:
                    if stop():
                        raise StoppedError
                    if picture is None:
                        picture = self._picture(frame, frame_key)
                    if stop():
                        raise StoppedError
                    answer = self._ask(picture, start.shape, previous, clicks=clicks[:count])
                    if frame_key is not None:
                        _keep(self._answers, key, answer, _ANSWERS_KEPT)
                previous, probability = answer
        mask = explained_change(own, probability > 0.5, clicks)
        return ClickResult(probability, merged(start, object_id, mask, locked))

    def look(self, frame: Frame, start: Labels, object_id: int, *, frame_key: Hashable) -> None:
        """As `ClickSegmenter.look`; always of the whole frame."""
        with torch.inference_mode():
            self._picture(frame, frame_key)

    def segment_box(
        self,
        frame: Frame,
        start: Labels,
        object_id: int,
        box: Box,
        *,
        locked: Collection[int] = (),
        frame_key: Hashable = None,
    ) -> ClickResult:
        """As `ClickSegmenter.segment_box`."""
        with torch.inference_mode():
            picture = self._picture(frame, frame_key)
            _, probability = self._ask(picture, start.shape, None, box=box)
        return boxed(start, object_id, box, probability, locked)

    def _picture(self, frame: Frame, frame_key: Hashable) -> list[Tensor]:
        """What the network sees in a frame, without prompts."""
        kept = None if frame_key is None else self._pictures.get(frame_key)
        if kept is not None:
            self._pictures.move_to_end(frame_key)
            return kept
        inputs = self._processor(
            images=np.array(frame), input_data_format="channels_last", return_tensors="pt"
        )
        seen: list[Tensor] = self._network.get_image_embeddings(
            inputs["pixel_values"].to(self._device)
        )
        if frame_key is not None:
            _keep(self._pictures, frame_key, seen, _PICTURES_KEPT)
        return seen

    def _ask(
        self,
        picture: list[Tensor],
        size: tuple[int, ...],
        previous: Tensor | None,
        *,
        clicks: Sequence[Click] = (),
        box: Box | None = None,
    ) -> tuple[Tensor, NDArray[np.float32]]:
        """Logits (1, 1, h, w) of the best mask, and its probability (H, W) at `size`.

        previous: logits of a mask (1, 1, any height, any width) to correct.
        """
        prompts: dict[str, object] = {}
        if clicks:
            prompts["input_points"] = [[[[float(click.x), float(click.y)] for click in clicks]]]
            prompts["input_labels"] = [[[int(click.is_positive) for click in clicks]]]
        if box is not None:
            prompts["input_boxes"] = [[[box.left, box.top, box.right, box.bottom]]]
        encoded = self._processor(**prompts, original_sizes=[list(size)], return_tensors="pt")
        answer = self._network(
            image_embeddings=picture,
            input_masks=previous,
            multimask_output=previous is None and box is None and len(clicks) == 1,
            **{name: encoded[name].to(self._device) for name in prompts},
        )
        best = int(answer.iou_scores[0, 0].argmax())
        logits = answer.pred_masks[:, :, best]  # (1, 1, h, w)
        [whole] = self._processor.post_process_masks(logits[None], [list(size)], binarize=False)
        probability = whole.float().sigmoid().reshape(size).cpu().numpy()
        return logits, np.ascontiguousarray(probability)


def _keep(kept: OrderedDict[Hashable, Any], key: Hashable, value: Any, most: int) -> None:
    kept[key] = value
    if len(kept) > most:
        kept.popitem(last=False)
