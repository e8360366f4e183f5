"""`vocctl submit`."""

from math import isfinite
from pathlib import Path
from typing import Annotated

import typer

from vocctl.cli import messages, progress, submit_tables
from vocctl.cli.options import Quiet
from vocctl.errors import ConfigError, DataError

FILES = "A csv that is there already"
UPLOAD = "Upload"


def submit(
    competition: Annotated[
        str | None,
        typer.Option(
            "--competition", help="h02a5a (the newest), a slug, or an address; else the csv's own, or the newest."
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="The competition's folder or a VOC tree; data/COMPETITION if left out."),
    ] = None,
    cls: Annotated[
        list[str] | None,
        typer.Option("--cls", help="A run of train-cls; several are averaged. Else the best is picked."),
    ] = None,
    seg: Annotated[
        list[str] | None,
        typer.Option("--seg", help="A run of train-seg; several are averaged. Else the best is picked."),
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            "--checkpoint", help="best or final; else, of each kind, what scores more on the held-out images."
        ),
    ] = None,
    tta: Annotated[str, typer.Option("--tta", help="none, flip, or ms (three scales, each mirrored too).")] = "none",
    device: Annotated[
        str | None, typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps; else the runs' own.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The csv, in place of runs/submit/.")] = None,
    allow_test_images: Annotated[
        bool,
        typer.Option("--allow-test-images", help="Take runs that have seen the test images; the submission says so."),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Write the csv and its expected score; upload nothing.", rich_help_panel=UPLOAD),
    ] = False,
    wait: Annotated[
        float | None,
        typer.Option("--wait", min=0, help="Seconds to wait for the score. [dim]\\[600][/dim]", rich_help_panel=UPLOAD),
    ] = None,
    message: Annotated[
        str | None,
        typer.Option("--message", help="Shown beside the score; made up if left out.", rich_help_panel=UPLOAD),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="Upload this csv; with --data it is checked first.", rich_help_panel=FILES),
    ] = None,
    check: Annotated[
        Path | None, typer.Option("--check", help="List every fault of this csv.", rich_help_panel=FILES)
    ] = None,
    merge: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--merge", metavar="CLS.csv SEG.csv", help="One csv of two halves.", rich_help_panel=FILES),
    ] = None,
    score: Annotated[
        Path | None, typer.Option("--score", help="Score this csv against --truth, offline.", rich_help_panel=FILES)
    ] = None,
    truth: Annotated[
        Path | None, typer.Option("--truth", help="A rehearsal's folder or a VOC tree.", rich_help_panel=FILES)
    ] = None,
    worst: Annotated[int, typer.Option("--worst", min=0, help="Images that --score lists.", rich_help_panel=FILES)] = 5,
    history: Annotated[
        bool, typer.Option("--history", help="List submissions; with --wait it asks for scores that are still due.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Predict the competition's test images, show the score to expect, upload, and wait for the public score.

    vocctl submit --dry-run      vocctl submit --cls a --cls b --seg c --tta flip
    """
    given = {"--file": file, "--check": check, "--merge": merge, "--score": score, "--history": history or None}
    chosen = [name for name, value in given.items() if value is not None]
    if len(chosen) > 1:
        raise ConfigError(f"{' and '.join(chosen)} exclude each other: give one of them")
    if (score is None) != (truth is None):
        raise ConfigError("--score FILE and --truth DATA belong together: give both")
    if chosen and (dry_run or cls or seg or allow_test_images):
        raise ConfigError(f"{chosen[0]} uses no run: leave out --cls, --seg, --dry-run and --allow-test-images")
    if wait is not None and not isfinite(wait):
        raise ConfigError(f"--wait is a number of seconds, got {wait}")
    if check is not None:
        _check(check, competition, data, quiet)
    elif merge is not None:
        from vocctl.tasks.submit import merged

        messages.print_line(str(merged(*merge, data=data, out=out)))
    elif score is not None and truth is not None:
        from vocctl.competition.offline_score import score_file

        with progress.counters(quiet=quiet) as steps:
            result = score_file(score, truth=truth, data=data, steps=steps)
        submit_tables.submission_score(result, score, worst)
    elif history:
        _history(wait, quiet)
    elif file is not None:
        if data is not None:
            _check(file, competition, data, quiet)
        _upload(file, competition, message, wait, quiet)
    else:
        from vocctl.tasks.submit import prepare

        with progress.counters(quiet=quiet) as steps:
            prepared = prepare(
                competition=competition, data=data, cls=cls or (), seg=seg or (), checkpoint=checkpoint, tta=tta,
                device=device, out=out, allow_test_images=allow_test_images, steps=steps,
            )  # fmt: skip
        submit_tables.prepared(prepared)
        if not dry_run and not prepared.in_notebook:
            _upload(prepared.file, competition, message, wait, quiet)


def _check(file: Path, competition: str | None, data: Path | None, quiet: bool) -> None:
    from vocctl.tasks.submit import check_submission_file

    with progress.counters(quiet=quiet) as steps:
        faults, rows = check_submission_file(file, competition=competition, data=data, steps=steps)
    for fault in faults:
        where = f"{file}, line {fault.line}" if fault.line else str(file)
        messages.print_line(f"{where}: {f'{fault.name} {fault.reason}'.lstrip()}")
    if faults:
        raise DataError(
            f"{file}: {len(faults)} faults, listed above: mend them, or write it anew with `vocctl submit --dry-run`"
        )
    messages.print_line(f"{file}: {rows} rows, no fault")


def _upload(file: Path, competition: str | None, message: str | None, wait: float | None, quiet: bool) -> None:
    from vocctl.competition.upload import upload

    with progress.counters(quiet=quiet) as steps:
        uploaded = upload(
            file,
            competition=competition,
            message=message,
            wait=600 if wait is None else wait,
            on_note=lambda text: messages.print_note(text, quiet=quiet),
            on_wait=steps("waiting for the score", "s"),
        )
    submit_tables.uploaded(uploaded)


def _history(wait: float | None, quiet: bool) -> None:
    from vocctl.competition import submission_log

    if wait is not None:
        from vocctl.competition.upload import refresh

        with progress.counters(quiet=quiet) as steps:
            refresh(wait, steps("waiting for the score", "s"))
    submit_tables.print_submission_log(submission_log.history())
