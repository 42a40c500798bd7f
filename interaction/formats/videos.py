"""Export formats that are videos: green screen and alpha; what the others share."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from interaction.formats.format import ExportFormat, ExportJob, FormatGroup, Overlaps, Pictures
from interaction.formats.looks import cut_out, replace_background
from interaction.formats.options import ExportOptions, option, parse_color
from interaction.formats.per_object import EdgeOptions, edge_from_option, edge_option, soft_mask
from interaction.formats.video_writer import (
    Encoder,
    SoundCopy,
    Timing,
    VideoKind,
    VideoWriter,
    even_size,
)
from xmem_core.messages import Message

__all__ = [
    "FFV1_ALPHA",
    "GREEN_SCREEN",
    "PRORES_ALPHA",
    "VP9_ALPHA",
    "H264Options",
    "VideoOptions",
    "foresee_even_size",
    "h264",
    "video_pictures",
    "write_video",
]

# The job, a frame -> (H, W, 3) RGB or (H, W, 4) RGBA.
_FramePicture = Callable[[ExportJob, int], NDArray[np.uint8]]

_ODD_SIZES: Final = {
    "pad": Message("Repeat the last row or column"),
    "crop": Message("Leave it out"),
}


def h264(quality: int) -> VideoKind:
    """quality: x264's constant rate factor."""
    return VideoKind(
        title=Message("H.264 video"),
        container="mp4",
        pixel_format="yuv420p",
        encoders=(
            # With its macroblock tree one encoding of the same pictures in some hundreds differs by
            # a few bytes, on one thread as well; without it none of thousands did.
            Encoder(
                "libx264", {"crf": str(quality), "preset": "veryfast", "x264-params": "mbtree=0"}
            ),
            Encoder("libopenh264", {"b": "12M"}),
            Encoder("h264_videotoolbox", {"b": "12M"}),
            Encoder("h264_mf", {"b": "12M"}),
            Encoder("mpeg4", {"qscale": "3", "b": "12M"}, is_substitute=True),
        ),
    )


@dataclass(frozen=True, kw_only=True)
class VideoOptions(ExportOptions):
    has_sound: bool = option(
        True,
        Message("Copy the sound"),
        Message("The source's sound is copied as it is, where the file can hold it."),
    )
    odd_size: str = option(
        "pad",
        Message("Odd sizes"),
        Message("Video needs an even width and height."),
        choices=_ODD_SIZES,
    )


@dataclass(frozen=True, kw_only=True)
class H264Options(VideoOptions):
    quality: int = option(
        18,
        Message("Quality"),
        Message("Constant rate factor: 18 looks like the source, 28 is small."),
        minimum=0,
        maximum=40,
    )


def write_video(
    job: ExportJob, kind: VideoKind, options: VideoOptions, frame_picture: _FramePicture
) -> Iterator[int]:
    """Encodes `frame_picture(job, frame)` for every frame of the job and yields the frame."""

    def picture(frame: int) -> NDArray[np.uint8]:
        return even_size(frame_picture(job, frame), crops=options.odd_size == "crop")

    timestamps = job.source.timestamps_s
    times = [float(timestamps[frame]) for frame in job.frames]
    step = job.frames[1] - job.frames[0] if len(job.frames) > 1 else 1
    timing = Timing.of(times, job.source.index.frame_rate, step)
    frame_s = float(1 / timing.rate)
    length_s = times[-1] - times[0] + frame_s
    job.notices.extend(foresee_even_size(job))
    first = picture(job.frames[0])
    with (
        job.writing(job.target.name) as path,
        closing(SoundCopy(job.source.index, kind, times[0], length_s)) as sound,
        closing(VideoWriter(path, kind, first.shape[1], first.shape[0], timing)) as writer,
    ):
        if writer.encoder.is_substitute:
            job.notices.append(
                Message(
                    "{title} cannot be written here; it was written with {name}.",
                    title=kind.title,
                    name=writer.encoder.name,
                )
            )
        if options.has_sound:
            sound.add_to(writer)
        for position, frame in enumerate(job.frames):
            if options.has_sound:
                sound.copy_until(writer, timing.seconds(position))
            pixels = first if position == 0 else picture(frame)
            writer.write(pixels)
            job.rows.append((frame, job.target.name))
            if position < len(job.frames) - 1:
                yield frame
        if options.has_sound:
            sound.copy_until(writer, length_s)
            if sound.notice:
                job.notices.append(sound.notice)
        writer.finish()
    yield job.frames[-1]


def foresee_even_size(job: ExportJob, width: int | None = None) -> Iterable[str]:
    """width: of the pictures in pixels, where it is not the source's."""
    width, height = width or job.source.width, job.source.height
    options = job.options_as(VideoOptions)
    if width % 2 == 0 and height % 2 == 0:
        return
    if options.odd_size == "crop" and min(width, height) > 1:
        even = width - width % 2, height - height % 2
        words = Message(
            "The video is cropped from {width} × {height} to {new_width} × {new_height} pixels."
        )
    else:
        even = width + width % 2, height + height % 2
        words = Message(
            "The video is padded from {width} × {height} to {new_width} × {new_height} pixels."
        )
    yield Message(words.template, width=width, height=height, new_width=even[0], new_height=even[1])


def video_pictures(frame_picture: _FramePicture) -> Pictures:
    """A video's frame as what one can look at before it is encoded."""

    def pictures(job: ExportJob, frame: int) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        crops = job.options_as(VideoOptions).odd_size == "crop"
        yield job.target.name, even_size(frame_picture(job, frame), crops=crops)

    return pictures


_BLEED_PX: Final = 16  # a block of the codecs: colours outside it do not reach the edge


@dataclass(frozen=True, kw_only=True)
class GreenScreenOptions(H264Options):
    color: str = option("#00b140", Message("Background colour"), is_color=True)
    edge_px: float = edge_option()
    edge_from: str = edge_from_option()


@dataclass(frozen=True, kw_only=True)
class AlphaOptions(EdgeOptions, VideoOptions):
    """Of videos with alpha; the edge comes last."""


@dataclass(frozen=True, kw_only=True)
class Vp9Options(AlphaOptions):
    quality: int = option(
        20,
        Message("Quality"),
        Message("Constant rate factor: lower is better and larger."),
        minimum=0,
        maximum=63,
    )


_PRORES: Final = VideoKind(
    title=Message("ProRes 4444 video"),
    container="mov",
    pixel_format="yuva444p10le",
    encoders=(Encoder("prores_ks", {"profile": "4444", "vendor": "apl0", "alpha_bits": "16"}),),
    has_alpha=True,
)


_FFV1: Final = VideoKind(
    title=Message("FFV1 video"),
    container="matroska",
    pixel_format="bgra",
    # Every frame by itself, in slices with checksums: an archive's settings.
    encoders=(Encoder("ffv1", {"level": "3", "g": "1", "slices": "4", "slicecrc": "1"}),),
    has_alpha=True,
)


def _vp9(quality: int) -> VideoKind:
    options = {"crf": str(quality), "b": "0", "deadline": "good", "cpu-used": "5", "row-mt": "1"}
    # Alternate reference frames cannot carry alpha.
    options["auto-alt-ref"] = "0"
    return VideoKind(
        title=Message("VP9 video with alpha"),
        container="webm",
        pixel_format="yuva420p",
        encoders=(Encoder("libvpx-vp9", options),),
        has_alpha=True,
    )


def _green_screen(job: ExportJob, frame: int) -> NDArray[np.uint8]:
    options = job.options_as(GreenScreenOptions)
    alpha = soft_mask(job, frame, None, options.edge_px, options.edge_from)
    return replace_background(job.picture(frame), alpha, parse_color(options.color))


def _write_green_screen(job: ExportJob) -> Iterator[int]:
    options = job.options_as(GreenScreenOptions)
    return write_video(job, h264(options.quality), options, _green_screen)


def _alpha(job: ExportJob, frame: int) -> NDArray[np.uint8]:
    options = job.options_as(AlphaOptions)
    alpha = soft_mask(job, frame, None, options.edge_px, options.edge_from)
    return cut_out(job.picture(frame), alpha, _BLEED_PX)


def _write_alpha(job: ExportJob, *, kind: VideoKind) -> Iterator[int]:
    return write_video(job, kind, job.options_as(AlphaOptions), _alpha)


def _write_vp9(job: ExportJob) -> Iterator[int]:
    return _write_alpha(job, kind=_vp9(job.options_as(Vp9Options).quality))


_video: Final = partial(
    ExportFormat, group=FormatGroup.VIDEO, overlaps=Overlaps.UNION, foresee=foresee_even_size
)
GREEN_SCREEN: Final = _video(
    name="green-screen",
    title=Message("Green-screen video"),
    description=Message("The objects before one colour, for keying (H.264, MP4)."),
    suffix=".mp4",
    options=GreenScreenOptions,
    write=_write_green_screen,
    pictures=video_pictures(_green_screen),
)
_alpha_video: Final = partial(_video, pictures=video_pictures(_alpha))
PRORES_ALPHA: Final = _alpha_video(
    name="prores-4444",
    title=Message("ProRes 4444 with alpha"),
    description=Message(
        "The objects with an alpha channel, for editing and compositing programs (MOV)."
    ),
    suffix=".mov",
    options=AlphaOptions,
    write=partial(_write_alpha, kind=_PRORES),
)
FFV1_ALPHA: Final = _alpha_video(
    name="ffv1-alpha",
    title=Message("FFV1 with alpha, lossless"),
    description=Message(
        "The objects with an alpha channel, every pixel as it is, for archives (Matroska)."
    ),
    suffix=".mkv",
    options=AlphaOptions,
    write=partial(_write_alpha, kind=_FFV1),
)
VP9_ALPHA: Final = _alpha_video(
    name="vp9-alpha",
    title=Message("VP9 with alpha"),
    description=Message("The objects with an alpha channel, small, for the web (WebM)."),
    suffix=".webm",
    options=Vp9Options,
    write=_write_vp9,
)
