"""The wheel holds all that the program needs, and its command works without the repository."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
PACKAGES = ("gui", "interaction", "xmem_core", "resources")
TIMEOUT_S = 600


def run(*line: str | Path, cwd: Path, path: Path | None = None) -> str:
    environment = {**os.environ, "PYTHONPATH": "" if path is None else str(path), "PYTHONUTF8": "1"}
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
