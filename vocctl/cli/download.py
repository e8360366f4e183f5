"""`vocctl download`."""

from pathlib import Path
from typing import Annotated

import typer

from vocctl.cli import messages, progress, tables
from vocctl.cli.complete import data_sets
from vocctl.cli.early_checks import check_files, check_folder
from vocctl.cli.modes import check_no_other_flags
from vocctl.cli.options import Quiet
from vocctl.errors import ConfigError, DataError


def download(
    context: typer.Context,
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[WHAT]",
            help="voc2007 ... voc2012; voc2007-test and sbd (the split trainaug), added to data/voc2007 and data/voc2012; "
            "shapes (generated, no network); h02a5a (the competition), or any Kaggle slug.",
            autocompletion=data_sets,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Output folder; for additions to a VOC year, that year's folder. [dim]\\[default: data/WHAT][/dim]",
        ),
    ] = None,
    url: Annotated[
        list[str] | None, typer.Option("--url", help="Download from this address; repeat for several.")
    ] = None,
    archive: Annotated[
        Path | None, typer.Option("--archive", help="Unpack this file, which you have downloaded.")
    ] = None,
    from_devkit: Annotated[
        Path | None,
        typer.Option("--from", help="Build the competition's data from this VOC devkit; needs no Kaggle account."),
    ] = None,
    years: Annotated[bool, typer.Option("--years", help="List the data sets that can be downloaded.")] = False,
    seed: Annotated[int, typer.Option("--seed", help="Random seed of the shapes, and of --make-lists.")] = 0,
    check: Annotated[
        Path | None, typer.Option("--check", help="Check every file of the data set in this folder; list the problems.")
    ] = None,
    make_lists: Annotated[
        bool,
        typer.Option(
            "--make-lists",
            help="With --check: first write the lists train and val for a folder that has none, of the images with a mask.",
        ),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Download a VOC year or the competition's data, generate the shapes data set, or check a data set.

    vocctl download voc2009      vocctl download shapes      vocctl download --check data/voc2009
    """
    if make_lists and check is None:
        raise ConfigError("--make-lists requires --check FOLDER, the folder to write lists for")
    if (what is not None) + (check is not None) + years != 1:
        raise ConfigError("give either a data set to download (--years lists them) or --check FOLDER")
    if years:
        check_no_other_flags(context, "--years", ["--years"])
    elif check is not None:
        check_no_other_flags(context, "--check", ["--check", "--make-lists", *["--seed"] * make_lists])
    else:
        flags = ["--out", "--url", "--archive", "--from", *["--seed"] * (what == "shapes")]
        check_no_other_flags(context, f"download {what}", flags)
    check_files("--archive", archive)
    check_folder("--from", from_devkit)
    check_folder("--check", check)
    if years:
        _list_data_sets()
    elif check is not None:
        if make_lists:
            _make_lists(check, seed, quiet=quiet)
        _check(check, quiet=quiet)
    elif what is not None:
        _download(what, out, url or [], archive, from_devkit, seed, quiet=quiet)


def _list_data_sets() -> None:
    from vocctl.tasks.download import known_data_sets

    for name, description in known_data_sets().items():
        messages.print_line(f"{name:<36}{description}")


def _make_lists(folder: Path, seed: int, *, quiet: bool) -> None:
    from vocctl.data.make_lists import make_lists

    with progress.counter("reading", "images", quiet=quiet) as on_image:
        lists = make_lists(folder, seed=seed, on_image=on_image)
    tables.print_new_lists(lists)


def _check(folder: Path, *, quiet: bool) -> None:
    """Raises DataError if the data set has problems, after they are printed."""
    from vocctl.data.audit import audit

    with progress.counter("checking", "images", quiet=quiet) as on_image:
        report = audit(folder, on_image)
    tables.print_audit(report)
    if report.problems:
        problems = f"{len(report.problems)} problems in {report.num_images} images"
        raise DataError(f"{folder}: {problems}, listed above: fix or remove these files")


def _download(
    what: str,
    out: Path | None,
    urls: list[str],
    archive: Path | None,
    from_devkit: Path | None,
    seed: int,
    *,
    quiet: bool,
) -> None:
    from vocctl.tasks import download as task

    with progress.counters(quiet=quiet) as new_counter:
        callbacks = task.DownloadProgress(
            on_fetch=new_counter("downloading", "bytes"),
            on_unpack=new_counter("unpacking", "bytes"),
            on_image=new_counter("writing", "images"),
            on_check=new_counter("checking", "images"),
        )
        result = task.download(
            what, out or task.default_root(what), urls=urls, archive=archive, from_devkit=from_devkit, seed=seed,
            progress=callbacks,
        )  # fmt: skip
    tables.print_download(result)
    if result.note is not None:
        messages.print_note(result.note, quiet=quiet)
