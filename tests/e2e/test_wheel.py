"""The wheel holds all that the program needs, and its command works without the repository."""

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
PACKAGES = ("gui", "interaction", "xmem_core", "resources")
TIMEOUT_S = 3600
SCRIPTS = "Scripts" if os.name == "nt" else "bin"
# Each fetches all that the program needs: XMEM_ANNOTATE_INSTALLS="pip uv pipx"
INSTALLS = os.environ.get("XMEM_ANNOTATE_INSTALLS", "").split()


def run(
    *line: str | Path, cwd: Path, path: Path | None = None, more: Mapping[str, str] | None = None
) -> str:
    environment = {**os.environ, "PYTHONPATH": "" if path is None else str(path), "PYTHONUTF8": "1"}
    environment |= more or {}
    done = subprocess.run(
        [str(one) for one in line],
        cwd=cwd,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: a build folder left in the repository could add modules that are gone."""
    folder = tmp_path_factory.mktemp("wheel")
    for package in PACKAGES:
        leave = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / "copy" / package, ignore=leave)
    for name in ("interactive_demo.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "copy")
    build = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation")
    run(*build, "--no-index", "-q", "-w", folder, folder / "copy", cwd=folder)
    [wheel] = folder.glob("*.whl")
    return wheel


def test_the_wheel_holds_every_module_and_every_resource(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    wanted = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted | {"interactive_demo.py"} <= names
    rest = {name for name in names - wanted if ".dist-info/" not in name}
    assert rest == {"interactive_demo.py"}


def test_its_command_works_away_from_the_repository(wheel: Path, tmp_path: Path) -> None:
    place = tmp_path / "site"
    pip = (sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "-q")
    run(*pip, "--target", place, wheel, cwd=tmp_path)
    [command] = [path for path in (place / "bin").iterdir() if path.stem == "xmem-annotate"]
    program = (sys.executable, command)
    models = json.loads(run(*program, "models", "list", "--json", cwd=tmp_path, path=place))
    assert all(Path(one["path"]).is_relative_to(place) for one in models if one["address"] is None)
    line = ("propagate", "sample", "--output", "masks", "--end", "1", "--internal-size", "64")
    report = run(*program, *line, "--json", cwd=tmp_path, path=place)
    assert json.loads(report)["frames"] == 2
    loaded = run(
        sys.executable,
        "-c",
        "import gui.window.app, interactive_demo, sys\n"
        f"own = [m for n, m in sys.modules.items() if n.split('.')[0] in {PACKAGES}]\n"
        "print('\\n'.join(m.__file__ for m in own if m.__file__))",
        cwd=tmp_path,
        path=place,
    )
    assert all(Path(file).is_relative_to(place) for file in loaded.splitlines())


@pytest.mark.parametrize("way", ["pip", "uv", "pipx"])
def test_it_works_in_an_environment_of_its_own(way: str, wheel: Path, tmp_path: Path) -> None:
    if way not in INSTALLS:
        pytest.skip('on demand, slow: XMEM_ANNOTATE_INSTALLS="pip uv pipx"')
    if way == "pip":
        venv.create(tmp_path / "empty", with_pip=True)
        folder = tmp_path / "empty" / SCRIPTS
        run(folder / "python", "-m", "pip", "install", "-q", wheel, cwd=tmp_path)
    else:
        folder = tmp_path / "bin"
        places = {"UV_TOOL_DIR": "tools", "PIPX_HOME": "tools"}
        places |= {"UV_TOOL_BIN_DIR": "bin", "PIPX_BIN_DIR": "bin"}
        places = {name: str(tmp_path / place) for name, place in places.items()}
        tool = ("uv", "tool") if way == "uv" else ("pipx",)
        run(*tool, "install", "--python", sys.executable, wheel, cwd=tmp_path, more=places)
    [program] = [path for path in folder.iterdir() if path.stem == "xmem-annotate"]
    line = ("propagate", "sample", "--output", "masks", "--end", "1", "--internal-size", "64")
    assert json.loads(run(program, *line, "--json", cwd=tmp_path))["frames"] == 2
    trial = ("doctor", "--window", "--no-speed-test", "--json")
    found = json.loads(run(program, *trial, cwd=tmp_path, more={"QT_QPA_PLATFORM": "offscreen"}))
    assert ["3 frames tracked" in one["text"] for one in found if one["topic"] == "trial"] == [True]
