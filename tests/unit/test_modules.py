"""The rooms of the program: small, explained, and quick to enter."""

import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("gui", "interaction", "xmem_core", "resources", "training", "benchmarks")
MODULES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_the_packages_are_there() -> None:
    assert {name_of(path).split("/")[0] for path in MODULES} == set(PACKAGES)


def test_every_module_says_what_it_is_for() -> None:
    silent = []
    for path in MODULES:
        with tokenize.open(path) as lines:
            tokens = tokenize.generate_tokens(lines.readline)
            first = next(one for one in tokens if one.type not in {tokenize.COMMENT, tokenize.NL})
        if first.type not in {tokenize.STRING, tokenize.ENDMARKER}:  # an empty one is silent
            silent.append(name_of(path))
    assert silent == []


@pytest.mark.parametrize("module", ["gui.window.app", "gui.window.workspace"])
def test_the_window_opens_without_waiting_for_the_networks(module: str) -> None:
    program = f"import sys, {module}; print([one for one in sys.modules if one == 'torch'])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "line",
    [
        "interaction.engine_settings import EngineSettings",
        "interaction.project.importers import plan_import, planned_edits, preview_import",
        "interaction.project.video import open_video",
    ],
)
def test_modules_that_moved_are_still_found_by_their_old_names(
    line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, line.split()[0], raising=False)  # another test may ask for it
    names: dict[str, object] = {}
    with pytest.warns(DeprecationWarning, match="has moved to"):
        exec(f"from {line}", names)
    assert set(line.split(" import ")[1].split(", ")) <= set(names)
    sys.modules.pop(line.split()[0])
