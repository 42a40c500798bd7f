"""Propagate from files to files: a video, some masks, a folder of results."""

import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from interaction.annotation.annotation import Annotation, make_record
from interaction.annotation.mask_files import encode_labels
from interaction.annotation.requests import Direction, PropagationRequest
from interaction.annotation.types import FrameStatus, ObjectInfo
from interaction.engines import Engines, EngineSettings
from interaction.errors import UserError
from interaction.files import JsonObject, plain_folder, remove_plain, write_plain, writing_problem
from interaction.formats.format import describe_frames
from interaction.formats.import_masks import read_given_masks
from interaction.models import find_model
from interaction.steps import finish
from interaction.tracking.governor import Forecast
from interaction.tracking.propagation import TrackedFrame, plan, stated_objects
from interaction.tracking.propagation_job import PropagationJob, ToFiles
from interaction.tracking.unfinished import (
    ChangedRunError,
    UnfinishedRun,
    UnreadableRunError,
    read_run,
    reading,
)
from interaction.video.video import Video, open_video
from xmem_core.arrays import Labels
from xmem_core.device import peak_memory_bytes
from xmem_core.weights import file_sha256

_UNFINISHED: Final = "unfinished.safetensors"
_REPORT: Final = "report.json"
# What people know of a run's settings under another name than the file.
_NAMES: Final = {
    "masks": "set of masks",
    "objects": "set of masks",
    "internal_size": "internal size",
    "allows_half_precision": "internal size",
    "memory": "memory setting",
}


class ResultFolder:
    """Masks named as the frames they belong to. Every write is whole or not there, and no link in
    the folder is followed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self, names: Iterable[str], *, resumes: bool, overwrites: bool) -> None:
        """Creates the folder. UserError if it cannot be created, or if masks for `names` or an
        interrupted propagation are there that this one would replace unasked."""
        try:
            there = {path.name for path in self.folder.iterdir()} if self.folder.exists() else set()
        except OSError as error:
            raise writing_problem(self.folder, error) from None
        is_unfinished = _UNFINISHED in there
        if not overwrites and not (resumes and is_unfinished):
            present = [name for name in names if self._mask(name).name in there]
            if present and resumes:
                raise UserError(
                    "There is no interrupted propagation in “{folder}” to go on with, only "
                    "finished masks (the first: {first}.png). Nothing was changed.\n\n"
                    "Use --overwrite to replace them, or another folder.",
                    folder=self.folder,
                    first=present[0],
                )
            if present or is_unfinished:
                what = (
                    f"masks for {len(present)} of these frames (the first: {present[0]}.png)"
                    if present
                    else "an interrupted propagation"
                )
                raise UserError(
                    "“{folder}” already holds {what}. Nothing was changed.\n\n"
                    "Use --resume to go on with an interrupted propagation, --overwrite to "
                    "replace what is there, or another folder.",
                    folder=self.folder,
                    what=what,
                )
        self.folder = plain_folder(self.folder)

    def write_mask(self, name: str, labels: Labels) -> None:
        """labels: (H, W) object ids."""
        write_plain(self._mask(name), encode_labels(labels))

    def write_probabilities(
        self, name: str, probabilities: NDArray[np.float16], objects: tuple[int, ...]
    ) -> None:
        """probabilities: (1 + K, H, W), background first; objects: the K ids."""
        packed = io.BytesIO()
        np.savez_compressed(
            packed, probabilities=probabilities, objects=np.array(objects, dtype=np.uint8)
        )
        write_plain(self.folder / f"{name}.npz", packed.getvalue())

    def write_report(self, report: JsonObject) -> None:
        """The propagation is finished: the report takes the place of the unfinished state."""
        write_plain(self.folder / _REPORT, (json.dumps(report, indent=2) + "\n").encode())
        remove_plain(self.folder / _UNFINISHED)

    @property
    def unfinished(self) -> Path:
        """What an interrupted propagation goes on from."""
        return self.folder / _UNFINISHED

    def _mask(self, name: str) -> Path:
        return self.folder / f"{name}.png"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettings:
    """All that a propagation from files to files depends on."""

    source: Path
    masks: Path
    output: Path
    engine: EngineSettings
    direction: Direction = "forward"
    start: int | None = None
    end: int | None = None
    frame: int = 0  # of a single mask whose name tells none
    are_masks_partial: bool = False
    saves_probabilities: bool = False
    resumes: bool = False
    overwrites: bool = False
    looks_closer: bool = False  # see `PropagationRequest`


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """Where a propagation is. `done` of `total` frames have their mask on disk."""

    stage: str  # for people: "reading masks", "tracking"
    done: int
    total: int
    remark: str | None = None  # something to know that is not an error


@dataclass(slots=True)
class _Tally:
    """What the report adds up, over all parts of an interrupted propagation."""

    seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    damaged: list[int] = field(default_factory=list)  # frames that cannot be decoded

    @classmethod
    def of(cls, kept: UnfinishedRun) -> "_Tally":
        with reading():
            about = kept.about["tally"]
            return cls(
                seconds=float(about["seconds"]),
                stages={str(name): float(value) for name, value in dict(about["stages"]).items()},
                damaged=list(map(int, about["damaged"])),
            )


def run_batch(
    settings: BatchSettings, should_stop: Callable[[], bool]
) -> Generator[BatchProgress, None, JsonObject | None]:
    """Propagates, one frame a step. Returns the report, or None if it was stopped.

    `should_stop` is asked between two frames. Stopped, or closed, everything finished is on disk
    and the same settings with `resumes` go on exactly. Raises UserError for anything the person
    at the keyboard can mend.
    """
    for folder, what in ((settings.masks, "masks to start from"), (settings.source, "frames")):
        if _is_same_place(settings.output, folder):
            raise UserError(
                "The {what} lie in the folder the results would go to.\n\nChoose another --output.",
                what=what,
            )
    with open_video(settings.source) as video:
        batch, remarks = _opened(settings, video)
        for remark in filter(None, [video.notice, *remarks]):
            yield BatchProgress("reading masks", 0, 1, remark)
        return (yield from batch.run(should_stop))


def forecast_batch(settings: BatchSettings) -> Forecast:
    """What `run_batch` would need on this machine, measured on the first frames; no mask is
    written. Raises as `run_batch`."""
    with open_video(settings.source) as video:
        return _opened(settings, video)[0].forecast()


def _opened(settings: BatchSettings, video: Video) -> tuple["_Batch", list[str]]:
    """The propagation of what is given, and what to say about the masks."""
    masks, remarks = read_given_masks(settings.masks, video, shown=settings.frame)
    return _Batch(settings, video, masks), remarks


def _is_same_place(one: Path, other: Path) -> bool:
    try:
        return os.path.realpath(one) == os.path.realpath(other)
    except ValueError:  # a name with a null character is no place
        return False


@lru_cache(maxsize=1)
def _engines(path: Path, sha256: str) -> Engines:
    """Of one file of weights, by its SHA-256: the network is loaded once for many clips that are
    tracked one after the other."""
    return Engines(EngineSettings(tracker_model=str(path)))


def _annotation(settings: BatchSettings, video: Video, masks: dict[int, Labels]) -> Annotation:
    """What is given, in memory."""
    stated = stated_objects(
        masks,
        is_backward=settings.direction == "backward",
        are_partial=settings.are_masks_partial,
    )
    records = {
        frame: make_record(labels, FrameStatus.CORRECTED, given=stated[frame])
        for frame, labels in masks.items()
    }
    present = frozenset().union(*(record.present for record in records.values()))
    objects = [ObjectInfo(one, str(one), (0, 0, 0)) for one in sorted(present)]
    return Annotation(len(video), video.width, video.height, records=records, objects=objects)


class _Batch:
    """One propagation while it runs."""

    def __init__(self, settings: BatchSettings, video: Video, masks: dict[int, Labels]) -> None:
        self.settings, self.video = settings, video
        shown = [frame for frame, labels in sorted(masks.items()) if labels.any()]
        if not shown:
            raise UserError(
                "The masks are all empty.\n\nAt least one must show an object to follow."
            )
        # A way both ways must begin where there is something to follow.
        annotated = shown if settings.direction == "both" else sorted(masks)
        self.runs = plan(len(video), annotated, settings.direction, settings.start, settings.end)
        self.names = [video.name(frame) for frame in range(len(video))]
        self.model = find_model(settings.engine.tracker_model)
        self.model_sha256 = file_sha256(self.model)
        self.annotation = _annotation(settings, video, masks)
        self.folder = ResultFolder(settings.output)
        self._tally, self._started = _Tally(), time.perf_counter()

    def run(
        self, should_stop: Callable[[], bool]
    ) -> Generator[BatchProgress, None, JsonObject | None]:
        self.folder.prepare(
            [self.names[frame] for run in self.runs for frame in run.results],
            resumes=self.settings.resumes,
            overwrites=self.settings.overwrites,
        )
        with self._naming_the_folder():
            place, kept = self.folder.unfinished, None
            if self.settings.resumes and place.exists():
                kept = read_run(place)
                self._tally = _Tally.of(kept)
            self.job = self._job(self._write, place, kept)
            if (yield from self._track(should_stop)):
                return None
        if self._tally.damaged:
            frames = describe_frames(sorted(self._tally.damaged))
            remark = f"Frames that cannot be decoded keep the mask of the frame before: {frames}."
            yield BatchProgress("tracking", *self.job.done, remark)
        report = self._report(self._tally_now())
        self.folder.write_report(report)
        return report

    def _track(self, should_stop: Callable[[], bool]) -> Generator[BatchProgress, None, bool]:
        """Returns whether it was stopped."""
        memorized, is_tracking = 0, False
        # An empty mask before any object has appeared teaches nothing.
        teaching = sum(bool(record.given) for record in self.annotation.records.values())
        with closing(self.job.steps()) as steps:
            for step in steps:
                if step.is_memorizing:
                    memorized += 1
                    yield BatchProgress("memorising masks", memorized, teaching)
                    if is_tracking:
                        continue  # a smaller tracker begins, and holds nothing of the run yet
                    self._started = time.perf_counter()
                else:
                    memorized = 0
                    yield BatchProgress("tracking", step.done, step.total, step.remark)
                    if step.remark is not None:
                        continue
                    is_tracking = True
                if should_stop():
                    return True
        return False

    def forecast(self) -> Forecast:
        finish(self._job(lambda _result, _labels: None).rehearsal())
        return self._job(self._write).forecast(self.settings.output)

    def _job(
        self,
        write: Callable[[TrackedFrame, Labels], None],
        place: Path | None = None,
        kept: UnfinishedRun | None = None,
    ) -> PropagationJob:
        settings, annotation = self.settings, self.annotation
        engines = _engines(self.model, self.model_sha256)
        engines.configure(replace(settings.engine, tracker_model=str(self.model)))
        more_bytes = 0
        if settings.saves_probabilities:
            # Measured: float16 probabilities shrink to a fifth, most of a picture being certain.
            pixels = annotation.height * annotation.width
            more_bytes = 2 * (1 + len(annotation.objects)) * pixels // 5
        start = self.runs[0].frames[0]
        return PropagationJob(
            annotation,
            self.video,
            engines,
            PropagationRequest(start, settings.direction, looks_closer=settings.looks_closer),
            place=place,
            resumed=kept,
            files=ToFiles(self.runs, write, self._made_with(), self._tally_now, more_bytes),
        )

    def _made_with(self) -> JsonObject:
        """By the name people know it under."""
        source, video = self.settings.source, self.video
        return {
            "source": [
                str(source.resolve()),
                source.stat().st_size if source.is_file() else 0,
                [video.width, video.height, len(video)],
                hashlib.sha256("\0".join(self.names).encode()).hexdigest(),
            ],
            "set of masks": self.settings.are_masks_partial,
            "model": self.model_sha256,
            "range": [[r.frames.start, r.frames.stop, r.frames.step] for r in self.runs],
            "choice of --look-closer": self.settings.looks_closer,
            "choice of --save-probabilities": self.settings.saves_probabilities,
        }

    @contextmanager
    def _naming_the_folder(self) -> Iterator[None]:
        """What is wrong with an interrupted propagation is said of the folder that it is in."""
        try:
            yield
        except UnreadableRunError:
            raise UserError(
                "The interrupted propagation in “{folder}” cannot be read. The masks it "
                "wrote are safe.\n\nStart it again with --overwrite.",
                folder=self.folder.folder,
            ) from None
        except ChangedRunError as error:
            differing = dict.fromkeys(_NAMES.get(name, name) for name in error.differing)
            raise UserError(
                "The interrupted propagation in “{folder}” was made with another "
                "{differing}. Nothing was changed.\n\n"
                "Go on with the same settings, or start again with --overwrite.",
                folder=self.folder.folder,
                differing=" and another ".join(differing),
            ) from None

    def _tally_now(self) -> JsonObject:
        seconds = self._tally.seconds + time.perf_counter() - self._started
        stages = dict(self._tally.stages)
        for name, spent in self.job.tracker.times.seconds().items():
            stages[name] = stages.get(name, 0.0) + spent
        return asdict(_Tally(seconds, stages, self._tally.damaged))

    def _write(self, result: TrackedFrame, labels: Labels) -> None:
        name, prediction = self.names[result.frame], result.prediction
        with self.job.tracker.times.measure("write"):
            self.folder.write_mask(name, labels)
            if self.settings.saves_probabilities:
                probabilities = prediction.probabilities().cpu().numpy().astype(np.float16)
                self.folder.write_probabilities(name, probabilities, prediction.objects)
        self._tally.damaged += [result.frame] * result.is_damaged

    def _report(self, tally: JsonObject) -> JsonObject:
        tracker, (frames, _) = self.job.tracker, self.job.done
        permanent, working, long_term = tracker.memory_elements
        return {
            "source": self.settings.source.name,
            "frames": frames,
            "undecodable_frames": sorted(tally["damaged"]),
            "objects": list(tracker.objects),
            "frames_per_second": round(frames / tally["seconds"], 3),
            "seconds": round(tally["seconds"], 3),
            "seconds_by_stage": {name: round(s, 3) for name, s in tally["stages"].items()},
            "peak_memory_bytes": peak_memory_bytes(tracker.device),
            "memory_elements": {"permanent": permanent, "working": working, "long_term": long_term},
            "model": self.model.name,
            "model_sha256": self.model_sha256,
            "device": str(tracker.device),
            "internal_size": self.settings.engine.internal_size,
        }
