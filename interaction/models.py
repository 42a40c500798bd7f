"""The networks' weights: the list of models, where files lie, fetching and checking them."""

import functools
import hashlib
import json
import re
from collections.abc import Generator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

from platformdirs import user_cache_path

from interaction.downloads import (
    DownloadProgress,
    cached_from_hub,
    download,
    download_from_hub,
    forget_partial,
)
from interaction.errors import MissingModelError, ModelError
from interaction.files import (
    FileLock,
    is_file,
    open_regular,
    parse_json,
    read_regular,
    replace_file,
    write_text,
    writing_problem,
)
from interaction.plugins import CLICK_MODELS, TRACKERS, plugins
from resources import models_file, weights_folder
from xmem_core.messages import Message


@dataclass(frozen=True, slots=True)
class ModelNeeds:
    """What a model needs while it works: `python -m benchmarks.model_needs`, and its publisher."""

    cpu_memory_bytes: int  # the whole program's peak
    cpu_seconds: float  # of one core, for a frame, a click or a stroke
    published_gpu_per_second: float | None  # frames a second that its publisher reached on a GPU
    note: str  # how it was measured


@dataclass(frozen=True, slots=True)
class Model:
    """One entry of `resources/models.json`. None: not published or, for `address`, bundled."""

    name: str
    file: str
    kind: Literal["tracker", "click", "scribble"]
    address: str | None
    size_bytes: int | None
    parameters: int | None  # numbers in it; four bytes each in a published checkpoint
    licence: str
    sha256: str | None
    md5: str | None
    entries: int | None  # tensors in the file
    description: str
    needs: ModelNeeds | None = None  # None: not measured
    numbers: int | None = None  # in the file: those of `parameters`, running statistics, counters
    structure: str | None = None  # names and shapes, as `xmem_core.weights.structure_of` gives it
    plugin: str = ""  # name of the entry point that loads it
    # Repository of the Hugging Face hub; its weights lie in the hub's own cache.
    hub: str | None = None
    packages: tuple[str, ...] = ()  # top-level modules that it needs beside the program's own
    install: str = ""  # the command that installs those

    @property
    def is_bundled(self) -> bool:
        return self.address is None

    @property
    def has_checksum(self) -> bool:
        """Whether its publisher, or this program for what comes with it, states one."""
        return self.sha256 is not None or self.md5 is not None

    @property
    def missing_packages(self) -> tuple[str, ...]:
        """Those of `packages` that are not installed."""
        return tuple(name for name in self.packages if find_spec(name) is None)

    @property
    def size_text(self) -> str:
        """The size in words, of decimal units: "about 156 MB" where only the numbers are counted;
        "" if nothing is known."""
        size_bytes = self.size_bytes or 4 * (self.parameters or 0)
        if not size_bytes:
            return ""
        return ("" if self.size_bytes else "about ") + decimal_size(size_bytes)

    @property
    def possible_bytes(self) -> tuple[int, int]:
        """The smallest and the largest size that a file of it can have."""
        if self.size_bytes is not None:
            return self.size_bytes, self.size_bytes
        numbers = self.numbers or self.parameters
        if numbers is None:
            return 1, _MOST_MODEL_BYTES
        # Four bytes for each number, and a name, a shape and an archive's entry for each tensor.
        return 4 * numbers, 4 * numbers + 2048 * (self.entries or 0) + 2**20


@functools.cache
def read_model_list() -> tuple[Model, ...]:
    """Every model of `resources/models.json`, in the order of the file."""
    entries = json.loads(models_file().read_text("utf-8"))["models"]
    return tuple(
        Model(
            **{
                **entry,
                "needs": ModelNeeds(**entry["needs"]) if "needs" in entry else None,
                "packages": tuple(entry.get("packages", ())),
            }
        )
        for entry in entries
    )


_MOST_MODEL_BYTES: Final = 2**30
_COMMAND: Final = "xmem-annotate models"
_WEIGHTS_SUFFIXES: Final = {".pth", ".pt", ".safetensors"}
_SHA256: Final = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ModelCheck:
    """What a file of weights is, as far as its bytes tell."""

    path: Path
    size_bytes: int
    sha256: str
    known_as: str | None  # name of the model that has exactly these bytes
    expected_sha256: str | None  # published, or recorded when this file was downloaded
    is_published: bool  # the expected one is the publisher's

    @property
    def is_damaged(self) -> bool:
        """The file has changed since it was downloaded, or is not the published one."""
        return self.expected_sha256 is not None and self.expected_sha256 != self.sha256

    @property
    def caution(self) -> str:
        """What the checksum does not prove, for people; "" where it is the published one."""
        if self.is_published or self.is_damaged:
            return ""
        return Message(
            "Not verified against a published checksum: its publisher states none. Size, names and "
            "shapes are those of the published file; the numbers in it may be others."
        )


@dataclass(frozen=True, slots=True)
class BrokenPlugin:
    """A plug-in whose models are left out."""

    name: str
    package: str
    problem: str


def find_model(name_or_path: str | Path) -> Path:
    """See `ModelStore.find`."""
    return default_store().find(name_or_path)


def default_store() -> "ModelStore":
    """The models of every plug-in, in the order of `resources/models.json`, those of other packages
    last; downloads in the user's cache folder."""
    listed: list[Model] = []
    broken: list[BrokenPlugin] = []
    for plugin in plugins():
        problem = plugin.problem
        models: tuple[Model, ...] = ()
        if not problem:
            names = {model.name.casefold() for model in listed}
            kinds = {CLICK_MODELS: {"click", "scribble"}, TRACKERS: {"tracker"}}[plugin.group]
            models, problem = _models_of(plugin.provider, names, kinds)
        if problem:
            broken.append(BrokenPlugin(plugin.name, plugin.package, problem))
        listed += [replace(model, plugin=plugin.name) for model in models]
    places = {model.name: place for place, model in enumerate(read_model_list())}
    return ModelStore(
        models=tuple(sorted(listed, key=lambda one: places.get(one.name, len(places)))),
        folder=user_cache_path("xmem-annotate", appauthor=False) / "models",
        bundled_folder=weights_folder(),
        broken=tuple(broken),
    )


def _models_of(provider: Any, names: set[str], kinds: set[str]) -> tuple[tuple[Model, ...], str]:
    """What a plug-in offers, and what is wrong with it. names: that are taken, in small letters."""
    try:
        models = tuple(provider.models)
    except Exception as error:  # noqa: BLE001  # code of other people
        return (), Message(
            "its models cannot be listed ({kind}: {reason})",
            kind=type(error).__name__,
            reason=error,
        )
    for model in models:
        if not isinstance(model, Model):
            return (), Message(
                "its models must be of type Model, not {kind}", kind=type(model).__name__
            )
        if model.kind not in kinds:
            return (), Message(
                "its model “{name}” is of kind “{kind}”, not {wanted}",
                name=model.name,
                kind=model.kind,
                wanted=min(kinds),
            )
        if model.name.casefold() in names:
            return (), Message(
                "its model “{name}” has a name that another model has", name=model.name
            )
    return models, ""


@dataclass(frozen=True, slots=True)
class ModelStore:
    models: tuple[Model, ...]
    folder: Path  # for downloads; made when first needed
    bundled_folder: Path
    broken: tuple[BrokenPlugin, ...] = ()  # plug-ins whose models are not among `models`

    def available(self) -> tuple[Model, ...]:
        """Models that are here or can be downloaded."""
        return tuple(model for model in self.models if model.address or self.locate(model))

    def locate(self, model: Model) -> Path | None:
        """Where the model's file is; None if it is not here."""
        if model.hub is not None:
            return cached_from_hub(model.hub)
        path = (self.bundled_folder if model.is_bundled else self.folder) / model.file
        return path if is_file(path) else None

    def find(self, name_or_path: str | Path) -> Path:
        """The file of a model, by its name ("XMem", in any case, or "XMem.pth") or by its path.

        A file called like a path (with a folder or a suffix of weights) goes before a name.
        Raises ModelError that lists what there is and how to get the rest.
        """
        return self.resolve(name_or_path)[1]

    def resolve(self, name_or_path: str | Path) -> tuple[Model | None, Path]:
        """As `find`, with the model; None for a file that was given by its path.

        ModelError also for a model whose packages are not installed.
        """
        path = Path(name_or_path).expanduser()
        looks_like_path = len(path.parts) > 1 or path.suffix.lower() in _WEIGHTS_SUFFIXES
        if looks_like_path and is_file(path):
            return None, path
        model = self._named(str(name_or_path))
        if model and model.missing_packages:
            raise _packages_problem(model)
        located = self.locate(model) if model else None
        if located:
            return model, located
        if model and model.address:
            size = f" ({model.size_text} from {model.address})" if model.size_text else ""
            raise MissingModelError(
                model.name,
                Message(
                    "Download it once with:  {command} download {name}{size}",
                    command=_COMMAND,
                    name=model.name,
                    size=size,
                ),
            )
        if is_file(path):
            return None, path
        if looks_like_path:
            raise ModelError(
                "There is no file “{name}”.\n\n{choices}",
                name=name_or_path,
                choices=self._choices(),
            )
        raise self._unknown(name_or_path)

    def download(self, name: str) -> Generator[DownloadProgress, None, Path]:
        """Fetch a model; the generator's return value is its path. Nothing to do is no error.

        The file gets its name only when it is complete and is what was published: by its checksum
        if its publisher states one; otherwise by its size, names and shapes, and from the second
        time on by the checksum recorded at the first.
        Raises UserError, see `downloads.download`; an interrupted download goes on next time.
        """
        model = self._named(name)
        if model is None:
            raise self._unknown(name)
        if model.missing_packages:
            raise _packages_problem(model)
        located = self.locate(model)
        if located:
            return located
        if model.hub is not None:
            return (yield from download_from_hub(model.hub))
        if model.address is None:
            raise ModelError(
                "The model “{name}” should have come with the program and is not there.\n\n"
                "Install the program again, or use a model that can be downloaded: {choices}",
                name=model.name,
                choices=self._choices(),
            )
        target = self.folder / model.file
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise writing_problem(target, error) from error
        with FileLock(self.folder / f"{model.file}.lock") as lock:
            if lock.is_held is False:
                raise ModelError(
                    "“{name}” is being downloaded by another xmem-annotate right now.\n\n"
                    "Wait until it is done; nothing was changed here.",
                    name=model.name,
                )
            if not is_file(target):  # another process may have brought it just now
                partial = self.folder / f"{model.file}.partial"
                yield from download(model.address, partial, model.possible_bytes[1])
                self._accept(model, partial, target)
        return target

    def verify(self, name_or_path: str | Path) -> ModelCheck:
        """Read the whole file and say what it is. Raises ModelError if it cannot be read."""
        path = self.find(name_or_path)
        try:
            sha256, size_bytes = _digest(path, "sha256"), path.stat().st_size
        except OSError as error:
            raise ModelError(
                "“{path}” could not be read: {reason}.\n\nCheck that you may open it.",
                path=path,
                reason=error.strerror or error,
            ) from error
        known = {self._expected_sha256(model): model.name for model in reversed(self.models)}
        ours = next((model for model in self.models if self.locate(model) == path), None)
        expected = self._expected_sha256(ours) if ours else None
        return ModelCheck(
            path=path,
            size_bytes=size_bytes,
            sha256=sha256,
            known_as=known.get(sha256),
            expected_sha256=expected,
            is_published=ours is not None and (ours.has_checksum or ours.hub is not None),
        )

    def _accept(self, model: Model, partial: Path, target: Path) -> None:
        """Give a complete download its name, or throw it away if it is not the right file."""
        size_bytes, sha256 = partial.stat().st_size, _digest(partial, "sha256")
        reason = self._difference(model, partial, sha256)
        if reason:
            forget_partial(partial)
            raise ModelError(
                "What came from “{address}” is not the file that was expected: {size_bytes:,} "
                "bytes, SHA-256 {sha256}; {reason}. It was discarded; nothing else was "
                "changed.\n\n"
                "Try again. If it happens again, the file was changed at its source: do not use "
                "it before you know why.",
                address=model.address,
                size_bytes=size_bytes,
                sha256=sha256,
                reason=reason,
            )
        record = {"name": model.name, "address": model.address}
        write_text(
            self._record(model),
            json.dumps(record | {"size_bytes": size_bytes, "sha256": sha256}, indent=2) + "\n",
        )
        try:
            replace_file(partial, target)
        except OSError as error:
            raise writing_problem(target, error) from error
        forget_partial(partial)

    def _difference(self, model: Model, partial: Path, sha256: str) -> str:
        """What tells a complete download from the published file; "" if nothing does."""
        expected = self._expected_sha256(model)
        if model.has_checksum and (
            sha256 != expected if model.sha256 else _digest(partial, "md5") != model.md5
        ):
            return Message("that does not agree with its publisher's checksum")
        least, most = model.possible_bytes
        if not least <= partial.stat().st_size <= most:
            return Message(
                "a file of this network has {least:,} to {most:,} bytes", least=least, most=most
            )
        if expected is not None and sha256 != expected:
            return Message(
                "{record} recorded another one when it was first downloaded",
                record=self._record(model),
            )
        if model.structure is None:
            return ""
        from xmem_core.weights import CheckpointFileError, structure_of

        try:
            found = structure_of(partial)
        except CheckpointFileError as error:
            return str(error)
        if found != (model.numbers, model.structure):
            return Message("its names and shapes are not those of the published network")
        return ""

    def _record(self, model: Model) -> Path:
        return self.folder / f"{model.file}.json"

    def _expected_sha256(self, model: Model) -> str | None:
        if model.sha256 or model.is_bundled:
            return model.sha256
        if model.hub is not None:
            # The hub's cache calls a large file by the checksum that the hub states.
            path = cached_from_hub(model.hub)
            name = "" if path is None else path.resolve().name
            return name if _SHA256.fullmatch(name) else None
        try:
            recorded = parse_json(read_regular(self._record(model), 100_000))["sha256"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return recorded if isinstance(recorded, str) else None

    def _named(self, name: str) -> Model | None:
        wanted = name.casefold()
        return next(
            (
                model
                for model in self.models
                if wanted in {model.name.casefold(), model.file.casefold()}
            ),
            None,
        )

    def _unknown(self, name: str | Path) -> ModelError:
        return ModelError(
            "There is no model “{name}”.\n\n{choices}", name=name, choices=self._choices()
        )

    def _choices(self) -> str:
        here = [model.name for model in self.models if self.locate(model)]
        absent = [model.name for model in self.available() if not self.locate(model)]
        lines = [Message("On this computer: {here}.", here=", ".join(here))] if here else []
        if absent:
            lines.append(
                Message(
                    "To download: {absent}, with  {command} download {name}",
                    absent=", ".join(absent),
                    command=_COMMAND,
                    name=absent[0],
                )
            )
        lines.append(Message("A path to a file of weights works too."))
        return Message.joined("\n", lines)


def _packages_problem(model: Model) -> ModelError:
    return ModelError(
        "“{name}” needs packages that are not installed: {packages}. Nothing was changed.\n\n"
        "{remedy}",
        name=model.name,
        packages=", ".join(model.missing_packages),
        remedy=Message("Install them with:  {command}", command=model.install)
        if model.install
        else Message("Install them first."),
    )


def decimal_size(size_bytes: float) -> str:
    """ "156 MB": three digits of the largest unit that fits."""
    for unit in ("bytes", "kB", "MB"):
        if size_bytes < 999.5:
            return f"{size_bytes:.3g} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.3g} GB"


def _digest(path: Path, algorithm: Literal["sha256", "md5"]) -> str:
    with open_regular(path) as file:
        # Without the flag, MD5 is not there on systems in FIPS mode.
        return hashlib.file_digest(
            file, lambda: hashlib.new(algorithm, usedforsecurity=False)
        ).hexdigest()
