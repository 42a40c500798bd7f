"""Learning from a project's given frames, step by step, and the learned weights: on disk, and in
the engines of its session, which use them from then on. Needs no torch before it is used.
"""

import json
import logging
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, Literal, get_args

from interaction.annotation.annotation import Annotation
from interaction.annotation.types import FrameRecord, Frames
from interaction.clicks.prompts import ClickConfig
from interaction.engines import (
    Engines,
    EngineSettings,
    Judge,
    Networks,
    Scribbler,
    Segmenter,
    with_limits,
)
from interaction.errors import ModelError, ReadOnlyProjectError, UserError
from interaction.files import (
    is_plain_file,
    is_plain_folder,
    parse_json,
    read_plain,
    remove_leftovers,
    remove_plain,
    write_plain,
    writing_problem,
)
from interaction.models import default_store
from xmem_core.messages import Message

if TYPE_CHECKING:
    from xmem_core.tracker import Tracker

Part = Literal["tracker", "clicks"]

_MOST_BYTES: Final = 64 * 1024

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Learned:
    """What one network was made from."""

    of: str  # the model it began with, as the settings name it
    frames: int  # that were learned from the last time


class LearnedModels:
    """At most one network of each kind."""

    def __init__(self, folder: Path | None, *, is_read_only: bool = False) -> None:
        """folder: made when something is kept; None for a temporary one. is_read_only: the project
        that the folder is in can only be read."""
        self._folder, self._is_read_only = folder, is_read_only
        self._temporary: TemporaryDirectory[str] | None = None
        self._learned: dict[Part, Learned] = {} if folder is None else _read(folder)

    @property
    def is_empty(self) -> bool:
        return not self._learned

    @property
    def frames(self) -> int:
        """From how many frames something was learned the last time; 0 if nothing was."""
        return max((one.frames for one in self._learned.values()), default=0)

    def weights_of(self, part: Part, model: str) -> Path | None:
        """Where the weights are that began as `model`, if there are any."""
        learned = self._learned.get(part)
        if self._folder is None or learned is None or learned.of != model:
            return None
        return _weights(self._folder, part)

    def check_writable(self) -> None:
        """ReadOnlyProjectError if what is learned could not be kept."""
        if self._is_read_only and self._folder is not None:
            raise ReadOnlyProjectError(
                self._folder.parent, Message("what is learned is kept in the project")
            )

    def keep(self, part: Part, learned: Learned, weights: bytes) -> None:
        """weights: a whole file of them. DiskFullError or UnwritableFileError; what was there
        before is kept then, and nothing is left of the new file."""
        if self._folder is None:
            self._temporary = TemporaryDirectory(
                prefix="xmem-annotate-", ignore_cleanup_errors=True
            )
            self._folder = Path(self._temporary.name)
        try:
            self._folder.mkdir(exist_ok=True)
        except OSError as error:
            raise writing_problem(self._folder, error) from error
        remove_leftovers(self._folder)
        write_plain(_weights(self._folder, part), weights)
        self._note({**self._learned, part: learned})

    def forget(self) -> None:
        """UnwritableFileError if the project cannot be written, ReadOnlyProjectError."""
        self.check_writable()
        if self._folder is None or self.is_empty:
            return
        self._note({})
        for part in get_args(Part):
            remove_plain(_weights(self._folder, part))

    def close(self) -> None:
        """Removes a temporary folder. May be called twice."""
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary, self._folder, self._learned = None, None, {}

    def _note(self, learned: dict[Part, Learned]) -> None:
        assert self._folder is not None
        plain = {part: asdict(one) for part, one in learned.items()}
        write_plain(self._folder / "learned.json", json.dumps(plain, indent=1).encode())
        self._learned = learned


def _weights(folder: Path, part: Part) -> Path:
    return folder / f"{part}.safetensors"


def _read(folder: Path) -> dict[Part, Learned]:
    """Nothing was learned where that cannot be read: the masks do not depend on it."""
    path = folder / "learned.json"
    if not is_plain_folder(folder) or not path.exists():
        return {}
    try:
        plain = parse_json(read_plain(path, _MOST_BYTES))
        return {
            part: _learned(plain[part])
            for part in get_args(Part)
            if part in plain and is_plain_file(_weights(folder, part))
        }
    except (OSError, ValueError, TypeError, KeyError) as error:
        log.warning("%s cannot be read, so nothing was learned: %s", path, error)
        return {}


def _learned(plain: dict[str, object]) -> Learned:
    model, frames = plain["of"], plain["frames"]
    if not isinstance(model, str) or not isinstance(frames, int) or frames < 1:
        raise ValueError("of must be a text and frames a number from 1 on")
    return Learned(model, frames)


class LearnedEngines:
    """Keeps the contract of `Engines`, and belongs to the same thread."""

    def __init__(self, engines: Networks, models: LearnedModels) -> None:
        """engines: shared with other sessions, which learned nothing from this one."""
        self.models = models
        self.plain = engines
        # Of the tracker's memory, in place of the engines' own: all of MEMORY_LIMITS, or none.
        # Replaced as a whole, so that a running propagation may read it on its thread.
        self.limits: Mapping[str, int] = {}
        self._own: Engines | None = None  # with learned weights in place of the models

    @property
    def settings(self) -> EngineSettings:
        settings, limits = self.plain.settings, self.limits
        if not limits:
            return settings
        return replace(settings, memory=with_limits(settings.memory, limits))

    def configure(self, settings: EngineSettings) -> None:
        self.plain.configure(settings)

    def forget(self) -> None:
        """Discard learned weights and use the base models; masks stay. Raises as
        `LearnedModels.forget`."""
        self.models.forget()
        self.renew()

    def renew(self) -> None:
        """Use the networks that `models` name now. To be called when those have changed."""
        self._own = None

    def segmenter(self) -> Segmenter:
        path = self.models.weights_of("clicks", self.settings.click_model)
        if path is None:
            return self.plain.segmenter()
        clicks = self.settings.clicks or ClickConfig()
        near = min(clicks.least_crop_px, clicks.least_correction_px)  # it has learned from near
        clicks = replace(clicks, least_crop_px=near)
        own = self._with(replace(self.settings, click_model=str(path), clicks=clicks))
        try:
            return own.segmenter()
        except ModelError as error:
            raise _damaged(path, error) from None

    def scribbler(self) -> Scribbler:
        return self.plain.scribbler()

    def judge(self) -> Judge | None:
        return self.plain.judge()

    def start_tracker(self, settings: EngineSettings | None = None) -> "Tracker":
        settings = settings or self.settings
        path = self.models.weights_of("tracker", settings.tracker_model)
        if path is None:
            return self.plain.start_tracker(settings)
        from xmem_core.weights import UnusableWeightsError

        own = self._with(self.settings)
        try:
            return own.start_tracker(replace(settings, tracker_model=str(path)))
        except (ModelError, UnusableWeightsError) as error:
            raise _damaged(path, error) from None

    def _with(self, settings: EngineSettings) -> Engines:
        if self._own is None:
            self._own = Engines(settings)
        self._own.configure(settings)
        return self._own


def _damaged(path: Path, error: Exception) -> UserError:
    reason = str(error).partition("\n")[0]
    return UserError(
        "What was learned from this video cannot be used ({reason}). The masks are safe.\n\n"
        "Learn again, or forget what was learned; it is in {folder}.",
        reason=reason,
        folder=path.parent,
    )


@dataclass(frozen=True, slots=True)
class LearningStep:
    """One step of one network was taken."""

    part: Part
    done: int  # of both networks' steps
    total: int  # settled once both networks have taken their first steps
    seconds_left: float | None  # None until then


def learning(
    annotation: Annotation,
    video: Frames,
    engines: LearnedEngines,
    *,
    steps: int | None = None,
    seed: int = 0,
) -> Generator[LearningStep, None, None]:
    """Lets the tracker, then the click network learn from the frames given so far.

    It goes on from what was learned before. A network is used from the end of its steps on, and
    kept with the project; one that is cancelled stays as it was. Only the bundled kind of click
    network learns. steps: of each network; by default more with more frames, and no more than take
    about two minutes for five frames, as the first steps of both networks measure it. seed: another
    one shows the networks other views of the frames.
    The generator belongs to the engines' thread. UserError, with the reason, if there is nothing
    to learn from, a model is missing, a device is full or the project cannot be written.
    """
    engines.models.check_writable()
    known, _ = default_store().resolve(engines.settings.tracker_model)
    if known is not None and known.plugin != "xmem":  # its network is not XMem's
        raise UserError(
            "“{name}” cannot learn from a video. The masks are safe.\n\n"
            "Choose the bundled tracker or one of XMem's, and learn again.",
            name=known.name,
        )
    given = {f: r for f, r in annotation.records.items() if r.status.is_given}
    if not any(record.present & record.given for record in given.values()):
        raise UserError(
            "There is no frame to learn from yet.\n\n"
            "Correct or confirm a few frames first; then the program can learn from them."
        )
    return _learning(given, video, engines, steps, seed)


def _learning(
    given: Mapping[int, FrameRecord],
    video: Frames,
    engines: LearnedEngines,
    steps: int | None,
    seed: int,
) -> Generator[LearningStep, None, None]:
    from interaction.learning.networks import learn  # torch, not on the window's thread

    yield from learn(given, video, engines, steps, seed)
