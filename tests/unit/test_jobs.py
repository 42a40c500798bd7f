"""Lists of propagations: what a list may look like, and that one failure stops no other job."""

import json
import re
from pathlib import Path

import pytest

from interaction.errors import UserError
from interaction.tracking.jobs import read_jobs
from tests import tiny
from tests.unit.job_samples import run, write_tracker
from xmem_core import XMem, load_xmem
from xmem_core.weights import network_bytes


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three clips with masks beside them, the second without a single object."""
    for number in (1, 2, 10):
        tiny.write_clip(tmp_path / f"clip{number}", 4)
        mask = tiny.labels(0) * (number != 2)
        tiny.write_mask(tmp_path / f"clip{number}-masks", 0, mask)
    write_tracker(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_job_that_fails_stops_no_other_and_resume_does_what_is_missing(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "jobs.csv").write_text(
        "source,masks,output,end,overwrite\n"
        "clip1,clip1-masks,one,2,\n"
        "clip2,clip2-masks,,,\n"
        "nothing.mp4,clip1-masks,,,\n"
        "clip10,clip10-masks,,soon,\n"
        "clip10,clip10-masks,ten,,true\n",
        "utf-8",
    )
    code, results = run(capsys, "jobs.csv")
    assert code == 3
    assert [one["status"] for one in results] == ["done", "failed", "failed", "failed", "done"]
    assert [one["frames"] for one in results] == [3, 0, 0, 0, 4]
    assert "all empty" in str(results[1]["error"])
    assert "--end" in str(results[3]["error"])
    assert len(list((place / "one").glob("*.png"))) == 3
    assert json.loads((place / "jobs-report.json").read_text("utf-8")) == results

    tiny.write_mask(place / "clip2-masks", 0, tiny.labels(0))
    _, again = run(capsys, "jobs.csv", "--resume")
    statuses = [one["status"] for one in again]
    assert statuses == ["already done", "done", "failed", "failed", "already done"]
    assert (place / "jobs-results" / "clip2" / "report.json").is_file()


def test_the_weights_are_loaded_once_for_all_jobs(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []

    def load(path: Path) -> XMem:
        loaded.append(path)
        return load_xmem(path)

    monkeypatch.setattr("xmem_core.weights.load_xmem", load)
    # Weights that no other test has loaded.
    (place / "tiny.safetensors").write_bytes(network_bytes(tiny.network(seed=77), {}))
    tiny.write_mask(place / "clip2-masks", 0, tiny.labels(0))
    (place / "list.jsonl").write_text(
        "".join(
            json.dumps({"source": f"clip{i}", "masks": f"clip{i}-masks", "end": 1}) + "\n"
            for i in (1, 2, 10)
        )
    )
    code, results = run(capsys, "list.jsonl", "--output", "results")
    assert (code, len(results), len(loaded)) == (0, 3, 1)
    assert {path.name for path in (place / "results").iterdir()} == {"clip1", "clip2", "clip10"}


def test_a_folder_gives_a_job_for_each_source_that_has_masks(place: Path) -> None:
    tiny.write_clip(place / "without masks", 2)
    jobs = read_jobs(place, place / "results")
    assert [Path(job.output).name for job in jobs] == ["clip1", "clip2", "clip10"]
    assert jobs[0].values["masks"] == str(place / "clip1-masks")

    data = place / "data"
    tiny.write_clip(data / "JPEGImages" / "bear", 2)
    tiny.write_mask(data / "Annotations" / "bear", 0, tiny.labels(0))
    [job] = read_jobs(data, place / "results")
    assert job.values["source"] == str(data / "JPEGImages" / "bear")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "one of them is “source”"),
        ("source\n", "holds no job"),
        ("source,output\na,x\nb,x\n", "line 2: a and line 3: b have the same output"),
        ("source\na,b\n", "line 2 has more values than columns"),
        ('{"source": "a"}\n{"source"\n', "line 2 is no JSON"),
        ('{"masks": "a"}\n', "line 1: it has no source"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused_with_the_line(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "jobs").write_text(text, "utf-8")
    with pytest.raises(UserError, match=re.escape(message)):
        read_jobs(tmp_path / "jobs", tmp_path / "results")
    with pytest.raises(UserError, match="cannot be read"):
        read_jobs(tmp_path / "nothing", tmp_path / "results")
