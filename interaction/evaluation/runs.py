"""Tracking and scoring whole data sets, a clip at a time, in one process or several.

A finished clip is a file in the output folder, so the same call again does what is missing.
"""

import contextlib
import json
import os
import time
import zipfile
from collections.abc import Generator, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from interaction.annotation.mask_files import encode_labels
from interaction.engines import Engines, EngineSettings, Networks
from interaction.errors import UserError
from interaction.evaluation.datasets import Dataset, DatasetClip, first_masks
from interaction.evaluation.scores import ClipScore, SkippedClip, pair_clip, score_clip
from interaction.files import (
    JsonObject,
    hidden_folder,
    is_plain_file,
    parse_json,
    plain_folder,
    read_plain,
    replace_file,
    write_plain,
    writing_problem,
)
from interaction.models import find_model
from interaction.video.video import open_video
from xmem_core.arrays import Labels
from xmem_core.weights import file_sha256

_SETTINGS: Final = "settings.json"
_MOST_BYTES: Final = 2**28


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRun:
    """All that an evaluation depends on."""

    dataset: Dataset
    output: Path
    engine: EngineSettings
    sizes: tuple[int | None, ...]  # shorter sides to track at; the answers are merged
    is_flipped: bool = False  # also track the mirrored clip, and merge
    jobs: int = 1  # processes
    overwrites: bool = False  # finished clips are done again

    def masks(self, clip: str) -> Path:
        return self.output / "masks" / clip

    def outcome(self, clip: str) -> Path:
        return self.output / "clips" / f"{clip}.json"

    def write(self, data: bytes, *names: str) -> None:
        """A file of the results: names of folders below the output, and its own. No link there is
        followed. Raises DiskFullError or UnwritableFileError."""
        write_plain(plain_folder(self.output, *names[:-1]) / names[-1], data)

    def fingerprint(self) -> dict[str, object]:
        """What must be the same for finished clips to count."""
        return {
            "data set": f"{self.dataset.kind} {self.dataset.split}",
            "model": file_sha256(find_model(self.engine.tracker_model)),
            "sizes": list(self.sizes),
            "flip": self.is_flipped,
            "half precision": self.engine.allows_half_precision,
            "memory": asdict(self.engine.memory),
        }


@dataclass(frozen=True, slots=True)
class ClipOutcome:
    """A finished clip."""

    name: str
    frames: int = 0  # tracked, each once however many passes
    seconds: float = 0.0
    score: ClipScore | None = None  # None for a test set
    skipped: str | None = None  # why it could not be scored
    error: str | None = None  # why it could not be tracked; not stored, so it is tried again

    def to_json(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_json(cls, plain: JsonObject) -> "ClipOutcome":
        """KeyError, TypeError or ValueError if `plain` is no outcome."""
        score = None if plain["score"] is None else ClipScore.from_json(plain["score"])
        numbers = {"frames": int(plain["frames"]), "seconds": float(plain["seconds"])}
        return cls(**{**plain, **numbers, "score": score})


def run_dataset(run: DatasetRun) -> Generator[ClipOutcome, None, tuple[ClipOutcome, ...]]:
    """Tracks and scores every clip that is not finished yet; yields each clip as it is done, and
    returns all in the data set's order. A clip that fails does not stop the others.

    Closing it stops after the clips at work. UserError if the output holds results made with other
    settings.
    """
    _prepare(run)
    done: dict[str, ClipOutcome] = {}
    missing = []
    for clip in run.dataset.clips:
        outcome = None if run.overwrites else _load(run, clip.name)
        if outcome is None:
            missing.append(clip)
        else:
            done[clip.name] = outcome
            yield outcome
    for outcome in _outcomes(run, missing):
        done[outcome.name] = outcome
        yield outcome
    outcomes = tuple(done[clip.name] for clip in run.dataset.clips)
    if run.dataset.zip_folder is not None and not any(outcome.error for outcome in outcomes):
        _write_zip(run)
    return outcomes


def _prepare(run: DatasetRun) -> None:
    path = run.output / _SETTINGS
    wanted = run.fingerprint()
    if os.path.lexists(path) and not run.overwrites:
        found: dict[str, object] = {}
        with contextlib.suppress(OSError, TypeError, ValueError):
            found = dict(parse_json(read_plain(path, _MOST_BYTES)))
        differing = [name for name in wanted if found.get(name) != wanted[name]]
        if differing:
            raise UserError(
                "“{output}” holds an evaluation with another {differing}. "
                "Nothing was changed.\n\nChoose another --output, or --overwrite.",
                output=run.output,
                differing=", another ".join(differing),
            )
    run.write((json.dumps(wanted, indent=2) + "\n").encode(), _SETTINGS)


def _load(run: DatasetRun, clip: str) -> ClipOutcome | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        outcome = ClipOutcome.from_json(parse_json(read_plain(run.outcome(clip), _MOST_BYTES)))
        return outcome if outcome.name == clip else None
    return None


def _outcomes(run: DatasetRun, clips: list[DatasetClip]) -> Iterator[ClipOutcome]:
    jobs = min(run.jobs, len(clips))
    if jobs <= 1:
        for clip in clips:
            yield _run_clip(run, clip)
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    pool = ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=_limit_threads, initargs=(threads,)
    )
    # Workers need the one clip that they are sent, not the whole list each time.
    alone = replace(run, dataset=replace(run.dataset, clips=()))
    try:
        work = {pool.submit(_run_clip, alone, clip): clip for clip in clips}
        for future in as_completed(work):
            try:
                yield future.result()
            except BrokenProcessPool:
                yield ClipOutcome(work[future].name, error="The process that tracked it died.")
    finally:
        pool.shutdown(cancel_futures=True)


def _limit_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


@cache
def _engines(settings: EngineSettings) -> Engines:
    """One a process, so that each worker loads the weights once."""
    return Engines(settings)


def _run_clip(run: DatasetRun, clip: DatasetClip) -> ClipOutcome:
    try:
        start, frames = time.perf_counter(), 0
        for name, labels in track_clip(_engines(run.engine), run, clip):
            frames += 1
            if clip.saved is None or name in clip.saved:
                run.write(encode_labels(labels), "masks", clip.name, f"{name}.png")
        outcome = ClipOutcome(clip.name, frames, time.perf_counter() - start)
        if clip.truths:
            pairs = pair_clip(clip.name, clip.truths, run.masks(clip.name))
            result = score_clip(pairs, run.dataset.rule)
            if isinstance(result, SkippedClip):
                outcome = replace(outcome, skipped=result.reason)
            else:
                outcome = replace(outcome, score=result)
        run.write((json.dumps(outcome.to_json()) + "\n").encode(), "clips", f"{clip.name}.json")
    except UserError as error:
        return ClipOutcome(clip.name, error=str(error))
    except Exception as error:  # noqa: BLE001  # whatever it is, the other clips go on
        return ClipOutcome(clip.name, error=f"{type(error).__name__}: {error}")
    return outcome


def track_clip(
    engines: Networks, run: DatasetRun, clip: DatasetClip
) -> Iterator[tuple[str, Labels]]:
    """Name and labels (H, W) of each frame from the first mask on.

    All passes (sizes, and each of them mirrored) go through the clip side by side. Their
    probabilities are rounded down to steps of 1/255, added, and the largest sum wins, as the
    published evaluation merges the scores that it saves.
    """
    passes = [(size, flip) for size in run.sizes for flip in (False, True)[: 1 + run.is_flipped]]
    with open_video(clip.pictures) as video:
        names = [video.name(frame) for frame in range(len(video))]
        given = first_masks(clip, run.dataset.rule, names, video.width, video.height)
        trackers = [
            (engines.start_tracker(replace(engines.settings, internal_size=size)), flip)
            for size, flip in passes
        ]
        first = min(given)
        for frame in range(first, len(video)):
            merged: NDArray[np.uint16] | None = None
            for tracker, flip in trackers:
                picture = np.ascontiguousarray(video[frame][:, ::-1]) if flip else video[frame]
                if frame in given:
                    labels, objects = given[frame]
                    [encoded] = tracker.encode([picture])
                    mirrored = np.ascontiguousarray(labels[:, ::-1]) if flip else labels
                    tracker.memorize(frame, encoded, mirrored, objects)
                    if frame == first:
                        tracker.begin()
                    prediction = tracker.revisit(frame, encoded)
                else:
                    prediction = tracker.track(picture, is_last=frame == len(video) - 1)
                if len(trackers) == 1:
                    yield names[frame], prediction.labels()
                    break
                rounded = (prediction.probabilities().cpu().numpy() * 255).astype(np.uint8)
                votes = (rounded[:, :, ::-1] if flip else rounded).astype(np.uint16)
                merged = votes if merged is None else merged + votes
            if merged is not None:
                ids = np.array((0, *prediction.objects), dtype=np.uint8)
                yield names[frame], ids[merged.argmax(axis=0)]


def _write_zip(run: DatasetRun) -> None:
    """The masks as the benchmark's server takes them."""
    target = run.output.resolve() / f"{run.dataset.kind}-{run.dataset.split}.zip"
    root = Path(run.dataset.zip_folder or "")
    try:
        with hidden_folder(target) as hidden:
            packed = hidden / target.name
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:  # PNG is compressed
                for clip in run.dataset.clips:
                    for path in filter(is_plain_file, sorted(run.masks(clip.name).glob("*.png"))):
                        archive.write(path, (root / clip.name / path.name).as_posix())
            replace_file(packed, target)
    except OSError as error:
        raise writing_problem(target, error) from error
