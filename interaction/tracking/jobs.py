"""Many propagations from one list: each by itself, so that one that fails stops no other."""

import csv
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Literal

from interaction.annotation.mask_folders import list_pictures, natural_key
from interaction.errors import UserError
from interaction.files import JsonObject, is_file, is_folder, parse_json, read_regular
from interaction.tracking.addresses import exists, is_address, local_files, name_of, read_small

_MASKS: Final = "-masks"
_INPUTS: Final = ("source", "masks")
_OUTPUT: Final = "output"
_REPORT: Final = "report.json"
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
    list, or addresses (`interaction.tracking.addresses`). Without `output`, results go to a folder
    of `output` named as the source. A folder holds videos or folders of pictures, each with a
    folder of masks NAME-masks beside it; or JPEGImages and Annotations with a folder for each clip.
    UserError, with the line, for what is no list.
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
