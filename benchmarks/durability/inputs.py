"""What comes from outside and is damaged or hostile: files of every kind, and a server that lies.

A reader may refuse what it is given, by a UserError or by what its docstring names. Anything else
is a fault: a traceback, a hang, or memory without a limit.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from PIL import Image

from benchmarks.durability.saving import Result
from interaction.annotation.mask_files import encode_labels, read_mask
from interaction.command_line.config import read_files
from interaction.errors import UserError
from interaction.formats.label_studio import encode_brush
from interaction.formats.mask_set import Surroundings
from interaction.formats.recognise import recognise_masks
from interaction.formats.verify import read_list
from interaction.learning.learned import Learned, LearnedModels
from interaction.models import Model, ModelStore
from interaction.project.frame_index import index_bytes, read_index
from interaction.project.lock import Holder, read_holder
from interaction.project.project import Project
from interaction.tracking.jobs import read_jobs
from interaction.video.pictures import PictureFolderIndex
from interaction.video.video import open_video
from tests import tiny
from tests.unit.project_samples import Annotator, state, write_source
from xmem_core.weights import load_xmem, network_bytes

__all__ = ["LIES", "fuzz_binary", "fuzz_text", "hostile_files", "liar", "lying_server"]

_TOKENS: Final = (
    b"[" * 5000,
    b'{"a":' * 5000,
    b"9" * 400,
    b"-" + b"9" * 5000,
    b"1e999",
    b"NaN",
    b"-1",
    b"0",
    b"9223372036854775808",
    b"0.5",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b'""',
    b'"\\ud800"',
    b'"../../etc/passwd"',
    b'"\\u0000"',
    b'"' + b"n" * 300 + b'"',
    b"\xff\xfe",
    b"\0",
)
_VALUE: Final = re.compile(rb'"[^"\\]*"|-?[0-9][0-9.eE+-]*|true|false|null|\[[^\[\]]*\]')

# (what to do, where as a share of the length, with which token or byte)
_change = st.tuples(
    st.sampled_from(["value", "value", "value", "insert", "cut", "flip", "double", "end"]),
    st.floats(0, 1),
    st.integers(0, 255),
)
_changes = st.lists(_change, min_size=1, max_size=4)


def damaged(data: bytes, changes: list[tuple[str, float, int]]) -> bytes:
    for kind, share, number in changes:
        at = int(share * len(data))
        token = _TOKENS[number % len(_TOKENS)]
        found = _VALUE.search(data, at) if kind == "value" else None
        if found is not None:
            data = data[: found.start()] + token + data[found.end() :]
        elif kind == "insert":
            data = data[:at] + token + data[at:]
        elif kind == "cut":
            data = data[:at] + data[at + number :]
        elif kind == "double":
            data = data[:at] + data[at : at + number] * 2 + data[at + number :]
        elif kind == "end":
            data = data[:at]
        elif data:
            at = min(at, len(data) - 1)
            data = data[:at] + bytes([data[at] ^ (number or 1)]) + data[at + 1 :]
    return data


class _Target:
    """A file with sound contents, and what reads it; `read` raises UserError at most."""

    def __init__(self, path: Path, read: Callable[..., object], *given: object) -> None:
        """given: what `read` is called with."""
        self.path, self.sound, self.read = path, path.read_bytes(), partial(read, *given)


def _fuzz(targets: dict[str, _Target], count: int) -> Result:
    result = Result()
    for name, target in targets.items():
        target.read()  # what is sound is read
        _try_damages(name, target, max(1, count // len(targets)), result)
        target.path.write_bytes(target.sound)
    return result


def _try_damages(name: str, target: _Target, count: int, result: Result) -> None:
    @seed(16)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(changes=_changes)
    def one(changes: list[tuple[str, float, int]]) -> None:
        target.path.write_bytes(damaged(target.sound, changes))
        result.count("inputs")
        try:
            target.read()
        except UserError:
            result.count("refused in words")
        except Exception as error:  # noqa: BLE001  (every other kind is a fault to report)
            result.faults.append(f"{name}, {changes}: {error!r}"[:600])

    one()


def _sample_project(folder: Path) -> Path:
    place = folder / "p.vos"
    with Project.create(place, write_source(folder)) as project:
        annotator = Annotator(project)
        annotator.work(1, count=10)  # a damage then hits each part of a file often
        project.flush()
        project.save_version("first")
        annotator.work(2, count=6)
        models = LearnedModels(project.view.layout.learned)
        models.keep("tracker", Learned("small", 3), network_bytes(tiny.network(), {}))
    return place


def _read_project(place: Path) -> None:
    """All of it: masks are decoded, every step is taken back, and each version is restored."""
    with Project.open(place, read_only=True) as project:
        now = project.load_annotation()
        for frame, record in now.records.items():
            if record.mask is not None:
                now.labels(frame)
        project.view.outside_changes()
        LearnedModels(project.view.layout.learned)
        for version in project.view.versions():
            with contextlib.suppress(UserError):
                list(project.view.restoring(version, now))
        state(project)


def _write_lists(folder: Path, masks: Path, yolo: Path) -> None:
    """One list of every format that is read."""
    box = [[10.0, 10.0, 30.0, 10.0, 30.0, 30.0]]
    size = {"width": tiny.WIDTH, "height": tiny.HEIGHT}
    coco = {
        "images": [{"id": 1, "file_name": "00000.png", **size}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": box}],
        "categories": [{"id": 1, "name": "disc"}],
    }
    vis = {
        "videos": [{"id": 1, "file_names": ["clip/00000.png"], "length": 1, **size}],
        "annotations": [{"id": 1, "video_id": 1, "category_id": 1, "segmentations": [None]}],
        "categories": [{"id": 1, "name": "disc"}],
    }
    run_lengths = 'rle="0,1,3" left="1" top="1" width="2" height="2" z_order="0" group_id="1"'
    shapes = f'<mask label="disc" {run_lengths}/><polygon label="box" points="1,1;9,1;9,9"/>'
    image = f'<image id="0" name="00000.png" width="{tiny.WIDTH}" height="{tiny.HEIGHT}">'
    brush = encode_brush(tiny.labels(0) == 1)
    result = {
        "original_width": tiny.WIDTH,
        "original_height": tiny.HEIGHT,
        "value": {"format": "rle", "rle": brush, "brushlabels": ["disc"]},
        "meta": {"text": ["object 1"]},
    }
    task = {"id": 1, "data": {"image": "00000.png"}, "annotations": [{"result": [result]}]}
    objects = {"objects": [{"id": 1, "name": "disc", "color": "#ff0000"}]}
    (yolo / "labels").mkdir(parents=True)
    lines = {
        yolo / "labels" / "00000.txt": b"0 0.1 0.1 0.5 0.1 0.5 0.5\n",
        yolo / "data.yaml": b'nc: 1\nnames:\n  0: "disc"\n',
        masks / "objects.json": json.dumps(objects).encode(),
        masks / "frames.csv": b"index,file\n0,00000.png\n",
        folder / "hashes.csv": b"index,pts,sha256,look,file\n"
        + b"0,512,%s,%s,00000.png\n" % (b"0a" * 32, b"3f" * 8),
        folder / "coco.json": json.dumps(coco).encode(),
        folder / "vis.json": json.dumps(vis).encode(),
        folder / "cvat.xml": f"<annotations>{image}{shapes}</image></annotations>".encode(),
        folder / "brush.json": json.dumps([task]).encode(),
        folder / "jobs.jsonl": b'{"source": "clip", "masks": "masks", "start": 0}\n',
        folder / "jobs.csv": b"source,masks,internal-size\nclip,masks,480\nother,masks,240\n",
        folder / "options.toml": b'device = "cpu"\n[propagate]\ninternal-size = 360\n',
        folder / "note": json.dumps(asdict(Holder.this_process())).encode(),
    }
    for path, data in lines.items():
        path.write_bytes(data)


def fuzz_text(folder: Path, count: int) -> Result:
    """Damages manifests, journals, notes and lists of every format that is read."""
    place = _sample_project(folder)
    masks = folder / "masks"
    masks.mkdir()
    (masks / "00000.png").write_bytes(encode_labels(tiny.labels(0)))
    around = Surroundings(
        width=tiny.WIDTH,
        height=tiny.HEIGHT,
        names=[f"{number:05d}" for number in range(8)],
        sequence="clip",
    )
    yolo = folder / "yolo"
    _write_lists(folder, masks, yolo)

    def masks_in(path: Path) -> None:
        found = recognise_masks(path, around)
        for frame in found.sizes:
            found.read(frame)

    def importing(path: Path) -> _Target:
        return _Target(path, masks_in, path)

    def opening(path: Path) -> _Target:
        return _Target(path, _read_project, place)

    version = next((place / "versions").iterdir())
    hashes, options = folder / "hashes.csv", folder / "options.toml"
    return _fuzz(
        {
            "project.json": opening(place / "project.json"),
            "journal.jsonl": opening(place / "journal.jsonl"),
            "a version": opening(version / "project.json"),
            "a version's name": opening(version / "version.json"),
            "learned.json": opening(place / "learned" / "learned.json"),
            "project.lock": _Target(folder / "note", read_holder, folder / "note"),
            "COCO": importing(folder / "coco.json"),
            "YouTube-VIS": importing(folder / "vis.json"),
            "objects.json": _Target(masks / "objects.json", masks_in, masks),
            "frames.csv": _Target(masks / "frames.csv", masks_in, masks),
            "frames.csv with hashes": _Target(hashes, read_list, hashes),
            "CVAT": importing(folder / "cvat.xml"),
            "Label Studio": importing(folder / "brush.json"),
            **{
                name: _Target(folder / name, read_jobs, folder / name, folder)
                for name in ("jobs.jsonl", "jobs.csv")
            },
            "options.toml": _Target(options, read_files, options),
            "labels of YOLO": _Target(yolo / "labels" / "00000.txt", masks_in, yolo),
            "data.yaml": _Target(yolo / "data.yaml", masks_in, yolo),
        },
        count,
    )


def fuzz_binary(folder: Path, count: int) -> Result:
    """Damages weights, masks, the mask store, the index of frames and animated pictures."""
    place = _sample_project(folder)
    weights, published = folder / "tracker.safetensors", folder / "tracker.pth"
    weights.write_bytes(network_bytes(tiny.network(), {}))
    torch.save({"key_proj.key_proj.weight": torch.zeros(4, 4), "b": torch.ones(3)}, published)
    pictures = tuple(folder / f"{number:05d}.png" for number in range(3))
    index = folder / "frames.idx"
    index.write_bytes(index_bytes(PictureFolderIndex(folder, pictures, 8, 8), "digest"))
    mask = folder / "mask.png"
    Image.fromarray(np.eye(16, dtype=np.uint8)).save(mask)

    frames = [Image.fromarray(tiny.frame(number)) for number in range(3)]
    animated = {kind: folder / f"animated.{kind}" for kind in ("png", "webp", "gif")}
    for path in animated.values():
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=40)

    stored = sorted((place / "masks").iterdir())[0]
    return _fuzz(
        {
            "safetensors": _Target(weights, load_xmem, weights),
            "pth": _Target(published, _refuse_weights, published),
            "a mask": _Target(mask, read_mask, mask, 16, 16),
            "frames.idx": _Target(index, read_index, index, folder, "digest"),
            "masks.bin": _Target(place / "history" / "masks.bin", _read_project, place),
            "a project's mask": _Target(stored, _read_project, place),
        }
        | {f"animated {kind}": _Target(at, _watch, at) for kind, at in animated.items()},
        count,
    )


def _refuse_weights(path: Path) -> None:
    with contextlib.suppress(UserError):  # the sound one is no XMem either
        load_xmem(path)


def _watch(path: Path) -> None:
    with open_video(path) as video:
        for frame in range(len(video)):
            video[frame]


def hostile_files(folder: Path) -> dict[str, Path]:
    """Paths that people can choose or be sent, by what is wrong with them. Made where possible."""
    found: dict[str, Path] = {
        "nothing there": folder / "gone",
        "a name of 300 letters": folder / ("n" * 300 + ".json"),
        "a path with a null": folder / "a\0b.json",
        "a device": Path("/dev/zero"),
        "a link in a circle": folder / "circle.json",
        "a pipe": folder / "pipe.json",
        "a folder with pipes": folder / "pipes",
        "nesting": folder / "deep.json",
        "long numbers": folder / "long.json",
        "an empty file": folder / "empty.json",
        "a list of a million lists": folder / "many.json",
        "no text": folder / "binary.json",
        "a picture that is none": folder / "broken.png",
        "a video that is none": folder / "broken.mp4",
        "weights that are none": folder / "broken.safetensors",
        "a checkpoint that is none": folder / "broken.pth",
        "a project that is none": folder / "broken.vos",
    }
    (folder / "deep.json").write_bytes(b"[" * 100_000)
    number = b"9" * 400
    (folder / "long.json").write_bytes(
        b'{"images":[{"id":%b,"width":%b,"height":1}],"annotations":[{"id":1,"image_id":%b,'
        b'"category_id":1,"segmentation":[[1,2,3,4,5,%b]]}],"categories":[]}' % ((number,) * 4)
    )
    (folder / "empty.json").touch()
    (folder / "many.json").write_bytes(b"[" + b"[]," * 1_000_000 + b"[]]")
    noise = np.random.default_rng(16).bytes(5000)
    for name in ("binary.json", "broken.png", "broken.mp4", "broken.pth"):
        (folder / name).write_bytes(noise)
    (folder / "broken.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{" + noise)
    (folder / "broken.vos").mkdir()
    (folder / "broken.vos" / "project.json").write_bytes(b'{"format": ' + number + b"}")
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe.json")
        (folder / "pipes").mkdir()
        for name in ("a.json", "data.yaml", "0000000.png", "frames.csv"):
            os.mkfifo(folder / "pipes" / name)
    with contextlib.suppress(OSError):
        (folder / "circle.json").symlink_to(folder / "circle.json")
    return {name: path for name, path in found.items() if name != "a device" or os.name != "nt"}


_SIZE: Final = 2**21
_CONTENT: Final = bytes(range(256)) * (_SIZE // 256)


def _ok(*headers: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", *headers, b"", body])


def _on_to(address: bytes) -> bytes:
    return b"HTTP/1.1 302 Found\r\nLocation: " + address + b"\r\n\r\n"


LIES: Final[dict[str, bytes]] = {
    "no contents": b"HTTP/1.1 204 No Content\r\n\r\n",
    "an empty file": _ok(b"Content-Length: 0"),
    "half of it, as if that were all": _ok(body=_CONTENT[: _SIZE // 2]),
    "a length beyond counting": _ok(b"Content-Length: " + b"9" * 5000),
    "a length beyond the file": _ok(b"Content-Length: 99999999999"),
    "a body without an end": _ok(body=_CONTENT * 3),
    "a range beyond counting": b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes "
    + b"9" * 5000
    + b"-1/2\r\n\r\n",
    "on to no host": _on_to(b"http://"),
    "on to a bad port": _on_to(b"http://a:b:c/"),
    "on to a bad bracket": _on_to(b"http://[::1/x"),
    "on to a name too long": _on_to(b"http://" + b"a" * 300 + b".test/"),
    "on to a file": _on_to(b"file:///etc/passwd"),
    "no HTTP": b"220 mail.example ESMTP\r\n",
    "nothing": b"",
    "headers without an end": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 2000,
    "odd chunks": _ok(b"Transfer-Encoding: chunked", body=b"ZZ\r\n"),
    "a web page": _ok(b"Content-Type: text/html", body=b"<html>"),
}


@contextmanager
def liar(answer: bytes) -> Iterator[str]:
    """Gives the address of a server that sends the same bytes whatever it is asked for."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    connection.recv(65536)
                    connection.sendall(answer)
                    connection.shutdown(socket.SHUT_WR)
                    connection.settimeout(5)
                    while connection.recv(65536):
                        pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/big.pth"
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
    thread.join()


def lying_server(folder: Path, rounds: int = 1) -> Result:
    """Asks a server that lies for a model; nothing of it is believed, and little is kept."""
    result = Result()
    for number in range(rounds):
        for lie, answer in LIES.items():
            place = folder / f"{number}-{len(result.faults)}"
            with liar(answer) as address:
                model = Model(
                    "Big", "big.pth", "tracker", address, size_bytes=None, parameters=None,
                    licence="", sha256=None, md5=None, entries=None, description="",
                    numbers=_SIZE // 4,
                )  # fmt: skip
                store = ModelStore((model,), place, place)
                result.count("answers")
                try:
                    for _ in store.download("Big"):
                        pass
                except UserError:
                    result.count("refused in words")
                except Exception as error:  # noqa: BLE001  (every other kind is a fault to report)
                    result.faults.append(f"{lie}: {error!r}")
                else:
                    result.faults.append(f"{lie}: it was believed")
                kept = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
                if kept > model.possible_bytes[1] + 1000:
                    result.faults.append(f"{lie}: {kept} bytes were kept")
            shutil.rmtree(place, ignore_errors=True)
    return result
