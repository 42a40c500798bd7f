"""What desktops know of the program, and the trial that a built program is put to."""

import configparser
import json
import os
import shutil
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from gui.window.opening import PROJECT_SUFFIX
from resources import application_icon

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
LINUX = ROOT / "packaging" / "linux"


def test_the_desktop_entry_names_the_command_the_icon_and_the_type() -> None:
    entries = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    entries.optionxform = str  # type: ignore[assignment,method-assign]  # as Python's manual does
    entries.read(LINUX / "xmem-annotate.desktop", encoding="utf-8")
    entry = entries["Desktop Entry"]
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    assert entry["Exec"].split() == [*scripts, "%f"]
    assert application_icon().stem == entry["Icon"]
    assert application_icon().with_suffix(".svg").is_file()
    [kind] = ET.parse(LINUX / "xmem-annotate.xml").getroot()
    assert kind.attrib["type"] in entry["MimeType"].split(";")
    globs = [one.attrib["pattern"] for one in kind if one.tag.endswith("}glob")]
    assert globs == [f"*{PROJECT_SUFFIX}"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="a script for Linux desktops")
def test_the_entry_is_put_into_a_person_s_desktop_and_taken_out(tmp_path: Path) -> None:
    def run(*line: str) -> None:
        environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path)}
        subprocess.run(["bash", str(LINUX / "install.sh"), *line], check=True, env=environment)

    run("/opt/some folder/xmem-annotate")
    entry = (tmp_path / "applications" / "xmem-annotate.desktop").read_text("utf-8")
    assert 'Exec="/opt/some folder/xmem-annotate" %f\n' in entry
    own = {path.name for path in tmp_path.rglob("xmem-annotate.*")}
    assert own == {f"xmem-annotate.{suffix}" for suffix in ("desktop", "xml", "svg", "png")}
    run("--remove")
    assert not list(tmp_path.rglob("xmem-annotate.*"))


def test_the_trial_of_the_window_opens_the_sample_and_tracks(tmp_path: Path) -> None:
    line = ["doctor", "--window", "--no-speed-test", "--json"]
    places = {name: str(tmp_path) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    done = subprocess.run(
        [sys.executable, str(ROOT / "interactive_demo.py"), *line],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **places},
    )
    found = {one["topic"]: one for one in json.loads(done.stdout)}
    assert found["trial"]["is_fine"], done.stderr
    assert "3 frames tracked" in found["trial"]["text"]
    assert found["window"]["is_fine"]
    # Neither a project nor preferences are left.
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in left if ".vos" in str(path) or path.suffix in {".ini", ".conf"}]
