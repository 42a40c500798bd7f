"""How fast this machine tracks, measured by every run and kept for forecasts."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from platformdirs import user_cache_path

from interaction.errors import UserError
from interaction.files import parse_json, read_regular, write_text
from interaction.models import default_store
from xmem_core.device import StageTimes

log = logging.getLogger(__name__)

# Seconds for a unit of work, by stage: "key" an internal pixel, "decode" and "value" one of one
# object, "readout" as `readout_work` counts, "video" a source pixel.
Pace = Mapping[str, float]
_STAGES: Final = ("key", "decode", "value", "readout", "video")


def measured_pace(model: str, device: torch.device) -> Pace | None:
    """None: this machine has not tracked with it."""
    return _read_paces().get(_pace_name(model, device))


def pace_file() -> Path:
    """Where this machine's pace is kept."""
    return user_cache_path("xmem-annotate", appauthor=False) / "pace.json"


def note_pace(model: str, device: torch.device, times: StageTimes) -> None:
    """Keeps how fast this machine was, for later forecasts; half of it comes from before. Too short
    a run says nothing. Nothing depends on it, so that it cannot be kept is only logged."""
    seconds, work = times.seconds(), times.work()
    if times.calls().get("decode", 0) < _FEWEST_CALLS:
        return
    new = {stage: seconds[stage] / work[stage] for stage in _STAGES if work.get(stage)}
    paces = dict(_read_paces())
    old = paces.get(_pace_name(model, device), {})
    paces[_pace_name(model, device)] = {
        stage: (pace + old.get(stage, pace)) / 2 for stage, pace in new.items()
    }
    try:
        pace_file().parent.mkdir(parents=True, exist_ok=True)
        write_text(pace_file(), json.dumps(paces, indent=2) + "\n")
    except (OSError, UserError) as error:
        log.info("the pace of this machine was not kept: %s", error)


_FEWEST_CALLS: Final = 3
_MOST_PACE_BYTES: Final = 100_000


def _pace_name(model: str, device: torch.device) -> str:
    name = str(device)
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    file = Path(model).name  # runs from files to files name the file
    known = next((one.name for one in default_store().models if one.file == file), file)
    return f"{known} on {name}"


def _read_paces() -> dict[str, dict[str, float]]:
    """By model and device; what is damaged counts as not there."""
    try:
        plain = parse_json(read_regular(pace_file(), _MOST_PACE_BYTES))
    except (OSError, ValueError):
        return {}
    return {
        name: {stage: float(pace[stage]) for stage in _STAGES if stage in pace}
        for name, pace in (plain.items() if isinstance(plain, dict) else ())
        if isinstance(pace, dict)
        and all(isinstance(one, int | float) and 0 <= one < 1 for one in pace.values())
    }
