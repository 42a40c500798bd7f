"""Videos for compositing: objects before a key colour, or with an alpha channel."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from interaction.project.exporters.format import ExportFormat, FormatGroup, TargetKind
from interaction.project.exporters.job import ExportJob
from interaction.project.exporters.looks import cut_out, replace_background, soft_edge
from interaction.project.exporters.options import option, parse_color
from interaction.project.exporters.per_object import edge_option
from interaction.project.exporters.video_writer import Encoder, VideoKind
from interaction.project.exporters.videos import (
    H264Options,
    VideoOptions,
    foresee_even_size,
    h264,
    video_pictures,
    write_video,
)

__all__ = ["GREEN_SCREEN", "PRORES_ALPHA", "VP9_ALPHA"]

_BLEED_PX: Final = 16  # a block of the codecs: colours outside it do not reach the edge


@dataclass(frozen=True, kw_only=True)
class GreenScreenOptions(H264Options):
    color: str = option("#00b140", "Background colour", is_color=True)
    edge_px: float = edge_option(2.0)


@dataclass(frozen=True, kw_only=True)
class AlphaOptions(VideoOptions):
    edge_px: float = edge_option(2.0)


@dataclass(frozen=True, kw_only=True)
class Vp9Options(AlphaOptions):
    quality: int = option(
        20, "Quality", "Constant rate factor: lower is better and larger.", minimum=0, maximum=63
    )


_PRORES: Final = VideoKind(
    title="ProRes 4444 video",
    container="mov",
    pixel_format="yuva444p10le",
    encoders=(Encoder("prores_ks", {"profile": "4444", "vendor": "apl0", "alpha_bits": "16"}),),
    sound_codecs=frozenset(
        {"aac", "mp3", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be"}
    ),
    has_alpha=True,
)


def _vp9(quality: int) -> VideoKind:
    options = {"crf": str(quality), "b": "0", "deadline": "good", "cpu-used": "5", "row-mt": "1"}
    # Alternate reference frames cannot carry alpha.
    options["auto-alt-ref"] = "0"
    return VideoKind(
        title="VP9 video with alpha",
        container="webm",
        pixel_format="yuva420p",
        encoders=(Encoder("libvpx-vp9", options),),
        sound_codecs=frozenset({"opus", "vorbis"}),
        has_alpha=True,
    )


def _green_screen(job: ExportJob, frame: int) -> NDArray[np.uint8]:
    options = job.options_as(GreenScreenOptions)
    alpha = soft_edge(job.labels(frame) > 0, options.edge_px)
    return replace_background(job.picture(frame), alpha, parse_color(options.color))


def _write_green_screen(job: ExportJob) -> Iterator[int]:
    options = job.options_as(GreenScreenOptions)
    return write_video(job, h264(options.quality), options, _green_screen)


def _alpha(job: ExportJob, frame: int) -> NDArray[np.uint8]:
    alpha = soft_edge(job.labels(frame) > 0, job.options_as(AlphaOptions).edge_px)
    return cut_out(job.picture(frame), alpha, _BLEED_PX)


def _write_prores(job: ExportJob) -> Iterator[int]:
    return write_video(job, _PRORES, job.options_as(AlphaOptions), _alpha)


def _write_vp9(job: ExportJob) -> Iterator[int]:
    options = job.options_as(Vp9Options)
    return write_video(job, _vp9(options.quality), options, _alpha)


GREEN_SCREEN: Final = ExportFormat(
    name="green-screen",
    title="Green-screen video",
    description="The objects before one colour, for keying (H.264, MP4).",
    group=FormatGroup.VIDEO,
    target=TargetKind.FILE,
    suffix=".mp4",
    options=GreenScreenOptions,
    write=_write_green_screen,
    is_importable=False,
    pictures=video_pictures(_green_screen),
    foresee=foresee_even_size,
)
PRORES_ALPHA: Final = ExportFormat(
    name="prores-4444",
    title="ProRes 4444 with alpha",
    description="The objects with an alpha channel, for editing and compositing programs (MOV).",
    group=FormatGroup.VIDEO,
    target=TargetKind.FILE,
    suffix=".mov",
    options=AlphaOptions,
    write=_write_prores,
    is_importable=False,
    pictures=video_pictures(_alpha),
    foresee=foresee_even_size,
)
VP9_ALPHA: Final = ExportFormat(
    name="vp9-alpha",
    title="VP9 with alpha",
    description="The objects with an alpha channel, small, for the web (WebM).",
    group=FormatGroup.VIDEO,
    target=TargetKind.FILE,
    suffix=".webm",
    options=Vp9Options,
    write=_write_vp9,
    is_importable=False,
    pictures=video_pictures(_alpha),
    foresee=foresee_even_size,
)
