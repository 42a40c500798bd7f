"""Propagate from files to files: a video, some masks, a folder of results."""

import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from interaction.annotation.mask_files import decode_labels, encode_labels
from interaction.annotation.requests import Direction
from interaction.engines import Engines, EngineSettings
from interaction.errors import UserError
from interaction.files import (
    JsonObject,
    parse_json,
    plain_folder,
    read_plain,
    remove_plain,
    write_plain,
    writing_problem,
)
from interaction.formats.format import describe_frames
from interaction.formats.import_masks import read_given_masks
from interaction.models import find_model
from interaction.tracking.governor import REHEARSED_FRAMES, Forecast, Workload, forecast
from interaction.tracking.propagation import (
    Position,
    Run,
    RunStep,
    TrackedFrame,
    memorize_all,
    nearest_mask,
    plan,
    propagation_steps,
)
from interaction.tracking.stepping import SteppingTrackers
from interaction.tracking.unfinished import read_unfinished, reading, write_unfinished
from interaction.video.video import Video, open_video
from xmem_core import MemoryConfig, Tracker
from xmem_core.arrays import Labels
from xmem_core.device import peak_memory_bytes
from xmem_core.weights import CheckpointFileError, file_sha256

_UNFINISHED = "unfinished.safetensors"
_REPORT = "report.json"
_MOST_MASK_BYTES = 2**28


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

    def read_mask(self, name: str) -> Labels | None:
        """(H, W) object ids; None if it is gone. UnreadableMaskError."""
        path = self._mask(name)
        try:
            data = read_plain(path, _MOST_MASK_BYTES)
        except OSError:
            return None
        return decode_labels(data, path)

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

    def save_unfinished(
        self, tracker: Tracker, position: Position, settings: JsonObject, tally: JsonObject
    ) -> None:
        """tally: what the report needs of the finished part, as JSON."""
        header = {
            "position": json.dumps(asdict(position)),
            "settings": json.dumps(settings),
            "tally": json.dumps(tally),
        }
        write_unfinished(self.folder / _UNFINISHED, header, tracker.run_state())

    def load_unfinished(
        self, settings: JsonObject, runs: Sequence[Run]
    ) -> "tuple[Position, _Tally, dict[str, Tensor]] | None":
        """Where an interrupted propagation stopped, and the state of its tracker's run; None if
        there is nothing to go on with. UserError if it was made with other settings, or is damaged.
        runs: that those settings make."""
        path = self.folder / _UNFINISHED
        if not path.exists():
            return None
        try:
            header, state = read_unfinished(path)
            at = parse_json(header["position"].encode())
            position = Position(int(at["run"]), int(at["step"]))
            made_with = dict(parse_json(header["settings"].encode()))
            tally = _Tally.read(parse_json(header["tally"].encode()))
        except (CheckpointFileError, ArithmeticError, LookupError, TypeError, ValueError):
            raise self.unreadable() from None
        differing = [name for name in settings if made_with.get(name) != settings[name]]
        if differing:
            raise UserError(
                "The interrupted propagation in “{folder}” was made with another "
                "{differing}. Nothing was changed.\n\n"
                "Go on with the same settings, or start again with --overwrite.",
                folder=self.folder,
                differing=" and another ".join(differing),
            )
        lengths = dict(enumerate(len(run.frames) for run in runs))
        if not 0 <= position.step <= lengths.get(position.run, -1):
            raise self.unreadable()
        return position, tally, state

    def unreadable(self) -> UserError:
        return UserError(
            "The interrupted propagation in “{folder}” cannot be read. The masks it "
            "wrote are safe.\n\nStart it again with --overwrite.",
            folder=self.folder,
        )

    def _mask(self, name: str) -> Path:
        return self.folder / f"{name}.png"


# Between two savings of the tracker's memories: what a power cut may cost.
_SAVE_EVERY_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettings:
    """All that a propagation from files to files depends on."""

    source: Path
    masks: Path
    output: Path
    model: str
    device: str = "auto"
    internal_size: int = 480
    allows_half_precision: bool = True
    direction: Direction = "forward"
    start: int | None = None
    end: int | None = None
    frame: int = 0  # of a single mask whose name tells none
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    are_masks_partial: bool = False
    saves_probabilities: bool = False
    resumes: bool = False
    overwrites: bool = False
    looks_closer: bool = False  # see `PropagationRequest`
    fits_memory: bool = True  # smaller settings where the forecast says that memory will not do


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

    frames: int = 0
    seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    damaged: list[int] = field(default_factory=list)  # frames that cannot be decoded
    steps_down: int = 0  # how often the settings became smaller, see `SteppingTrackers`
    closeup_side: int | None = None  # of the box, see `SteppingTrackers`

    @classmethod
    def read(cls, about: JsonObject) -> "_Tally":
        """As JSON. LookupError, TypeError, ValueError or OverflowError for anything else."""
        side = about["closeup_side"]
        return cls(
            frames=int(about["frames"]),
            seconds=float(about["seconds"]),
            stages={str(name): float(value) for name, value in dict(about["stages"]).items()},
            damaged=list(map(int, about["damaged"])),
            steps_down=int(about["steps_down"]),
            closeup_side=None if side is None else int(side),
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
        names = [video.name(frame) for frame in range(len(video))]
        masks, remarks = read_given_masks(settings.masks, video, shown=settings.frame)
        for remark in filter(None, [video.notice, *remarks]):
            yield BatchProgress("reading masks", 0, 1, remark)
        return (yield from _Batch(settings, video, names, masks).run(should_stop))


def forecast_batch(settings: BatchSettings) -> Forecast:
    """What `run_batch` would need on this machine, measured on the first frames; no mask is
    written. Raises as `run_batch`."""
    with open_video(settings.source) as video:
        names = [video.name(frame) for frame in range(len(video))]
        masks, _ = read_given_masks(settings.masks, video, shown=settings.frame)
        return _Batch(settings, video, names, masks, prepares=False).rehearse()


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


class _Batch:
    """One propagation while it runs."""

    def __init__(
        self,
        settings: BatchSettings,
        video: Video,
        names: list[str],
        masks: dict[int, Labels],
        *,
        prepares: bool = True,
    ) -> None:
        """prepares: the folder of results, see `ResultFolder.prepare`."""
        self.settings, self.video, self.names, self.masks = settings, video, names, masks
        shown = [frame for frame, labels in sorted(masks.items()) if labels.any()]
        if not shown:
            raise UserError(
                "The masks are all empty.\n\nAt least one must show an object to follow."
            )
        # A way both ways must begin where there is something to follow.
        annotated = shown if settings.direction == "both" else sorted(masks)
        self.runs = plan(len(video), annotated, settings.direction, settings.start, settings.end)
        self.results = [frame for run in self.runs for frame in run.results]
        self.model = find_model(settings.model)
        self.model_sha256 = file_sha256(self.model)
        self.folder = ResultFolder(settings.output)
        if prepares:
            self.folder.prepare(
                [names[frame] for frame in self.results],
                resumes=settings.resumes,
                overwrites=settings.overwrites,
            )
        wanted = EngineSettings(
            tracker_model=str(self.model),
            device=settings.device,
            internal_size=settings.internal_size,
            allows_half_precision=settings.allows_half_precision,
            memory=settings.memory,
        )
        self.trackers = SteppingTrackers(_engines(self.model, self.model_sha256), video, wanted)
        self._position, self._tally, self._started = Position(), _Tally(), time.perf_counter()
        self._state: dict[str, Tensor] | None = None  # of an interrupted propagation's tracker

    def run(
        self, should_stop: Callable[[], bool]
    ) -> Generator[BatchProgress, None, JsonObject | None]:
        yield from self._resume_or_fit()
        is_unfinished = self._state is not None
        memorized, is_tracking, saved = 0, False, time.perf_counter()
        with closing(self._steps()) as steps:
            for step in steps:
                if step.remark is not None:
                    yield self._progress(step.remark)
                    memorized = 0
                    continue
                if step.is_memorizing:
                    memorized += 1
                    yield BatchProgress("memorising masks", memorized, len(self.masks))
                    if not is_tracking:
                        self._started = saved = time.perf_counter()
                        if should_stop():
                            return None
                    continue
                if not is_unfinished:  # from here on, also if the power goes
                    self._save()
                    is_unfinished = True
                is_tracking, self._position = True, step.position
                if step.result is not None:
                    self._write(step.result)
                    self._tally.frames += 1
                    self._tally.damaged += [step.frame] * step.result.is_damaged
                is_due = time.perf_counter() - saved > _SAVE_EVERY_S
                try:
                    yield self._progress()
                    is_stopped = should_stop()
                except GeneratorExit:
                    self._save()
                    raise
                # Only here, between two frames, do memories, position and files agree.
                if is_stopped or is_due:
                    self._save()
                    saved = time.perf_counter()
                if is_stopped:
                    return None
        if self._tally.damaged:
            frames = describe_frames(sorted(self._tally.damaged))
            yield self._progress(
                f"Frames that cannot be decoded keep the mask of the frame before: {frames}."
            )
        self.trackers.note_pace()
        report = self._report(self._tally_now())
        self.folder.write_report(report)
        return report

    def _resume_or_fit(self) -> Generator[BatchProgress, None, None]:
        """Goes back to where an interrupted propagation stopped; or takes smaller settings where
        the forecast says that memory will not do."""
        expected, unfinished = self.forecast(), None
        if self.settings.resumes:
            unfinished = self.folder.load_unfinished(self.fingerprint(), self.runs)
        if unfinished is not None:
            self._position, self._tally, self._state = unfinished
            self.trackers.take_steps(self._tally.steps_down)
        elif self.settings.fits_memory and expected.steps_down:
            self.trackers.take_steps(expected.steps_down)
            smaller = " ".join(expected.warnings)
            yield BatchProgress("memorising masks", 0, len(self.masks), smaller)
        self._look_closer(self._tally.closeup_side)

    def _look_closer(self, side: int | None = None) -> None:
        """In a box round the mask nearest to where it starts. side: of the box, to go on with."""
        if self.settings.looks_closer:
            self.trackers.look_closer(self._first_mask, side=side)

    @property
    def _first_mask(self) -> Labels:
        """(H, W) the one nearest to where it starts."""
        return nearest_mask(self.masks, self.runs[0].frames[0])

    def _steps(self) -> Generator[RunStep, None, None]:
        return propagation_steps(
            self.trackers,
            self.video,
            self.masks,
            self.runs,
            self._memorize,
            self._position,
            before=self._mask_before(self._position),
            restore=self._restore,
        )

    def _restore(self, tracker: Tracker) -> None:
        if self._state is not None:
            # Its checksum is right, and still no tracker of this model may have written it.
            with reading(self.folder.unreadable):
                tracker.restore_run(self._state)

    def _progress(self, remark: str | None = None) -> BatchProgress:
        return BatchProgress("tracking", self._tally.frames, len(self.results), remark)

    def _tally_now(self) -> _Tally:
        seconds = self._tally.seconds + time.perf_counter() - self._started
        stages = dict(self._tally.stages)
        for name, spent in self.tracker.times.seconds().items():
            stages[name] = stages.get(name, 0.0) + spent
        return replace(
            self._tally,
            seconds=seconds,
            stages=stages,
            steps_down=self.trackers.steps_down,
            closeup_side=self.trackers.closeup_side,
        )

    def forecast(self) -> Forecast:
        """What it will need on this machine."""
        height, width = self.video.height, self.video.width
        sizes = [len(encode_labels(labels)) for labels in islice(self.masks.values(), 8)]
        objects = len({i for labels in self.masks.values() for i in np.unique(labels)} - {0})
        size = sum(sizes) // len(sizes)
        if self.settings.saves_probabilities:
            # Measured: float16 probabilities shrink to a fifth, most of a picture being certain.
            size += 2 * (1 + objects) * height * width // 5
        load = Workload(
            frames=len(self.results),
            objects=objects,
            height=height,
            width=width,
            given_frames=len(self.masks),
            bytes_per_frame=size,
            folder=self.settings.output,
            side_px=self.trackers.side_for(
                self._first_mask if self.settings.looks_closer else None, None
            ),
        )
        return forecast(load, self.trackers.settings)

    def rehearse(self) -> Forecast:
        """The forecast, from the first frames tracked; nothing is written."""
        self._look_closer()
        with closing(self._steps()) as steps:
            for _ in islice((step for step in steps if step.result), REHEARSED_FRAMES):
                pass
        self.trackers.note_pace()
        self.trackers.tracker = None
        return self.forecast()

    @property
    def tracker(self) -> Tracker:
        return self.trackers.current()

    def _memorize(self, tracker: Tracker, frame: int, way: int) -> Iterable[int]:
        """All given masks, once."""
        if tracker.confirmed_frames:
            return ()
        return memorize_all(
            tracker,
            self.video,
            self.masks,
            is_backward=self.settings.direction == "backward",
            are_partial=self.settings.are_masks_partial,
        )

    def fingerprint(self) -> JsonObject:
        """What must be the same for an interrupted propagation to go on, by the name people know
        it under."""
        digest = hashlib.sha256()
        for frame in sorted(self.masks):
            digest.update(frame.to_bytes(8, "little") + self.masks[frame].tobytes())
        return {
            "source": [
                str(self.settings.source.resolve()),
                self.settings.source.stat().st_size if self.settings.source.is_file() else 0,
                [self.video.width, self.video.height, len(self.video)],
                hashlib.sha256("\0".join(self.names).encode()).hexdigest(),
            ],
            "set of masks": [digest.hexdigest(), self.settings.are_masks_partial],
            "model": self.model_sha256,
            "internal size": [self.settings.internal_size, self.settings.allows_half_precision],
            "range": [[r.frames.start, r.frames.stop, r.frames.step] for r in self.runs],
            "memory setting": asdict(self.settings.memory),
            "choice of --look-closer": self.settings.looks_closer,
            "choice of --save-probabilities": self.settings.saves_probabilities,
        }

    def _mask_before(self, position: Position) -> Labels | None:
        """(H, W) the result before `position`, for a frame there that cannot be decoded."""
        if position.step == 0:
            return None
        frame = self.runs[position.run].frames[position.step - 1]
        return self.folder.read_mask(self.names[frame])

    def _save(self) -> None:
        tally = asdict(self._tally_now())
        self.folder.save_unfinished(self.tracker, self._position, self.fingerprint(), tally)

    def _write(self, result: TrackedFrame) -> None:
        name = self.names[result.frame]
        prediction = result.prediction
        with self.tracker.times.measure("write"):
            self.folder.write_mask(name, prediction.labels())
            if self.settings.saves_probabilities:
                probabilities = prediction.probabilities().cpu().numpy().astype(np.float16)
                self.folder.write_probabilities(name, probabilities, prediction.objects)

    def _report(self, tally: _Tally) -> JsonObject:
        permanent, working, long_term = self.tracker.memory_elements
        return {
            "source": self.settings.source.name,
            "frames": tally.frames,
            "undecodable_frames": sorted(tally.damaged),
            "objects": list(self.tracker.objects),
            "frames_per_second": round(tally.frames / tally.seconds, 3),
            "seconds": round(tally.seconds, 3),
            "seconds_by_stage": {name: round(s, 3) for name, s in tally.stages.items()},
            "peak_memory_bytes": peak_memory_bytes(self.tracker.device),
            "memory_elements": {"permanent": permanent, "working": working, "long_term": long_term},
            "model": self.model.name,
            "model_sha256": self.model_sha256,
            "device": str(self.tracker.device),
            "internal_size": self.settings.internal_size,
        }
