"""Makes small videos whose frames carry their own number, and reads the number back."""

import struct
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

CELL_PX = 8
BITS = 16
WIDTH, HEIGHT = BITS * CELL_PX, 64  # no less: SVT-AV1 takes nothing smaller


def numbered_picture(number: int, height: int = HEIGHT) -> NDArray[np.uint8]:
    """(height, WIDTH, 3): the number as black and white cells above, their opposite below."""
    bits = np.array([number >> bit & 1 for bit in range(BITS)], dtype=np.uint8)
    rows = np.repeat(np.stack([bits, 1 - bits]), height // 2, axis=0)
    grey = np.repeat(rows, CELL_PX, axis=1) * 255
    return np.repeat(grey[:, :, None], 3, axis=2).astype(np.uint8)


def read_number(picture: NDArray[np.uint8]) -> int:
    """The number burnt into a picture; fails on a picture that is not clearly one."""
    assert picture.shape[1:] == (WIDTH, 3)
    cells = picture.astype(float).mean(axis=2).reshape(2, -1, BITS, CELL_PX)
    level = cells.mean(axis=(1, 3))
    assert (np.abs(level - 127.5) > 60).all(), "a cell is grey: this is no whole frame"
    above, below = level > 127.5
    assert (above != below).all(), "two frames are mixed"
    return int(sum(1 << bit for bit in range(BITS) if above[bit]))


def write_video(
    path: Path,
    pictures: Iterable[NDArray[np.uint8]],
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    rate: int = 25,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    timestamps_ms: Sequence[int] | None = None,
    pixel_aspect: Fraction | None = None,
) -> Path:
    """Encode `pictures`, (H, W, 3) RGB, at a constant rate or at the given times."""
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream: Any = None
        for number, picture in enumerate(pictures):
            if stream is None:
                stream = container.add_stream(codec, rate=rate, options=options or {})
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = pixel_format
                stream.thread_count = 1
                if timestamps_ms is not None:
                    stream.codec_context.time_base = Fraction(1, 1000)
                if pixel_aspect is not None:
                    stream.codec_context.sample_aspect_ratio = pixel_aspect
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number if timestamps_ms is None else timestamps_ms[number]
            frame.time_base = Fraction(1, rate) if timestamps_ms is None else Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_numbered(path: Path, count: int, **settings: Any) -> Path:
    return write_video(path, (numbered_picture(number) for number in range(count)), **settings)


def x264(**parameters: int | str) -> dict[str, str]:
    """Fast, deterministic, with B-frames unless asked for."""
    chosen: dict[str, int | str] = {"keyint": 30, "bframes": 3, "b-adapt": 0, "scenecut": 0}
    chosen.update({name.replace("_", "-"): value for name, value in parameters.items()})
    joined = ":".join(f"{name}={value}" for name, value in chosen.items())
    return {"preset": "ultrafast", "crf": "30", "x264-params": joined}


def x265(**parameters: int | str) -> dict[str, str]:
    chosen: dict[str, int | str] = {"keyint": 20, "bframes": 3, "scenecut": 0, "log-level": "none"}
    chosen.update({name.replace("_", "-"): value for name, value in parameters.items()})
    joined = ":".join(f"{name}={value}" for name, value in chosen.items())
    return {"preset": "ultrafast", "x265-params": joined}


def set_display_matrix(path: Path, matrix: Sequence[int]) -> None:
    """Write a, b, c, d (of x' = ax + cy, y' = bx + dy) into the only track of an MP4."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # version, times, id, duration, layer, volume
    a, b, c, d = (value << 16 for value in matrix)
    struct.pack_into(">9i", data, at, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(bytes(data))


def stored_pictures(
    codec: str,
    numbers: Sequence[int],
    *,
    b_frames: int = 2,
    is_packed: Callable[[int], bool] = lambda group: False,
    note: bytes = b"DivX503b1393p",
) -> list[bytes]:
    """Packets of "mpeg4" or "h264" for `write_avi`. is_packed: by group, a P-picture and the
    B-pictures behind it, whether MPEG-4's first two share a packet, as in DivX and Xvid."""
    packets = _encoded(codec, numbers, b_frames)
    if codec == "mpeg4":
        packets = _packed(packets, is_packed)
        head, code, rest = packets[0].partition(b"\0\0\1\xb6")
        packets[0] = head + b"\0\0\1\xb2" + note + b"\0" + code + rest
    return packets


def write_avi(path: Path, codec: str, packets: Iterable[bytes]) -> Path:
    with av.open(str(path), "w", format="avi") as container:
        stream: Any = container.add_stream("mpeg4" if codec == "mpeg4" else "libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number, data in enumerate(packets):
            packet: Any = av.Packet(data)
            packet.stream, packet.time_base = stream, Fraction(1, 25)
            packet.pts = packet.dts = number
            packet.is_keyframe = any(mark in data for mark in _KEY_MARKS[codec])
            container.mux(packet)
    return path


_KEY_MARKS = {
    "h264": (b"\0\0\1\x65",),
    "mpeg4": tuple(b"\0\0\1\xb6" + bytes([byte]) for byte in range(64)),
}


def _encoded(codec: str, numbers: Sequence[int], b_frames: int) -> list[bytes]:
    encoder: Any = av.CodecContext.create("mpeg4" if codec == "mpeg4" else "libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
    encoder.gop_size, encoder.max_b_frames, encoder.thread_count = 18, b_frames, 1
    encoder.options = {"qscale": "2", "flags": "+qscale"}
    if codec == "h264":
        encoder.options = x264(bframes=b_frames, b_pyramid="none")
    packets: list[bytes] = []
    for position, number in enumerate(numbers):
        frame = av.VideoFrame.from_ndarray(numbered_picture(number), format="rgb24")
        frame.pts, frame.time_base = position, encoder.time_base
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets + [bytes(packet) for packet in encoder.encode(None)]


def _packed(packets: Sequence[bytes], is_packed: Callable[[int], bool]) -> list[bytes]:
    groups: list[list[bytes]] = []
    for packet in packets:
        kind = packet[packet.index(b"\0\0\1\xb6") + 4] >> 6  # 2: a B-picture
        if kind == 2:
            groups[-1].append(packet)
        else:
            groups.append([packet])
    result: list[bytes] = []
    for number, (first, *others) in enumerate(groups):
        if others and is_packed(number):
            result += [first + others[0], *others[1:], _dummy(first)]
        else:
            result += [first, *others]
    return result


def _dummy(picture: bytes) -> bytes:
    """A P-picture of the same time that says it is not coded: what is left over of packing."""
    start = picture.index(b"\0\0\1\xb6") + 4
    bits = f"{int.from_bytes(picture[start : start + 4], 'big'):032b}"
    end = bits.index("0", 2) + 8  # whole seconds, a mark, 5 bits of 1/25 s, a mark
    text = "01" + bits[2:end] + "0"
    text += "0" + "1" * (-len(text) % 8 - 1)
    return b"\0\0\1\xb6" + int(text, 2).to_bytes(len(text) // 8, "big")
