"""Models of other packages: found, listed and used like the program's own, and never in its way."""

import json
import os
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from interaction.doctor import examine
from interaction.downloads import DownloadProgress, cached_from_hub, download_from_hub
from interaction.engines import Engines, EngineSettings
from interaction.errors import MissingModelError, ModelError
from interaction.models import ModelStore, default_store
from interaction.plugins import CLICK_MODELS, OWN, TRACKERS, plugins

ROOT = Path(__file__).parents[2]
CPU = EngineSettings(device="cpu")

FOREIGN = """
from interaction.models import Model


def listed(name, kind):
    address = f"https://example.org/{name}.bin"
    return Model(
        name, f"{name}.bin", kind, address, 3, None, "MIT", None, None, None, "foreign",
    )


class ForeignClicks:
    models = [listed("Foreign", "click"), listed("Foreign strokes", "scribble")]

    def recognises(self, path):
        return path.suffix == ".bin"

    def load_segmenter(self, path, device, config):
        return ("segmenter", path.name, device.type)

    def load_scribbler(self, path, device):
        return ("scribbler", path.name, device.type)


class ForeignTrackers:
    models = [listed("Follower", "tracker")]

    def recognises(self, path):
        return False

    def load_tracker(self, path, device, *, allows_half_precision):
        return lambda settings: ("tracker", path.name, settings.internal_size)


class ForeignFails(ForeignClicks):
    models = [listed("Failing", "click")]

    def load_segmenter(self, path, device, config):
        raise ZeroDivisionError("a mistake")


class ForeignUntold:
    @property
    def models(self):
        raise RuntimeError("no list today")


class ForeignWrong:
    models = ["text"]


class ForeignTaken:
    models = [listed("XMEM", "click")]


class ForeignMisplaced:
    models = [listed("Lost", "tracker")]


CLICKS, TRACKERS, FAILS = ForeignClicks(), ForeignTrackers(), ForeignFails()
UNTOLD, WRONG, TAKEN = ForeignUntold(), ForeignWrong(), ForeignTaken()
MISPLACED = ForeignMisplaced()
"""

Install = Callable[[dict[str, dict[str, str]]], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a package with these entry points."""

    def put(groups: dict[str, dict[str, str]]) -> None:
        site = tmp_path / "site"
        info = site / "foreign_models-1.5.dist-info"
        info.mkdir(parents=True)
        (site / "foreign_models.py").write_text(FOREIGN)
        (site / "foreign_leaver.py").write_text("raise SystemExit(3)\n")
        (info / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: foreign-models\nVersion: 1.5\n"
        )
        lines = []
        for group, entries in groups.items():
            lines += [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        monkeypatch.syspath_prepend(str(site))
        plugins.cache_clear()

    yield put
    for name in ("foreign_models", "foreign_leaver"):
        sys.modules.pop(name, None)
    plugins.cache_clear()


def test_the_program_s_own_are_declared_as_entry_points() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["entry-points"] == OWN
    assert all(plugin.is_own and not plugin.problem for plugin in plugins())
    store = default_store()
    assert not store.broken
    assert all(model.plugin in {*OWN[CLICK_MODELS], *OWN[TRACKERS]} for model in store.models)
    assert {"small", "XMem-no-sensory", "fbrs", "s2m", "sam2.1-tiny"} <= {
        model.name for model in store.models
    }


def test_models_of_another_package_are_listed_and_used(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(
        {
            CLICK_MODELS: {"foreign": "foreign_models:CLICKS"},
            TRACKERS: {"follower": "foreign_models:TRACKERS"},
        }
    )
    here = replace(default_store(), folder=tmp_path)
    for name in ("Foreign", "Foreign strokes", "Follower"):
        (tmp_path / f"{name}.bin").write_bytes(b"abc")
    monkeypatch.setattr("interaction.engines.default_store", lambda: here)
    assert [model.name for model in here.models[-3:]] == ["Foreign", "Foreign strokes", "Follower"]
    engines = Engines(
        replace(
            CPU,
            click_model="foreign",
            scribble_model="Foreign strokes",
            tracker_model="Follower",
            internal_size=99,
        )
    )
    made: list[object] = [engines.segmenter(), engines.scribbler(), engines.start_tracker()]
    assert made == [
        ("segmenter", "Foreign.bin", "cpu"),
        ("scribbler", "Foreign strokes.bin", "cpu"),
        ("tracker", "Follower.bin", 99),
    ]
    by_path = Engines(replace(CPU, click_model=str(tmp_path / "Foreign.bin")))
    assert str(by_path.segmenter()) == str(made[0])
    with pytest.raises(ModelError, match="not a model for tracking"):
        Engines(replace(CPU, tracker_model="Foreign")).start_tracker()


BROKEN = {
    "gone": ("foreign_models:Nothing", "AttributeError"),
    "absent": ("no_such_module:X", "ModuleNotFoundError"),
    "leaver": ("foreign_leaver:X", "SystemExit"),
    "untold": ("foreign_models:UNTOLD", "no list today"),
    "wrong": ("foreign_models:WRONG", "type Model, not str"),
    "taken": ("foreign_models:TAKEN", "name that another model has"),
    "misplaced": ("foreign_models:MISPLACED", "of kind “tracker”"),
    "sam2": ("foreign_models:WRONG", "name of a plug-in of the program"),
}


def test_a_broken_plug_in_is_named_and_harms_nothing(install: Install) -> None:
    before = default_store().models
    install({CLICK_MODELS: {name: value for name, (value, _) in BROKEN.items()}})
    store = default_store()
    assert store.models == before
    problems = {one.name: one for one in store.broken}
    assert set(problems) == set(BROKEN)
    for name, (_, reason) in BROKEN.items():
        assert reason in problems[name].problem
        assert problems[name].package == "foreign-models 1.5"
    found = [one for one in examine(speed_test_s=0) if one.topic == "plug-in"]
    assert len(found) == len(BROKEN)
    assert not any(one.is_fine for one in found)
    assert Engines(CPU).segmenter() is not None


def test_a_plug_in_that_fails_at_work_is_named(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install({CLICK_MODELS: {"failing": "foreign_models:FAILS"}})
    here = replace(default_store(), folder=tmp_path)
    (tmp_path / "Failing.bin").write_bytes(b"abc")
    monkeypatch.setattr("interaction.engines.default_store", lambda: here)
    with pytest.raises(ModelError, match=r"“failing” of foreign-models 1\.5 failed.*a mistake"):
        Engines(replace(CPU, click_model="Failing")).segmenter()


def test_a_model_whose_package_is_not_installed_says_how_to_install_it(tmp_path: Path) -> None:
    [tiny] = [model for model in default_store().models if model.name == "sam2.1-tiny"]
    lacking = replace(tiny, packages=("no_such_package",))
    store = ModelStore((lacking,), tmp_path, tmp_path)
    for attempt in (lambda: store.find("sam2.1-tiny"), lambda: list(store.download("sam2.1-tiny"))):
        with pytest.raises(ModelError, match=r'no_such_package(.|\n)*"xmem-annotate\[sam2\]"'):
            attempt()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A hub on this computer, with one repository; its cache is in the returned folder."""
    constants = pytest.importorskip(
        "huggingface_hub", reason='the hub needs: python -m pip install "xmem-annotate[sam2]"'
    ).constants
    files = {"config.json": b"{}", "model.safetensors": bytes(3_000_000)}

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None: ...

        def answer(self, has_body: bool) -> None:
            content = files.get(self.path.rsplit("/", 1)[-1])
            self.send_response(200 if content is not None and "me/net" in self.path else 404)
            self.send_header("Content-Length", str(len(content or b"")))
            self.send_header("ETag", f'"{"ab" * 32}"' if content and len(content) > 9 else '"c"')
            self.send_header("X-Repo-Commit", "f" * 40)
            self.end_headers()
            if has_body:
                self.wfile.write(content or b"")

        def do_HEAD(self) -> None:
            self.answer(False)

        def do_GET(self) -> None:
            self.answer(True)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        address + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    yield tmp_path / "hub"
    server.shutdown()
    thread.join()
    server.server_close()


def test_weights_of_the_hub_come_into_its_cache_and_are_found_there_offline(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [tiny] = [model for model in default_store().models if model.name == "sam2.1-tiny"]
    tiny = replace(tiny, hub="me/net", packages=())
    store = ModelStore((tiny,), tmp_path, tmp_path)
    with pytest.raises(MissingModelError, match=r"about 156 MB from https://.*sam2\.1-hiera-tiny"):
        store.find("sam2.1-tiny")
    steps, seen = store.download("sam2.1-tiny"), list[DownloadProgress]()
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as end:
            path = end.value
            break
    assert path.is_relative_to(hub)
    assert (path.name, (path.parent / "config.json").read_bytes()) == ("model.safetensors", b"{}")
    assert (seen[-1].done_bytes, seen[-1].total_bytes) == (3_000_000, 3_000_000)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert store.find("sam2.1-tiny") == path
    # These bytes are not what the hub's own checksum says.
    assert store.verify("sam2.1-tiny").is_damaged
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE"):
        list(download_from_hub("me/other"))
    assert cached_from_hub("me/other") is None


def test_a_repository_that_is_not_there_is_reported_in_words(hub: Path) -> None:
    with pytest.raises(ModelError, match="“me/other” could not be fetched"):
        list(download_from_hub("me/other"))
    assert not list(hub.rglob("model.safetensors"))


def test_models_can_be_listed_without_torch() -> None:
    code = (
        "import json, sys\n"
        "from interaction.models import default_store\n"
        "names = [one.name for one in default_store().models]\n"
        "print(json.dumps([len(names), 'torch' in sys.modules, 'transformers' in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    count, has_torch, has_transformers = json.loads(done.stdout)
    assert count >= 10
    assert not has_torch
    assert not has_transformers
