"""What the window shows, as a video or as pictures: every view, a layer behind objects too."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from interaction.errors import UserError
from interaction.formats.format import (
    ExportFormat,
    ExportJob,
    FormatGroup,
    Overlaps,
    encode_jpeg,
    write_pictures,
)
from interaction.formats.looks import SIDE_GAP_PX, ViewMode, color_table, draw_view
from interaction.formats.options import ExportOptions, option
from interaction.formats.videos import (
    H264Options,
    foresee_even_size,
    h264,
    video_pictures,
    write_video,
)
from xmem_core.arrays import Frame, Pixels
from xmem_core.messages import Message

__all__ = ["OVERLAY_PICTURES", "OVERLAY_VIDEO", "VIEWS"]

VIEWS: Final = {mode.value.replace(" ", "-"): mode for mode in ViewMode}
_TITLES: Final = {
    "overlay": Message("Overlay"),
    "outline": Message("Outline"),
    "mask": Message("Mask"),
    "fade": Message("Fade the background"),
    "light": Message("Light"),
    "popup": Message("Grey background"),
    "layer": Message("Layer behind the objects"),
    "checkerboard": Message("Cut out on a checkerboard"),
    "green": Message("Cut out on green"),
    "side-by-side": Message("Side by side with the source"),
}


@dataclass(frozen=True, kw_only=True)
class ViewOptions(ExportOptions):
    view: str = option("overlay", Message("View"), Message("As in the menu View."), choices=_TITLES)
    opacity: float = option(0.5, Message("Opacity of the fill"), minimum=0, maximum=1)
    outline_px: int = option(
        1,
        Message("Outline"),
        Message("Width of the line on either side of an object's edge; 0 leaves it out."),
        minimum=0,
        maximum=20,
        unit="px",
    )
    layer: str = option(
        "",
        Message("Layer"),
        Message(
            "The picture, video or folder of pictures behind the objects, for that view. A video "
            "begins with the first frame and starts again at its end."
        ),
        is_path=True,
    )

    @property
    def mode(self) -> ViewMode:
        return VIEWS[self.view]


@dataclass(frozen=True, kw_only=True)
class OverlayOptions(H264Options, ViewOptions):
    """Of the video."""


@dataclass(frozen=True, kw_only=True)
class OverlayPictureOptions(ViewOptions):
    file_format: str = option(
        "png",
        Message("Files"),
        choices={"png": Message("PNG, without loss"), "jpg": Message("JPEG, small")},
    )
    quality: int = option(92, Message("Quality of JPEG"), minimum=1, maximum=100)


def _check_layer(job: ExportJob) -> Path | None:
    """None where nothing lies behind the objects."""
    options = job.options_as(ViewOptions)
    if options.mode is not ViewMode.LAYER:
        return None
    if not options.layer:
        raise UserError(
            "There is nothing to lay behind the objects. Nothing was changed.\n\nChoose a "
            "picture or a video as the layer, or another view."
        )
    path = Path(options.layer).expanduser()
    if not path.exists():
        raise UserError(
            "The layer “{path}” is not there. Nothing was changed.\n\nChoose another picture "
            "or video.",
            path=path,
        )
    return path


def _view(job: ExportJob, frame: int) -> Frame:
    options, layer = job.options_as(ViewOptions), _check_layer(job)
    return draw_view(
        job.picture(frame),
        job.labels(frame),
        color_table(job.objects),
        options.mode,
        opacity=options.opacity,
        outline_px=options.outline_px,
        layer=None if layer is None else job.layer(layer, frame),
        beneath=job.beneath(frame),
    )


def _foresee_video(job: ExportJob) -> Iterable[str]:
    _check_layer(job)
    is_double = job.options_as(ViewOptions).mode is ViewMode.SIDE_BY_SIDE
    width = 2 * job.source.width + SIDE_GAP_PX if is_double else None
    return foresee_even_size(job, width)


def _foresee_pictures(job: ExportJob) -> Iterable[str]:
    _check_layer(job)
    return ()


def _write_video(job: ExportJob) -> Iterator[int]:
    options = job.options_as(OverlayOptions)
    return write_video(job, h264(options.quality), options, _view)


def _picture(job: ExportJob, frame: int) -> Iterator[tuple[str, Pixels]]:
    suffix = job.options_as(OverlayPictureOptions).file_format
    yield f"{job.source.frame_name(frame)}.{suffix}", _view(job, frame)


def _write_pictures(job: ExportJob) -> Iterator[int]:
    options = job.options_as(OverlayPictureOptions)
    if options.file_format == "png":
        return write_pictures(job, _picture)
    return write_pictures(job, _picture, partial(encode_jpeg, quality=options.quality))


OVERLAY_VIDEO: Final = ExportFormat(
    name="overlay-video",
    title=Message("Overlay video"),
    description=Message(
        "What the window shows in any view, a layer behind the objects too (H.264, MP4)."
    ),
    group=FormatGroup.VIDEO,
    suffix=".mp4",
    options=OverlayOptions,
    write=_write_video,
    overlaps=Overlaps.STRIPES,
    pictures=video_pictures(_view),
    foresee=_foresee_video,
)
OVERLAY_PICTURES: Final = ExportFormat(
    name="overlay-pictures",
    title=Message("Overlay pictures"),
    description=Message(
        "What the window shows in any view, a layer behind the objects too: a PNG or JPEG a frame."
    ),
    group=FormatGroup.COMPOSITING,
    options=OverlayPictureOptions,
    write=_write_pictures,
    overlaps=Overlaps.STRIPES,
    pictures=_picture,
    foresee=_foresee_pictures,
)
