"""What a propagation will need, what is made smaller for it, and when it steps down by itself."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from interaction.annotation.requests import Propagated, PropagationRequest
from interaction.command_line.app import app
from interaction.engines import EngineSettings
from interaction.errors import EngineMemoryError
from interaction.session import Session
from interaction.tracking import governor, stepping
from interaction.tracking.governor import Forecast, Workload, forecast
from tests import tiny
from tests.fake_engines import SHORT, FakeEngines, open_session
from xmem_core import device as devices
from xmem_core.device import StageTimes
from xmem_core.weights import network_bytes

HD = Workload(frames=100, objects=3, height=720, width=1280)
CPU = EngineSettings(device="cpu")
GIB = 2**30


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets the free memory of the CPU and of a GPU, which then is there."""

    def choose(name: str = "auto") -> torch.device:
        return torch.device("cuda" if name == "auto" else name)

    def have(cpu_bytes: int, gpu_bytes: int = 0) -> None:
        def left(device: torch.device) -> int:
            return gpu_bytes if device.type == "cuda" else cpu_bytes

        monkeypatch.setattr(governor, "free_memory_bytes", left)
        if gpu_bytes:
            monkeypatch.setattr(governor, "best_device", choose)
            monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a GPU")

    return have


def needed(load: Workload = HD, settings: EngineSettings = CPU) -> Forecast:
    return forecast(load, settings)


def test_more_objects_pixels_and_given_frames_need_more(free: Callable[..., None]) -> None:
    free(100 * GIB)
    base = needed()
    assert base.changes == ()
    assert base.fits_memory
    assert base.seconds is not None
    for more in (
        replace(HD, objects=9),
        replace(HD, height=2160, width=3840),
        replace(HD, given_frames=20),
    ):
        other = needed(more)
        assert other.memory_bytes > base.memory_bytes
        assert other.seconds is not None
        assert other.seconds >= base.seconds
    larger = needed(settings=replace(CPU, internal_size=720))
    assert larger.memory_bytes > base.memory_bytes
    large_model = needed(settings=replace(CPU, tracker_model="XMem"))
    assert large_model.memory_bytes > 2 * base.memory_bytes
    longer = needed(replace(HD, frames=1000))
    assert longer.seconds is not None
    assert longer.seconds > 9 * base.seconds
    # Memory of a long video stays bounded, but for its decoded frames.
    assert longer.memory_bytes < base.memory_bytes + 600 * 2**20


def test_what_is_too_large_is_made_smaller_only_as_far_as_it_must_be(
    free: Callable[..., None],
) -> None:
    free(100 * GIB)
    many = replace(HD, objects=12)
    free(needed(many).memory_bytes - 1)
    first = needed(many)
    assert first.changes == ("with one frame and one object at a time",)
    assert first.fits_memory
    assert (first.settings.memory.objects_per_chunk, first.settings.internal_size) == (1, 480)
    free(first.memory_bytes - 1)
    second = needed(many)
    assert second.changes[1:] == ("at internal size 360",)
    assert second.steps_down == 2
    free(1000)
    last = needed(many)
    assert last.changes[-1] == "at internal size 240"
    assert not last.fits_memory
    assert "may not suffice" in last.warnings[-1]


def test_one_object_is_one_at_a_time_already(free: Callable[..., None]) -> None:
    free(100 * GIB)
    one = replace(HD, objects=1)
    free(needed(one).memory_bytes - 1)
    assert needed(one).changes == ("at internal size 360",)


def test_a_gpu_that_is_too_small_is_left_for_the_processor(free: Callable[..., None]) -> None:
    free(100 * GIB, 10 * 2**20)
    found = needed(settings=EngineSettings())
    assert found.device == "cpu"
    assert found.settings.device == "cpu"
    assert "on the CPU" in found.changes[-1]
    free(100 * GIB, 100 * GIB)
    found = needed(settings=EngineSettings())
    assert (found.device, found.changes) == ("cuda", ())


def test_a_disk_that_is_too_small_is_reported_with_how_many_frames_fit(
    free: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(100 * GIB)
    load = replace(HD, bytes_per_frame=1000, folder=tmp_path / "not" / "yet")
    monkeypatch.setattr(governor, "_free_disk", lambda _: 40_500)
    found = needed(load)
    assert not found.fits_disk
    assert "about 40 of 100 frames" in found.warnings[0]
    assert found.to_json()["disk_bytes"] == 100_000
    monkeypatch.undo()
    assert needed(load).fits_disk


def test_what_was_measured_on_this_machine_is_what_counts(
    free: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    free(100 * GIB)
    times = StageTimes(torch.device("cpu"))
    clock = iter([0.0, 2.0, 5.0, 7.0, 10.0, 14.0])  # eight seconds in three calls
    monkeypatch.setattr("xmem_core.device.time.perf_counter", lambda: next(clock))
    for _ in range(3):
        with times.measure("decode"):
            pass
    times.note_work("decode", 4 * 480 * 864)
    assert not needed().is_measured
    governor.note_pace("small", torch.device("cpu"), times)
    found = needed()
    assert found.is_measured
    # A hundred frames with three objects, two seconds for each.
    assert found.seconds == pytest.approx(100 * 3 * 2, rel=0.02)
    governor.pace_file().write_text('{"small on cpu": {"decode": "fast"}}')
    assert not needed().is_measured


def test_an_unknown_model_has_no_time_until_it_has_run(
    free: Callable[..., None], tmp_path: Path
) -> None:
    free(100 * GIB)
    (tmp_path / "mine.pth").write_bytes(bytes(1000))
    found = needed(settings=replace(CPU, tracker_model=str(tmp_path / "mine.pth")))
    assert found.seconds is None
    assert found.line.startswith("Time unknown")


# In a run


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with open_session(tmp_path, 6) as opened:
        opened.add_object()
        opened.add_object()
        opened.set_mask(0, tiny.labels(0))
        yield opened


def engines_of(session: Session) -> FakeEngines:
    engines = session.engines.plain
    assert isinstance(engines, FakeEngines)
    return engines


def test_a_session_says_what_a_run_needs_and_changes_nothing(session: Session) -> None:
    before = dict(session.annotation.records)
    found = session.forecast(PropagationRequest(0, last=4))
    assert (found.frames, found.objects) == (4, 2)
    assert not found.is_measured
    assert session.forecast(measures=True).is_measured
    assert dict(session.annotation.records) == before


def test_the_disk_that_a_run_takes_is_what_was_forecast(tmp_path: Path) -> None:
    tiny.write_clip(tmp_path / "clip", 12)
    project = tmp_path / "p.vos"

    def used_bytes() -> int:
        return sum(file.stat().st_size for file in project.rglob("*") if file.is_file())

    with Session.open(tmp_path / "clip", project, engines=FakeEngines()) as session:
        session.add_object()
        session.add_object()
        session.set_mask(0, tiny.labels(0))
        session.flush()
        before, expected = used_bytes(), session.forecast().disk_bytes
        session.propagate(0)
    assert 0.6 * expected < used_bytes() - before < 1.1 * expected


def test_a_run_begins_as_small_as_its_forecast_unless_it_must_not(
    session: Session, free: Callable[..., None]
) -> None:
    free(GIB)  # the tiny clip needs less
    expected = session.forecast()
    assert expected.changes == ()
    free(expected.memory_bytes - 1)
    remarks: list[str] = []
    session.propagate(0, on_step=lambda step: remarks.extend([step.remark] if step.remark else []))
    assert len(remarks) == 1
    assert remarks[0].startswith("To fit into memory: ")
    engines = engines_of(session)
    assert engines.trackers[-1].config.objects_per_chunk == 1
    engines.configure(replace(engines.settings, fits_memory=False, memory=SHORT))
    remarks.clear()
    session.propagate(0, last=3)
    assert engines.trackers[-1].config.objects_per_chunk is None


def test_a_processor_that_is_almost_out_of_memory_is_a_full_device(
    session: Session, free: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter([GIB, GIB, 1000, *[GIB] * 20])
    monkeypatch.setattr(stepping, "free_memory_bytes", lambda _: next(left))
    steps: list[Propagated] = []
    tracked = session.propagate(0, on_step=steps.append)
    assert list(tracked.frames) == [1, 2, 3, 4, 5]
    remarks = [step.remark for step in steps if step.remark]
    assert len(remarks) == 1
    assert "one object at a time" in remarks[0]


def test_without_a_smaller_step_little_memory_ends_no_run(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines_of(session).configure(EngineSettings(memory=SHORT, device="cpu", fits_memory=False))
    monkeypatch.setattr(stepping, "free_memory_bytes", lambda _: 0)
    steps: list[Propagated] = []
    assert len(session.propagate(0, on_step=steps.append)) == 5
    assert len([step.remark for step in steps if step.remark]) == 3  # one, 360, 240


def test_the_last_step_that_is_refused_memory_ends_it(session: Session) -> None:
    trackers = stepping.SteppingTrackers(engines_of(session), session.video)
    for _ in range(3):
        trackers.take_step("cpu", 2)
    with pytest.raises(EngineMemoryError, match="frame 2"):
        trackers.take_step("cpu", 2)


# From a shell


def test_a_dry_run_says_it_and_writes_nothing(tmp_path: Path) -> None:
    tiny.write_clip(tmp_path / "clip", 6)
    tiny.write_mask(tmp_path / "masks", 0, tiny.labels(0))
    weights = tmp_path / "tiny.safetensors"
    weights.write_bytes(network_bytes(tiny.network(), {}))
    command = ["propagate", str(tmp_path / "clip"), "--masks", str(tmp_path / "masks")]
    command += ["--output", str(tmp_path / "out"), "--model", str(weights), "--dry-run"]
    result = CliRunner().invoke(app, [*command, "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["frames"], report["objects"]) == (6, 2)
    assert report["is_measured"]
    assert report["seconds"] > 0
    assert not (tmp_path / "out").exists()
    text = CliRunner().invoke(app, command).stdout
    assert "6 frames with 2 objects on cpu. About" in text
    assert "Nothing was written." in text


# What is free


def test_a_container_has_no_more_than_its_control_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "_CONTROL_GROUP", tmp_path)
    unlimited = devices.free_memory_bytes(torch.device("cpu"))
    assert unlimited > 10_000
    (tmp_path / "memory.max").write_text("max\n")
    assert devices.free_memory_bytes(torch.device("cpu")) > 10_000
    (tmp_path / "memory.max").write_text("9000\n")
    (tmp_path / "memory.current").write_text("5000\n")
    (tmp_path / "memory.stat").write_text("anon 3000\ninactive_file 500\n")
    assert devices.free_memory_bytes(torch.device("cpu")) == 4500


def test_apples_gpu_has_no_more_than_metal_recommends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 5000)
    monkeypatch.setattr(torch.mps, "current_allocated_memory", lambda: 1500)
    assert devices.free_memory_bytes(torch.device("mps")) == 3500
