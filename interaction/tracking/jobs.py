"""Many propagations from one list: each by itself, so that one that fails stops no other.

One after the other in this process, or on a Ray cluster: Ray places the jobs, starts a job again
when its worker dies, and keeps workers, so that each loads the weights once. https://docs.ray.io
Files of jobs may lie at addresses (`s3://…`, `sftp://…`): they are fetched before a job and put
back after it by fsspec. https://filesystem-spec.readthedocs.io
"""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal

from interaction.annotation.mask_folders import list_pictures, natural_key
from interaction.errors import UserError
from interaction.files import JsonObject, is_file, is_folder, parse_json, read_regular
from interaction.models import read_model_list

_MASKS: Final = "-masks"
_INPUTS: Final = ("source", "masks")
_OUTPUT: Final = "output"
_REPORT: Final = "report.json"  # written last: it says that a result is whole
_MOST_BYTES: Final = 2**26


@dataclass(frozen=True, slots=True)
class Job:
    """One propagation: a row of the list."""

    name: str  # for people: where it stands in the list, and its source
    values: JsonObject  # options of `propagate` by name; paths are absolute, or addresses

    @property
    def output(self) -> str:
        return str(self.values[_OUTPUT])


@dataclass(frozen=True, slots=True)
class JobResult:
    name: str
    output: str
    status: Literal["done", "failed", "already done"]
    frames: int = 0
    seconds: float = 0.0  # of the whole job, loading included
    error: str | None = None

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def read_jobs(path: Path, output: Path) -> list[Job]:
    """The jobs of a CSV table with a header, of JSON lines, or of a folder.

    Names are options of `propagate`, `source` and `masks` among them; paths are relative to the
    list, or addresses. Without `output`, results go to a folder of `output` named as the source. A
    folder holds videos or folders of pictures, each with a folder of masks NAME-masks beside it; or
    JPEGImages and Annotations with a folder for each clip. UserError, with the line, for what is no
    list.
    """
    if is_folder(path):
        rows = list(_folder_rows(path))
        base = path
    else:
        rows = list(_table_rows(path))
        base = path.parent
    if not rows:
        raise UserError("“{path}” holds no job.", path=path)
    jobs = [_job(name, row, base.resolve(), output.resolve()) for name, row in rows]
    places: dict[str, str] = {}
    for job in jobs:
        other = places.setdefault(job.output, job.name)
        if other is not job.name:
            raise UserError(
                "{other} and {name} have the same output “{output}”.\n\n"
                "Give each a folder of its own.",
                other=other,
                name=job.name,
                output=job.output,
            )
    return jobs


def run_job(job: Job, run: Callable[[Job], JsonObject]) -> JobResult:
    """run: gives the report of a propagation. Whatever it raises is the result, except for what
    stops the program."""
    start = time.perf_counter()
    try:
        with local_files(job.values, _INPUTS, _OUTPUT) as values:
            frames = int(run(replace(job, values=values))["frames"])
    except UserError as error:
        message = str(error).replace("\n\n", " ")
    except Exception as error:  # noqa: BLE001  # a bug in one job must not lose the others
        message = f"{type(error).__name__}: {error}"
    else:
        seconds = time.perf_counter() - start
        return JobResult(job.name, job.output, "done", frames, round(seconds, 3))
    seconds = time.perf_counter() - start
    return JobResult(job.name, job.output, "failed", 0, round(seconds, 3), message)


def run_jobs(
    jobs: Iterable[Job], run: Callable[[Job], JsonObject], *, resumes: bool
) -> Iterator[JobResult]:
    """One after the other, in this process. resumes: finished jobs are left alone."""
    for job in jobs:
        yield finished(job) if resumes and is_finished(job) else run_job(job, run)


def is_begun(job: Job) -> bool:
    """Whether there is anything at its output, or may be."""
    if not is_address(job.output):
        return Path(job.output).exists()
    try:
        return exists(job.output)
    except UserError:
        return True


def is_finished(job: Job) -> bool:
    """A propagation writes its report last."""
    report = _report(job)
    if not is_address(report):
        return is_file(Path(report))
    try:
        return exists(report)
    except UserError:  # which the job itself will say, and stop no other
        return False


def finished(job: Job) -> JobResult:
    """The result of a job that was done before."""
    report = _report(job)
    try:
        if is_address(report):
            data = read_small(report, _MOST_BYTES)
        else:
            data = read_regular(Path(report), _MOST_BYTES)
        frames = int(parse_json(data)["frames"])
    except (OSError, ValueError, KeyError, TypeError):
        frames = 0
    return JobResult(job.name, job.output, "already done", frames)


def _report(job: Job) -> str:
    if is_address(job.output):
        return f"{job.output.rstrip('/')}/{_REPORT}"
    return str(Path(job.output) / _REPORT)


def _job(name: str, row: JsonObject, base: Path, output: Path) -> Job:
    values = {key.strip(): value for key, value in row.items() if value not in (None, "")}
    if not isinstance(values.get("source"), str):
        raise UserError(
            "{name}: it has no source.\n\nName a video or a folder of pictures.", name=name
        )
    source = values["source"]
    name_there = Path(name_of(source) if is_address(source) else os.path.normpath(base / source))
    values.setdefault(_OUTPUT, str(output / name_there.stem))
    for key in (*_INPUTS, _OUTPUT):
        if key in values and not is_address(str(values[key])):
            values[key] = str(base / str(values[key]))
    return Job(f"{name}: {name_there.name}", values)


def _table_rows(path: Path) -> Iterator[tuple[str, JsonObject]]:
    try:
        text = read_regular(path, _MOST_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            "“{path}” cannot be read as a list of jobs: {reason}.", path=path, reason=error
        ) from None
    if text.lstrip().startswith("{"):
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip():
                continue
            try:
                row = parse_json(line.encode())
            except ValueError as error:
                raise UserError(
                    "“{path}”, line {number} is no JSON: {reason}.",
                    path=path,
                    number=number,
                    reason=error,
                ) from None
            if not isinstance(row, dict):
                raise UserError(
                    "“{path}”, line {number} is no JSON object.", path=path, number=number
                )
            yield f"line {number}", row
        return
    reader = csv.DictReader(text.splitlines())
    try:
        if "source" not in (reader.fieldnames or ()):
            raise UserError(
                "“{path}” is no list of jobs.\n\nThe first line of a CSV table names its columns; "
                "one of them is “source”. JSON lines have one object a line.",
                path=path,
            )
        for row in reader:
            if None in row:
                raise UserError(
                    "“{path}”, line {number} has more values than columns.",
                    path=path,
                    number=reader.line_num,
                )
            yield f"line {reader.line_num}", row
    except csv.Error as error:  # a value that is too long
        raise UserError(
            "“{path}”, line {number} is no CSV: {reason}.",
            path=path,
            number=reader.line_num,
            reason=error,
        ) from None


def _folder_rows(folder: Path) -> Iterator[tuple[str, JsonObject]]:
    images, annotations = folder / "JPEGImages", folder / "Annotations"
    is_dataset = images.is_dir() and annotations.is_dir()
    for source in sorted(
        (images if is_dataset else folder).iterdir(), key=lambda path: natural_key(path.name)
    ):
        if source.name.startswith(".") or (source.is_dir() and not list_pictures(source)):
            continue
        masks = annotations / source.name
        if not is_dataset:
            masks = source.with_name(source.stem + _MASKS)
            if source.stem.endswith(_MASKS) or not masks.exists():
                continue
        row = {"source": os.path.relpath(source, folder), "masks": os.path.relpath(masks, folder)}
        yield source.name, row


_RETRIES: Final = 3  # of a job whose worker died
_MEMORY_BYTES: Final = 2 * 2**30  # of a job whose model's need is not known


def run_on_cluster(
    jobs: list[Job],
    work: Callable[..., JobResult],
    arguments: tuple[object, ...],
    *,
    address: str | None,
    cpus_per_job: int,
    model: str,
    uses_gpu: bool,
) -> Generator[JobResult, None, None]:
    """The result of each job as it ends: `work(*arguments, job)`, a function that every machine can
    import.

    address: None starts a Ray of its own on this machine, and ends it. model: whose memory a job
    needs. Closing the generator cancels what has not ended. UserError without Ray, or if no cluster
    answers.
    """
    try:
        import ray
    except ImportError:
        raise UserError(
            "Ray is not installed. Nothing was done.\n\nInstall it with:  "
            'pip install "xmem-annotate[cluster]"'
        ) from None
    # Workers are as important as this program; by default Ray makes them wait for all others.
    os.environ.setdefault("RAY_worker_niceness", "0")
    try:
        ray.init(
            address=address, include_dashboard=False, log_to_driver=False, logging_level="error"
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(
            "No Ray cluster answers at {address}: {reason}",
            address=address or "this machine",
            reason=error,
        ) from None
    try:
        has_gpu = uses_gpu and ray.cluster_resources().get("GPU", 0) > 0
        remote: Any = ray.remote(work).options(
            num_cpus=cpus_per_job,
            num_gpus=1 if has_gpu else 0,
            memory=_needed_bytes(model),
            max_retries=_RETRIES,
        )
        running = {remote.remote(*arguments, job): job for job in jobs}
        while running:
            [first], _ = ray.wait(list(running))
            job = running.pop(first)
            try:
                yield ray.get(first)
            except ray.exceptions.RayError as error:
                reason = f"its worker died {_RETRIES + 1} times: {str(error).splitlines()[0]}"
                yield JobResult(job.name, job.output, "failed", error=reason)
    finally:
        ray.shutdown()


def _needed_bytes(model: str) -> int:
    """What a job holds at its peak, as measured for the model."""
    known = {one.name.casefold(): one.needs for one in read_model_list()}
    needs = known.get(Path(model).stem.casefold())
    return _MEMORY_BYTES if needs is None else needs.cpu_memory_bytes


# Files at addresses


def is_address(place: str) -> bool:
    """Whether `place` is no path of this machine."""
    return "://" in place


def name_of(address: str) -> str:
    """The last part of it. UserError if that is no name of a file."""
    name = PurePosixPath(address.partition("://")[2]).name
    if not name or name == "..":
        raise UserError("“{address}” names no file and no folder.", address=address)
    return name


def exists(address: str) -> bool:
    """UserError if the server does not answer, or its driver is missing."""
    with _problems(address):
        files, place = _opened(address)
        return bool(files.exists(place))


def read_small(address: str, most_bytes: int) -> bytes:
    """The first `most_bytes` of a file. UserError, as `exists` raises."""
    with _problems(address):
        files, place = _opened(address)
        return bytes(files.read_block(place, 0, most_bytes))


@contextmanager
def local_files(values: JsonObject, inputs: Collection[str], output: str) -> Iterator[JsonObject]:
    """`values` with paths of copies on this machine in place of the addresses at these keys.

    What lies at `output` is fetched, too, so that a job goes on where it was stopped. What was
    written there is put back at the end, also of a job that failed, the report last. UserError for
    what cannot be fetched or put.
    """
    remote = [key for key in (*inputs, output) if is_address(str(values.get(key, "")))]
    if not remote:
        yield values
        return
    with TemporaryDirectory(prefix="xmem-annotate-", ignore_cleanup_errors=True) as folder:
        copies = {key: Path(folder, key, name_of(values[key])) for key in remote}
        for key, copy in copies.items():
            if key != output or exists(values[key]):
                _fetch(values[key], copy)
        target = copies.get(output)
        before = {} if target is None else _stamps(target)
        try:
            yield {**values, **{key: str(copy) for key, copy in copies.items()}}
        finally:
            if target is not None:
                _put(target, before, values[output])


def _fetch(address: str, target: Path) -> None:
    """A file, or a folder with all in it."""
    with _problems(address):
        files, place = _opened(address)
        if not files.isdir(place):
            target.parent.mkdir(parents=True, exist_ok=True)
            files.get_file(place, str(target))
            return
        target.mkdir(parents=True)
        root = PurePosixPath(place)
        for found in files.find(place):
            inside = PurePosixPath(found).relative_to(root)
            if ".." in inside.parts:  # what a server says is not believed
                raise ValueError(f"it holds a file named {inside}")
            copy = target.joinpath(*inside.parts)
            copy.parent.mkdir(parents=True, exist_ok=True)
            files.get_file(found, str(copy))


def _put(folder: Path, before: dict[str, tuple[int, int]], address: str) -> None:
    """What is new or changed since `before`; what is gone is removed there, too."""
    after = _stamps(folder)
    with _problems(address):
        files, place = _opened(address)
        changed = [name for name in after if after[name] != before.get(name)]
        for name in sorted(changed, key=lambda one: (one == _REPORT, one)):
            target = f"{place.rstrip('/')}/{name}"
            files.makedirs(target.rpartition("/")[0], exist_ok=True)
            files.put_file(str(folder / name), target)
        for name in before.keys() - after.keys():
            files.rm_file(f"{place.rstrip('/')}/{name}")


def _stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of each file in `folder`, by its name below it."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            status = path.stat()
            found[path.relative_to(folder).as_posix()] = status.st_size, status.st_mtime_ns
    return found


def _opened(address: str) -> tuple[Any, str]:
    """The file system of fsspec, which has no types, and the place in it."""
    from fsspec.core import url_to_fs

    files, place = url_to_fs(address)
    return files, str(place)


@contextmanager
def _problems(address: str) -> Iterator[None]:
    """Errors in words: no driver (ImportError, ValueError), nothing there, no answer (OSError)."""
    try:
        yield
    except (ImportError, OSError, ValueError) as error:
        raise UserError(
            "“{address}” cannot be read or written: {reason}.",
            address=address,
            reason=str(error) or type(error).__name__,
        ) from None
