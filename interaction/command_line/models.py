"""`xmem-annotate models`: which weights there are, fetching them, checking them."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from interaction.downloads import DownloadProgress
from interaction.errors import ModelError
from interaction.models import Model, default_store
from interaction.steps import finish

__all__ = ["models_app"]

_STOPPED: Final = 130  # what a shell reports for a program stopped with Ctrl-C

models_app = typer.Typer(
    help="Weights of the networks: list, download, verify.", no_args_is_help=True
)


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


@models_app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """Show the models that are here or can be downloaded."""
    store = default_store()
    if as_json:
        found = [(model, store.locate(model)) for model in store.available()]
        entries = [
            {**asdict(model), "path": None if path is None else str(path)} for model, path in found
        ]
        typer.echo(json.dumps(entries, indent=2))
        return
    table = Table("name", "for", "here", "size", "licence", "what it does")
    for model in store.available():
        path = store.locate(model)
        size_bytes = path.stat().st_size if path else model.size_bytes
        table.add_row(
            model.name,
            model.kind,
            _place(model, path),
            decimal(size_bytes) if size_bytes else model.size_text,
            model.licence,
            model.description,
        )
    Console().print(table)
    for model in store.available():
        if model.address:
            typer.echo(f"{model.name}: {model.address}")
        if model.missing_packages and model.install:
            typer.echo(f"  install first:  {model.install}")
    for plugin in store.broken:
        typer.echo(
            f"The plug-in {plugin.name} of {plugin.package} is left out: {plugin.problem}", err=True
        )
    typer.echo(f"Downloads are kept in {store.folder}")


@models_app.command("download")
def download(
    name: Annotated[str, typer.Argument(help="A name from `xmem-annotate models list`.")],
    as_json: AsJson = False,
) -> None:
    """Fetch a model. An interrupted download goes on where it stopped."""
    store = default_store()
    for model in store.models:
        if name.casefold() in {model.name.casefold(), model.file.casefold()} and model.address:
            size = model.size_text or "size unknown"
            typer.echo(f"{model.name}: {size} from {model.address}", err=True)
    arrived: DownloadProgress | None = None
    try:
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        ) as progress:
            task = progress.add_task(name, total=None, start=False)

            def on_step(step: DownloadProgress) -> None:
                nonlocal arrived
                if arrived is None or step.resumed_bytes != arrived.resumed_bytes:
                    # Bytes of an earlier attempt must not count towards the speed.
                    progress.reset(task, total=step.total_bytes, completed=step.resumed_bytes)
                progress.update(task, completed=step.done_bytes)
                arrived = step

            path = finish(store.download(name), on_step)
    except KeyboardInterrupt:
        typer.echo(_stopped(name, arrived), err=True)
        raise typer.Exit(_STOPPED) from None
    typer.echo(json.dumps({"name": name, "path": str(path)}) if as_json else str(path))
    caution = store.verify(name).caution
    if caution:
        typer.echo(caution, err=True)


@models_app.command("verify")
def verify(
    name_or_path: Annotated[str, typer.Argument(help="A model's name, or a file of weights.")],
    as_json: AsJson = False,
) -> None:
    """Compute a model's SHA-256 and compare it with what is known."""
    check = default_store().verify(name_or_path)
    if as_json:
        values = {**asdict(check), "path": str(check.path), "is_damaged": check.is_damaged}
        typer.echo(json.dumps(values, indent=2))
    else:
        typer.echo(f"{check.path}\nsize     {check.size_bytes:,} bytes\nsha256   {check.sha256}")
    if check.is_damaged:
        raise ModelError(
            "“{name}” is not what it should be: SHA-256 {checksum} was expected. It was changed "
            "or damaged on this computer.\n\n"
            "Delete {path} and download or install it again.",
            name=check.path.name,
            checksum=check.expected_sha256,
            path=check.path,
        )
    if as_json:
        return
    if check.known_as:
        typer.echo(f"This is {check.known_as}, unchanged since it was downloaded or installed.")
    else:
        typer.echo("These bytes are not known: neither bundled nor downloaded by this program.")
    if check.known_as and check.caution:
        typer.echo(check.caution)


def _place(model: Model, path: Path | None) -> str:
    if model.missing_packages:
        return f"no, needs {', '.join(model.missing_packages)}"
    if path is None:
        return "no"
    if model.is_bundled:
        return "bundled"
    is_verified = model.has_checksum or model.hub is not None
    return "downloaded" if is_verified else "downloaded, not verified"


def _stopped(name: str, arrived: DownloadProgress | None) -> str:
    if arrived is None:
        return "Stopped before anything arrived."
    of_total = "" if arrived.total_bytes is None else f" of {decimal(arrived.total_bytes)}"
    return (
        f"Stopped. {decimal(arrived.done_bytes)}{of_total} are kept; "
        f"`xmem-annotate models download {name}` goes on from there."
    )
