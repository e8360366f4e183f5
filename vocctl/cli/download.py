"""`vocctl download`."""

from pathlib import Path
from typing import Annotated

import typer

from vocctl.cli import messages, progress, tables
from vocctl.cli.options import Quiet
from vocctl.errors import ConfigError, DataError


def download(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[WHAT]",
            help="voc2007 ... voc2012; shapes (drawn here, no network); h02a5a (the competition), or any slug of Kaggle's.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Where to; data/WHAT if left out.")] = None,
    url: Annotated[list[str] | None, typer.Option("--url", help="Fetch from here; may be given several times.")] = None,
    archive: Annotated[Path | None, typer.Option("--archive", help="Unpack this file, fetched by other means.")] = None,
    tree: Annotated[
        Path | None, typer.Option("--from", help="Build the competition's data from this VOC tree, no account needed.")
    ] = None,
    years: Annotated[bool, typer.Option("--years", help="List what can be downloaded by name.")] = False,
    seed: Annotated[int, typer.Option("--seed", help="Of the drawn shapes.")] = 0,
    check: Annotated[
        Path | None, typer.Option("--check", help="Audit the data set in this folder; lists each bad file.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Fetch a VOC year or the competition's data, draw the shapes data set, or audit what is there.

    vocctl download voc2009      vocctl download shapes      vocctl download --check data/voc2009
    """
    if years:
        from vocctl.tasks.download import known_data_sets

        for name, about in known_data_sets().items():
            messages.print_line(f"{name:<36}{about}")
        return
    if (what is None) == (check is None):
        raise ConfigError("name what to download (see --years), or a folder to --check: one of the two")
    if check is not None:
        from vocctl.data.audit import audit

        with progress.counter("checking", "images", quiet=quiet) as on_image:
            report = audit(check, on_image)
        tables.print_audit(report)
        if report.problems:
            raise DataError(
                f"{check}: {len(report.problems)} problems in {report.checked} images, listed above: mend or remove them"
            )
        return
    assert what is not None
    from vocctl.tasks import download as task

    root = out or task.default_root(what)
    with progress.counters(quiet=quiet) as steps:
        callbacks = task.DownloadProgress(
            on_fetch=steps("fetching", "bytes"),
            on_unpack=steps("unpacking", "bytes"),
            on_image=steps("writing", "images"),
            on_check=steps("checking", "images"),
        )
        result = task.download(what, root, urls=url or (), archive=archive, tree=tree, seed=seed, progress=callbacks)
    tables.print_download(result)
