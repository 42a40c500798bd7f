"""How the tracker is set up, and how it describes what it remembers. Needs no torch."""

from dataclasses import dataclass
from typing import Literal

Affinity = Literal["anisotropic", "stcn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryConfig:
    """A running tracker changes only by `Tracker.configure`. Defaults are the published
    ones; names in brackets are the paper's.

    The limits of working memory count the annotator's own frames as one, whatever their number,
    as the published code counts its first frame, which it never distils either.
    """

    memorize_every: int = 5  # frames between two memory frames [r]
    min_working_frames: int = 5  # kept when working memory is distilled [T_min]
    max_working_frames: int = 10  # distil on reaching this many [T_max]
    prototypes: int = 128  # elements distilled each time [P]
    max_long_term: int = 10_000  # elements, all objects together [LT_max]
    top_k: int = 30  # memory elements that each query position attends to
    has_long_term: bool = True  # without it, working memory grows with the video
    # The paper's ablations. Without sensory memory, the state of networks that have one is zero.
    has_sensory: bool = True
    # "stcn": plain L2 distance, without shrinkage and selection (Cheng et al., NeurIPS 2021,
    # https://arxiv.org/abs/2106.05210).
    affinity: Affinity = "anisotropic"
    # Frames between two deep updates of sensory memory, which happen on memory frames only.
    # None: on each memory frame, in place of the update that every other frame gets.
    deep_update_every: int | None = None
    # Objects decoded at a time; None works it out from the memory that is free. Results do not
    # depend on it.
    objects_per_chunk: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.min_working_frames < self.max_working_frames:
            raise ValueError(
                "min_working_frames must be at least 1 and below max_working_frames, got "
                f"{self.min_working_frames} and {self.max_working_frames}"
            )
        for name in ("memorize_every", "prototypes", "top_k"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.max_long_term < self.prototypes:
            raise ValueError(
                "max_long_term must hold at least one set of prototypes, got "
                f"{self.max_long_term} for {self.prototypes} prototypes"
            )
        if self.deep_update_every is not None and self.deep_update_every < 0:
            raise ValueError(f"deep_update_every must be 0 or more, got {self.deep_update_every}")
        if self.affinity not in ("anisotropic", "stcn"):
            raise ValueError(f"affinity must be anisotropic or stcn, got {self.affinity!r}")
        if self.objects_per_chunk is not None and self.objects_per_chunk < 1:
            raise ValueError(f"objects_per_chunk must be at least 1, got {self.objects_per_chunk}")


MemoryPart = Literal["permanent", "working", "long_term"]


@dataclass(frozen=True, slots=True)
class RememberedFrame:
    """What memory holds of one frame, and what it gives: shares, 0 to 1, of what is read out."""

    frame: int  # -1: a frame without an index
    part: MemoryPart
    elements: int  # of long-term memory, prototypes that were made round this frame's elements
    recent: float  # share of the last ten reads or so; of all frames together it is 1
    average: float  # share of a read, over all since it is in this part of memory
