"""Fetch one file over HTTP so that an interrupted download goes on where it stopped.

The bytes go to a partial file; beside it, in a small JSON file, stands which version of the
remote file they belong to. A server that has another version by now is made to start again
(If-Range), so a file is never put together from two versions. What the file is, and whether it
is the right one, is not known here: see `models.py`.
"""

import http.client
import json
import re
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Generator
from concurrent.futures import CancelledError
from dataclasses import asdict, dataclass
from email.message import Message as Headers
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, Final
from urllib.parse import urlsplit

from interaction.errors import DiskFullError, ModelError
from interaction.files import parse_json, read_regular, write_text, writing_problem
from xmem_core.messages import Message

_CHUNK_BYTES: Final = 1 << 18
_TIMEOUT_S: Final = 30  # without a single byte
_MOST_RECONNECTIONS: Final = 5
_MOST_VERSION_BYTES: Final = 100_000
_NUMBER: Final = re.compile("[0-9]{1,15}")
_KEPT: Final = Message("What has arrived is kept: the same command goes on from there.")


@dataclass(frozen=True, slots=True)
class DownloadProgress:
    done_bytes: int
    total_bytes: int | None  # None: the server does not say
    resumed_bytes: int  # of done_bytes, how many an earlier attempt had brought


@dataclass(frozen=True, slots=True)
class _Version:
    """Which remote file the bytes of a partial file belong to."""

    address: str
    validator: str | None  # ETag or Last-Modified; None: the server gives neither
    total_bytes: int | None


class _ConnectionLostError(Exception):
    """The connection broke; what came until then is in the partial file."""


def download(
    address: str, partial: Path, most_bytes: int
) -> Generator[DownloadProgress, None, None]:
    """Make `partial` the whole file at `address`, going on where an earlier attempt stopped.

    Broken connections are taken up again as long as each brings something. Closing the generator
    keeps what has arrived. A server that announces or sends more than `most_bytes` is hung up on,
    and what it sent is removed. The caller sees to it that only one download writes to `partial`,
    and calls `forget_partial` when the file has its final name.

    Raises ModelError (offline, not there, a sign-in page instead of the file), DiskFullError or
    UnwritableFileError; after each of them a later call goes on. Raises ValueError for an
    address that is not http or https.
    """
    if urlsplit(address).scheme not in {"http", "https"}:
        raise ValueError(f"address must be http or https, got {address!r}")
    for attempts_left in reversed(range(1 + _MOST_RECONNECTIONS)):
        before_bytes = _size_bytes(partial)
        try:
            yield from _fetch(address, partial, most_bytes)
        except _ConnectionLostError as error:
            after_bytes = _size_bytes(partial)
            if not attempts_left or after_bytes <= before_bytes:
                raise ModelError(
                    "The connection broke after {size_bytes:,} bytes of “{address}”: {reason}.\n\n"
                    "{remedy}",
                    size_bytes=after_bytes,
                    address=address,
                    reason=error,
                    remedy=_KEPT,
                ) from error
        else:
            return


def forget_partial(partial: Path) -> None:
    """Remove a partial file, if it is still there, and what is known about it."""
    partial.unlink(missing_ok=True)
    _version_file(partial).unlink(missing_ok=True)


_HUB_FILES: Final = ("config.json", "model.safetensors")  # the second is the large one


def cached_from_hub(repository: str) -> Path | None:
    """The weights of a repository of the Hugging Face hub in the hub's own cache, its configuration
    beside them; None if they are not all there or the hub's package is not installed."""
    if find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import try_to_load_from_cache

    paths = [try_to_load_from_cache(repository, name) for name in _HUB_FILES]
    weights = paths[-1]
    return Path(weights) if isinstance(weights, str) and isinstance(paths[0], str) else None


def download_from_hub(repository: str) -> Generator[DownloadProgress, None, Path]:
    """Fetch a repository's weights and configuration into the hub's own cache; the generator's
    return value is where the weights are.

    The hub's package does it, with what its environment variables say (HF_HOME, HF_ENDPOINT,
    HF_HUB_OFFLINE, HF_TOKEN). Closing the generator stops it; what has arrived is kept.
    Raises ModelError if it cannot be had, HF_HUB_OFFLINE included.
    """
    from huggingface_hub import hf_hub_download
    from tqdm import tqdm

    arrived: SimpleQueue[DownloadProgress | Exception | None] = SimpleQueue()
    is_stopped = threading.Event()

    class Progress(tqdm):  # type: ignore[misc]  # of an optional package
        """Sends progress to the queue and not to the screen."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **{**options, "disable": True})
            self.resumed = int(options.get("initial", 0))
            self.n = self.resumed

        def update(self, n: float | None = 1) -> None:
            if is_stopped.is_set():
                raise CancelledError
            self.n += int(n or 0)
            total = None if self.total is None else int(self.total)
            arrived.put(DownloadProgress(int(self.n), total, self.resumed))

    def fetch() -> None:
        try:
            for name in _HUB_FILES:
                hf_hub_download(repository, name, tqdm_class=Progress)
        except Exception as error:  # noqa: BLE001  # raised again below, in the caller's thread
            arrived.put(error)
        else:
            arrived.put(None)

    thread = threading.Thread(target=fetch, name=f"download {repository}", daemon=True)
    thread.start()
    try:
        while (step := arrived.get()) is not None:
            if isinstance(step, Exception):
                raise _hub_problem(repository, step) from step
            yield step
    finally:
        is_stopped.set()
        thread.join()
    weights = cached_from_hub(repository)
    if weights is None:
        raise ModelError(
            "“{repository}” came from the hub and is not in its cache.\n\n"
            "Check HF_HOME and HF_HUB_CACHE, then try again.",
            repository=repository,
        )
    return weights


def _hub_problem(repository: str, error: Exception) -> ModelError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return ModelError(
        "“{repository}” could not be fetched from the hub: {reason}\n\n"
        "Check the network, and that HF_HUB_OFFLINE is not set. {kept}",
        repository=repository,
        reason=reason,
        kept=_KEPT,
    )


def _fetch(address: str, partial: Path, most_bytes: int) -> Generator[DownloadProgress, None, None]:
    """One connection. Raises _ConnectionLostError if it ends before the file does."""
    start = _size_bytes(partial)
    version = _read_version(partial)
    if version is None or version.address != address or version.validator is None:
        start = 0
    elif start == version.total_bytes:
        yield DownloadProgress(start, start, start)
        return

    request = urllib.request.Request(
        address, headers={"User-Agent": "xmem-annotate", "Accept-Encoding": "identity"}
    )
    if start and version and version.validator:
        request.add_header("Range", f"bytes={start}-")
        request.add_header("If-Range", version.validator)
    response = _open(request)
    if response is None:  # the server has no such range: what is here belongs to something else
        forget_partial(partial)
        yield from _fetch(address, partial, most_bytes)
        return
    with response:
        if response.status not in {200, 206}:  # 204, for one, has no contents
            raise _refusal(address, response.status)
        if response.headers.get_content_type() == "text/html":
            raise ModelError(
                "Instead of the file, “{address}” gave a web page. It may be the sign-in page of "
                "this network.\n\n"
                "Open any page in a browser, sign in if asked, then try again.",
                address=address,
            )
        total_bytes = _total_bytes(response.headers, start if response.status == 206 else 0)
        if response.status != 206:
            start = 0
        elif _first_byte(response.headers) != start:
            forget_partial(partial)
            raise _ConnectionLostError(
                Message("the server sent another part than the one asked for")
            )
        version = _Version(address, _validator(response.headers), total_bytes)
        yield from _receive(response, partial, start, version, most_bytes)


def _receive(
    response: http.client.HTTPResponse,
    partial: Path,
    start: int,
    version: _Version,
    most_bytes: int,
) -> Generator[DownloadProgress, None, None]:
    total_bytes = version.total_bytes
    if (total_bytes or 0) > most_bytes:
        raise _too_long(version.address, most_bytes)
    if total_bytes and shutil.disk_usage(partial.parent).free < total_bytes - start:
        raise DiskFullError(partial)
    done_bytes = start
    try:
        with partial.open("ab" if start else "wb") as file:
            if not start:
                # Only now that the old bytes are gone may the new version's name stand beside.
                write_text(_version_file(partial), json.dumps(asdict(version)))
            yield DownloadProgress(done_bytes, total_bytes, start)
            while chunk := _read(response):
                file.write(chunk)
                done_bytes += len(chunk)
                if done_bytes > most_bytes:
                    raise _too_long(version.address, most_bytes)
                yield DownloadProgress(done_bytes, total_bytes, start)
    except OSError as error:
        raise writing_problem(partial, error) from error
    finally:
        if done_bytes > most_bytes:
            forget_partial(partial)
    if total_bytes is not None and done_bytes < total_bytes:
        raise _ConnectionLostError(
            Message("{total_bytes:,} bytes are missing", total_bytes=total_bytes - done_bytes)
        )


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise _ConnectionLostError(str(error) or type(error).__name__) from error


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https, and from http also to http; to nothing else."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme != "https" and scheme != urlsplit(req.full_url).scheme:
            raise urllib.error.HTTPError(req.full_url, code, msg, headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_opener: Final = urllib.request.build_opener(_SafeRedirects)


def _open(request: urllib.request.Request) -> Any:
    """The response, status 200 or 206; None if the range asked for does not exist (416)."""
    address = request.full_url
    try:
        return _opener.open(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and request.has_header("Range"):
            return None
        raise _refusal(address, error.code) from error
    except urllib.error.URLError as error:
        raise _no_connection(address, error.reason) from error
    except (OSError, http.client.HTTPException) as error:
        raise _no_connection(address, error) from error
    except ValueError as error:  # sent on to something that is no address
        raise _refusal(address, 300) from error


def _no_connection(address: str, reason: object) -> ModelError:
    return ModelError(
        "No connection to {host}: {reason}.\n\n"
        "Check the network (and HTTPS_PROXY, if you need a proxy), then try again. {kept}",
        host=urlsplit(address).hostname,
        reason=str(reason),
        kept=_KEPT,
    )


def _refusal(address: str, status: int) -> ModelError:
    if status in {404, 410}:
        return ModelError(
            "There is no file at “{address}” any more (the server answered {status}).\n\n"
            "Its publisher may have moved it. If you have the file, give its path instead.",
            address=address,
            status=status,
        )
    if 300 <= status < 400:
        return ModelError(
            "“{address}” sends on to an address that is not safe to follow.\n\n"
            "Nothing was downloaded. If you have the file, give its path instead.",
            address=address,
        )
    return ModelError(
        "The server of “{address}” refused with status {status}.\n\nTry again later. {kept}",
        address=address,
        status=status,
        kept=_KEPT,
    )


def _too_long(address: str, most_bytes: int) -> ModelError:
    return ModelError(
        "“{address}” sends more than the {most:,} bytes that the file can have. The data was "
        "discarded; nothing else was changed.\n\n"
        "The file was changed at its source, or something in between answers in its place. If you "
        "have the file, give its path instead.",
        address=address,
        most=most_bytes,
    )


def _validator(headers: Headers) -> str | None:
    tag = headers["ETag"]
    # A weak tag may stand for different bytes, so it says nothing about parts.
    return tag if tag and not tag.startswith("W/") else headers["Last-Modified"]


def _total_bytes(headers: Headers, start: int) -> int | None:
    length = headers["Content-Length"]
    return start + int(length) if length and _NUMBER.fullmatch(length) else None


def _first_byte(headers: Headers) -> int | None:
    unit, _, content = (headers["Content-Range"] or "").partition(" ")
    first = content.partition("-")[0]
    return int(first) if unit == "bytes" and _NUMBER.fullmatch(first) else None


def _size_bytes(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _version_file(partial: Path) -> Path:
    return partial.with_name(partial.name + ".json")


def _read_version(partial: Path) -> _Version | None:
    try:
        version = _Version(**parse_json(read_regular(_version_file(partial), _MOST_VERSION_BYTES)))
    except (OSError, ValueError, TypeError):
        return None  # nothing is known about the bytes, so they are fetched again
    is_sound = isinstance(version.validator, str | None) and type(version.total_bytes) in {
        int,
        type(None),
    }
    return version if is_sound else None
