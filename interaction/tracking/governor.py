"""What a propagation will need on this machine, and what would have to be smaller to fit.

Memory and time follow from how much work there is: internal pixels, objects, memory elements. What
a unit of work takes is measured while this machine tracks, and kept (`note_pace`); until then it
comes from the needs in the list of models, which were measured on another machine.
"""

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Final

import torch
from platformdirs import user_cache_path

from interaction.engines import EngineSettings
from interaction.errors import UserError
from interaction.files import parse_json, read_regular, write_text
from interaction.models import default_store
from xmem_core.device import StageTimes, best_device, free_memory_bytes
from xmem_core.messages import Message
from xmem_core.pictures import PictureSize
from xmem_core.tracker import readout_work

log = logging.getLogger(__name__)

REHEARSED_FRAMES: Final = 4
_SMALLER_SIZES: Final = (480, 360, 240)

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


@dataclass(frozen=True, slots=True)
class Step:
    """Settings for a tracker, and what is smaller in them than in those before."""

    settings: EngineSettings
    keys_at_a_time: int | None  # None: as many as the device gains by
    change: Message  # for people, to follow "going on"; "" for the first


def next_step(
    settings: EngineSettings, keys_at_a_time: int | None, source_side: int, device: str
) -> Step | None:
    """What needs less memory than `settings`; None if nothing does.

    source_side: the shorter side of the video, in pixels. device: where they run now.
    """
    size_now = settings.internal_size or source_side
    smaller = [size for size in _SMALLER_SIZES if size < size_now]
    if settings.memory.objects_per_chunk != 1 or (keys_at_a_time or 0) != 1:
        memory = replace(settings.memory, objects_per_chunk=1)
        change = Message("with one frame and one object at a time")
        return Step(replace(settings, memory=memory), 1, change)
    if smaller:
        change = Message("at internal size {size}", size=smaller[0])
        return Step(replace(settings, internal_size=smaller[0]), 1, change)
    if not device.startswith("cpu"):
        change = Message("without “{device}”, on the CPU, which is slower", device=device)
        return Step(replace(settings, device="cpu"), 1, change)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """How much a propagation has to do."""

    frames: int  # that get a mask
    objects: int
    height: int  # of the source, in pixels
    width: int
    given_frames: int = 1  # in permanent memory
    bytes_per_frame: int = 0  # on disk, of one frame's results
    folder: Path | None = None  # that they go to; None: nothing is written
    side_px: int | None = None  # of the box that is looked at; None: the whole picture
    passes: int = 1  # over these frames, one after the other: more where covered pixels are tracked
    has_judge: bool = False  # a click network is asked about the masks


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Of one propagation, before it runs. Memory is what it needs beyond what is held already."""

    frames: int
    passes: int  # over these frames
    objects: int
    device: str
    memory_bytes: int
    free_memory_bytes: int
    disk_bytes: int
    free_disk_bytes: int | None  # None: nothing is written
    seconds: float | None  # None: known once this machine has tracked with this model
    is_measured: bool  # the time is from this machine, not from the list of models
    changes: tuple[Message, ...]  # for people: what would be smaller, in this order, to make it fit
    settings: EngineSettings  # with these changes
    steps_down: int  # how many `SteppingTrackers.take_step` makes of these changes

    @property
    def fits_memory(self) -> bool:
        """With its changes."""
        return self.memory_bytes <= self.free_memory_bytes

    @property
    def fits_disk(self) -> bool:
        return self.free_disk_bytes is None or self.disk_bytes <= self.free_disk_bytes

    @property
    def warnings(self) -> tuple[Message, ...]:
        """For people: what would be changed, and what does not fit even then."""
        found = []
        if self.changes:
            changes = reduce(
                lambda first, second: Message("{first}; {second}", first=first, second=second),
                self.changes,
            )
            found.append(Message("To fit into memory: {changes}.", changes=changes))
        if not self.fits_memory:
            found.append(
                Message(
                    "Memory may not suffice: {needed} of {free} free. Close other programs, or "
                    "track fewer objects at a time.",
                    needed=size_text(self.memory_bytes),
                    free=size_text(self.free_memory_bytes),
                )
            )
        if not self.fits_disk:
            assert self.free_disk_bytes is not None
            per_frame = max(1, self.disk_bytes // max(1, self.frames))  # of all passes
            found.append(
                Message(
                    "The disk has room for about {fitting} of {frames} frames. Free {missing}, or "
                    "track a shorter range.",
                    fitting=self.free_disk_bytes // per_frame,
                    frames=self.frames,
                    missing=size_text(self.disk_bytes - self.free_disk_bytes),
                )
            )
        return tuple(found)

    @property
    def line(self) -> Message:
        """For people: time, memory and disk."""
        if self.seconds is None:
            time = Message("Time unknown before the first frames")
        elif self.is_measured:
            time = Message("About {span}", span=seconds_text(self.seconds))
        else:
            time = Message("Roughly {span}", span=seconds_text(self.seconds))
        if self.passes > 1:
            time = Message("{time} in {count} passes", time=time, count=self.passes)
        memory = size_text(self.memory_bytes)
        if self.free_disk_bytes is None:
            return Message("{time}, {memory} of memory.", time=time, memory=memory)
        disk = size_text(self.disk_bytes)
        return Message(
            "{time}, {memory} of memory, {disk} on disk.", time=time, memory=memory, disk=disk
        )

    @property
    def room(self) -> Message:
        """For people: what there is."""
        memory = size_text(self.free_memory_bytes)
        if self.free_disk_bytes is None:
            return Message(
                "{frames} frames on {device}, {memory} of memory free.",
                frames=self.frames,
                device=self.device,
                memory=memory,
            )
        return Message(
            "{frames} frames on {device}, {memory} of memory free, {disk} on the disk.",
            frames=self.frames,
            device=self.device,
            memory=memory,
            disk=size_text(self.free_disk_bytes),
        )

    def to_json(self) -> dict[str, object]:
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        del values["settings"], values["steps_down"]
        values["seconds"] = None if self.seconds is None else round(self.seconds, 1)
        return values | {
            "changes": list(self.changes),
            "fits_memory": self.fits_memory,
            "fits_disk": self.fits_disk,
            "warnings": list(self.warnings),
            "runs_with": {
                "device": self.settings.device,
                "internal_size": self.settings.internal_size,
                "objects_per_chunk": self.settings.memory.objects_per_chunk,
            },
        }


def forecast(load: Workload, settings: EngineSettings) -> Forecast:
    """What `load` needs with `settings`; where that is more memory than is free, with the first
    smaller ones that fit, or the smallest there are. UserError for a device that is not there."""
    step: Step | None = Step(settings, None, Message(""))
    last_device = best_device(settings.device)
    changes: list[Message] = []
    steps_down, needed = -1, 0
    while step is not None:
        device = best_device(step.settings.device)
        free, before = free_memory_bytes(device), needed
        needed = _memory_bytes(load, step.settings, device, free)
        # One object has always been one at a time.
        if step.change and (needed < before or device.type != last_device.type):
            changes.append(step.change)
        last, last_device = step, device
        steps_down += 1
        if needed <= free:
            break
        shorter = min(load.height, load.width)
        step = next_step(step.settings, step.keys_at_a_time, shorter, str(device))
    pace, is_measured = _pace(last.settings.tracker_model, device)
    return Forecast(
        frames=load.frames,
        passes=load.passes,
        objects=load.objects,
        device=str(device),
        memory_bytes=needed,
        free_memory_bytes=free,
        disk_bytes=load.passes * load.frames * load.bytes_per_frame,
        free_disk_bytes=None if load.folder is None else _free_disk(load.folder),
        seconds=None if pace is None else load.passes * _seconds(load, last.settings, pace),
        is_measured=is_measured,
        changes=tuple(changes),
        settings=last.settings,
        steps_down=steps_down,
    )


@dataclass(frozen=True, slots=True)
class _Network:
    """What memory and time depend on. Bytes are float32's, for one internal pixel."""

    weights_bytes: int
    element_bytes: int  # keys, shrinkage, selection and their rows, of one memory element
    value_bytes: int  # of one memory element and object
    frame_bytes: int  # encoding a frame, per internal pixel
    object_bytes: int  # decoding an object, per internal pixel
    encodes_every_value: bool  # not only those of memory frames


# Frame and object bytes are fits to the peaks in docs/effort.md and docs/models/needs.md.
_SMALL: Final = _Network(20_000_000, 4 * (66 + 1 + 66 + 133), 4 * 144, 270, 165, True)
_LARGE: Final = _Network(850_000_000, 4 * (64 + 1 + 64 + 129), 4 * 512, 1950, 640, False)
_SMALL_PARAMETERS: Final = 20_000_000  # a network of fewer is of the small kind
_OBJECTS_AT_A_TIME: Final = 4  # see `xmem_core.engine`
_CACHE_BYTES: Final = 512 * 2**20  # of decoded frames, see `interaction.video.video`
_JUDGE_BYTES: Final = 80 * 2**20  # of the click network and of one answer: 74 MiB measured
_SIMILARITY_BYTES: Final = 256 * 2**20  # see `xmem_core.memory.bank`: scores and their copy


def _network_of(model: str) -> _Network:
    """By the number of parameters in the list of models, else by the size of the file."""
    store = default_store()
    known = {one.name: one for one in store.models} | {one.file: one for one in store.models}
    found = known.get(model)
    if found is not None and found.parameters is not None:
        parameters = found.parameters
    else:
        try:
            parameters = store.find(model).stat().st_size // 4
        except (OSError, UserError):  # reported when the run asks for it
            parameters = _SMALL_PARAMETERS
    return _SMALL if parameters < _SMALL_PARAMETERS else _LARGE


def _internal_pixels(load: Workload, settings: EngineSettings) -> int:
    """Padded to whole elements of 16 pixels."""
    side = load.side_px or max(load.height, load.width)
    seen = min(side, load.height), min(side, load.width)
    size = PictureSize.of(*seen, settings.internal_size)
    left, right, top, bottom = size.padding
    return (size.internal[0] + top + bottom) * (size.internal[1] + left + right)


def _elements(load: Workload, settings: EngineSettings) -> tuple[float, float]:
    """Memory elements: the most there can be, and the mean over the run."""
    memory, per_frame = settings.memory, _internal_pixels(load, settings) / 256
    kept = load.frames // memory.memorize_every
    given = load.given_frames * per_frame
    if not memory.has_long_term:
        return given + (kept + 1) * per_frame, given + (kept / 2 + 1) * per_frame
    working = min(kept, memory.max_working_frames)
    distillings = max(0, kept - memory.max_working_frames) // max(
        1, memory.max_working_frames - memory.min_working_frames
    )
    long_term = min(memory.max_long_term, distillings * memory.prototypes)
    most = given + (working + 1) * per_frame + long_term
    mean = given + (1 + min(working, kept / 2 + 1)) * per_frame * 0.8 + long_term / 2
    return most, mean


def _memory_bytes(load: Workload, settings: EngineSettings, device: torch.device, free: int) -> int:
    network, pixels = _network_of(settings.tracker_model), _internal_pixels(load, settings)
    elements, _ = _elements(load, settings)
    at_a_time = settings.memory.objects_per_chunk or load.objects
    if device.type != "cuda":
        at_a_time = min(at_a_time, _OBJECTS_AT_A_TIME)
    decoding = min(at_a_time, load.objects) * network.object_bytes * pixels
    if device.type == "cuda" and settings.memory.objects_per_chunk is None:
        decoding = min(decoding, max(free // 2, network.object_bytes * pixels))
    bank = elements * (network.element_bytes + load.objects * network.value_bytes)
    # Masks of all objects, one float a pixel: three copies of probabilities at internal size, one
    # or two at source size when a given mask is put in; and the picture, made smaller in floats.
    source = load.height * load.width
    masks = (1 + load.objects) * (12 * pixels + 6 * source)
    picture = 12 * source
    search = min(_SIMILARITY_BYTES, 8 * elements * pixels / 256)
    # One stage after the other: each uses again what the one before has freed.
    stage = max(network.frame_bytes * pixels, decoding, search)
    total = network.weights_bytes + stage + bank + masks + picture
    total += _JUDGE_BYTES * load.has_judge
    if device.type != "cuda":
        # Decoded frames are kept in the computer's memory, which a GPU of this kind shares.
        total += min(_CACHE_BYTES, 3 * load.frames * source)
    return int(total)


def _free_disk(folder: Path) -> int:
    """Where `folder` is or will be."""
    existing = folder.absolute()
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    return shutil.disk_usage(existing).free


# How the time of a frame of the list of models divides: 480x853, one object, 12,960 elements; see
# docs/measurements.md.
_SHARES: Final = {"key": 0.20, "readout": 0.28, "decode": 0.27, "value": 0.25}
_LISTED_PIXELS: Final = 480 * 864
_LISTED_ELEMENTS: Final = 12_960


def _seconds(load: Workload, settings: EngineSettings, pace: Pace) -> float:
    network, pixels = _network_of(settings.tracker_model), _internal_pixels(load, settings)
    _, elements = _elements(load, settings)
    memory_frames = load.frames
    if not network.encodes_every_value:
        memory_frames = load.frames // settings.memory.memorize_every
    work = {
        "key": (load.frames + load.given_frames) * pixels,
        "decode": load.frames * load.objects * pixels,
        "value": (memory_frames + load.given_frames) * load.objects * pixels,
        "readout": load.frames * readout_work(pixels / 256, elements),
        "video": (load.frames + load.given_frames) * load.height * load.width,
    }
    return sum(pace.get(stage, 0.0) * amount for stage, amount in work.items())


def _pace(model: str, device: torch.device) -> tuple[Pace | None, bool]:
    """What was measured on this machine, else what follows from the list of models, else None."""
    measured = measured_pace(model, device)
    if measured is not None:
        return measured, True
    needs = next((one.needs for one in default_store().models if one.name == model), None)
    if needs is None:
        return None, False
    if device.type == "cpu":
        seconds = needs.cpu_seconds / torch.get_num_threads() ** 0.8
    elif device.type == "cuda" and needs.published_gpu_per_second:
        seconds = 1 / needs.published_gpu_per_second
    else:
        return None, False
    units = {
        "key": _LISTED_PIXELS,
        "decode": _LISTED_PIXELS,
        "value": _LISTED_PIXELS,
        "readout": readout_work(_LISTED_PIXELS / 256, _LISTED_ELEMENTS),
    }
    return {stage: share * seconds / units[stage] for stage, share in _SHARES.items()}, False


def size_text(count: int) -> str:
    """Bytes for people."""
    value, unit = float(count), "bytes"
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.1f} {unit}" if value < 10 and unit != "bytes" else f"{value:.0f} {unit}"


def seconds_text(seconds: float) -> str:
    """A span of time for people."""
    if seconds < 60:
        return f"{max(1, seconds):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
