"""`vocctl study run`, `plan`, `list`, `show`, `status` and `report`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import tomli
import typer

from vocctl.cli import messages, progress, tables
from vocctl.cli.options import Quiet
from vocctl.config.study import MAX_RUNS_UNCONFIRMED, StudyFile, built_in_names, parse_study, study_text
from vocctl.errors import ConfigError, RunError

app = typer.Typer(
    help="Answer a question by training runs: comparisons and searches, resumable, on one machine or many."
)

What = Annotated[str, typer.Argument(metavar="STUDY", help="A built-in study (`vocctl study list`), or a TOML file.")]
Started = Annotated[str, typer.Argument(metavar="STUDY", help="A study's folder, or its name in studies/.")]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        help="Database of the trials, for workers on several machines: postgresql://USER@HOST/NAME. "
        "[dim]\\[default: SQLite in the study's folder][/dim]",
    ),
]
Data = Annotated[str | None, typer.Option("--data", help="Data set of every run, instead of the study's.")]
Seeds = Annotated[str | None, typer.Option("--seeds", help="Seeds separated by commas, instead of the study's.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="KEY=VALUE: a setting of every base, as in TOML; repeat for several. minutes=1"),
]


def list_studies() -> None:
    """List the built-in studies."""
    for name in built_in_names():
        file = _read(name, {})
        messages.print_line(f"{name:<16} {file.num_runs:>3} runs  {file.title}")
    messages.print_line("vocctl study show NAME prints one as TOML, to be copied and changed")


def show(study: What) -> None:
    """Print a built-in study as TOML."""
    messages.print_line(study_text(study)[1].rstrip())


def plan(study: What, data: Data = None, seeds: Seeds = None, set_: Set = None) -> None:
    """Print the runs of a study, without starting one."""
    file = _read(study, _overrides(data, seeds, set_))
    for part in file.studies:
        messages.print_line(f"{part.name}: {part.num_runs} runs of {part.command}, {part.main_metric}")
        for arm in part.all_arms if part.search is None else ():
            changes = ", ".join(f"{key} = {value}" for key, value in arm.settings.items()) or "the base"
            messages.print_line(f"  {arm.name}: {changes}; seeds {', '.join(map(str, part.seeds))}")


def run(
    study: What,
    out: Annotated[
        Path | None, typer.Option("--out", help="The study's folder. [dim]\\[default: studies/STUDY][/dim]")
    ] = None,
    data: Data = None,
    seeds: Seeds = None,
    set_: Set = None,
    storage: Storage = None,
    yes: Annotated[bool, typer.Option("--yes", help=f"Start more than {MAX_RUNS_UNCONFIRMED} runs.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train and measure every run of a study that has not finished. Start it again to continue, or elsewhere to help.

    vocctl study run skips --data data/voc2009
    """
    overrides = _overrides(data, seeds, set_)
    name, text = study_text(study)
    file = parse_study(text, name, overrides)
    if file.num_runs > MAX_RUNS_UNCONFIRMED and not yes:
        raise ConfigError(f"study {name} has {file.num_runs} runs: confirm with --yes, or give it fewer arms or seeds")
    from vocctl.study.folder import STUDIES, create_or_open
    from vocctl.study.trials import open_storage
    from vocctl.study.worker import work

    folder = create_or_open(out or STUDIES / name, name, text, overrides)
    opened = open_storage(storage or folder.default_storage)
    with progress.shown(progress.StudyView(quiet=quiet)) as view:
        result = work(folder, opened, view)
    _report(folder, opened, quiet)
    if result.failed:
        trial, reason = next(iter(result.failed.items()))
        raise RunError(f"{len(result.failed)} trials failed; {trial}: {reason}")


def status(study: Started, storage: Storage = None) -> None:
    """Show the trials of a study, finished, running, waiting and failed."""
    from vocctl.study.folder import find_study
    from vocctl.study.trials import current_trials, open_storage, optuna_study

    folder = find_study(study)
    opened = open_storage(storage or folder.default_storage)
    for part in folder.file.studies:
        for name, trial in current_trials(optuna_study(folder, part, opened)).items():
            value = "" if trial.value is None else f"  {part.main_metric} {trial.value:.4f}"
            reason = (
                f"  {trial.user_attrs['error']}" if trial.state.name == "FAIL" and "error" in trial.user_attrs else ""
            )
            messages.print_line(f"{part.name}/{name}  {trial.state.name.lower()}{value}{reason}")


def report(study: Started, storage: Storage = None, quiet: Quiet = False) -> None:
    """Write tables, figures and a page from the runs that have finished."""
    from vocctl.study.folder import find_study
    from vocctl.study.trials import open_storage

    folder = find_study(study)
    _report(folder, open_storage(storage or folder.default_storage), quiet)


COMMANDS: dict[str, Callable[..., None]] = {
    "run": run, "plan": plan, "list": list_studies, "show": show, "status": status, "report": report,
}  # fmt: skip
for command_name, command in COMMANDS.items():
    app.command(command_name)(command)


def _report(folder: Any, storage: Any, quiet: bool) -> None:
    from vocctl.study.report import write_report
    from vocctl.study.table import answer_and_cost, table
    from vocctl.study.words import summary

    with progress.counter("writing", "studies", quiet=quiet) as on_step:
        written = write_report(folder, storage, on_step)
    for result in written.results:
        rows = table(result)
        answer, cost = answer_and_cost(rows)
        tables.print_rows(result.study.name, answer)
        if cost:
            tables.print_rows(f"{result.study.name}: attacks and cost", cost)
        messages.print_line(summary(result))
    messages.print_line(f"Page, tables and figures: {written.page.parent}")


def _read(study: str, overrides: dict[str, Any]) -> StudyFile:
    name, text = study_text(study)
    return parse_study(text, name, overrides)


def _overrides(data: str | None, seeds: str | None, settings: list[str] | None) -> dict[str, Any]:
    """What the flags replace. Raises ConfigError: not numbers, or not KEY=VALUE."""
    found: dict[str, Any] = {}
    for text in settings or ():
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set is written KEY=VALUE, got {text!r}")
        found[key.strip()] = _value(value.strip())
    if data is not None:
        found["path"] = data
    if seeds is not None:
        try:
            found["seeds"] = [int(seed) for seed in seeds.split(",")]
        except ValueError as error:
            raise ConfigError(f"--seeds takes integers separated by commas, got {seeds!r}") from error
    return json.loads(json.dumps(found))


def _value(text: str) -> Any:
    """A value as in TOML; text that is none is a string: decoder=unet."""
    try:
        return tomli.loads(f"value = {text}")["value"]
    except tomli.TOMLDecodeError:
        return text
