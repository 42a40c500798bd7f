"""Cutie as a tracker: the network and memory of the package `rf-cutie`, with the members that a
propagation uses of XMem's tracker.

Cheng et al., "Putting the Object Back into Video Object Segmentation", CVPR 2024,
https://arxiv.org/abs/2310.12982. Where the two differ: frames that are memorised or forgotten count
from the next run on, and a run cannot be saved to go on in another process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from interaction.errors import ModelError, UserError
from xmem_core.arrays import Frame, Labels
from xmem_core.config import MemoryConfig
from xmem_core.device import StageTimes
from xmem_core.messages import Message
from xmem_core.network.xmem import KeyFeatures
from xmem_core.pictures import (
    EncodedFrame,
    PictureSize,
    Prediction,
    check_frame,
    memorised_objects,
    normalise,
    pad,
)
from xmem_core.weights import CheckpointFileError, check_entries, read_named_tensors

_BUFFER_TOKENS: Final = 2000  # elements that leave long-term memory at a time, as published
_TRUNKS: Final = {"resnet18": "resnet18-5c106cde.pth", "resnet50": "resnet50-19c8e357.pth"}


def load_cutie(path: Path, device: torch.device) -> nn.Module:
    """The network of a published checkpoint. No code in the file is run. ModelError."""
    try:
        state = read_named_tensors(path)
        if "pixel_encoder.conv1.weight" not in state or "pix_feat_proj.weight" not in state:
            raise CheckpointFileError(
                Message("it holds {count} entries of another network", count=len(state))
            )
        is_large = "pixel_encoder.layer3.0.conv3.weight" in state
        network = cutie_network("resnet50" if is_large else "resnet18")
        state = _without_auxiliary(state)
        check_entries(_without_auxiliary(network.state_dict()), state)
    except CheckpointFileError as error:
        raise ModelError(
            "“{name}” cannot be used as a Cutie model: {reason}. Nothing was changed.\n\n"
            "Choose another tracker, or download this one again.",
            name=path.name,
            reason=error,
        ) from None
    network.load_state_dict(state, strict=False)
    return network.to(device)


def _without_auxiliary(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without what only training uses."""
    return {name: one for name, one in state.items() if not name.startswith("aux_computer.")}


def cutie_network(trunk: str) -> nn.Module:
    """With weights that mean nothing yet. trunk: resnet50 of the base model, resnet18 of the small.

    The package fetches ImageNet weights for its trunks, which the checkpoint replaces anyway,
    unless they lie in a folder that the configuration names: they do, as zeros.
    """
    import torchvision
    from cutie.model.cutie import CUTIE

    with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng(devices=[]):
        for name, file in _TRUNKS.items():
            shapes = getattr(torchvision.models, name)(weights=None).state_dict()
            zeros = {key: torch.zeros(()).expand(one.shape) for key, one in shapes.items()}
            torch.save(zeros, Path(folder) / file)
        config = _config(MemoryConfig())
        config.model.resnet_model_path = folder
        config.model.pixel_encoder.type = trunk
        if trunk == "resnet18":
            config.model.pixel_encoder.ms_dims = [256, 128, 64]
        network: nn.Module = CUTIE(config).eval().requires_grad_(False)
    return network


def _config(memory: MemoryConfig) -> Any:
    """The package's own configuration, with our limits of memory."""
    from omegaconf import OmegaConf

    folder = files("cutie") / "config"
    return OmegaConf.create(
        {
            "model": OmegaConf.load(str(folder / "model" / "base.yaml")),
            "mem_every": memory.memorize_every,
            "top_k": memory.top_k,
            "stagger_updates": 5,
            "chunk_size": memory.objects_per_chunk or -1,
            "save_aux": False,
            "max_internal_size": -1,
            "flip_aug": False,
            "use_long_term": memory.has_long_term,
            "max_mem_frames": memory.min_working_frames,
            "long_term": {
                "count_usage": True,
                "max_mem_frames": memory.max_working_frames,
                "min_mem_frames": memory.min_working_frames,
                "num_prototypes": memory.prototypes,
                "max_num_tokens": memory.max_long_term,
                "buffer_tokens": min(_BUFFER_TOKENS, memory.max_long_term // 5),
            },
        }
    )


@dataclass(frozen=True, slots=True)
class _CutieFrame(EncodedFrame):
    image: Tensor  # (3, h, w) in 0 to 1, before padding
    projected: Tensor  # features of stride 16, as the memory reads them


class _Features:
    """What the package asks for the features of a frame: always those that were made before."""

    def __init__(self) -> None:
        self.frame: _CutieFrame | None = None

    def get_features(self, index: int, image: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        assert self.frame is not None
        one = self.frame.features
        return (one.feature16, one.feature8, one.feature4), self.frame.projected

    def get_key(self, index: int, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        assert self.frame is not None
        one = self.frame.features
        return one.key, one.shrinkage, one.selection

    def delete(self, index: int) -> None:
        """Nothing is kept here."""


@dataclass(frozen=True, slots=True)
class _Given:
    image: Tensor  # (3, h, w) uint8 at internal size, on the CPU
    size: PictureSize
    labels: Labels
    objects: tuple[int, ...]


class CutieTracker:
    """See `xmem_core.tracker.Tracker` for what each member does."""

    def __init__(self, network: nn.Module, config: MemoryConfig, internal_size: int | None) -> None:
        self._network: Any = network
        self.config = config
        self.internal_size = internal_size
        self.device = next(network.parameters()).device
        self.times = StageTimes(self.device)
        self._given: dict[int, _Given] = {}
        self._features = _Features()
        self._core: Any = None  # of the run

    def configure(self, config: MemoryConfig) -> None:
        self.config = config
        if self._core is not None and self._core.memory.use_long_term == config.has_long_term:
            self._core.update_config(_config(config))

    @property
    def closeup(self) -> None:
        """There is none."""

    @closeup.setter
    def closeup(self, closeup: object) -> None:
        raise UserError(
            "Cutie cannot look closer. Nothing was changed.\n\n"
            "Track without “Look closer”, or choose another tracker."
        )

    @property
    def confirmed_frames(self) -> tuple[int, ...]:
        return tuple(sorted(self._given))

    @property
    def objects(self) -> tuple[int, ...]:
        given = (one.objects for one in self._given.values())
        return tuple(sorted(set(self._known()).union(*given)))

    @property
    def memory_elements(self) -> tuple[int, int, int]:
        if self._core is None:
            return 0, 0, 0
        memory = self._core.memory
        working = memory.work_mem
        permanent = sum(working.perm_size(one) for one in working.buckets)
        others = sum(working.non_perm_size(one) for one in working.buckets)
        distilled = memory.long_mem if memory.use_long_term else None
        long_term = sum(distilled.size(one) for one in distilled.buckets) if distilled else 0
        return permanent, others, long_term

    @torch.inference_mode()
    def memorize(
        self,
        index: int,
        frame: Frame | EncodedFrame,
        labels: Labels,
        objects: Sequence[int] | None = None,
    ) -> None:
        encoded = self._encoded(frame)
        ids = memorised_objects(labels, encoded.size.source, self.objects, objects)
        image = (encoded.image * 255).round().to("cpu", torch.uint8)
        self._given[index] = _Given(image, encoded.size, labels.copy(), ids)

    def forget(self, index: int) -> None:
        del self._given[index]

    def delete_object(self, object_id: int) -> None:
        for index, one in list(self._given.items()):
            rest = tuple(known for known in one.objects if known != object_id)
            if rest:
                labels = np.where(one.labels == object_id, 0, one.labels).astype(np.uint8)
                self._given[index] = _Given(one.image, one.size, labels, rest)
            else:
                del self._given[index]
        if object_id in self._known():
            self._core.delete_objects([object_id])

    @torch.inference_mode()
    def begin(self) -> None:
        from cutie.inference.inference_core import InferenceCore

        self._core = InferenceCore(
            self._network, _config(self.config), image_feature_store=self._features
        )
        for index in self.confirmed_frames:
            one = self._given[index]
            frame = self._seen(one.image.to(self.device).float() / 255, one.size)
            self._give(frame, one.labels, one.objects, is_permanent=True)
        self._core.clear_non_permanent_memory()
        self._core.clear_sensory_memory()
        self._core.last_mask = None

    @torch.inference_mode()
    def encode(
        self, frames: Sequence[Frame], indices: Sequence[int] | None = None
    ) -> list[EncodedFrame]:
        return [self._encode(frame) for frame in frames]

    @torch.inference_mode()
    def track(
        self,
        frame: Frame | EncodedFrame,
        objects: Sequence[int] | None = None,
        *,
        is_last: bool = False,
        absent: Collection[int] = (),
        remembers: bool = False,
        index: int = -1,
        memorizes: bool = True,
    ) -> Prediction:
        """absent: they have no pixel in the answer; what the package keeps of the frame is its
        own, and so are when and whether: remembers, index and memorizes change nothing."""
        if self._core is None or not self._known():
            raise ValueError("no object to track: memorise a frame with a mask first")
        encoded = self._encoded(frame)
        with self.times.measure("decode"):
            probabilities = self._step(encoded, end=is_last)
        gone = [1 + place for place, known in enumerate(self._known()) if known in absent]
        if gone:
            probabilities = probabilities.clone()  # the package may still use its own
            probabilities[0] += probabilities[gone].sum(dim=0)
            probabilities[gone] = 0
        return self._prediction(encoded, probabilities, objects)

    @torch.inference_mode()
    def revisit(
        self, index: int, frame: Frame | EncodedFrame, objects: Sequence[int] | None = None
    ) -> Prediction:
        one = self._given[index]
        encoded = self._encoded(frame)
        labels = self._give(encoded, one.labels, one.objects)
        ids = self.objects if objects is None else tuple(objects)
        full = torch.from_numpy(np.stack([labels == known for known in (0, *ids)])).float()
        full[0] = 1 - full[1:].sum(dim=0)
        return Prediction(ids, full.to(self.device), encoded.size.source)

    @torch.inference_mode()
    def adopt(
        self, frame: Frame | EncodedFrame, masks: Tensor, objects: Sequence[int], *, index: int = -1
    ) -> Prediction:
        encoded, ids = self._encoded(frame), tuple(objects)
        if self._core is None:
            self.begin()
        best, place = masks.max(dim=0)
        numbers = torch.tensor(ids, device=masks.device)[place]
        labels = torch.where(best > 0.5, numbers, 0).to("cpu", torch.uint8).numpy()
        self._give(encoded, labels, ids)
        background = 1 - masks.sum(dim=0, keepdim=True).clamp(max=1)
        return Prediction(
            ids, torch.cat([background, masks]).to(self.device).float(), encoded.size.source
        )

    # Parts of a step

    def _known(self) -> tuple[int, ...]:
        """Ids in the order of the package's channels."""
        return () if self._core is None else tuple(self._core.object_manager.all_obj_ids)

    def _encoded(self, frame: Frame | EncodedFrame) -> _CutieFrame:
        return frame if isinstance(frame, _CutieFrame) else self._encode(np.asarray(frame))

    def _encode(self, frame: Frame) -> _CutieFrame:
        check_frame(frame)
        size = PictureSize.of(frame.shape[0], frame.shape[1], self.internal_size)
        picture = torch.tensor(np.ascontiguousarray(frame)).permute(2, 0, 1)
        return self._seen(size.to_internal(picture).to(self.device).float() / 255, size)

    def _seen(self, image: Tensor, size: PictureSize) -> _CutieFrame:
        with self.times.measure("key"):
            padded = pad(image[None], size.padding)
            features, projected = self._network.encode_image(padded)
            key, shrinkage, selection = self._network.transform_key(features[0])
        made = KeyFeatures(key, shrinkage, selection, *features)
        return _CutieFrame(size, normalise(255 * padded), made, image, projected)

    def _step(
        self,
        frame: _CutieFrame,
        labels: Tensor | None = None,
        objects: Sequence[int] = (),
        *,
        end: bool = False,
        is_permanent: bool = False,
    ) -> Tensor:
        """(1 + K, h, w) of all objects that the package knows by then, background first."""
        self._features.frame = frame
        core = self._core
        core.memory.initialize_sensory_if_needed(frame.features.key, self._known())
        if core.last_mask is None and self._known():
            height, width = frame.picture.shape[-2:]
            core.last_mask = torch.zeros(1, len(self._known()), height, width, device=self.device)
        answer: Tensor = core.step(
            frame.image, labels, list(objects) or None, end=end, force_permanent=is_permanent
        )
        return answer

    def _give(
        self,
        frame: _CutieFrame,
        labels: Labels,
        objects: Sequence[int],
        *,
        is_permanent: bool = False,
    ) -> Labels:
        """Memorises the frame's mask. Returns the mask (H, W) with the objects that are not among
        `objects` tracked where it is empty."""
        known = self._known()
        rest = [one for one in known if one not in objects]
        if rest and self._core.memory.engaged:
            probabilities = self._step(frame, end=True)
            self._core.curr_ti -= 1  # it was only looked at
            predicted = self._prediction(frame, probabilities, known).labels()
            labels = np.where((labels == 0) & np.isin(predicted, rest), predicted, labels)
        small = frame.size.internal
        numbers = torch.from_numpy(labels.astype(np.float32))[None, None]
        given = nn.functional.interpolate(numbers, small, mode="nearest-exact")[0, 0].long()
        ids = [*known, *(one for one in objects if one not in known)]
        with self.times.measure("value"):
            self._step(frame, given.to(self.device), ids, is_permanent=is_permanent)
        return labels.astype(np.uint8)

    def _prediction(
        self, frame: _CutieFrame, probabilities: Tensor, objects: Sequence[int] | None
    ) -> Prediction:
        known = self._known()
        ids = self.objects if objects is None else tuple(objects)
        nothing = torch.zeros_like(probabilities[0])
        wanted = [probabilities[1 + known.index(i)] if i in known else nothing for i in ids]
        others = [probabilities[1 + place] for place, one in enumerate(known) if one not in ids]
        background = torch.stack([probabilities[0], *others]).sum(dim=0)
        return Prediction(ids, torch.stack([background, *wanted]), frame.size.source)
