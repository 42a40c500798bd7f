"""Jobs whose files lie at addresses; fsspec's own file system in memory stands for a server."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import fsspec
import pytest

from interaction.errors import UserError
from interaction.tracking.jobs import (
    is_address,
    is_begun,
    is_finished,
    local_files,
    name_of,
    read_jobs,
)
from tests import tiny
from tests.unit.job_samples import run, write_tracker


@pytest.fixture
def server() -> Iterator[fsspec.AbstractFileSystem]:
    files = fsspec.filesystem("memory")
    yield files
    files.rm("/", recursive=True)


@pytest.fixture
def place(
    tmp_path: Path, server: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A clip with a mask on the server, and what is needed to track it here."""
    tiny.write_clip(tmp_path / "clip", 4)
    tiny.write_mask(tmp_path / "clip-masks", 0, tiny.labels(0))
    for name in ("clip", "clip-masks"):
        server.put(str(tmp_path / name), f"/videos/{name}", recursive=True)
    write_tracker(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_results_are_put_where_the_address_says(
    place: Path, server: fsspec.AbstractFileSystem, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "jobs.csv").write_text(
        "source,masks,output\n"
        "memory://videos/clip,memory://videos/clip-masks,memory://results/one\n"
        "memory://videos/nothing,memory://videos/clip-masks,memory://results/two\n"
        "nosuchdriver://videos/clip,clip-masks,three\n"
        "memory://videos/clip,clip-masks,\n",
        "utf-8",
    )
    code, results = run(capsys, "jobs.csv")
    assert code == 3
    assert [one["status"] for one in results] == ["done", "failed", "failed", "done"]
    assert results[0]["output"] == "memory://results/one"
    assert "memory://videos/nothing" in str(results[1]["error"])
    assert "nosuchdriver" in str(results[2]["error"])
    masks = [name for name in server.find("/results/one") if name.endswith(".png")]
    assert len(masks) == 4
    assert json.loads(server.cat("/results/one/report.json"))["frames"] == 4
    assert (place / "jobs-results" / "clip" / "report.json").is_file()

    _, again = run(capsys, "jobs.csv", "--resume")
    assert [one["status"] for one in again] == ["already done", "failed", "failed", "already done"]
    assert again[0]["frames"] == 4


def test_what_is_there_is_not_replaced_unasked(
    place: Path, server: fsspec.AbstractFileSystem, capsys: pytest.CaptureFixture[str]
) -> None:
    line = '{"source": "memory://videos/clip", "masks": "clip-masks", "output": "memory://there"}'
    (place / "jobs.jsonl").write_text(line, "utf-8")
    names = [path.stem for path in sorted((place / "clip").iterdir())]
    server.pipe(f"/there/{names[1]}.png", b"a mask")
    code, [result] = run(capsys, "jobs.jsonl")
    assert code == 3
    assert "already holds" in str(result["error"])
    assert server.cat(f"/there/{names[1]}.png") == b"a mask"
    assert not server.exists("/there/report.json")


def test_a_failed_job_leaves_what_it_had_and_removes_what_it_removed(
    server: fsspec.AbstractFileSystem,
) -> None:
    server.pipe("/out/unfinished", b"half")
    server.pipe("/out/kept.png", b"kept")
    values = {"output": "memory://out"}
    with suppress(RuntimeError), local_files(values, ("source",), "output") as local:
        folder = Path(local["output"])
        (folder / "unfinished").unlink()
        (folder / "more").mkdir()
        (folder / "more" / "new.png").write_bytes(b"new")
        raise RuntimeError
    assert sorted(server.find("/out")) == ["/out/kept.png", "/out/more/new.png"]
    assert not folder.exists()


def test_names_that_a_server_makes_up_stay_in_the_folder(
    server: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.pipe("/videos/clip/0.jpg", b"0")
    values = {"source": "memory://videos/clip"}
    with monkeypatch.context() as patch:
        patch.setattr(type(server), "find", lambda *_, **__: ["/videos/clip/../../0.jpg"])
        with (
            pytest.raises(UserError, match="memory://videos/clip"),
            local_files(values, ("source",), "output"),
        ):
            pass


@pytest.mark.parametrize("address", ["memory://", "s3://bucket/..", "memory:///"])
def test_an_address_without_a_name(address: str) -> None:
    with pytest.raises(UserError, match="names no file"):
        name_of(address)


def test_a_server_that_does_not_answer_stops_no_list(tmp_path: Path) -> None:
    (tmp_path / "jobs.csv").write_text("source,output\na.mp4,nosuchdriver://out\n", "utf-8")
    [job] = read_jobs(tmp_path / "jobs.csv", tmp_path)
    assert is_address(job.output)
    assert not is_finished(job)
    assert is_begun(job)
