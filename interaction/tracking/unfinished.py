"""How far a run has come, and what an interrupted one goes on from, on disk: a header, and what the
tracker held. Read as if it were hostile."""

import hashlib
import json
import logging
import time
import zlib
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from interaction.annotation.annotation import Annotation
from interaction.annotation.mask_files import decode_labels
from interaction.annotation.overlaps import among
from interaction.annotation.requests import PropagationRequest, Remembered
from interaction.annotation.types import EMPTY_RECORD, Edit, FrameRecord, MemoryRules
from interaction.engines import EngineSettings
from interaction.errors import UserError
from interaction.files import JsonObject, is_plain_file, parse_json, write_plain
from interaction.project.causes import cause_from_json, cause_to_json
from interaction.project.mask_store import checking_masks
from interaction.project.records import (
    MaskPlace,
    edit_frames_to_json,
    frames_from_json,
    memory_from_json,
    ranges_to_json,
)
from interaction.tracking.blending import PassStore
from interaction.tracking.brakes import Brakes, CollapseWatch
from interaction.tracking.propagation import RunStep, knows_frames
from interaction.tracking.signs import Watch
from interaction.tracking.stepping import SteppingTrackers
from xmem_core.arrays import Labels
from xmem_core.config import RememberedFrame
from xmem_core.device import is_out_of_memory
from xmem_core.tracker import Tracker
from xmem_core.weights import CheckpointFileError, read_header, read_tensors

log = logging.getLogger(__name__)

# Made and not yet on the disk, as a rule: those that wait to be applied, and those that are being
# written there. If more are lost, the run is refused: one tracks from its last frame instead.
_NEWEST_EDITS: Final = 6
_MOST_BYTES: Final = 2**35  # memories of many objects over a long video
_CHECKSUM: Final = "checksum"
_SAVE_EVERY_S: Final = 30.0  # of work that a power cut or a kill may cost
_SAVE_SHARE: Final = 0.02  # how long a save took, of the time to the next, at most

Records = Mapping[int, FrameRecord]


def write_unfinished(path: Path, header: Mapping[str, str], state: Mapping[str, Tensor]) -> None:
    """Raises DiskFullError or UnwritableFileError."""
    on_cpu = {name: tensor.cpu().contiguous() for name, tensor in state.items()}
    sealed = {**header, _CHECKSUM: _checksum(header, on_cpu)}
    write_plain(path, safetensors.torch.save(on_cpu, sealed))


def read_unfinished(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Header and tensors, on the CPU. CheckpointFileError; KeyError or ValueError if the contents
    are not what was written: a damaged number would be tracked on with, or fail in the middle."""
    header, state = read_tensors(path, _MOST_BYTES)
    if header.pop(_CHECKSUM) != _checksum(header, state):
        raise ValueError("the contents have changed")
    return header, state


class SaveTimes:
    """When a run is due to be kept: every half minute, and less often where that takes so long
    that it would slow the run down."""

    def __init__(self) -> None:
        self._next_s = time.monotonic() + _SAVE_EVERY_S

    @property
    def is_now(self) -> bool:
        return time.monotonic() >= self._next_s

    @contextmanager
    def timed(self) -> Generator[None, None, None]:
        """Round what keeps the run."""
        began_s = time.monotonic()
        yield
        ended_s = time.monotonic()
        self._next_s = ended_s + max(_SAVE_EVERY_S, (ended_s - began_s) / _SAVE_SHARE)


@dataclass(frozen=True, slots=True)
class UnfinishedRun:
    """A project's run that was interrupted. about: what its job wrote of it, as JSON."""

    request: PropagationRequest
    about: JsonObject
    state: dict[str, Tensor]

    @property
    def frame(self) -> int:
        """The newest one that was tracked. ValueError and the like for what no job wrote."""
        return int(self.about["at"][4])

    @property
    def remembered(self) -> Remembered:
        """What was in memory. Raises as `frame`."""
        rows = self.about["remembered"]
        if rows is None:
            return Remembered((), is_known=False)
        return Remembered(
            tuple(
                RememberedFrame(int(frame), part, int(count), float(recent), float(average))
                for frame, part, count, recent, average in rows
            )
        )

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors under a name."""
        start = f"{name}."
        return {k.removeprefix(start): v for k, v in self.state.items() if k.startswith(start)}


def read_run(path: Path, *, is_whole: bool = True) -> UnfinishedRun:
    """UserError if there is none, or it cannot be read. is_whole: False only tells of it, without
    reading what the tracker held."""
    if not is_plain_file(path):
        raise no_unfinished_run()
    try:
        header, state = read_unfinished(path) if is_whole else (read_header(path), {})
        about = parse_json(header["run"].encode())
        request, _ = cause_from_json(about["request"])
        if isinstance(request, PropagationRequest):
            run = UnfinishedRun(request, dict(about), state)
            if run.frame >= 0 and run.remembered:
                return run
    except (CheckpointFileError, ArithmeticError, LookupError, TypeError, ValueError):
        raise UnreadableRunError from None
    raise UnreadableRunError


def no_unfinished_run() -> UserError:
    return UserError(
        "No interrupted run is kept with this project.\n\nTrack from the frame to go on from."
    )


class UnreadableRunError(UserError):
    """What is kept was written by no run, or is damaged."""

    def __init__(self) -> None:
        super().__init__(
            "The interrupted run cannot be gone on with. Every mask it made is safe.\n\n"
            "Track from its last frame instead."
        )


class ChangedRunError(UserError):
    """What the run was made from is not as it was. differing: the settings that are others, by
    their name in the file; none if only the masks that it made are others."""

    def __init__(self, differing: Sequence[str] = ()) -> None:
        super().__init__(
            "The interrupted run cannot go on as it was: masks or settings are not those that "
            "it was kept with. Nothing was changed.\n\nTrack from its last frame instead."
        )
        self.differing = tuple(differing)


def _checksum(header: Mapping[str, str], state: Mapping[str, Tensor]) -> str:
    """SHA-256 of everything in an unfinished state."""
    digest = hashlib.sha256(json.dumps(sorted(header.items())).encode())
    for name in sorted(state):
        tensor = state[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


class Progress:
    """How far a job has come: in which pass, which of its frames, and what it has seen there.

    total: frames of all passes. writes_first: whether the start gets a mask too. start_labels:
    (H, W) of the frame that the run starts from where it is not given, None until it is tracked.
    """

    def __init__(self, total: int, start_labels: Labels | None, *, writes_first: bool) -> None:
        self.total, self.start_labels, self.writes_first = total, start_labels, writes_first
        self.finished = 0  # of `total`
        self.run = 0
        self.second: int | None = None  # of the run's second passes; None in the first
        self.done = 0  # frames of the pass
        self.settled = 0  # frames in a row
        self.frame = -1  # the newest
        self.reached: tuple[int, int] | None = None  # the first and the last of all frames
        self.is_new = False  # it has come further than what is kept on disk
        self.adopted: Labels | None = None  # what the pass began with
        self.labels: Labels | None = None  # of the newest frame
        self.watch = Watch(())
        self.brakes = Brakes()
        self.collapse = CollapseWatch()
        self.passed = PassStore()
        self.newest: deque[Edit] = deque(maxlen=_NEWEST_EDITS)
        self.written: dict[int, int] = {}  # CRC-32 of the mask of each frame that was written

    def begin(self, run: int, second: int | None, watch: Watch) -> None:
        self.run, self.second, self.watch = run, second, watch
        self.done = self.settled = 0
        self.adopted, self.brakes = None, Brakes()
        self.collapse.begin()

    def arrive(self, frame: int) -> None:
        """At the first frame, of which nothing is written yet."""
        self.frame, self.reached, self.is_new = frame, (frame, frame), True

    def end(self, second: int) -> None:
        self.second, self.done = second, 0

    def end_run(self) -> None:
        """All of its passes are made."""
        self.run, self.second = self.run + 1, None

    def note(self, step: RunStep, edit: Edit | None, labels: Labels) -> None:
        """A frame of the pass that is finished."""
        self.done, self.frame, self.labels = step.done, step.frame, labels
        first, last = self.reached or (step.frame, step.frame)
        self.reached, self.is_new = (min(first, step.frame), max(last, step.frame)), True
        if edit is not None:
            self.newest.append(edit)
            self.written[step.frame] = zlib.crc32(edit.after[step.frame].mask or b"")

    def state(self) -> tuple[JsonObject, dict[str, Tensor]]:
        """As JSON and tensors by name, but for `newest`; `restore` is the inverse."""
        passes, packed = self.passed.state()
        about: JsonObject = {
            "done": self.finished,
            "total": self.total,
            "writes_first": self.writes_first,
            "at": [self.run, self.second, self.done, self.settled, self.frame],
            "reached": self.reached,
            "written": list(self.written.items()),
            "collapse": self.collapse.state(),
            "brakes": self.brakes.state(),
            "passes": passes,
        }
        state = {f"watch.{name}": tensor for name, tensor in self.watch.state().items()}
        state |= {f"pass.{name}": tensor for name, tensor in packed.items()}
        kept = {"begun": self.adopted, "start": self.start_labels, "newest": self.labels}
        for name, labels in kept.items():
            if labels is not None:
                state[f"labels.{name}"] = torch.from_numpy(labels.copy())
        return about, state

    def restore(
        self,
        kept: UnfinishedRun,
        passes: Sequence[Sequence[range]],
        shape: tuple[int, int],
        known: Collection[int],
    ) -> None:
        """passes: of each run, the frames of the first and of the second ones. shape: (H, W) of the
        video. known: see `Watch`. ValueError and the like for what no `state` gave."""
        about = kept.about
        self.finished, self.total = int(about["done"]), int(about["total"])
        self.writes_first = bool(about["writes_first"])
        self.written = {int(frame): int(crc32) for frame, crc32 in about["written"]}
        run, second, *counts = about["at"]
        self.run, self.second = int(run), None if second is None else int(second)
        self.done, self.settled, self.frame = map(int, counts)
        first, last = about["reached"]
        self.reached = int(first), int(last)
        frames = range(0)  # where all runs are over
        if self.run < len(passes):
            frames = passes[self.run][0 if self.second is None else 1 + self.second]
        is_there = not self.done or frames[self.done - 1] == self.frame
        if not 0 <= self.done <= len(frames) or min(self.run, self.second or 0) < 0 or not is_there:
            raise ValueError("it stopped where it never was")
        labels = {name: _labels(one, shape) for name, one in kept.part("labels").items()}
        self.adopted, self.labels = labels.get("begun"), labels.get("newest")
        self.start_labels = labels.get("start")
        self.watch = Watch(known)
        self.watch.restore(kept.part("watch"))
        self.brakes.restore(about["brakes"])
        self.passed.restore(about["passes"], kept.part("pass"), shape)
        self.collapse.restore(about["collapse"])


class RunState:
    """Writes what an interrupted run can go on from, and restores it.

    It goes on only with what it was made from: the given masks, the objects, the model and its
    settings.
    """

    def __init__(
        self,
        annotation: Annotation,
        request: PropagationRequest,
        objects: frozenset[int],
        settings: EngineSettings,
        passes: Sequence[Sequence[range]],
        made_with: JsonObject,
    ) -> None:
        """objects: those that the run may change. settings: as they are before any step down.
        passes: of each run, the frames of the first and of the second ones. made_with: what else
        must be the same."""
        self._annotation, self._request = annotation, request
        self._records = dict(annotation.records)  # of when the job was made
        self._objects, self._settings, self._passes = objects, settings, passes
        self._also_made_with = made_with
        self._digest: str | None = None  # of the given masks, once it was asked for

    @staticmethod
    def is_kept(progress: Progress, tracker: Tracker) -> bool:
        """Whether there is something to `write`, and a tracker that can go on from it."""
        return progress.is_new and hasattr(tracker, "run_state")  # not every plug-in's has

    def write(
        self,
        path: Path,
        progress: Progress,
        trackers: SteppingTrackers,
        rules: MemoryRules,
        tally: Callable[[], JsonObject],
        *,
        are_followed: bool,
    ) -> None:
        """That it cannot be written, or that memory is full, loses no mask and ends no run.
        tally: asked, where there is a tracker, for what is to be kept with it. are_followed:
        whether the tracker's memory is as the rules want it."""
        tracker = trackers.tracker
        if tracker is None or not self.is_kept(progress, tracker):
            return
        try:
            about, state = self._all_of(progress, tracker)
            about |= {
                "rules": ranges_to_json(rules.ranges),
                "is_obeyed": are_followed,
                "tally": tally(),
                "steps_down": trackers.steps_down,
                "closeup_side": trackers.closeup_side,
            }
            write_unfinished(path, {"run": json.dumps(about)}, state)
        except (UserError, OSError, MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not is_out_of_memory(error):
                raise
            log.warning("The interrupted run could not be kept: %s", error)

    def _all_of(self, progress: Progress, tracker: Tracker) -> tuple[JsonObject, dict[str, Tensor]]:
        """Of the run and its tracker, as JSON and tensors by name."""
        masks: list[bytes] = []

        def place(mask: bytes) -> MaskPlace:
            masks.append(mask)
            return MaskPlace(sum(map(len, masks[:-1])), len(mask), zlib.crc32(mask))

        edits = [{"frames": edit_frames_to_json(edit, place)} for edit in progress.newest]
        about, state = progress.state()
        about |= {
            "request": cause_to_json(self._request, frozenset()),
            "made_with": self._made_with(),
            "edits": edits,
            "confirmed": list(tracker.confirmed_frames),
            "remembered": [list(astuple(one)) for one in tracker.remembered()]
            if knows_frames(tracker)
            else None,
        }
        state |= {f"tracker.{name}": tensor for name, tensor in tracker.run_state().items()}
        state["edits.masks"] = torch.from_numpy(np.frombuffer(b"".join(masks), np.uint8).copy())
        return about, state

    def edits_of(
        self, kept: UnfinishedRun, make_edit: Callable[[Records, Records], Edit]
    ) -> tuple[list[Edit], list[Edit]]:
        """The newest edits of the run, and those of them that were not applied before the program
        ended. make_edit: of the records before and after.

        ChangedRunError if the masks or the settings are others by now, or more masks were not
        applied than `Progress.newest` holds; ValueError and the like for what no job wrote.
        """
        about, now = kept.about, self._annotation
        made_with = self._made_with().items()
        differing = [name for name, value in made_with if about["made_with"][name] != value]
        edits = self._read_edits(kept, make_edit)
        unapplied, records = [], dict(self._records)
        for edit in edits:
            if all(records.get(f, EMPTY_RECORD) == r for f, r in edit.before.items()):
                unapplied.append(edit)
                records |= edit.after
        ahead = self._frames_ahead(about["at"])
        is_whole = True
        for frame, crc32 in about["written"]:
            mask = records.get(int(frame), EMPTY_RECORD).mask
            # One that is ahead may be another by now, but not undone.
            is_whole &= zlib.crc32(mask or b"") == int(crc32) or (
                mask is not None and frame in ahead
            )
        is_outside = any(not 0 <= f < now.frame_count for edit in edits for f in edit.frames)
        if differing or not is_whole or is_outside:
            raise ChangedRunError(differing)
        return edits, unapplied

    def _frames_ahead(self, at: Sequence[int | None]) -> frozenset[int]:
        """Those that the run is still to give their masks: what they have now, it may have given
        them itself after this was kept."""
        run, second, done = at[0] or 0, at[1], at[2]
        passes = [list(frames) for frames in self._passes[run:]]
        if passes:
            del passes[0][: 0 if second is None else 1 + second]
            passes[0][:1] = [one[done:] for one in passes[0][:1]]
        return frozenset(frame for run in passes for frames in run for frame in frames)

    def _read_edits(
        self, kept: UnfinishedRun, make_edit: Callable[[Records, Records], Edit]
    ) -> list[Edit]:
        whole = kept.state["edits.masks"].numpy().tobytes()
        now = self._annotation

        def bring(place: MaskPlace) -> bytes:
            return whole[place.offset : place.offset + place.size_bytes]

        checked = checking_masks(bring, (now.width, now.height))
        return [
            make_edit(*frames_from_json(one["frames"], now.frame_count, checked))
            for one in kept.about["edits"]
        ]

    def _made_with(self) -> JsonObject:
        """What must be the same for a run to go on. Of a given frame that is what it was given for:
        beside it, the run itself may have written."""
        if self._digest is None:
            digest = hashlib.sha256()
            for frame, record in sorted(self._records.items()):
                if record.status.is_given:
                    ids = bytes(sorted(record.given))
                    digest.update(f"{frame} {record.status.value} ".encode() + ids)
                    digest.update(self._given_part(record))
            self._digest = digest.hexdigest()
        settings = self._settings
        return {
            "masks": self._digest,
            "objects": sorted(self._objects),
            "model": settings.tracker_model,
            "internal_size": settings.internal_size,
            "allows_half_precision": settings.allows_half_precision,
            "memory": {**asdict(settings.memory)},
            **self._also_made_with,
        }

    def _given_part(self, record: FrameRecord) -> bytes:
        """Of a given frame's mask, what no run writes."""
        if record.mask is None or record.answers_for(self._objects):
            return record.mask or b""
        labels = decode_labels(record.mask)
        return np.where(among(labels, record.given), labels, 0).tobytes()


@contextmanager
def reading() -> Iterator[None]:
    """For what reads the state of an interrupted run, and nothing else: UnreadableRunError for what
    no run wrote. What goes wrong later is not the state's fault."""
    try:
        yield
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise UnreadableRunError from error


def rules_of(kept: UnfinishedRun, annotation: Annotation) -> MemoryRules:
    """The rules of memory when the run was interrupted. UserError if they cannot be read."""
    with reading():
        return memory_from_json(kept.about["rules"], annotation.frame_count)


def _labels(tensor: Tensor, shape: tuple[int, int]) -> Labels:
    if tensor.dtype != torch.uint8 or tuple(tensor.shape) != shape:
        raise ValueError("a mask is not of the video's size")
    return tensor.numpy()
