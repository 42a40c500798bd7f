"""The window's command line. It also takes the published program's flags, with their meaning, so
that people can switch without learning anew."""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from interaction.engines import EngineSettings

__all__ = ["WindowArguments", "parse_arguments"]


@dataclass(frozen=True, slots=True)
class WindowArguments:
    """What to open, and what differs from the preferences for this once."""

    source: Path | None  # a video, a folder of pictures or a project
    project: Path | None  # where the work on the source is kept, if not beside it
    objects: int  # to begin with, where the project is new
    tracker_model: str | None
    click_model: str | None
    scribble_model: str | None
    device: str | None
    internal_size: int | None
    is_unscaled: bool  # the tracker works at the source's own size
    memory: dict[str, int]  # fields of MemoryConfig
    cached_frames: int | None

    def changed(self, settings: EngineSettings) -> EngineSettings:
        """`settings` with what was asked for. ValueError for numbers that make no sense."""
        asked: dict[str, Any] = {
            "tracker_model": self.tracker_model,
            "click_model": self.click_model,
            "scribble_model": self.scribble_model,
            "device": self.device,
            "internal_size": self.internal_size,
        }
        given = {name: value for name, value in asked.items() if value is not None}
        if self.is_unscaled:
            given["internal_size"] = None
        memory: dict[str, Any] = dict(self.memory)
        return replace(settings, memory=replace(settings.memory, **memory), **given)


def parse_arguments(arguments: list[str]) -> WindowArguments:
    """Exits with a message, as argparse does, for arguments that make no sense."""
    parser = argparse.ArgumentParser(
        prog="xmem-annotate",
        description="Cut masks out of video, in a window. Commands that need none: "
        "xmem-annotate --help.",
    )
    parser.add_argument(
        "source", nargs="?", type=Path, help="a video, a folder of pictures or a project"
    )
    parser.add_argument("--video", type=Path, help="the same: a video file")
    parser.add_argument("--images", type=Path, help="the same: a folder of pictures")
    parser.add_argument(
        "--workspace", type=Path, help="where the work is kept; alone, the project to open"
    )
    parser.add_argument(
        "--num_objects", type=int, default=0, help="objects to begin with; more can be added"
    )
    parser.add_argument(
        "--size",
        type=int,
        help="shorter side, in pixels, at which the tracker works; -1: the source's own "
        "(frames and masks always keep the source's size)",
    )
    parser.add_argument("--model", help="tracker: a name of “xmem-annotate models list”, or a file")
    parser.add_argument("--fbrs_model", help="click network: a name or a file")
    parser.add_argument("--s2m_model", help="scribble network: a name or a file")
    parser.add_argument("--device", help="auto, cuda, cuda:1, mps or cpu")
    parser.add_argument("--mem_every", type=int, help="frames between two memory frames")
    parser.add_argument("--max_mid_term_frames", type=int, help="frames in working memory, at most")
    parser.add_argument("--min_mid_term_frames", type=int, help="and after it was distilled")
    parser.add_argument("--max_long_term_elements", type=int, help="size of long-term memory")
    parser.add_argument("--num_prototypes", type=int, help="elements distilled at a time")
    parser.add_argument("--top_k", type=int, help="memory elements that each position looks at")
    parser.add_argument("--buffer_size", type=int, help="decoded frames kept in memory")
    parser.add_argument(
        "--deep_update_every", type=int, help="accepted; the deep update goes with memory frames"
    )
    parser.add_argument(
        "--no_amp", action="store_true", help="accepted; half precision is used only where it helps"
    )
    given = parser.parse_args(arguments)
    if given.size is not None and given.size != -1 and given.size < 16:
        parser.error(f"--size must be at least 16, or -1, got {given.size}")
    if not 0 <= given.num_objects <= 255:
        parser.error(f"--num_objects must be 0 to 255, got {given.num_objects}")
    source = given.source or given.video or given.images
    project = given.workspace
    if source is None:
        source, project = project, None
    memory = {
        "memorize_every": given.mem_every,
        "max_working_frames": given.max_mid_term_frames,
        "min_working_frames": given.min_mid_term_frames,
        "max_long_term": given.max_long_term_elements,
        "prototypes": given.num_prototypes,
        "top_k": given.top_k,
    }
    result = WindowArguments(
        source=source,
        project=project,
        objects=given.num_objects,
        tracker_model=given.model,
        click_model=given.fbrs_model,
        scribble_model=given.s2m_model,
        device=given.device,
        internal_size=None if given.size == -1 else given.size,
        is_unscaled=given.size == -1,
        memory={name: value for name, value in memory.items() if value is not None},
        cached_frames=given.buffer_size,
    )
    try:
        result.changed(EngineSettings())
    except ValueError as error:
        parser.error(str(error))
    return result
