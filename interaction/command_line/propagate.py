"""`xmem-annotate propagate`: masks for every frame of a video from the masks of a few."""

import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from interaction.annotation.requests import Until
from interaction.command_line.options import (
    Affinity,
    Device,
    Frame,
    Model,
    NoAmp,
    NoLongTerm,
    NoSensory,
    taking,
)
from interaction.command_line.sources import (
    SAMPLE,
    frame_progress,
    object_ids,
    open_project,
    print_json,
    print_result,
    remark,
    source_path,
)
from interaction.engines import EngineSettings
from interaction.errors import UserError
from interaction.files import JsonObject
from interaction.project.layout import is_project
from interaction.steps import finish
from resources import sample_folder
from xmem_core.config import MemoryConfig

if TYPE_CHECKING:
    from interaction.annotation.requests import Propagated
    from interaction.session import Session, TrackedMasks
    from interaction.tracking.batch import BatchProgress, BatchSettings
    from interaction.tracking.governor import Forecast

__all__ = ["PropagateOptions", "batch_settings", "propagate", "stop_on_interrupt"]

_DEFAULTS = MemoryConfig()
_OF_PROJECTS: Final = ("from_frame", "until", "objects", "blend", "brake", "keep_probabilities")
_OF_FILES: Final = ("output", "masks", "partial_masks", "save_probabilities", "overwrite")
_STOPPED = 130  # what a shell reports for a program stopped with Ctrl-C


@dataclass(frozen=True, slots=True)
class PropagateOptions:
    """Of `propagate`, by name."""

    source: Annotated[
        str,
        typer.Argument(
            help=f"A project, a video, a folder of pictures, or “{SAMPLE}”.", metavar="SOURCE"
        ),
    ]
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for the masks and report.json; a project keeps its own."),
    ] = None
    masks: Annotated[
        Path | None,
        typer.Option(
            help="Masks to start from, in any form that `import` reads: a folder of pictures named "
            "or numbered as the frames they belong to, one picture, COCO, YOLO and others."
        ),
    ] = None
    frame: Frame = 0
    model: Model = "small"
    device: Device = "auto"
    internal_size: Annotated[
        int,
        typer.Option(
            min=16,
            help="Shorter side at which the network works, in pixels. Enlarges at most twofold.",
        ),
    ] = 480
    start: Annotated[int | None, typer.Option(min=0, help="First frame of the range.")] = None
    end: Annotated[int | None, typer.Option(min=0, help="Last frame of the range.")] = None
    direction: Annotated[
        Literal["forward", "backward", "both"],
        typer.Option(help="forward, backward, or both ways from the first mask."),
    ] = "forward"
    from_frame: Annotated[
        int | None,
        typer.Option(
            "--from",
            min=0,
            help="Project: the frame to track from; by default the first given one.",
        ),
    ] = None
    until: Annotated[
        Until, typer.Option(help="Project: where to stop; settled: where nothing changes any more.")
    ] = "end"
    blend: Annotated[
        bool,
        typer.Option(
            help="Project: between two given frames track from both and make one mask of both "
            "passes; takes twice the time there."
        ),
    ] = True
    brake: Annotated[
        bool,
        typer.Option(
            "--brake",
            help="Project: stop at a cut, and where a mask collapses, explodes or jumps to another "
            "thing; every finished frame is kept, and the same command goes on from --from.",
        ),
    ] = False
    keep_probabilities: Annotated[
        bool | None,
        typer.Option(
            "--keep-probabilities/--drop-probabilities",
            help="Project: from now on keep the networks' probabilities near the outlines in 8 "
            "bits, for exports with soft edges, or no longer; by default as the project says.",
            show_default=False,
        ),
    ] = None
    objects: Annotated[
        list[str] | None,
        typer.Option("--object", help="Project: only this object, by id or name; may be repeated."),
    ] = None
    partial_masks: Annotated[
        bool,
        typer.Option(
            "--partial-masks",
            help="A mask speaks only for the objects in it; by default an object that is missing "
            "from a later mask is absent there.",
        ),
    ] = False
    memory_every: Annotated[
        int,
        typer.Option(
            "--memory-every", "--mem-every", min=1, help="Frames between two memory frames."
        ),
    ] = _DEFAULTS.memorize_every
    deep_update_every: Annotated[
        int,
        typer.Option(
            help="Frames between two deep updates of sensory memory; negative: on each memory "
            "frame."
        ),
    ] = -1
    top_k: Annotated[int, typer.Option(min=1, help="Memory elements each position looks at.")] = (
        _DEFAULTS.top_k
    )
    max_working_frames: Annotated[
        int,
        typer.Option(
            "--max-working-frames",
            "--max-mid-term-frames",
            help="Working memory is distilled on reaching this many frames.",
        ),
    ] = _DEFAULTS.max_working_frames
    min_working_frames: Annotated[
        int,
        typer.Option(
            "--min-working-frames",
            "--min-mid-term-frames",
            help="Frames that stay in working memory then.",
        ),
    ] = _DEFAULTS.min_working_frames
    max_long_term_elements: Annotated[int, typer.Option(help="Size of long-term memory.")] = (
        _DEFAULTS.max_long_term
    )
    num_prototypes: Annotated[int, typer.Option(help="Elements distilled each time.")] = (
        _DEFAULTS.prototypes
    )
    no_long_term: NoLongTerm = False
    no_sensory: NoSensory = False
    affinity: Affinity = _DEFAULTS.affinity
    no_amp: NoAmp = False
    save_probabilities: Annotated[
        bool,
        typer.Option(
            "--save-probabilities", help="Also write float16 .npz files, (1+K, H, W) a frame."
        ),
    ] = False
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on exactly with an interrupted propagation; of a project with its last one, "
            "whatever else is asked for.",
        ),
    ] = False
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace masks that are already in the output.")
    ] = False
    look_closer: Annotated[
        bool,
        typer.Option(
            "--look-closer",
            help="Track small things in a box that follows them: enlarged for the network, the "
            "rest of the picture costs nothing.",
        ),
    ] = False
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Only say what it would need on this machine: memory, disk and time, from its "
            "first frames, and what would be smaller to make it fit. Nothing is written.",
        ),
    ] = False
    no_fit: Annotated[
        bool,
        typer.Option(
            "--no-fit", help="Begin with these settings also where memory seems too small for them."
        ),
    ] = False
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON on standard output.")
    ] = False


@taking(PropagateOptions)
def propagate(options: PropagateOptions) -> None:
    """Track objects through a video, from masks of one or more frames; or through a project, whose
    given masks are never replaced."""
    if is_project(Path(options.source)):
        _propagate_project(options)
        return
    settings = batch_settings(options)
    if options.dry_run:
        from interaction.tracking.batch import forecast_batch

        _show_forecast(forecast_batch(settings), as_json=options.as_json)
        return
    report = _run(settings)
    if report is None:
        from interaction.tracking.batch import ResultFolder

        way = "Nothing is kept to go on from: the same command with --overwrite begins again."
        if ResultFolder(settings.output).unfinished.exists():
            way = "The same command with --resume goes on from there."
        remark(f"Stopped. Every finished mask is in “{options.output}”. {way}")
        raise typer.Exit(_STOPPED)
    if options.as_json:
        print_json(report)
    else:
        remark(
            f"{report['frames']} masks in “{options.output}”, "
            f"{report['frames_per_second']:.1f} frames a second on {report['device']}."
        )


def _given(options: PropagateOptions, names: Iterable[str]) -> list[str]:
    """Those of `names` that differ from what they are when nothing is typed."""
    defaults = {one.name: one.default for one in fields(options)}
    return [name for name in names if getattr(options, name) not in (defaults[name], (), [])]


def batch_settings(options: PropagateOptions) -> "BatchSettings":
    """typer.BadParameter or UserError for what makes no sense."""
    for_projects = _given(options, _OF_PROJECTS)
    if for_projects:
        name = for_projects[0].removesuffix("_frame").replace("_", "-")
        raise typer.BadParameter(f"--{name} is for projects only")
    if options.output is None:
        raise typer.BadParameter("a folder for the masks is needed", param_hint="--output")
    source, masks = _source_and_masks(options.source, options.masks)
    # Only now: this imports torch, and asking for help should not wait for that.
    from interaction.tracking.batch import BatchSettings

    return BatchSettings(
        source=source,
        masks=masks,
        output=options.output,
        engine=_engine(options),
        direction=options.direction,
        start=options.start,
        end=options.end,
        frame=options.frame,
        are_masks_partial=options.partial_masks,
        saves_probabilities=options.save_probabilities,
        resumes=options.resume,
        overwrites=options.overwrite,
        looks_closer=options.look_closer,
    )


def _engine(options: PropagateOptions) -> EngineSettings:
    deep_update_every = options.deep_update_every
    try:
        memory = MemoryConfig(
            memorize_every=options.memory_every,
            deep_update_every=None if deep_update_every < 0 else deep_update_every,
            top_k=options.top_k,
            max_working_frames=options.max_working_frames,
            min_working_frames=options.min_working_frames,
            max_long_term=options.max_long_term_elements,
            prototypes=options.num_prototypes,
            has_long_term=not options.no_long_term,
            has_sensory=not options.no_sensory,
            affinity=options.affinity,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return EngineSettings(
        tracker_model=options.model,
        device=options.device,
        internal_size=options.internal_size,
        allows_half_precision=not options.no_amp,
        memory=memory,
        fits_memory=not options.no_fit,
    )


def _propagate_project(options: PropagateOptions) -> None:
    of_files = _given(options, _OF_FILES)
    if of_files:
        raise typer.BadParameter(
            "a project has its own masks and keeps the results",
            param_hint=f"--{of_files[0].replace('_', '-')}",
        )
    settings = _engine(options)
    from xmem_core.device import best_device, keep_freed_memory

    keep_freed_memory()
    started = time.perf_counter()
    with open_project(options.source, settings=settings) as session:
        if settings.memory != MemoryConfig():
            session.engines.limits = {}  # what was typed comes before what the project says
        if options.keep_probabilities is not None and not options.dry_run:
            session.masks.keeps_probabilities = options.keep_probabilities
        tracked = _track(session, options)
        session.flush()
        names = {one.id: one.name for one in session.annotation.objects}
    if tracked is None:
        return
    report = {
        "project": options.source,
        "frames": len(tracked),
        "seconds": round(time.perf_counter() - started, 3),
        "device": str(best_device(options.device)),
        "absences": [asdict(one) for one in tracked.absences],
    }
    if options.as_json:
        print_json(report)
        return
    remark(f"{report['frames']} frames got new masks.")
    for one in tracked.absences:
        remark(
            f"‘{names[one.object_id]}’ shrank to specks on frames {one.first} to {one.last}. "
            f"If it is absent: xmem-annotate presence PROJECT {one.object_id} "
            f"--first {one.first} --last {one.last} --state absent",
            wraps=False,
        )


def _track(session: "Session", options: PropagateOptions) -> "TrackedMasks | None":
    """What got masks; None if only a forecast was asked for."""
    from interaction.annotation.requests import PropagationRequest

    start = _first_frame(session) if options.from_frame is None else options.from_frame
    request = PropagationRequest(
        start,
        options.direction,
        options.until,
        first=options.start,
        last=options.end,
        objects=object_ids(session.annotation.objects, options.objects),
        looks_closer=options.look_closer,
        blends=options.blend,
    )
    if options.dry_run:
        _show_forecast(session.forecast(request, measures=True), as_json=options.as_json)
        return None
    with stop_on_interrupt() as stop, frame_progress("tracking") as show:

        def on_step(step: "Propagated") -> None:
            show(step.done, step.total)
            if step.remark:
                remark(step.remark)
            if step.brake is not None:
                remark(f"Frame {step.frame}: {step.brake}")
            if stop.is_set():
                raise KeyboardInterrupt

        try:
            return session.propagate(
                request.start,
                request.direction,
                request.until,
                first=request.first,
                last=request.last,
                objects=request.objects,
                looks_closer=request.looks_closer,
                blends=request.blends,
                brakes=options.brake,
                resumes=options.resume,
                on_step=on_step,
            )
        except KeyboardInterrupt:
            session.flush()
            unfinished = session.context().unfinished
            way = "Nothing is kept to go on from: track from its last frame instead."
            if unfinished is not None and unfinished.exists():
                way = "The same command with --resume goes on from there."
            remark(f"Stopped. Every finished frame is kept. {way}")
            raise typer.Exit(_STOPPED) from None


def _show_forecast(expected: "Forecast", *, as_json: bool) -> None:
    objects = "1 object" if expected.objects == 1 else f"{expected.objects} objects"
    lines = [f"{expected.frames} frames with {objects} on {expected.device}. {expected.line}"]
    lines += [*expected.warnings, "Nothing was written."]
    print_result(expected.to_json(), "\n".join(lines), as_json)


def _first_frame(session: "Session") -> int:
    """The first given frame that shows an object, else the first with any mask, else 0."""
    shown = {frame: one for frame, one in session.annotation.records.items() if one.present}
    given = [frame for frame, one in shown.items() if one.status.is_given]
    return min(given or shown, default=0)


def _source_and_masks(source: str, masks: Path | None) -> tuple[Path, Path]:
    """The sample stands for itself and its mask, unless something of that name lies here."""
    path = source_path(source)
    if masks is None and path != Path(source):
        masks = sample_folder() / "masks"
    if masks is None:
        raise UserError(
            "No masks to start from were given.\n\n"
            "Use --masks with a folder that holds a mask for at least one frame."
        )
    return path, masks


def _run(settings: "BatchSettings") -> JsonObject | None:
    from interaction.tracking.batch import run_batch
    from xmem_core.device import keep_freed_memory

    keep_freed_memory()
    with stop_on_interrupt() as stop, frame_progress("opening", has_speed=True) as show:

        def on_step(step: "BatchProgress") -> None:
            if step.remark:
                remark(step.remark)
            show(step.done, step.total, step.stage)

        return finish(run_batch(settings, stop.is_set), on_step)


@contextmanager
def stop_on_interrupt() -> Iterator[threading.Event]:
    """Ctrl-C asks to stop after the frame in progress; a second one stops at once.

    An interrupt anywhere in a step would leave the tracker's memories half changed, and then
    nothing could go on from them.
    """
    stop = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {kind: signal.signal(kind, ask) for kind in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
