"""Nothing is lost and nothing gets in: the proofs of `benchmarks/durability`, a hundredth of each,
and each fault that was found, by itself."""

import ast
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.durability import inputs, saving
from benchmarks.durability.disk import watched
from interaction import files
from interaction.command_line.app import main
from interaction.errors import DamagedProjectError, ProjectError, UnreadableVideoError, UserError
from interaction.files import hidden_folder, parse_json, read_regular, remove_leftovers, write_plain
from interaction.formats.mask_set import Surroundings
from interaction.formats.recognise import recognise_masks
from interaction.project import writer
from interaction.project.layout import ProjectLayout
from interaction.project.manifest import describe_source
from interaction.project.project import Project
from interaction.project.workspace import workspace_project
from interaction.video.video import open_video
from tests import tiny
from tests.frames import write_video
from tests.unit.project_samples import Annotator, state, state_of, write_source
from xmem_core.weights import UnusableWeightsError, load_xmem, network_bytes

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
    told: list[UserError] = []
    recovered = threading.Event()

    def fail(name: str, number: int) -> None:
        if errors:
            raise errors.pop()

    def tell(problem: UserError) -> None:
        told.append(problem)
        raise ValueError("the window has a bug")

    with Project.open(folder) as project:
        project.on_problem, project.on_recovery = tell, recovered.set
        annotator = Annotator(project)
        with watched(folder, fail):
            annotator.work(1, count=5)
            assert recovered.wait(30)
        assert "What was saved before is untouched" in str(told[0])
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
        "import os, sys\n"
        "from interaction.command_line.app import main\n"
        "import interaction.session, interaction.command_line.info\n"
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
                assert ".partial" not in path.read_text("utf-8"), path
