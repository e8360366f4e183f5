"""`vocctl submit`: tasks/submit.py does it, and lists where it refuses a run."""

from math import isfinite
from pathlib import Path
from typing import Annotated

import typer

from vocctl.cli import messages, progress, submit_tables
from vocctl.cli.complete import cls_runs, devices, seg_runs
from vocctl.cli.early_checks import check_files, check_folder, check_runs
from vocctl.cli.modes import check_no_other_flags
from vocctl.cli.options import Quiet
from vocctl.config import TTA, Checkpoint
from vocctl.errors import ConfigError, DataError

FILES = "An existing csv"
UPLOAD = "Upload"
MODES = {  # what is done, by its flag -> the flags that it uses; "": predict the test images
    "": (
        "--competition", "--data", "--cls", "--seg", "--checkpoint", "--tta", "--device", "--out", "--allow-test-images",
        "--dry-run", "--wait", "--message",
    ),
    "--file": ("--file", "--competition", "--data", "--message", "--wait"),
    "--check": ("--check", "--competition", "--data"),
    "--merge": ("--merge", "--data", "--out"),
    "--score": ("--score", "--truth", "--data", "--worst"),
    "--history": ("--history", "--wait"),
}  # fmt: skip


def competitions(incomplete: str) -> list[str]:
    """What the shell completes behind --competition."""
    from vocctl.competition.editions import ALIAS, EDITIONS

    return [ALIAS, *(edition.slug for edition in EDITIONS.values())]


def submit(
    context: typer.Context,
    competition: Annotated[
        str | None,
        typer.Option(
            "--competition",
            help="h02a5a (the newest), a slug, or a URL. [dim]\\[default: the csv's own, or the newest][/dim]",
            autocompletion=competitions,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="The competition's folder, or a VOC devkit. [dim]\\[default: data/COMPETITION][/dim]"
        ),
    ] = None,
    cls: Annotated[
        list[str] | None,
        typer.Option(
            "--cls",
            help="A run of train-cls; repeat for an ensemble. [dim]\\[default: the best run][/dim]",
            autocompletion=cls_runs,
        ),
    ] = None,
    seg: Annotated[
        list[str] | None,
        typer.Option(
            "--seg",
            help="A run of train-seg; repeat for an ensemble. [dim]\\[default: the best run][/dim]",
            autocompletion=seg_runs,
        ),
    ] = None,
    checkpoint: Annotated[
        Checkpoint | None,
        typer.Option(
            "--checkpoint",
            help="best: highest validation score; final: last epoch. [dim]\\[default: the one with the higher Dice][/dim]",
        ),
    ] = None,
    tta: Annotated[
        TTA,
        typer.Option(
            "--tta", help="Test-time augmentation. flip: mirrored images too; ms: three scales, each mirrored too."
        ),
    ] = "none",
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            help="auto, cpu, cuda, cuda:1, mps. [dim]\\[default: each run's own][/dim]",
            autocompletion=devices,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The csv to write. [dim]\\[default: a new one in runs/submit/][/dim]")
    ] = None,
    allow_test_images: Annotated[
        bool,
        typer.Option("--allow-test-images", help="Accept runs trained or validated on test images, with a warning."),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Write the csv and its expected score; upload nothing.", rich_help_panel=UPLOAD),
    ] = False,
    wait: Annotated[
        float | None,
        typer.Option(
            "--wait", min=0, help="Seconds to wait for the score. [dim]\\[default: 600][/dim]", rich_help_panel=UPLOAD
        ),
    ] = None,
    message: Annotated[
        str | None,
        typer.Option(
            "--message",
            help="Shown on Kaggle beside the score. [dim]\\[default: generated][/dim]",
            rich_help_panel=UPLOAD,
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="Upload this csv; with --data it is checked first.", rich_help_panel=FILES),
    ] = None,
    check: Annotated[
        Path | None, typer.Option("--check", help="List every format error of this csv.", rich_help_panel=FILES)
    ] = None,
    merge: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            "--merge",
            metavar="CLS.csv SEG.csv",
            help="Merge the classification with the segmentation rows.",
            rich_help_panel=FILES,
        ),
    ] = None,
    score: Annotated[
        Path | None, typer.Option("--score", help="Score this csv offline against --truth.", rich_help_panel=FILES)
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option("--truth", help="Folder of a mock competition, or a VOC devkit.", rich_help_panel=FILES),
    ] = None,
    worst: Annotated[
        int, typer.Option("--worst", min=0, help="Number of images that --score lists.", rich_help_panel=FILES)
    ] = 5,
    history: Annotated[
        bool, typer.Option("--history", help="List submissions; with --wait, ask Kaggle for pending scores.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Predict the competition's test images, estimate the score, upload, and wait for the public score.

    vocctl submit --dry-run      vocctl submit --cls a --cls b --seg c --tta flip
    """
    files = {"--file": file, "--check": check, "--merge": merge, "--score": score}
    mode = _single_mode([flag for flag, value in {**files, "--history": history or None}.items() if value is not None])
    if (score is None) != (truth is None):
        raise ConfigError("--score FILE and --truth DATA belong together: give both")
    check_no_other_flags(context, mode or "predicting the test images", MODES[mode])
    if wait is not None and not isfinite(wait):
        raise ConfigError(f"--wait is a number of seconds, got {wait}")
    check_files("--check", check)
    check_files("--score", score)
    check_files("--merge", *(merge or ()))
    check_folder("--data", data)
    check_folder("--truth", truth)
    check_runs(cls or (), "train-cls")
    check_runs(seg or (), "train-seg")
    if check is not None:
        _check(check, competition, data, quiet)
    elif merge is not None:
        from vocctl.tasks.submit import merge_files

        messages.print_line(str(merge_files(*merge, data=data, out=out)))
    elif score is not None and truth is not None:
        _score(score, truth, data, worst, quiet)
    elif history:
        _history(wait, quiet)
    elif file is not None:
        if data is not None:
            _check(file, competition, data, quiet)
        _upload(file, competition, message, wait, quiet)
    else:
        from vocctl.tasks.submit import prepare

        with progress.counters(quiet=quiet) as new_counter:
            submission = prepare(
                competition=competition, data=data, cls=cls or (), seg=seg or (), checkpoint=checkpoint, tta=tta,
                device=device, out=out, allow_test_images=allow_test_images, new_counter=new_counter,
            )  # fmt: skip
        submit_tables.print_submission(submission)
        if not dry_run and not submission.in_notebook:
            _upload(submission.file, competition, message, wait, quiet)


def _single_mode(flags: list[str]) -> str:
    """The only flag of these that was given; empty: none. Raises ConfigError: several."""
    if len(flags) > 1:
        raise ConfigError(f"{' and '.join(flags)} are mutually exclusive: give one of them")
    return flags[0] if flags else ""


def _check(file: Path, competition: str | None, data: Path | None, quiet: bool) -> None:
    from vocctl.tasks.submit import check_submission

    with progress.counters(quiet=quiet) as new_counter:
        errors, num_rows = check_submission(file, competition=competition, data=data, new_counter=new_counter)
    for error in errors:
        where = f"{file}, line {error.line}" if error.line else str(file)
        messages.print_line(f"{where}: {f'{error.name} {error.reason}'.lstrip()}")
    if errors:
        raise DataError(
            f"{file}: {len(errors)} format errors, listed above: fix them, or write it again with `vocctl submit --dry-run`"
        )
    messages.print_line(f"{file} has {num_rows} rows and no format errors")


def _score(file: Path, truth: Path, data: Path | None, worst: int, quiet: bool) -> None:
    from vocctl.competition.offline_score import score_file

    with progress.counters(quiet=quiet) as new_counter:
        result = score_file(file, truth=truth, data=data, new_counter=new_counter)
    submit_tables.print_offline_score(result, file, worst)


def _upload(file: Path, competition: str | None, message: str | None, wait: float | None, quiet: bool) -> None:
    from vocctl.competition.upload import upload

    with progress.counters(quiet=quiet) as new_counter:
        result = upload(
            file,
            competition=competition,
            message=message,
            wait=600 if wait is None else wait,
            on_note=lambda text: messages.print_note(text, quiet=quiet),
            on_wait=new_counter("waiting for the score", "s"),
        )
    submit_tables.print_upload(result)


def _history(wait: float | None, quiet: bool) -> None:
    from vocctl.competition import submission_log

    if wait is not None:
        from vocctl.competition.upload import refresh

        with progress.counters(quiet=quiet) as new_counter:
            refresh(wait, new_counter("waiting for the score", "s"))
    submit_tables.print_submission_log(submission_log.history())
