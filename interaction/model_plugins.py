"""The program's own plug-ins: its bundled networks, the published XMem, f-BRS and S2M, and SAM 2.

They are reached through entry points like those of other packages; see docs/plugins.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from interaction.models import Model, read_model_list

if TYPE_CHECKING:
    import torch

    from interaction.clicks.prompts import ClickConfig
    from interaction.clicks.published import ScribbleSegmenter
    from interaction.clicks.sam2 import Sam2Segmenter
    from interaction.clicks.segmenter import ClickSegmenter
    from interaction.engines import StartTracker
    from xmem_core.tracker import Tracker


@dataclass(frozen=True, slots=True)
class _Listed:
    """The models of `resources/models.json` that one plug-in loads."""

    name: str

    @property
    def models(self) -> tuple[Model, ...]:
        return tuple(model for model in read_model_list() if model.plugin == self.name)


class _ClickNetworks(_Listed):
    """Networks that `ClickSegmenter` refines; which one a file holds is seen in the file."""

    def recognises(self, path: Path) -> bool:
        return True

    def load_segmenter(
        self, path: Path, device: torch.device, config: ClickConfig | None
    ) -> ClickSegmenter:
        from interaction.clicks.published import load_click_network
        from interaction.clicks.segmenter import ClickSegmenter
        from xmem_core.network.inference import merge_passes

        network = load_click_network(path).to(device)
        if device.type == "cpu":
            merge_passes(network)
        return ClickSegmenter(network, config)


class _Scribbles(_Listed):
    def recognises(self, path: Path) -> bool:
        return True

    def load_scribbler(self, path: Path, device: torch.device) -> ScribbleSegmenter:
        from interaction.clicks.published import ScribbleSegmenter, load_scribble_network

        return ScribbleSegmenter(load_scribble_network(path).to(device))


class _Sam2(_Listed):
    def recognises(self, path: Path) -> bool:
        return path.name == "model.safetensors" and (path.parent / "config.json").is_file()

    def load_segmenter(
        self, path: Path, device: torch.device, config: ClickConfig | None
    ) -> Sam2Segmenter:
        from interaction.clicks.sam2 import load_sam2

        return load_sam2(path, device)


class _XMem(_Listed):
    def recognises(self, path: Path) -> bool:
        return True

    def load_tracker(
        self, path: Path, device: torch.device, *, allows_half_precision: bool
    ) -> StartTracker:
        from xmem_core.network.inference import prepare
        from xmem_core.tracker import Tracker
        from xmem_core.weights import load_xmem

        network = prepare(load_xmem(path), device, allows_half_precision=allows_half_precision)
        return lambda settings: Tracker(
            network, settings.memory, internal_size=settings.internal_size
        )


class _Cutie(_Listed):
    def recognises(self, path: Path) -> bool:
        return path.name.startswith("cutie-")

    def load_tracker(
        self, path: Path, device: torch.device, *, allows_half_precision: bool
    ) -> StartTracker:
        from interaction.tracking.cutie import CutieTracker, load_cutie

        network = load_cutie(path, device)
        # Not a `Tracker`, but with all that a propagation uses of one: a test compares them.
        return lambda settings: cast(
            "Tracker", CutieTracker(network, settings.memory, settings.internal_size)
        )


SMALL_CLICKS: Final = _ClickNetworks("small-clicks")
F_BRS: Final = _ClickNetworks("f-brs")
S2M: Final = _Scribbles("s2m")
SAM2: Final = _Sam2("sam2")
XMEM: Final = _XMem("xmem")
CUTIE: Final = _Cutie("cutie")
