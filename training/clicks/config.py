"""What a training run of the click network is told: a TOML file, as frozen dataclasses."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_args

from interaction.learning.samples import ClickHabits
from training.config import DataName


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickStage:
    """Some steps at one size."""

    steps: int
    size: int  # pixels, width and height of what the network sees
    batch: int  # pictures a process
    learning_rate: float  # at its highest; the cosine falls over the whole run
    trunk_rate: float = 0.1  # times learning_rate; 0 freezes the trunk
    data: DataName = "composed"

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1:
            raise ValueError(f"steps and batch must be at least 1: {self.steps}, {self.batch}")
        if self.size < 32 or self.size % 16:
            raise ValueError(f"size must be a multiple of 16 from 32 on, got {self.size}")
        if self.data not in get_args(DataName):
            raise ValueError(f"data must be one of {get_args(DataName)}, got {self.data!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickTraining:
    """A whole run. Paths are relative to where the program is started."""

    stages: tuple[ClickStage, ...]
    pack: str = ""  # without it, evaluation uses the last stage's data
    static_root: str = "../data/static"  # these as for the tracker
    stills_root: str = "../data/stills"
    stills_held_out: tuple[str, ...] = ()
    davis_root: str = "../data/DAVIS/2017/trainval"
    youtube_root: str = "../data/YouTube/train_480p"
    bl30k_root: str = "../data/BL30K"
    trunk_weights: str = ""  # a .pth file; empty for the installed package
    start_from: str = ""  # weights of a click network to begin with; empty for the trunk's alone
    seed: int = 1
    rounds: int = 3  # of clicking and predicting that are learned from, on each picture
    most_rounds: int = 9  # of clicking and predicting; the others only lead there
    exact_share: float = 0.6  # of clicks in the very middle of the worst error; others miss it
    more_clicks: float = 0.2  # chance of each further click in the first round
    most_clicks: int = 4  # in the first round
    given_mask_share: float = 0.25  # of pictures that start from a damaged mask
    zoom_share: float = 0.85  # of pictures cropped around the object
    merged_share: float = 0.2  # of targets that are two objects
    shadow_share: float = 0.2  # of objects that cast a long shadow; most of them own it
    redrawn_share: float = 0.25  # of outlines drawn wider, tighter or more loosely than they are
    weight_decay: float = 0.01
    warm_up_steps: int = 50
    final_rate: float = 0.03
    average_decay: float = 0.997
    is_half_precision: bool = False  # on a CPU; pays where it multiplies bfloat16 (AMX, AVX-512)
    gradient_limit: float = 1.0
    evaluate_every: int = 100
    evaluation_pictures: int = 32
    evaluation_size: int = 256
    checkpoint_seconds: float = 120.0

    def __post_init__(self) -> None:
        if not self.stages:
            raise ValueError("a run needs at least one [[stages]] entry")
        _ = self.habits  # checks them

    @property
    def habits(self) -> ClickHabits:
        names = (field.name for field in fields(ClickHabits))
        return ClickHabits(**{name: getattr(self, name) for name in names})

    @property
    def total_steps(self) -> int:
        return sum(stage.steps for stage in self.stages)

    def stage_at(self, step: int) -> ClickStage:
        """The stage that `step` (from 0) belongs to; the last one from the end on."""
        end = 0
        for stage in self.stages:
            end += stage.steps
            if step < end:
                return stage
        return self.stages[-1]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_click_config(path: Path, overrides: Mapping[str, str]) -> ClickTraining:
    """The run described by a TOML file; `overrides` replace its plain values by name."""
    with path.open("rb") as file:
        return click_config_from({**tomllib.load(file), **overrides})


def click_config_from(table: Mapping[str, Any]) -> ClickTraining:
    """Plain values -> a run; ValueError names what is unknown or missing."""
    values = dict(table)
    try:
        values["stages"] = tuple(ClickStage(**stage) for stage in values.get("stages", ()))
        values["stills_held_out"] = tuple(values.get("stills_held_out", ()))
        return ClickTraining(**values)
    except TypeError as error:
        raise ValueError(f"the training configuration is not valid: {error}") from None
