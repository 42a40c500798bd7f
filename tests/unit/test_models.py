"""Models are found, fetched in pieces over bad connections, and checked byte for byte."""

import contextlib
import errno
import hashlib
import io
import json
import math
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from benchmarks.durability.inputs import LIES, liar
from interaction import downloads
from interaction.command_line import models as models_command
from interaction.downloads import DownloadProgress
from interaction.errors import DiskFullError, ModelError, UnwritableFileError
from interaction.models import Model, ModelStore, default_store
from resources import models_file, sample_folder, weights_folder
from xmem_core.weights import structure_of

CONTENT = bytes(range(256)) * 8192  # 2 MB: several chunks


@dataclass
class Remote:
    """What the server has and how it behaves; the requests it got."""

    content: bytes = CONTENT
    headers: dict[str, str] = field(default_factory=lambda: {"ETag": '"v1"'})
    status: int = 200
    cuts: list[int] = field(default_factory=list)  # bytes to send before dropping, per request
    ignores_ranges: bool = False
    wrong_range: bool = False
    requests: list[dict[str, str]] = field(default_factory=list)
    address: str = ""


@pytest.fixture
def remote() -> Iterator[Remote]:
    remote = Remote()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None: ...

        def do_GET(self) -> None:
            remote.requests.append(dict(self.headers))
            total = len(remote.content)
            start, status = 0, remote.status
            wanted = self.headers["Range"]
            if wanted and status == 200 and not remote.ignores_ranges:
                condition = self.headers["If-Range"]
                if condition in {remote.headers.get("ETag"), remote.headers.get("Last-Modified")}:
                    start, status = int(wanted.removeprefix("bytes=").rstrip("-")), 206
            if start >= total:
                start, status = total, 416
            self.send_response(status)
            for name, value in remote.headers.items():
                self.send_header(name, value)
            if status == 206:
                first = start + 1 if remote.wrong_range else start
                self.send_header("Content-Range", f"bytes {first}-{total - 1}/{total}")
            if "Transfer-Encoding" not in remote.headers:
                self.send_header("Content-Length", str(total - start))
            self.end_headers()
            stop = start + remote.cuts.pop(0) if remote.cuts else total
            with contextlib.suppress(ConnectionError):  # a test has hung up
                self.wfile.write(remote.content[start:stop])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    remote.address = f"http://127.0.0.1:{server.server_port}/big.pth"
    yield remote
    server.shutdown()
    thread.join()
    server.server_close()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def model(address: str | None, **changes: str | int) -> Model:
    return replace(
        Model(
            "Big",
            "big.pth",
            "tracker",
            address,
            None,
            524_288,
            "MIT",
            None,
            None,
            None,
            "for tests",
        ),
        **changes,  # type: ignore[arg-type]  # the test gives the right ones
    )


def store(tmp_path: Path, *models: Model) -> ModelStore:
    return ModelStore(models, tmp_path / "cache", tmp_path / "bundled")


def fetch(here: ModelStore, name: str = "Big") -> tuple[Path, list[DownloadProgress]]:
    steps, seen = here.download(name), []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as end:
            return end.value, seen


def test_a_download_arrives_whole_with_progress_and_a_record(
    tmp_path: Path, remote: Remote
) -> None:
    here = store(tmp_path, model(remote.address))
    path, seen = fetch(here)
    assert path.read_bytes() == CONTENT
    assert (seen[0].done_bytes, seen[-1].done_bytes) == (0, len(CONTENT))
    assert [step.done_bytes for step in seen] == sorted({step.done_bytes for step in seen})
    assert {step.total_bytes for step in seen} == {len(CONTENT)}
    record = json.loads((path.parent / "big.pth.json").read_text())
    assert record["sha256"] == sha256(CONTENT)
    assert {entry.name for entry in path.parent.iterdir()} == {
        "big.pth",
        "big.pth.json",
        "big.pth.lock",
    }
    assert here.find("big") == path


def test_a_model_that_is_here_is_not_fetched_again(tmp_path: Path, remote: Remote) -> None:
    here = store(tmp_path, model(remote.address))
    fetch(here)
    assert fetch(here)[1] == []
    assert len(remote.requests) == 1


def test_a_stopped_download_goes_on_where_it_stopped(tmp_path: Path, remote: Remote) -> None:
    here = store(tmp_path, model(remote.address))
    steps = here.download("Big")
    while next(steps).done_bytes < 500_000:
        pass
    steps.close()
    kept = (here.folder / "big.pth.partial").stat().st_size
    assert kept >= 500_000
    assert here.locate(here.models[0]) is None

    path, seen = fetch(here)
    assert path.read_bytes() == CONTENT
    assert remote.requests[1]["Range"] == f"bytes={kept}-"
    assert remote.requests[1]["If-Range"] == '"v1"'
    assert {step.resumed_bytes for step in seen} == {kept}
    assert {step.total_bytes for step in seen} == {len(CONTENT)}


def test_a_broken_connection_is_taken_up_again_at_once(tmp_path: Path, remote: Remote) -> None:
    remote.cuts = [700_000, 300_000]
    path, seen = fetch(store(tmp_path, model(remote.address)))
    assert path.read_bytes() == CONTENT
    assert [request.get("Range") for request in remote.requests] == [
        None,
        "bytes=700000-",
        "bytes=1000000-",
    ]
    assert seen[-1].done_bytes == len(CONTENT)


def test_a_connection_that_brings_nothing_more_is_given_up_and_what_came_is_kept(
    tmp_path: Path, remote: Remote
) -> None:
    here = store(tmp_path, model(remote.address))
    remote.cuts = [700_000, 0]
    with pytest.raises(ModelError, match="broke after 700,000 bytes") as caught:
        fetch(here)
    assert "goes on from there" in str(caught.value)
    assert len(remote.requests) == 2
    assert fetch(here)[0].read_bytes() == CONTENT
    assert remote.requests[2]["Range"] == "bytes=700000-"


def test_reconnecting_ends(tmp_path: Path, remote: Remote) -> None:
    remote.cuts = [1000] * 50
    with pytest.raises(ModelError, match="broke after 6,000 bytes"):
        fetch(store(tmp_path, model(remote.address)))
    assert len(remote.requests) == 6


@pytest.mark.parametrize("reason", ["changed", "ignores ranges", "no validator", "weak tag"])
def test_a_file_is_never_put_together_from_two_versions(
    reason: str, tmp_path: Path, remote: Remote
) -> None:
    here = store(tmp_path, model(remote.address))
    if reason in {"no validator", "weak tag"}:
        remote.headers = {"ETag": 'W/"v1"'} if reason == "weak tag" else {}
    remote.cuts = [700_000, 0]
    with pytest.raises(ModelError):
        fetch(here)
    remote.content = CONTENT[::-1]
    remote.ignores_ranges = reason == "ignores ranges"
    if reason == "changed":
        remote.headers = {"ETag": '"v2"'}
    assert fetch(here)[0].read_bytes() == CONTENT[::-1]


def test_last_modified_serves_where_there_is_no_etag(tmp_path: Path, remote: Remote) -> None:
    remote.headers = {"Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}
    remote.cuts = [700_000]
    assert fetch(store(tmp_path, model(remote.address)))[0].read_bytes() == CONTENT
    assert remote.requests[1]["If-Range"] == remote.headers["Last-Modified"]


def test_a_range_that_was_not_asked_for_is_not_appended(tmp_path: Path, remote: Remote) -> None:
    here = store(tmp_path, model(remote.address))
    remote.cuts = [700_000]
    remote.wrong_range = True
    with pytest.raises(ModelError, match="another part"):
        fetch(here)
    assert fetch(here)[0].read_bytes() == CONTENT


def test_a_partial_file_longer_than_the_remote_one_is_thrown_away(
    tmp_path: Path, remote: Remote
) -> None:
    here = store(tmp_path, replace(model(remote.address), parameters=None))
    remote.cuts = [700_000, 0]
    with pytest.raises(ModelError):
        fetch(here)
    remote.content = CONTENT[:1000]
    assert fetch(here)[0].read_bytes() == CONTENT[:1000]


def test_a_partial_file_that_is_complete_needs_no_server(tmp_path: Path, remote: Remote) -> None:
    here = store(tmp_path, model(remote.address))
    steps = here.download("Big")
    while next(steps).done_bytes < len(CONTENT):
        pass
    steps.close()
    remote.status = 500
    assert fetch(here)[0].read_bytes() == CONTENT


def test_a_partial_file_from_another_address_is_not_continued(
    tmp_path: Path, remote: Remote
) -> None:
    remote.cuts = [700_000, 0]
    with pytest.raises(ModelError):
        fetch(store(tmp_path, model(remote.address)))
    remote.content = CONTENT[::-1]  # with the same ETag
    moved = store(tmp_path, model(remote.address + "?moved"))
    assert fetch(moved)[0].read_bytes() == CONTENT[::-1]


def test_a_partial_file_of_unknown_origin_is_not_continued(tmp_path: Path, remote: Remote) -> None:
    here = store(tmp_path, model(remote.address))
    here.folder.mkdir()
    (here.folder / "big.pth.partial").write_bytes(b"something else")
    assert fetch(here)[0].read_bytes() == CONTENT
    assert "Range" not in remote.requests[0]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"status": 404}, "no file at .* any more"),
        ({"status": 503}, "refused with status 503"),
        ({"headers": {"Content-Type": "text/html; charset=utf-8"}}, "sign-in page"),
        ({"status": 302, "headers": {"Location": "file:///etc/hosts"}}, "not safe to follow"),
        ({"status": 302, "headers": {"Location": "ftp://127.0.0.1/a"}}, "not safe to follow"),
    ],
)
def test_a_server_that_does_not_give_the_file_is_explained(
    changes: dict[str, object], match: str, tmp_path: Path, remote: Remote
) -> None:
    for name, value in changes.items():
        setattr(remote, name, value)
    here = store(tmp_path, model(remote.address))
    with pytest.raises(ModelError, match=match):
        fetch(here)
    assert here.locate(here.models[0]) is None


def test_no_server_at_all_is_explained(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound but not listening: nothing answers
        taken.bind(("127.0.0.1", 0))
        here = store(tmp_path, model(f"http://127.0.0.1:{taken.getsockname()[1]}/big.pth"))
        with pytest.raises(ModelError, match=r"No connection to 127\.0\.0\.1.*\n\nCheck the net"):
            fetch(here)


@pytest.mark.parametrize("published", ["sha256", "md5", "size_bytes"])
def test_a_file_that_is_not_the_published_one_is_thrown_away(
    published: str, tmp_path: Path, remote: Remote
) -> None:
    right: dict[str, str | int] = {
        "sha256": sha256(CONTENT),
        "md5": hashlib.md5(CONTENT).hexdigest(),
        "size_bytes": len(CONTENT),
    }
    here = store(tmp_path, model(remote.address, **{published: right[published]}))
    remote.content = CONTENT[:-1]
    with pytest.raises(ModelError, match="discarded"):
        fetch(here)
    assert [entry.name for entry in here.folder.iterdir()] == ["big.pth.lock"]
    remote.content = CONTENT
    assert fetch(here)[0].read_bytes() == CONTENT


def test_a_file_that_is_not_the_one_of_the_first_download_is_thrown_away(
    tmp_path: Path, remote: Remote
) -> None:
    here = store(tmp_path, model(remote.address))
    fetch(here)[0].unlink()
    remote.content = CONTENT[::-1]
    with pytest.raises(ModelError, match=r"big\.pth\.json recorded another one"):
        fetch(here)
    assert here.locate(here.models[0]) is None


@pytest.mark.parametrize("lie", list(LIES))
def test_a_server_that_lies_is_not_believed(lie: str, tmp_path: Path) -> None:
    with liar(LIES[lie]) as address:
        here = store(tmp_path, model(address))
        with pytest.raises(ModelError):
            fetch(here)
        assert here.locate(here.models[0]) is None
        assert not (here.folder / "big.pth.json").exists()
        partial = here.folder / "big.pth.partial"
        assert not partial.exists() or partial.stat().st_size <= here.models[0].possible_bytes[1]


def test_only_the_network_that_was_published_is_believed(tmp_path: Path, remote: Remote) -> None:
    state = {"a.weight": torch.zeros(700, 700), "a.bias": torch.zeros(7)}
    checkpoint = io.BytesIO()
    torch.save(state, checkpoint)
    (tmp_path / "published.pth").write_bytes(checkpoint.getvalue())
    numbers, structure = structure_of(tmp_path / "published.pth")
    expected = replace(model(remote.address), entries=2, numbers=numbers, structure=structure)
    here = store(tmp_path, expected)
    for wrong in ({"b.weight": state["a.weight"], "a.bias": state["a.bias"]}, [1], None):
        checkpoint = io.BytesIO()
        torch.save(wrong, checkpoint)
        remote.content = checkpoint.getvalue().ljust(4 * numbers + 100, b"\0")
        with pytest.raises(ModelError, match="discarded"):
            fetch(here)
        assert {path.name for path in here.folder.iterdir()} == {"big.pth.lock"}
    remote.content = (tmp_path / "published.pth").read_bytes()
    fetch(here)
    assert "Not verified against a published checksum" in here.verify("Big").caution
    published = replace(expected, sha256=sha256(remote.content))
    assert not store(tmp_path, published).verify("Big").caution


def test_the_list_states_names_and_shapes_of_every_published_network() -> None:
    golden = Path(__file__).parents[1] / "golden"
    trackers = json.loads((golden / "published_names.json").read_text())
    absent, changed = trackers["no_sensory"]["absent"], trackers["no_sensory"]["changed"]
    no_sensory = {n: one for n, one in trackers["xmem"].items() if n not in absent} | changed
    shapes: dict[str, dict[str, list[int]]] = {
        "xmem": trackers["xmem"],
        "no_sensory": no_sensory,
        **json.loads((golden / "published_click_names.json").read_text()),
    }
    of = {
        "XMem": "xmem",
        "XMem-s012": "xmem",
        "XMem-s2": "xmem",
        "XMem-no-sensory": "no_sensory",
        "fbrs": "fbrs_resnet50",
        "fbrs-resnet34": "fbrs_resnet34",
        "fbrs-resnet101": "fbrs_resnet101",
        "s2m": "s2m",
    }
    for entry in default_store().models:
        if entry.is_bundled or entry.hub or entry.md5:  # known by its bytes
            continue
        found = shapes[of[entry.name]]
        lines = sorted(f"{name} {','.join(map(str, one))}\n" for name, one in found.items())
        assert entry.entries == len(found)
        assert entry.numbers == sum(math.prod(one) for one in found.values())
        assert entry.structure == sha256("".join(lines).encode())


def test_a_full_disk_is_seen_before_anything_is_fetched(
    tmp_path: Path, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(DiskFullError):
        fetch(store(tmp_path, model(remote.address)))
    monkeypatch.undo()
    assert fetch(store(tmp_path, model(remote.address)))[0].read_bytes() == CONTENT


def test_a_disk_that_fills_up_midway_keeps_what_has_arrived(
    tmp_path: Path, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = store(tmp_path, model(remote.address))
    read = downloads._read
    reads: list[int] = []

    def full(response: object) -> bytes:
        reads.append(1)
        if len(reads) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return read(response)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(downloads, "_read", full)
    with pytest.raises(DiskFullError):
        fetch(here)
    monkeypatch.undo()
    kept = (here.folder / "big.pth.partial").stat().st_size
    assert kept > 0
    assert fetch(here)[0].read_bytes() == CONTENT
    assert remote.requests[1]["Range"] == f"bytes={kept}-"


def test_a_second_download_at_the_same_time_is_turned_away_and_harms_nothing(
    tmp_path: Path, remote: Remote
) -> None:
    first, second = (store(tmp_path, model(remote.address)) for _ in range(2))
    steps = first.download("Big")
    next(steps)
    with pytest.raises(ModelError, match="by another xmem-annotate"):
        fetch(second)
    for _ in steps:
        pass
    assert fetch(second) == (first.folder / "big.pth", [])
    assert first.find("Big").read_bytes() == CONTENT


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path, remote: Remote) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(UnwritableFileError):
        fetch(store(tmp_path, model(remote.address)))


def test_only_web_addresses_are_opened(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="http or https"):
        fetch(store(tmp_path, model(models_file().as_uri())))


def bundled(tmp_path: Path) -> Model:
    (tmp_path / "bundled").mkdir()
    (tmp_path / "bundled" / "small.safetensors").write_bytes(b"small")
    return replace(model(None), name="small", file="small.safetensors")


def test_models_are_found_by_name_file_name_and_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = store(tmp_path, bundled(tmp_path), model("http://127.0.0.1/big.pth"))
    small = tmp_path / "bundled" / "small.safetensors"
    assert here.find("small") == here.find("SMALL") == here.find("small.safetensors") == small
    assert here.find(small) == small
    assert fetch(here, "small") == (small, [])

    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.chdir(own)
    for name in ("big.pth", "small", "mine"):
        (own / name).touch()
    assert here.find("big.pth") == Path("big.pth")  # not downloaded, but lying here
    assert here.find("small") == small  # a bare word is a model first
    assert here.find("./small") == Path("small")
    assert here.find("mine") == Path("mine")


def test_a_model_that_is_not_here_is_answered_with_what_is_and_the_command(tmp_path: Path) -> None:
    here = store(tmp_path, bundled(tmp_path), model("http://127.0.0.1/big.pth"))
    with pytest.raises(ModelError, match="xmem-annotate models download Big"):
        here.find("big")
    for unknown in ("huge", "weights/huge.pth"):
        with pytest.raises(ModelError, match="On this computer: small") as caught:
            here.find(unknown)
        assert "xmem-annotate models download Big" in str(caught.value)
    with pytest.raises(ModelError, match="no model “huge”"):
        fetch(here, "huge")


def test_a_bundled_model_without_its_file_is_not_listed(tmp_path: Path) -> None:
    here = store(tmp_path, model(None), model("http://127.0.0.1/big.pth", name="Big2"))
    assert [entry.name for entry in here.available()] == ["Big2"]
    with pytest.raises(ModelError, match="come with the program"):
        fetch(here, "Big")


def test_verify_tells_known_unknown_and_damaged_files_apart(tmp_path: Path, remote: Remote) -> None:
    here = store(tmp_path, model(remote.address))
    path, _ = fetch(here)
    check = here.verify("Big")
    assert (check.path, check.size_bytes, check.sha256) == (path, len(CONTENT), sha256(CONTENT))
    assert (check.known_as, check.is_damaged) == ("Big", False)

    copy = tmp_path / "copy.pth"
    copy.write_bytes(CONTENT)
    assert (here.verify(copy).known_as, here.verify(copy).expected_sha256) == ("Big", None)

    copy.write_bytes(CONTENT[1:])
    assert (here.verify(copy).known_as, here.verify(copy).is_damaged) == (None, False)

    path.write_bytes(CONTENT[1:])
    check = here.verify("Big")
    assert (check.known_as, check.is_damaged) == (None, True)
    assert check.expected_sha256 == sha256(CONTENT)


def test_the_list_that_ships_is_sound() -> None:
    here = default_store()
    assert {"XMem", "XMem-s012", "fbrs", "s2m"} <= {entry.name for entry in here.available()}
    assert len({entry.file for entry in here.models}) == len(here.models)
    for entry in here.models:
        assert entry.kind in {"tracker", "click", "scribble"}
        assert entry.is_bundled or str(entry.address).startswith("https://")
        assert entry.is_bundled or str(entry.address).endswith("/" + entry.file)
    assert sample_folder().parent == weights_folder().parent == models_file().parent


@pytest.fixture
def command_store(tmp_path: Path, remote: Remote, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    here = store(tmp_path, bundled(tmp_path), model(remote.address))
    monkeypatch.setattr(models_command, "default_store", lambda: here)
    monkeypatch.setenv("COLUMNS", "200")
    return here


def test_the_commands_list_download_and_verify(command_store: ModelStore) -> None:
    runner = CliRunner()
    listed = runner.invoke(models_command.models_app, ["list"])
    rows = [line for line in listed.stdout.splitlines() if "│ Big" in line]
    assert [" no " in row and "about 2.1 MB" in row for row in rows] == [True]
    as_json = json.loads(runner.invoke(models_command.models_app, ["list", "--json"]).stdout)
    [big] = [entry for entry in as_json if entry["name"] == "Big"]
    assert big["path"] is None
    assert f"Big: {big['address']}" in listed.stdout

    fetched = runner.invoke(models_command.models_app, ["download", "big"])
    assert fetched.stdout.strip() == str(command_store.folder / "big.pth")
    listed = runner.invoke(models_command.models_app, ["list"])
    assert "downloaded" in listed.stdout
    assert "2.1 MB" in listed.stdout

    verified = runner.invoke(models_command.models_app, ["verify", "Big"])
    assert verified.exit_code == 0
    assert sha256(CONTENT) in verified.stdout
    assert "This is Big, unchanged since" in verified.stdout
    as_json = json.loads(
        runner.invoke(models_command.models_app, ["verify", "Big", "--json"]).stdout
    )
    assert as_json["sha256"] == sha256(CONTENT)
    assert as_json["is_damaged"] is False
    assert as_json["known_as"] == "Big"
    unknown = runner.invoke(models_command.models_app, ["verify", "small"])
    assert "not known" in unknown.stdout
    (command_store.folder / "big.pth").write_bytes(b"damaged")
    damaged = runner.invoke(models_command.models_app, ["verify", "Big"])
    assert isinstance(damaged.exception, ModelError)


def test_stopping_the_download_command_keeps_the_partial_file_and_says_how_to_go_on(
    command_store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = downloads._read
    reads: list[int] = []

    def stop(response: object) -> bytes:
        reads.append(1)
        if len(reads) == 3:
            raise KeyboardInterrupt
        return read(response)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(downloads, "_read", stop)
    runner = CliRunner()
    stopped = runner.invoke(models_command.models_app, ["download", "Big"])
    assert stopped.exit_code == 130
    assert "are kept; `xmem-annotate models download Big` goes on" in stopped.stderr
    monkeypatch.undo()
    monkeypatch.setattr(models_command, "default_store", lambda: command_store)
    assert runner.invoke(models_command.models_app, ["download", "Big"]).exit_code == 0
    assert command_store.find("Big").read_bytes() == CONTENT
