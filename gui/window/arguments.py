"""The window as a command. It takes the published program's flags, with their meaning, so that
people can switch without learning anew."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from gui.doctor import has_display
from interaction.command_line.options import taking
from interaction.engines import EngineSettings

__all__ = ["WindowArguments", "window"]


@dataclass(frozen=True, slots=True)
class WindowArguments:
    """What to open, and what differs from the preferences for this once."""

    source: Path | None = None  # a video, a folder of pictures or a project
    project: Path | None = None  # where the work on the source is kept, if not beside it
    objects: int = 0  # to begin with, where the project is new
    engine: dict[str, Any] = field(default_factory=dict)  # fields of EngineSettings
    memory: dict[str, int | None] = field(default_factory=dict)  # fields of MemoryConfig
    cached_frames: int | None = None

    def changed(self, settings: EngineSettings) -> EngineSettings:
        """`settings` with what was asked for. ValueError for numbers that make no sense."""
        memory: dict[str, Any] = dict(self.memory)
        return replace(settings, memory=replace(settings.memory, **memory), **self.engine)


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flags:
    """Parameters of `window`, by the names of the published program's flags."""

    source: Annotated[
        Path | None, typer.Argument(help="A video, a folder of pictures or a project.")
    ] = None
    video: Annotated[Path | None, typer.Option(help="The same: a video file.")] = None
    images: Annotated[Path | None, typer.Option(help="The same: a folder of pictures.")] = None
    workspace: Annotated[
        Path | None, typer.Option(help="Folder of the work; alone, the project to open.")
    ] = None
    num_objects: Annotated[
        int, typer.Option(min=0, max=255, help="Objects of a new project; more can be added.")
    ] = 0
    size: Annotated[
        int | None,
        typer.Option(
            help="Shorter side at which the tracker works, in pixels, from 16; -1: the source's "
            "own. Frames and masks always keep the source's size."
        ),
    ] = None
    model: Annotated[
        str | None, typer.Option(help="Tracker: a name from `models list`, or a file.")
    ] = None
    fbrs_model: Annotated[str | None, typer.Option(help="Click network: a name or a file.")] = None
    s2m_model: Annotated[str | None, typer.Option(help="Scribble network: a name or a file.")] = (
        None
    )
    device: Annotated[str | None, typer.Option(help="auto, cuda, cuda:1, mps or cpu.")] = None
    mem_every: Annotated[int | None, typer.Option(help="Frames between two memory frames.")] = None
    deep_update_every: Annotated[
        int | None,
        typer.Option(
            help="Frames between two deep updates of sensory memory; negative: on each memory "
            "frame."
        ),
    ] = None
    max_mid_term_frames: Annotated[
        int | None, typer.Option(help="Working memory is distilled on reaching this many frames.")
    ] = None
    min_mid_term_frames: Annotated[
        int | None, typer.Option(help="Frames that stay in working memory then.")
    ] = None
    max_long_term_elements: Annotated[
        int | None, typer.Option(help="Size of long-term memory.")
    ] = None
    num_prototypes: Annotated[int | None, typer.Option(help="Elements distilled each time.")] = None
    top_k: Annotated[int | None, typer.Option(help="Memory elements each position looks at.")] = (
        None
    )
    buffer_size: Annotated[int | None, typer.Option(help="Decoded frames kept in memory.")] = None
    no_amp: Annotated[bool, typer.Option("--no-amp", help="Never track in half precision.")] = False

    def arguments(self) -> WindowArguments:
        place = self.source or self.video or self.images
        engine = _given(
            tracker_model=self.model,
            click_model=self.fbrs_model,
            scribble_model=self.s2m_model,
            device=self.device,
            internal_size=self.size,
            allows_half_precision=False if self.no_amp else None,
        )
        memory: dict[str, int | None] = _given(
            memorize_every=self.mem_every,
            deep_update_every=self.deep_update_every,
            max_working_frames=self.max_mid_term_frames,
            min_working_frames=self.min_mid_term_frames,
            max_long_term=self.max_long_term_elements,
            prototypes=self.num_prototypes,
            top_k=self.top_k,
        )
        if self.size == -1:
            engine["internal_size"] = None
        if self.deep_update_every is not None and self.deep_update_every < 0:
            memory["deep_update_every"] = None
        return WindowArguments(
            source=place or self.workspace,
            project=self.workspace if place else None,
            objects=self.num_objects,
            engine=engine,
            memory=memory,
            cached_frames=self.buffer_size,
        )


@taking(_Flags)
def window(flags: _Flags) -> None:
    """Open the window. The word “window” may be left out: xmem-annotate bear.mp4"""
    arguments = flags.arguments()
    try:
        arguments.changed(EngineSettings())
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if not has_display():
        typer.echo(
            "There is no display to open a window on; to track the sample without one, type: "
            "xmem-annotate propagate sample --output sample-masks",
            err=True,
        )
        raise typer.Exit(1)
    from gui.window.app import main  # Qt, which the arguments do not need

    raise typer.Exit(main(arguments))
