"""The folder a propagation writes to: masks by frame, a report, and what is needed to go on.

While a propagation is unfinished the folder holds `unfinished.safetensors`: the position, the
settings it was made with and the tracker's memories. Going on from it gives the very masks that
an uninterrupted propagation would have given.
"""

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from interaction.errors import UserError
from interaction.project.atomic_files import write_bytes, write_text, writing_problem
from interaction.project.mask_files import encode_labels
from interaction.propagation import Position
from xmem_core.pictures import Labels
from xmem_core.tracker import Tracker

_UNFINISHED = "unfinished.safetensors"
_REPORT = "report.json"


class ResultFolder:
    """Masks named as the frames they belong to. Every write is whole or not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self, names: Iterable[str], *, resumes: bool, overwrites: bool) -> None:
        """Creates the folder. UserError if it cannot be created, or if masks for `names` or an
        interrupted propagation are there that this one would replace unasked."""
        is_unfinished = (self.folder / _UNFINISHED).exists()
        if not overwrites and not (resumes and is_unfinished):
            present = [name for name in names if self._mask(name).exists()]
            if present and resumes:
                raise UserError(
                    f"There is no interrupted propagation in “{self.folder}” to go on with, only "
                    f"finished masks (the first: {present[0]}.png). Nothing was changed.\n\n"
                    "Use --overwrite to replace them, or another folder."
                )
            if present or is_unfinished:
                what = (
                    f"masks for {len(present)} of these frames (the first: {present[0]}.png)"
                    if present
                    else "an interrupted propagation"
                )
                raise UserError(
                    f"“{self.folder}” already holds {what}. Nothing was changed.\n\n"
                    "Use --resume to go on with an interrupted propagation, --overwrite to "
                    "replace what is there, or another folder."
                )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise writing_problem(self.folder, error) from None

    def write_mask(self, name: str, labels: Labels) -> None:
        """labels: (H, W) object ids."""
        write_bytes(self._mask(name), encode_labels(labels))

    def write_probabilities(
        self, name: str, probabilities: NDArray[np.float16], objects: tuple[int, ...]
    ) -> None:
        """probabilities: (1 + K, H, W), background first; objects: the K ids."""
        packed = io.BytesIO()
        np.savez_compressed(
            packed, probabilities=probabilities, objects=np.array(objects, dtype=np.uint8)
        )
        write_bytes(self.folder / f"{name}.npz", packed.getvalue())

    def write_report(self, report: Mapping[str, Any]) -> None:
        """The propagation is finished: the report takes the place of the unfinished state."""
        write_text(self.folder / _REPORT, json.dumps(report, indent=2) + "\n")
        (self.folder / _UNFINISHED).unlink(missing_ok=True)

    def save_unfinished(
        self, tracker: Tracker, position: Position, settings: Mapping[str, Any], tally: Any
    ) -> None:
        """tally: what the report needs of the finished part, as JSON."""
        header = {
            "position": json.dumps(asdict(position)),
            "settings": json.dumps(settings),
            "tally": json.dumps(tally),
        }
        state = {name: tensor.cpu().contiguous() for name, tensor in tracker.run_state().items()}
        write_bytes(self.folder / _UNFINISHED, safetensors.torch.save(state, header))

    def load_unfinished(
        self, tracker: Tracker, settings: Mapping[str, Any]
    ) -> tuple[Position, Any] | None:
        """Brings `tracker` to where the propagation stopped: the position and the tally.

        None if there is nothing to go on with. UserError if it was made with other settings, or
        is damaged.
        """
        path = self.folder / _UNFINISHED
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                header = file.metadata()
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            position = Position(**json.loads(header["position"]))
            made_with, tally = json.loads(header["settings"]), json.loads(header["tally"])
        except (SafetensorError, OSError, KeyError, TypeError, ValueError):
            raise UserError(
                f"The interrupted propagation in “{self.folder}” cannot be read. The masks it "
                "wrote are safe.\n\nStart it again with --overwrite."
            ) from None
        differing = [name for name in settings if made_with.get(name) != settings[name]]
        if differing:
            raise UserError(
                f"The interrupted propagation in “{self.folder}” was made with another "
                f"{' and another '.join(differing)}. Nothing was changed.\n\n"
                "Go on with the same settings, or start again with --overwrite."
            )
        tracker.restore_run(state)
        return position, tally

    def _mask(self, name: str) -> Path:
        return self.folder / f"{name}.png"
