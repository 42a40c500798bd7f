"""What a training run is told: a TOML file, as frozen dataclasses. Wrong values are refused."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from training.scene import ClipSettings
from xmem_core.network.config import NetworkConfig

DataName = Literal[
    "composed", "static", "photographs", "davis", "youtube", "davis+youtube", "bl30k"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Some steps at one size and clip length."""

    steps: int
    size: int  # pixels, width and height
    frames: int  # in a clip
    batch: int  # clips a process
    learning_rate: float  # at its highest; the cosine falls over the whole run
    key_trunk_rate: float = 0.0  # times learning_rate; 0 freezes the trunk
    value_trunk_rate: float = 0.3
    memorized_share: float = 0.5  # of the frames after the first, with their predicted masks
    slowest: float = 0.15  # pace of movement; this and the rest: see ClipSettings
    fastest: float = 1.6
    most_distractors: int = 3
    twin_share: float = 0.35
    data: DataName = "composed"
    # Shares of clips from several kinds of data, in place of `data`.
    mixture: Mapping[str, float] = field(default_factory=dict)
    # Of the memory frames a query reads at most so many, the first and others by chance; 0: all.
    references: int = 0
    deep_update_share: float = 1.0  # of memory frames after the first that refresh sensory memory
    largest_gap: int = 5  # frames of a video from one in the clip to the next
    is_gentle: bool = False  # no shear: the published recipe's last steps
    merge_share: float = 0.0  # of clips of videos that get another clip's objects

    def __post_init__(self) -> None:
        for name in ("steps", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.frames < 2:
            raise ValueError(f"frames must be at least 2, got {self.frames}")
        if not 0 <= self.memorized_share <= 1:
            raise ValueError(f"memorized_share must be in 0..1, got {self.memorized_share}")
        if not 0 <= self.deep_update_share <= 1 or not 0 <= self.merge_share <= 1:
            raise ValueError(
                "deep_update_share and merge_share must be in 0..1, got "
                f"{self.deep_update_share} and {self.merge_share}"
            )
        if self.data not in get_args(DataName):
            raise ValueError(f"data must be one of {get_args(DataName)}, got {self.data!r}")
        for name, share in self.mixture.items():
            if name not in get_args(DataName) or share <= 0:
                raise ValueError(
                    f"mixture must give kinds of data positive shares: {name}, {share}"
                )
        if self.largest_gap < 1 or self.references < 0:
            raise ValueError(
                "largest_gap must be at least 1 and references not negative, got "
                f"{self.largest_gap} and {self.references}"
            )
        _ = self.clips  # refuses a wrong size or pace

    @property
    def clips(self) -> ClipSettings:
        return ClipSettings(
            size=self.size,
            frames=self.frames,
            slowest=self.slowest,
            fastest=self.fastest,
            most_distractors=self.most_distractors,
            twin_share=self.twin_share,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerTraining:
    """A whole run. Paths are relative to where the program is started."""

    stages: tuple[Stage, ...]
    pack: str = ""  # of pictures to compose clips of; without it, evaluation uses the stages' data
    # Where the published data sets are; their layouts: see training.datasets.layouts.
    static_root: str = "../data/static"
    stills_root: str = "../data/stills"
    stills_held_out: tuple[str, ...] = ()  # sets below it that are not trained on
    davis_root: str = "../data/DAVIS/2017/trainval"
    youtube_root: str = "../data/YouTube/train_480p"
    bl30k_root: str = "../data/BL30K"
    network: NetworkConfig = field(default_factory=NetworkConfig.small)
    # A .pth file, empty for the installed package; for ResNets the folder of torchvision's two.
    trunk_weights: str = ""
    start_from: str = ""  # weights or a run to begin with; empty for a pretrained trunk
    seed: int = 1
    object_weights: tuple[float, ...] = (0.45, 0.35, 0.2)  # of one, two, three labelled objects
    weight_decay: float = 0.01
    warm_up_steps: int = 100
    final_rate: float = 0.05  # share of the learning rate left at the end of the cosine
    average_decay: float = 0.998  # of the moving average of weights
    gradient_limit: float = 1.0  # norm
    # Depthwise kernels and the scale of positions stay as they are: the gradient of the former is
    # most of a step's time on a CPU, the latter's is misled by how composed things move.
    is_lean: bool = False
    is_half_precision: bool = False  # on a CPU; pays where it multiplies bfloat16 (AMX, AVX-512)
    bootstrap_start: float = 0.15  # share of the run after which only the worst pixels count
    bootstrap_end: float = 0.6
    bootstrap_share: float = 0.25
    evaluate_every: int = 200  # steps
    evaluation_clips: int = 16
    evaluation_size: int = 192
    evaluation_frames: int = 6
    checkpoint_seconds: float = 180.0
    workers: int = 0  # processes that compose clips; 0 composes between steps

    def __post_init__(self) -> None:
        if not self.stages:
            raise ValueError("a run needs at least one [[stages]] entry")
        if not self.object_weights or min(self.object_weights) < 0:
            raise ValueError(f"object_weights must not be negative, got {self.object_weights}")

    @property
    def total_steps(self) -> int:
        return sum(stage.steps for stage in self.stages)

    def stage_at(self, step: int) -> int:
        """Index of the stage that `step` (from 0) belongs to; the last one from the end on."""
        end = 0
        for index, stage in enumerate(self.stages):
            end += stage.steps
            if step < end:
                return index
        return len(self.stages) - 1

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_config(path: Path, overrides: Mapping[str, str]) -> TrackerTraining:
    """The run described by a TOML file; `overrides` replace its plain values by name."""
    with path.open("rb") as file:
        table: dict[str, Any] = {**tomllib.load(file), **overrides}
    return config_from(table)


def config_from(table: Mapping[str, Any]) -> TrackerTraining:
    """Plain values -> a run; ValueError names what is unknown or missing."""
    values = dict(table)
    try:
        values["stages"] = tuple(Stage(**stage) for stage in values.get("stages", ()))
        if "network" in values:
            values["network"] = _network(values["network"])
        if "stills_held_out" in values:
            values["stills_held_out"] = tuple(values["stills_held_out"])
        if "object_weights" in values:
            values["object_weights"] = tuple(values["object_weights"])
        return TrackerTraining(**values)
    except TypeError as error:
        raise ValueError(f"the training configuration is not valid: {error}") from None


def _network(value: Any) -> NetworkConfig:
    if value == "small":
        return NetworkConfig.small()
    if value == "published":
        return NetworkConfig.published()
    if not isinstance(value, Mapping):
        raise ValueError(f'network must be "small", "published" or a table, got {value!r}')
    return NetworkConfig(**value)
