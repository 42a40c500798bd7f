"""The settings of a training run: a TOML file read into frozen dataclasses.

`task = "tracker"` or `task = "clicks"` chooses the network. Paths are relative to where the program
is started. What is unknown, missing or out of range is refused by name.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Final, Literal, get_args

from interaction.files import JsonObject
from interaction.learning.samples import ClickHabits
from training.scene import ClipSettings
from xmem_core.network.config import NetworkConfig

DataName = Literal[
    "composed", "static", "photographs", "davis", "youtube", "davis+youtube", "bl30k"
]
# Sets of photographs that no training reads: what is measured on them are kinds of things not seen.
HELD_OUT_SETS: Final = (
    "panda_zoo", "cutlery", "street_mini", "food_six", "dog_cat", "fish_mini", "mugs",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A part of a run: `steps` of one kind, or that share of a run limited by time."""

    steps: int
    size: int  # pixels, width and height
    batch: int  # clips or pictures a process
    learning_rate: float  # at its highest; the cosine falls over the whole run
    batch_on_gpu: int = 0  # in place of `batch` there; 0: the same
    data: DataName = "composed"
    # Shares of clips from several kinds of data, in place of `data`.
    mixture: Mapping[DataName, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("steps", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in (self.data, *self.mixture):
            if name not in get_args(DataName):
                raise ValueError(f"data must be one of {get_args(DataName)}, got {name!r}")
        if self.mixture and min(self.mixture.values()) <= 0:
            raise ValueError(f"shares in mixture must be positive, got {dict(self.mixture)}")

    @property
    def kinds(self) -> tuple[DataName, ...]:
        """The kinds of data that the stage draws from."""
        return tuple(self.mixture) or (self.data,)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerStage(Stage):
    frames: int  # in a clip
    key_trunk_rate: float = 0.0  # times learning_rate; 0 freezes the trunk
    value_trunk_rate: float = 0.3
    memorized_share: float = 0.5  # of the frames after the first, with their predicted masks
    slowest: float = 0.15  # pace of movement; this and the rest: see ClipSettings
    fastest: float = 1.6
    most_distractors: int = 3
    twin_share: float = 0.35
    # Of the memory frames a query reads at most so many, the first and others by chance; 0: all.
    references: int = 0
    deep_update_share: float = 1.0  # of memory frames after the first that refresh sensory memory
    largest_gap: int = 5  # frames of a video from one in the clip to the next
    is_gentle: bool = False  # no shear: the published recipe's last steps
    merge_share: float = 0.0  # of clips of videos that get another clip's objects
    widened_share: float = 0.0  # of real clips whose masks are drawn wide, as some people do

    def __post_init__(self) -> None:
        Stage.__post_init__(self)
        if self.frames < 2:
            raise ValueError(f"frames must be at least 2, got {self.frames}")
        for name in ("memorized_share", "deep_update_share", "merge_share", "widened_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in 0..1, got {getattr(self, name)}")
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
class ClickStage(Stage):
    trunk_rate: float = 0.1  # times learning_rate; 0 freezes the trunk

    def __post_init__(self) -> None:
        Stage.__post_init__(self)
        if self.size < 32 or self.size % 32:
            raise ValueError(f"size must be a multiple of 32 from 32 on, got {self.size}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What runs of both networks have in common."""

    stages: tuple[Stage, ...]
    pack: str = ""  # pictures to compose clips of; without it, evaluation uses the stages' data
    # Where the data sets are; their layouts: `training.datasets`.
    static_root: str = "../data/static"
    photographs_root: str = "../data/photographs"
    davis_root: str = "../data/DAVIS/2017/trainval"
    youtube_root: str = "../data/YouTube/train_480p"
    bl30k_root: str = "../data/BL30K"
    held_out_sets: tuple[str, ...] = HELD_OUT_SETS
    # A .pth file, empty for the installed package; for ResNets the folder of torchvision's two.
    trunk_weights: str = ""
    start_from: str = ""  # weights or a run to begin with; empty for a pretrained trunk
    seed: int = 1
    weight_decay: float = 0.01
    warm_up_steps: int = 100
    final_rate: float = 0.05  # share of the learning rate left at the end of the cosine
    average_decay: float = 0.998  # of the moving average of weights
    gradient_limit: float = 1.0  # norm
    is_half_precision: bool = False  # on a CPU; pays where it multiplies bfloat16 (AMX, AVX-512)
    evaluate_every: int = 200  # steps
    evaluation_size: int = 192
    checkpoint_seconds: float = 180.0
    workers: int = -1  # processes that make batches; 0: between steps; -1: 0 on a CPU, else 16

    def __post_init__(self) -> None:
        if not self.stages:
            raise ValueError("a run needs at least one [[stages]] entry")

    @property
    def total_steps(self) -> int:
        return sum(stage.steps for stage in self.stages)

    def stage_at(self, step: float) -> int:
        """Index of the stage that `step` (from 0) belongs to; the last one from the end on."""
        end = 0
        for index, stage in enumerate(self.stages):
            end += stage.steps
            if step < end:
                return index
        return len(self.stages) - 1

    def as_dict(self) -> JsonObject:
        return {"task": _TASKS[type(self)], **asdict(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerTraining(Training):
    stages: tuple[TrackerStage, ...]
    network: NetworkConfig = field(default_factory=NetworkConfig.small)
    object_weights: tuple[float, ...] = (0.45, 0.35, 0.2)  # of one, two, three composed objects
    # Depthwise kernels and the scale of positions stay as they are: the gradient of the former is
    # most of a step's time on a CPU, the latter's is misled by how composed things move.
    is_lean: bool = False
    bootstrap_start: float = 0.15  # share of the run after which only the worst pixels count
    bootstrap_end: float = 0.6
    bootstrap_share: float = 0.25
    evaluation_clips: int = 16
    evaluation_frames: int = 6

    def __post_init__(self) -> None:
        Training.__post_init__(self)
        if not self.object_weights or min(self.object_weights) < 0:
            raise ValueError(f"object_weights must not be negative, got {self.object_weights}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickTraining(Training):
    stages: tuple[ClickStage, ...]
    rounds: int = 3  # these seven as `ClickHabits` has them
    most_rounds: int = 9
    first_share: float = 0.0
    exact_share: float = 0.6
    more_clicks: float = 0.2
    most_clicks: int = 4
    given_mask_share: float = 0.25
    zoom_share: float = 0.85  # of pictures cropped around the object
    whole_share: float = 0.4  # of photographs that are seen whole, or nearly
    box_share: float = 0.1  # of photographs whose object is boxed at first, not clicked at
    tracker_errors: str = ""  # a folder that `training.clicks.tracker_errors` filled
    merged_share: float = 0.2  # of targets that are two objects
    shadow_share: float = 0.2  # of objects that cast a long shadow; most of them own it
    redrawn_share: float = 0.25  # of outlines drawn wider, tighter or more loosely than they are
    warm_up_steps: int = 50
    final_rate: float = 0.03
    average_decay: float = 0.997
    evaluate_every: int = 100
    evaluation_size: int = 256
    evaluation_pictures: int = 32
    checkpoint_seconds: float = 120.0

    def __post_init__(self) -> None:
        Training.__post_init__(self)
        _ = self.habits  # checks them

    @property
    def habits(self) -> ClickHabits:
        names = (field.name for field in fields(ClickHabits))
        return ClickHabits(**{name: getattr(self, name) for name in names})


_TASKS: Final[dict[type[Training], str]] = {TrackerTraining: "tracker", ClickTraining: "clicks"}


def read_config(path: Path, overrides: Mapping[str, str]) -> TrackerTraining | ClickTraining:
    """The run described by a TOML file; `overrides` replace its plain values by name."""
    with path.open("rb") as file:
        return config_from({**tomllib.load(file), **overrides})


def config_from(table: JsonObject) -> TrackerTraining | ClickTraining:
    """Plain values -> a run; ValueError names what is unknown, missing or wrong."""
    values = dict(table)
    task = values.pop("task", "tracker")
    stages = values.pop("stages", ())
    for name in ("object_weights", "held_out_sets"):
        if name in values:
            values[name] = tuple(values[name])
    try:
        if task == "clicks":
            clicks = tuple(ClickStage(**stage) for stage in stages)
            return ClickTraining(stages=clicks, **values)
        if task == "tracker":
            if "network" in values:
                values["network"] = _network(values["network"])
            return TrackerTraining(stages=tuple(TrackerStage(**s) for s in stages), **values)
    except TypeError as error:
        raise ValueError(f"the training configuration is not valid: {error}") from None
    raise ValueError(f'task must be "tracker" or "clicks", got {task!r}')


def _network(value: object) -> NetworkConfig:
    if value == "small":
        return NetworkConfig.small()
    if value == "published":
        return NetworkConfig.published()
    if not isinstance(value, Mapping):
        raise ValueError(f'network must be "small", "published" or a table, got {value!r}')
    return NetworkConfig(**value)
