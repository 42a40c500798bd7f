"""Makes a small working form of photographs and clips with masks, to carry beside the code:
`python -m training prepare SOURCE OUTPUT --megabytes 38`.

Source and output have the same layout, so training reads either: `stills/SET/{images,masks}`,
`DAVIS/2017/trainval`, and `video/{JPEGImages,Annotations}/CLIP`. Pictures become WebP, as large and
as good as fits; masks stay palette PNGs with their ids; of videos every second frame is kept.
"""

import io
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from training.datasets.augmentation import resized
from training.datasets.layouts import Pair, find_videos, pairs_in, read_pair

log = logging.getLogger(__name__)

# Ids apart in hue, so that masks can be looked at.
_PALETTE = [value for i in range(256) for value in (i * 67 % 256, i * 131 % 256, i * 29 % 256)]
_FRAME_STEP = 2
# Short sides in pixels and WebP qualities, best first: detail goes before compression shows.
_LADDER = (
    (352, 80), (352, 70), (320, 70), (320, 60), (288, 60), (288, 50), (256, 50), (256, 40),
    (224, 40), (192, 40), (160, 30), (128, 30),
)  # fmt: skip
_SAMPLE_EVERY = 40  # pictures of which one is encoded to estimate the size of all
_CERTAIN_SHARE = 0.97  # of the limit that an estimate may reach


def build_working_pack(source: Path, output: Path, limit_bytes: int) -> int:
    """Writes `output`, a new folder, of at most `limit_bytes` in files; returns its size in bytes.

    ValueError for an output that is there, a source without pictures that have masks, and a limit
    that even the smallest pictures exceed.
    """
    if output.exists():
        raise ValueError(f"{output} is there already")
    items = _items(source)
    if not items:
        raise ValueError(f"{source} holds no stills, DAVIS or video with masks")
    for short_side, quality in _LADDER:
        sample = items[::_SAMPLE_EVERY]
        estimate = sum(len(part) for item in sample for part in _encoded(item, short_side, quality))
        if estimate * len(items) / len(sample) > _CERTAIN_SHARE * limit_bytes:
            continue
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=output.name) as folder:
            size = _write(source, Path(folder) / "pack", items, short_side, quality)
            log.info("%d pictures at %d pixels: %d bytes", len(items), short_side, size)
            if size <= limit_bytes:
                (Path(folder) / "pack").replace(output)
                return size
    raise ValueError(f"{len(items)} pictures do not fit into {limit_bytes} bytes")


def _items(source: Path) -> list[Pair]:
    items: list[Pair] = []
    for folder in sorted((source / "stills").glob("*")):
        items += pairs_in(folder / "images", folder / "masks")
    davis, video = source / "DAVIS" / "2017" / "trainval", source / "video"
    videos = find_videos(davis / "JPEGImages" / "480p", davis / "Annotations" / "480p")
    videos += find_videos(video / "JPEGImages", video / "Annotations")
    for clip in videos:
        items += clip.frames[::_FRAME_STEP]
    return items


def _write(source: Path, folder: Path, items: Sequence[Pair], short_side: int, quality: int) -> int:
    size = 0
    for item in items:
        names = (item.picture.with_suffix(".webp"), item.mask)
        for name, content in zip(names, _encoded(item, short_side, quality), strict=True):
            path = folder / name.relative_to(source)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            size += len(content)
    texts = [source / "README.md", *source.glob("DAVIS/2017/trainval/ImageSets/2017/*.txt")]
    for text in (path for path in texts if path.is_file()):
        path = folder / text.relative_to(source)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.read_bytes())
        size += text.stat().st_size
    return size


def _encoded(item: Pair, short_side: int, quality: int) -> tuple[bytes, bytes]:
    """Picture and mask, never enlarged."""
    picture, labels = read_pair(item)
    scale = short_side / min(labels.shape)
    if scale < 1:
        width, height = (round(side * scale) for side in labels.shape[::-1])
        picture, labels = resized(picture, labels, width, height)
    colours = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    written, encoded = cv2.imencode(".webp", colours, [cv2.IMWRITE_WEBP_QUALITY, quality])
    assert written
    mask = Image.fromarray(labels.astype(np.uint8), "P")
    # All 256 colours: with fewer, PNG would store fewer bits and cut the ids.
    mask.putpalette(_PALETTE)
    file = io.BytesIO()
    mask.save(file, "png", optimize=True)
    return encoded.tobytes(), file.getvalue()
