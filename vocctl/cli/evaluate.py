"""`vocctl eval`."""

import json
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from vocctl.attacks.table import attack_help
from vocctl.cli import messages, progress, score_tables
from vocctl.cli.attack import attacked
from vocctl.cli.options import Quiet, Runs
from vocctl.config import AttackConfig, Thresholds
from vocctl.errors import ConfigError

CLASSIFIERS = "Classifiers"
ATTACKS = "Attacks"
EPS = AttackConfig(attack=("fgsm",)).eps


def evaluate(
    runs: Runs,
    data: Annotated[Path | None, typer.Option("--data", help="Another data set than the run validated on.")] = None,
    split: Annotated[str | None, typer.Option("--split", help="Another split than the run validated on.")] = None,
    checkpoint: Annotated[str, typer.Option("--checkpoint", help="best or final.")] = "best",
    tta: Annotated[str, typer.Option("--tta", help="none, flip, or ms (three scales, each mirrored too).")] = "none",
    thresholds: Annotated[
        str | None,
        typer.Option(
            "--thresholds", help=f"{', '.join(get_args(Thresholds))}; else the run's.", rich_help_panel=CLASSIFIERS
        ),
    ] = None,
    ci: Annotated[
        int,
        typer.Option("--ci", min=0, help="Resamples for 95 % intervals over images.", rich_help_panel=CLASSIFIERS),
    ] = 0,
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="Score the mean of the runs' probabilities.", rich_help_panel=CLASSIFIERS)
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Two runs: a paired bootstrap.", rich_help_panel=CLASSIFIERS)
    ] = False,
    attack: Annotated[
        str | None,
        typer.Option(
            "--attack",
            help=attack_help(),
            rich_help_panel=ATTACKS,
        ),
    ] = None,
    eps: Annotated[
        str | None,
        typer.Option("--eps", help=f"Budgets. [dim]\\[{','.join(EPS)}][/dim]", rich_help_panel=ATTACKS),
    ] = None,
    norm: Annotated[
        str | None, typer.Option("--norm", help="linf or l2. [dim]\\[linf][/dim]", rich_help_panel=ATTACKS)
    ] = None,
    goal: Annotated[
        str | None, typer.Option("--goal", help="untargeted, target:CLASS or hide:CLASS.", rich_help_panel=ATTACKS)
    ] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", help="truth, or the run's clean prediction.", rich_help_panel=ATTACKS)
    ] = None,
    images: Annotated[
        int | None, typer.Option("--images", min=1, help="A fixed subset of so many.", rich_help_panel=ATTACKS)
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Of the subset and the attacks.", rich_help_panel=ATTACKS)
    ] = None,
    save_adv: Annotated[
        Path | None, typer.Option("--save-adv", help="Keep the adversarial images here.", rich_help_panel=ATTACKS)
    ] = None,
    transfer: Annotated[
        bool, typer.Option("--transfer", help="Craft on each run, test on all.", rich_help_panel=ATTACKS)
    ] = False,
    device: Annotated[
        str | None, typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps; else the run's own.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON, and nothing else.")] = False,
    quiet: Quiet = False,
) -> None:
    """Score runs at the images' own size; keeps scores, errors and predictions in RUN/eval/. With --attack: what is left.

    vocctl eval RUN --attack noise,fgsm,cospgd-20,adv:ADVRUN --eps 2/255,8/255
    """
    asked = {"eps": _words(eps), "norm": norm, "goal": goal, "reference": reference, "images": images, "seed": seed}
    asked = {name: value for name, value in asked.items() if value is not None}
    if attack is not None:
        if ensemble or compare or ci or thresholds or tta != "none":
            raise ConfigError("--attack goes without --ensemble, --compare, --ci, --thresholds and --tta")
        config = AttackConfig(attack=_words(attack), **asked)  # type: ignore[arg-type]
        place = {"data": data, "split": split, "checkpoint": checkpoint, "device": device}
        attacked(runs, config, place, save_adv, transfer=transfer, as_json=as_json, quiet=quiet)
        return
    if asked or save_adv or transfer:
        raise ConfigError("--eps, --norm, --goal, --images, --save-adv and --transfer speak of an --attack: name one")
    if compare and (ensemble or len(runs) != 2):
        raise ConfigError("--compare takes two runs, without --ensemble")

    from vocctl.runs.find import open_run

    tasks = {open_run(run).task for run in runs}
    with progress.counter("scoring", "images", quiet=quiet or as_json) as on_image:
        settings: dict[str, Any] = {
            "data": data, "split": split, "checkpoint": checkpoint, "tta": tta, "device": device, "on_image": on_image,
        }  # fmt: skip
        if tasks == {"train-cls"}:
            _classifiers(runs, settings | {"thresholds": thresholds, "ci": ci}, ensemble, compare, as_json)
        elif ensemble or compare or ci or thresholds:
            raise ConfigError("--ensemble, --compare, --ci and --thresholds are for runs of train-cls alone")
        else:
            _segmenters(runs, settings, as_json)


def _words(text: str | None) -> tuple[str, ...] | None:
    return tuple(word.strip() for word in text.split(",") if word.strip()) if text is not None else None


def _segmenters(runs: list[str], settings: dict[str, Any], as_json: bool) -> None:
    from vocctl.tasks import evaluate_seg as task

    for run in runs:
        result = task.evaluate(run, **settings)
        if as_json:
            messages.print_line(json.dumps(task.as_json(result)))
        else:
            score_tables.print_seg_scores(result)


def _classifiers(runs: list[str], settings: dict[str, Any], ensemble: bool, compare: bool, as_json: bool) -> None:
    from vocctl.tasks import evaluate_cls as task

    compared: list[task.PairedComparison] = []
    if compare:
        *results, compared = task.compare(runs[0], runs[1], resamples=settings.pop("ci") or 1000, **settings)
    else:
        groups = [runs] if ensemble else [[run] for run in runs]
        results = [task.evaluate(group, **settings) for group in groups]
    if as_json:
        for result in results:
            messages.print_line(json.dumps(task.as_json(result)))
        for row in compared:
            messages.print_line(json.dumps(task.as_json(row)))
        return
    for result in results:
        score_tables.print_cls_scores(result)
    if compared:
        score_tables.print_comparison(runs[0], runs[1], compared)
