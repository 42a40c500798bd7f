"""Nothing is lost and nothing gets in: the proofs of `benchmarks/durability`, a hundredth of each,
and each fault that was found, by itself."""

import ast
import base64
import contextlib
import io
import json
import os
import re
import shutil
import stat
import struct
import subprocess
import sys
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.durability import inputs, saving
from benchmarks.durability.disk import watched
from interaction import files
from interaction.annotation.mask_files import decode_labels, encode_labels
from interaction.command_line.app import main
from interaction.engines import EngineSettings
from interaction.errors import DamagedProjectError, ProjectError, UnreadableVideoError, UserError
from interaction.evaluation.datasets import Kind, find_dataset
from interaction.evaluation.runs import DatasetRun, run_dataset
from interaction.files import (
    hidden_folder,
    is_file,
    parse_json,
    plain_folder,
    read_regular,
    remove_leftovers,
    write_bytes,
    write_plain,
)
from interaction.formats import cvat
from interaction.formats.mask_set import Surroundings
from interaction.formats.recognise import recognise_masks
from interaction.project import writer
from interaction.project.layout import ProjectLayout
from interaction.project.manifest import describe_source
from interaction.project.project import Project
from interaction.project.workspace import workspace_project
from interaction.tracking.batch import BatchSettings, ResultFolder, run_batch
from interaction.tracking.jobs import read_jobs
from interaction.tracking.unfinished import write_unfinished
from interaction.video.video import open_video
from tests import tiny
from tests.frames import write_video
from tests.unit.project_samples import Annotator, state, state_of, write_source
from xmem_core.weights import UnusableWeightsError, load_xmem, network_bytes, read_tensors

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(os.name == "nt", reason="needs folders that are held open")
@pytest.mark.parametrize(
    ("proof", "count"),
    [
        pytest.param(saving.power_cuts, 8, id="power cuts"),
        pytest.param(saving.failing_calls, 6, id="failing calls"),
        pytest.param(saving.full_disk, 2, id="full disk"),
        pytest.param(saving.kills, 2, id="kills"),
        pytest.param(saving.two_programs, 2, id="two programs"),
        pytest.param(inputs.fuzz_text, 200, id="damaged text"),
        pytest.param(inputs.fuzz_binary, 50, id="damaged bytes"),
    ],
)
def test_a_hundredth_of_the_proofs(
    tmp_path: Path, proof: Callable[[Path, int], saving.Result], count: int
) -> None:
    assert proof(tmp_path, count).faults == []


@pytest.mark.skipif(os.name == "nt", reason="needs folders that are held open")
def test_a_power_cut_that_loses_something_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_force", lambda _: None)
    assert saving.power_cuts(tmp_path, 3, step=5).faults


# Saving


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "bear.vos"
    Project.create(folder, write_source(tmp_path)).close()
    return folder


def test_saving_goes_on_after_an_error_of_any_kind(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "RETRY_S", 0.001)
    errors: list[BaseException] = [MemoryError(), KeyError("bug"), RecursionError()]
    problems: list[UserError] = []
    recovered = threading.Event()

    def fail(name: str, number: int) -> None:
        if errors:
            raise errors.pop()

    def tell(problem: UserError) -> None:
        problems.append(problem)
        raise ValueError("the window has a bug")

    with Project.open(folder) as project:
        project.on_problem, project.on_recovery = tell, recovered.set
        annotator = Annotator(project)
        with watched(folder, fail):
            annotator.work(1, count=5)
            assert recovered.wait(30)
        assert "What was saved before is untouched" in str(problems[0])
        annotator.work(2, count=5)
        expected = state_of(annotator)
    with Project.open(folder) as project:
        assert state(project) == expected


def test_leftovers_of_killed_processes_are_removed_and_those_of_living_ones_stay(
    folder: Path,
) -> None:
    layout = ProjectLayout(folder)
    left: list[Path] = []
    for number, place in enumerate(layout.folders):
        place.mkdir(exist_ok=True)
        left.append(place / f".{number:032x}.partial")
        left[-1].write_bytes(b"half")
        left.append(place / f".{number:031x}f.partial")
        (left[-1] / "masks").mkdir(parents=True)
    kept = folder / ".notes.partial"
    kept.write_bytes(b"not ours")
    Project.open(folder).close()
    assert [path for path in left if path.exists()] == []
    assert kept.exists()
    if os.name != "nt":
        with hidden_folder(folder / "export") as living:
            remove_leftovers(folder)
            assert living.is_dir()
    assert not living.exists()


def test_a_version_with_a_mask_of_no_size_is_not_restored(folder: Path) -> None:
    with Project.open(folder) as project:
        annotator = Annotator(project)
        annotator.add_object("bear")
        annotator.click(1, 1, 1)
        version = project.save_version("first")
        path = version.folder / "project.json"
        sound = json.loads(path.read_text())
        others = {
            "no size": [0, 0, 0],
            "beside the store": [10**9, 100, 1],
            "a shorter one": [sound["frames"]["1"]["mask"][0], 1, 1],
        }
        for mask in others.values():
            changed = json.loads(path.read_text())
            changed["frames"]["1"]["mask"] = mask
            write_plain(path, json.dumps(changed).encode())
            with pytest.raises(DamagedProjectError):
                project.view.restoring(version, annotator.annotation)
        for key, value in (("width", 1), ("frames", 3)):
            write_plain(
                path, json.dumps({**sound, "source": sound["source"] | {key: value}}).encode()
            )
            with pytest.raises(DamagedProjectError):
                project.view.restoring(version, annotator.annotation)
        write_plain(path, json.dumps({**sound, "objects": []}).encode())
        with pytest.raises(DamagedProjectError, match="not in the list"):
            project.view.restoring(version, annotator.annotation)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_no_project_is_made_through_a_link_in_a_workspace(tmp_path: Path) -> None:
    elsewhere, workspace = tmp_path / "elsewhere", tmp_path / "bear"
    elsewhere.mkdir()
    workspace.mkdir()
    (workspace / "bear.vos").symlink_to(elsewhere)
    with pytest.raises(ProjectError, match="link"):
        workspace_project(workspace)


# What is read


@pytest.fixture
def hostile(tmp_path: Path) -> dict[str, Path]:
    return inputs.hostile_files(tmp_path)


_NO_SOURCES = {"nothing there", "a name of 300 letters", "a path with a null", "a device", "a pipe"}


def test_every_reader_refuses_what_is_no_file_of_its_kind_in_words(
    hostile: dict[str, Path],
) -> None:
    around = Surroundings(names=["0000000", "0000001"], width=8, height=8, sequence="clip")
    readers: dict[str, Callable[[Path], object]] = {
        "masks": lambda path: recognise_masks(path, around),
        "video": open_video,
        "source": lambda path: describe_source(path, 1, 8, 8),
        "project": Project.open,
        "weights": load_xmem,
    }
    for name, read in readers.items():
        for what, path in hostile.items():
            if name == "source" and what not in _NO_SOURCES:
                continue  # any file can be described, to be recognised
            with pytest.raises(UserError):
                pytest.fail(f"{name} took {what}: {read(path)}")


@pytest.mark.parametrize("command", ["info", "export", "replay", "click", "propagate", "import"])
def test_every_command_refuses_them_in_words(
    command: str, hostile: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = {
        "export": ["masks", str(tmp_path / "out")],
        "click": ["--at", "1,1"],
        "propagate": [str(tmp_path / "gone"), str(tmp_path / "out")],
        "import": [str(tmp_path / "gone")],
    }
    for what in ("a name of 300 letters", "a path with a null", "a pipe", "a project that is none"):
        with pytest.raises(SystemExit) as ended:
            main([command, str(hostile[what]), *more.get(command, [])])
        assert ended.value.code in {1, 2}, what
        assert "Traceback" not in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="needs another user to become")
def test_a_folder_that_may_not_be_entered_is_refused_in_words(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    locked = tmp_path / "locked"
    (locked / "p.vos").mkdir(parents=True)
    locked.chmod(0)
    program = (
        "import contextlib, os, sys\n"
        "from interaction.command_line.app import main\n"
        "with contextlib.suppress(SystemExit):\n"
        "    main(['info', 'gone'])\n"  # so that nothing is left to import
        "os.setgid(65534); os.setuid(65534)\n"
        f"main(['info', {str(locked / 'p.vos')!r}])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr


def test_a_source_that_is_cut_while_it_is_open_is_read_again_when_it_is_restored(
    tmp_path: Path,
) -> None:
    path = write_video(tmp_path / "clip.mp4", 30, 64, 48)
    whole = path.read_bytes()
    with open_video(path, cache_bytes=0) as video:
        first = np.array(video[0])
        for attempt in range(2):
            path.write_bytes(whole[: len(whole) // 3])
            for frame in (29, 20, 29):
                with pytest.raises(UnreadableVideoError, match="cut or overwritten"):
                    video[frame]
            path.write_bytes(whole)
            assert np.array_equal(video[0], first), attempt
            assert video[29].shape == first.shape


def test_json_from_outside_has_limits() -> None:
    for text in (
        b"[" * 100_000,
        b"9" * 400,
        b"[1e999]",
        b"[NaN]",
        b"\xff",
        b"[" + b"[]," * 20_000_000 + b"[]]",
        b"",
    ):
        with pytest.raises(ValueError, match="it "):
            parse_json(text)
    with pytest.raises(ValueError, match="more values"):
        parse_json(b"[[],[]]", most_memory_bytes=100)
    for text in (b"18446744073709551615", b'"12345678901234567890"', b"-9223372036854775808"):
        assert parse_json(text) == json.loads(text)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_a_size_is_read_and_not_believed(tmp_path: Path) -> None:
    status = Path("/proc/self/status")
    assert status.stat().st_size == 0
    assert read_regular(status)
    with pytest.raises(OSError, match="too large"):
        read_regular(status, 10)
    with pytest.raises(OSError, match="not a file"):
        read_regular(Path("/dev/zero"))


def _safetensors(header: dict[str, object], data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def _checkpoint(value: object) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def _inflating() -> bytes:
    """A checkpoint of 64 KB that inflates to 64 MiB."""
    sound = zipfile.ZipFile(io.BytesIO(_checkpoint({"a": torch.zeros(4)})))
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for entry in sound.namelist():
            with archive.open(entry, "w", force_zip64=True) as file:
                if entry.endswith("data/0"):
                    for _ in range(2**6):
                        file.write(bytes(2**20))
                else:
                    file.write(sound.read(entry))
    return bomb.getvalue()


_FORMAT = "xmem-annotate network 1"
_WEIGHTS: dict[str, Callable[[], bytes]] = {
    "a deep configuration": lambda: _safetensors(
        {"__metadata__": {"format": _FORMAT, "config": "[" * 100_000}}
    ),
    "a list as configuration": lambda: _safetensors(
        {"__metadata__": {"format": _FORMAT, "config": "[1]"}}
    ),
    "a number of 400 digits": lambda: _safetensors(
        {"__metadata__": {"format": _FORMAT, "config": '{"key_channels": %s}' % ("9" * 400)}}
    ),
    "a layer of 2 billion": lambda: _safetensors(
        {"__metadata__": {"format": _FORMAT, "config": '{"key_channels": 2000000000}'}}
    ),
    "a kind of number that is none": lambda: _safetensors(
        {"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}, b"1234"
    ),
    "an archive that inflates": _inflating,
    "one number for a billion": lambda: _checkpoint({"a": torch.zeros(1).expand(2**29)}),
    "many names of one number": lambda: _checkpoint(
        {f"a{n}": one for n, one in enumerate([torch.zeros(2**20)] * 300)}
    ),
}


@pytest.mark.parametrize("kind", list(_WEIGHTS))
def test_weights_that_are_damaged_or_enormous_are_refused_in_words(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "an archive that inflates":  # to more than the limit, which takes a minute to make
        monkeypatch.setattr("xmem_core.weights.MOST_WEIGHTS_BYTES", 2**25)
    path = tmp_path / "weights.pth"
    path.write_bytes(_WEIGHTS[kind]())
    with pytest.raises(UnusableWeightsError):
        load_xmem(path)


def test_sound_weights_are_within_the_limits(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    path.write_bytes(network_bytes(tiny.network(), {}))
    assert load_xmem(path).config == tiny.TINY
    shutil.copy(path, tmp_path / "copy.safetensors")


# The source itself


_UNSAFE = {"pickle.load", "pickle.loads", "pickle.Unpickler", "torch.jit.load", "marshal.loads"}


def test_checkpoints_are_never_loaded_in_a_way_that_runs_code() -> None:
    count = 0
    for room in ("gui", "interaction", "xmem_core", "training", "benchmarks", "resources"):
        for path in sorted((ROOT / room).rglob("*.py")):
            source = path.read_text("utf-8")
            if not any(word in source for word in (".load(", "loads(", "Unpickler")):
                continue
            for node in ast.walk(ast.parse(source)):
                if not isinstance(node, ast.Call):
                    continue
                name, place = ast.unparse(node.func), f"{path}:{node.lineno}"
                given = {one.arg: ast.unparse(one.value) for one in node.keywords}
                assert name not in _UNSAFE, place
                if name == "torch.load":
                    count += 1
                    assert given.get("weights_only") == "True", place
                elif name in {"np.load", "numpy.load"}:
                    assert "allow_pickle" not in given, place
    assert count


def test_one_module_writes_beside_and_renames() -> None:
    """Training writes to folders of its own; a download goes on with its partial file."""
    for room in ("gui", "interaction", "xmem_core"):
        for path in sorted((ROOT / room).rglob("*.py")):
            if path.name not in {"files.py", "models.py"}:
                assert '.partial"' not in path.read_text("utf-8"), path


# The command line, data sets and results


@pytest.fixture
def quick_model(tmp_path: Path) -> Iterator[Path]:
    """A file with a network that takes little time; only the test's own process can read it."""
    with tiny.quick_files():
        path = tmp_path / "tiny.safetensors"
        path.write_bytes(network_bytes(tiny.network(is_quick=True), {}))
        yield path


def _run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


_ODD_TOML = {
    "nesting": b"a = " + b"[" * 100_000,
    "nested tables": b"a = " + b"{a=" * 20_000,
    "a long number": b"size = " + b"9" * 5000,
    "a command that is no table": b"propagate = 3",
    "no text": b"\xff\xfe",
    "too much": b"#" * 2**21,
}


@pytest.mark.parametrize("what", [*_ODD_TOML, "a device", "a pipe", "a name of 300 letters"])
def test_a_file_of_options_may_be_anything(
    what: str, hostile: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = hostile.get(what, tmp_path / "options.toml")
    if what in _ODD_TOML:
        path.write_bytes(_ODD_TOML[what])
    assert _run("--config", path, "config") == 1
    assert _run("--config", path, "config", "propagate") == 1
    assert len(capsys.readouterr().err.splitlines()) < 10


_ODD_JOBS = {
    "nesting": b'{"source":' + b"[" * 100_000,
    "a long number": b'{"source": ' + b"9" * 5000 + b"}",
    "no number": b'{"source": NaN}',
    "a long value": b"source,masks\n" + b"a" * 200_000 + b",b",
    "a long header": b"source," + b"a" * 200_000 + b"\n",
    "no text": b"\xff",
    "no job": b"source\n",
}


@pytest.mark.parametrize("what", [*_ODD_JOBS, "a device", "a pipe", "a name of 300 letters"])
def test_a_list_of_jobs_may_be_anything(
    what: str, hostile: dict[str, Path], tmp_path: Path
) -> None:
    path = hostile.get(what, tmp_path / "jobs.csv")
    if what in _ODD_JOBS:
        path.write_bytes(_ODD_JOBS[what])
    with pytest.raises(UserError):
        read_jobs(path, tmp_path / "out")


def test_a_job_that_cannot_be_done_is_reported_in_words_and_stops_no_other(
    hostile: dict[str, Path], quick_model: Path, tmp_path: Path
) -> None:
    tiny.write_clip(tmp_path / "clip", 2)
    (tmp_path / "clip-masks").mkdir()
    (tmp_path / "clip-masks" / "0000000.png").write_bytes(encode_labels(tiny.labels(0)))
    sound = {
        "source": "clip",
        "masks": "clip-masks",
        "model": str(quick_model),
        "internal-size": 32,
        "device": "cpu",
    }
    rows: list[dict[str, object]] = [{**sound, "output": "done"}]
    for number, (what, path) in enumerate(hostile.items()):
        rows.append({**sound, "source": str(path), "output": f"source-{number}"})
        rows.append({**sound, "masks": str(path), "output": f"masks-{number}"})
        rows.append({**sound, "model": str(path), "output": f"model-{number}"})
        if what in {"a device", "a pipe", "a link in a circle", "a name of 300 letters"}:
            rows.append({**sound, "output": str(path)})
    for name in ("internal-size", "start", "end", "memory-every", "top-k", "num-prototypes"):
        for value in (-(2**63), 1e308, "9" * 400, [1], {"a": 1}):
            rows.append({**sound, name: value, "output": f"{name}-{len(rows)}"})
    (tmp_path / "jobs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert _run("batch", tmp_path / "jobs.jsonl", "--report", tmp_path / "report.json") == 3
    report = json.loads((tmp_path / "report.json").read_bytes())
    assert len(report) == len(rows)
    assert report[0]["status"] == "done"
    assert not [one for one in report if re.match(r"\w+Error: ", one["error"] or "")]
    assert not is_file(Path("/dev/zero"))


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_results_are_not_written_through_links(tmp_path: Path) -> None:
    outside, chosen = tmp_path / "outside", tmp_path / "chosen"
    outside.write_text("kept")
    (tmp_path / "real").mkdir()
    chosen.symlink_to(tmp_path / "real")  # this one was chosen, and is followed
    for name in ("0000000.png", "0000000.npz", "report.json", "unfinished.safetensors"):
        (tmp_path / "real" / name).symlink_to(outside)
    results = ResultFolder(chosen)
    results.prepare(["0000000"], resumes=False, overwrites=True)
    results.write_mask("0000000", tiny.labels(0))
    results.write_probabilities("0000000", np.zeros((2, 4, 4), np.float16), (1,))
    results.write_report({"frames": 1})
    assert outside.read_text() == "kept"
    assert not (tmp_path / "real" / "unfinished.safetensors").is_symlink()
    assert decode_labels((tmp_path / "real" / "0000000.png").read_bytes()).shape == (48, 60)

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "real" / "masks").symlink_to(elsewhere)
    for names in (("masks", "clip"), ("..", "out"), ("a/b",), ("a\0b",), ("n" * 300,)):
        with pytest.raises(UserError):
            plain_folder(chosen, *names)
    assert list(elsewhere.iterdir()) == []
    assert plain_folder(chosen, "clips", "bear").is_dir()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_or_a_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path / "link", tmp_path):
        with pytest.raises(UserError, match="pipe"):
            write_bytes(path, b"")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_an_evaluation_goes_on_where_its_files_are_anything(
    hostile: dict[str, Path], quick_model: Path, tmp_path: Path
) -> None:
    root = tmp_path / "set"
    tiny.write_clip(root / "JPEGImages" / "clip", 2)
    masks = root / "Annotations" / "clip"
    masks.mkdir(parents=True)
    (masks / "00000.png").write_bytes(encode_labels(tiny.labels(0)))
    dataset = find_dataset("folder", root)
    engine = EngineSettings(tracker_model=str(quick_model), internal_size=32)
    run = DatasetRun(dataset=dataset, output=tmp_path / "out", engine=engine, sizes=(32,))
    assert [one.error for one in run_dataset(run)] == [None]
    sound = run.outcome("clip").read_bytes()
    del hostile["a path with a null"]  # no link leads there
    for what, path in hostile.items():
        run.outcome("clip").unlink()
        run.outcome("clip").symlink_to(path)
        assert [one.error for one in run_dataset(run)] == [None], what
        assert run.outcome("clip").is_file()
        assert not run.outcome("clip").is_symlink()
        (run.output / "settings.json").unlink()
        (run.output / "settings.json").symlink_to(path)
        with pytest.raises(UserError, match="another"):
            list(run_dataset(run))
        (run.output / "settings.json").unlink()
        list(run_dataset(run))
    for odd in (b"[" * 100_000, b"[]", b'{"score": null}', sound.replace(b'"clip"', b'"other"')):
        run.outcome("clip").write_bytes(odd)
        assert [one.name for one in run_dataset(run)] == ["clip"]


@pytest.mark.parametrize("kind", ["davis17", "ytvos19", "lvos"])
def test_lists_of_a_data_set_may_be_anything(
    kind: Kind, hostile: dict[str, Path], tmp_path: Path
) -> None:
    root = tmp_path / "set"
    base = root / ("valid" if kind == "ytvos19" else "")
    pictures = base / "JPEGImages" / ("480p" if kind == "davis17" else "") / "clip"
    tiny.write_clip(pictures, 1)
    annotations = base / "Annotations" / ("480p" if kind == "davis17" else "") / "clip"
    annotations.mkdir(parents=True)
    listed = {
        "davis17": root / "ImageSets" / "2017" / "val.txt",
        "ytvos19": base / "meta.json",
        "lvos": base / "unseen_videos.txt",
    }[kind]
    listed.parent.mkdir(parents=True, exist_ok=True)
    del hostile["a path with a null"]  # no link leads there
    for what, path in hostile.items():
        listed.unlink(missing_ok=True)
        listed.symlink_to(path)
        with contextlib.suppress(UserError):
            assert find_dataset(kind, root).clips, what


def test_an_interrupted_propagation_whose_checksum_is_right_may_still_be_anything(
    quick_model: Path, tmp_path: Path
) -> None:
    tiny.write_clip(tmp_path / "clip", 6)
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "0000000.png").write_bytes(encode_labels(tiny.labels(0)))
    settings = BatchSettings(
        source=tmp_path / "clip",
        masks=tmp_path / "masks",
        output=tmp_path / "out",
        engine=EngineSettings(tracker_model=str(quick_model), device="cpu", internal_size=32),
        resumes=True,
    )
    steps = run_batch(replace(settings, resumes=False), lambda: False)
    while next(steps).done < 3:
        pass
    steps.close()
    path = tmp_path / "out" / "unfinished.safetensors"
    sound = path.read_bytes()
    header, state = read_tensors(path)
    header.pop("checksum")
    some = next(n for n in state if n.startswith("tracker.") and state[n].ndim > 1)
    about = json.loads(header["run"])
    changes: list[dict[str, object]] = [
        {"at": [-1, None, 0, 0, 0]},
        {"at": ["a", [], 0, 0, 0]},
        {"tally": {"seconds": "many"}},
        {"made_with": []},
    ]
    odd: list[tuple[dict[str, str], dict[str, torch.Tensor]]] = [
        *(({"run": json.dumps({**about, **one})}, state) for one in changes),
        ({"run": "[" * 100_000}, state),
        (header, {}),
        (header, {**state, some: state[some][..., :1].clone()}),
        (header, {**state, "tracker.since_memory": torch.zeros(3)}),
        (header, {**state, "tracker.hidden.x": torch.zeros(3)}),
    ]
    for meta, tensors in odd:
        write_unfinished(path, meta, tensors)
        with pytest.raises(UserError, match="cannot be read"):
            for _ in run_batch(settings, lambda: False):
                pass
    path.write_bytes(sound)
    for _ in run_batch(settings, lambda: False):
        pass
    assert not path.exists()


# What annotation programs write


def _cvat(inner: str, before: str = "", width: object = 16, height: object = 16) -> bytes:
    image = f'<image id="0" name="00000.png" width="{width}" height="{height}">{inner}</image>'
    return f'<?xml version="1.0"?>{before}<annotations>{image}</annotations>'.encode()


def _cvat_mask(rle: str = "0,1", **changed: object) -> str:
    values = {"left": 0, "top": 0, "width": 1, "height": 1, "group_id": 1} | changed
    attributes = " ".join(f'{name}="{value}"' for name, value in values.items())
    return f'<mask label="a" rle="{rle}" {attributes}/>'


def _brush(value: object, **more: object) -> bytes:
    size = {"original_width": 16, "original_height": 16}
    result = {**size, "value": value, **more}
    return json.dumps(
        [{"data": {"image": "00000.png"}, "annotations": [{"result": [result]}]}]
    ).encode()


def _labelme(**shape: object) -> bytes:
    about = {"imagePath": "00000.png", "imageWidth": 16, "imageHeight": 16}
    return json.dumps({**about, "shapes": [{"label": "a", **shape}]}).encode()


def _png_header(width: int, height: int) -> str:
    """A PNG picture that claims to be of this size."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", b"")]
    chunks = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    ]
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(chunks)).decode()


_ENTITIES = "<!DOCTYPE a [<!ENTITY b 'bbbbbbbbbb'><!ENTITY c '" + "&b;" * 10 + "'>]>"
_ODD_LISTS: dict[str, tuple[str, bytes]] = {
    "entities": ("a.xml", _cvat("&c;", _ENTITIES)),
    "an outer entity": (
        "a.xml",
        _cvat("&b;", "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>"),
    ),
    "entities in UTF-16": ("a.xml", _cvat("&c;", _ENTITIES).decode().encode("utf-16")),
    "a side below 0": ("a.xml", _cvat(_cvat_mask("4", width=-2, height=-2))),
    "a run of 400 digits": ("a.xml", _cvat(_cvat_mask("0," + "9" * 400))),
    "a side of 400 digits": ("a.xml", _cvat(_cvat_mask(width="9" * 400, height="9" * 400))),
    "a number of 5000 digits": ("a.xml", _cvat(_cvat_mask(left="9" * 5000))),
    "a picture of 400 digits": ("a.xml", _cvat(_cvat_mask(), width="9" * 400)),
    "an enormous picture": ("a.xml", _cvat(_cvat_mask(), width=10**5, height=10**5)),
    "a polygon that is no number": ("a.xml", _cvat('<polygon label="a" points="nan,1;2,2;3,3"/>')),
    "a brush that is cut": ("b.json", _brush({"format": "rle", "rle": [0, 0, 4]})),
    "a brush that is no list": ("b.json", _brush({"format": "rle", "rle": "abcd"})),
    "a brush that is a number": ("b.json", _brush({"format": "rle", "rle": 10**18})),
    "points of three numbers": ("b.json", _brush({"points": [[1, 2, 3]] * 4})),
    "points that are no pairs": ("b.json", _brush({"points": [1, 2, 3, 4, 5, 6]})),
    "a size that is no number": ("b.json", _brush({"points": [[1, 1]] * 3}, original_width="a")),
    "a size that is not whole": ("b.json", _brush({"points": [[1, 1]] * 3}, original_width=1.5)),
    "a size that is true": ("b.json", _brush({"points": [[1, 1]] * 3}, original_width=True)),
    "results that are none": ("b.json", _brush(5)),
    "a bitmap that claims to be enormous": (
        "c.json",
        _labelme(points=[[0, 0]], shape_type="mask", mask=_png_header(50_000, 50_000)),
    ),
    "a bitmap that is none": ("c.json", _labelme(points=[[0, 0]], shape_type="mask", mask="AAAA")),
}


@pytest.mark.parametrize("what", list(_ODD_LISTS))
def test_a_list_of_shapes_that_makes_no_sense_is_refused_in_words(
    what: str, tmp_path: Path
) -> None:
    name, data = _ODD_LISTS[what]
    name = name if name != "c.json" else "00000.json"
    (tmp_path / name).write_bytes(data)
    around = Surroundings(names=["00000"], width=16, height=16, sequence="clip")

    def read() -> None:
        masks = recognise_masks(tmp_path / name, around)
        for frame in masks.sizes:
            masks.read(frame)

    with pytest.raises(UserError):
        read()


def test_xml_of_more_elements_than_fit_into_memory_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cvat, "_MOST_MEMORY_BYTES", 2**20)
    (tmp_path / "a.xml").write_bytes(_cvat("<a/>" * 20_000))
    around = Surroundings(names=["00000"], width=16, height=16, sequence="clip")
    with pytest.raises(UserError, match="more elements"):
        recognise_masks(tmp_path / "a.xml", around)


# The source itself, again: which calls read what comes from outside


_READS = {"json.loads", "json.load", "tomllib.loads", "tomllib.load", "pickle.load", "eval"}
_OWN = {  # by module, what it reads so: files of the program itself, or text that was checked
    "interaction/files.py": "parse_json is built on it",
    "interaction/models.py": "the list of models",
    "interaction/command_line/config.py": "TOML, with its size and depth checked",
    "interaction/formats/yolo.py": "one quoted name",
    "xmem_core/device.py": "what the system says of its memory",
    "xmem_core/weights.py": "a header; everything that it raises is caught",
    "gui/theme.py": "icons of the program",
    "gui/dialogs/about.py": "licences of the program",
}


def test_what_comes_from_outside_is_read_with_limits() -> None:
    """By `read_regular`, `read_plain` and `parse_json`: regular files, sizes, depth, numbers."""
    last_words = {"read_text", "read_bytes", *(name.rpartition(".")[2] for name in _READS)}
    found = set()
    for room in ("gui", "interaction", "xmem_core"):
        for path in sorted((ROOT / room).rglob("*.py")):
            source = path.read_text("utf-8")
            if not any(f"{word}(" in source for word in last_words):
                continue
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.Call):
                    last_word = getattr(node.func, "attr", getattr(node.func, "id", None))
                    if last_word not in last_words:
                        continue  # names are put together slowly
                    name = ast.unparse(node.func)
                    is_read = name in _READS or name.endswith((".read_text", ".read_bytes"))
                    if is_read:
                        found.add(path.relative_to(ROOT).as_posix())
    assert found == set(_OWN)
