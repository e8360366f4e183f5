"""`vocctl eval`."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vocctl.attacks.table import STEP_RATIO, attack_help, fixed_step_attacks
from vocctl.cli import messages, progress, score_tables
from vocctl.cli.attack import evaluate_attack
from vocctl.cli.complete import attacks, corruptions, goals
from vocctl.cli.corrupt import evaluate_corruptions
from vocctl.cli.early_checks import check_data, check_runs
from vocctl.cli.options import Device, Quiet, Runs
from vocctl.config import TTA, AttackConfig, Checkpoint, EvalOptions, Norm, Reference, Thresholds
from vocctl.config.corruptions import CORRUPTIONS, CorruptionConfig, parse_severity
from vocctl.errors import ConfigError
from vocctl.files import to_json

if TYPE_CHECKING:
    from vocctl.runs.evaluations import Evaluation

CLASSIFIERS = "Classifiers"
ATTACKS = "Attacks"
CORRUPTED = "Corruptions"
ROBUSTNESS = "Attacks and corruptions"
DEFAULTS = EvalOptions()
ATTACK_DEFAULTS = AttackConfig(attack=("fgsm",))
EPS = ",".join(ATTACK_DEFAULTS.eps)
STEP = f"{STEP_RATIO['linf']:.2f} of eps; l2: {STEP_RATIO['l2']:.2f}"
SEVERITY = ",".join(map(str, CorruptionConfig(corruption=("all",)).severity))


def evaluate(
    runs: Runs,
    data: Annotated[
        Path | None, typer.Option("--data", help="Data set to score. [dim]\\[default: the run's][/dim]")
    ] = DEFAULTS.data,
    split: Annotated[
        str | None,
        typer.Option("--split", help="Split to score. [dim]\\[default: the images that the run validated on][/dim]"),
    ] = DEFAULTS.split,
    checkpoint: Annotated[
        Checkpoint, typer.Option("--checkpoint", help="best: highest validation score; final: last epoch.")
    ] = DEFAULTS.checkpoint,
    tta: Annotated[
        TTA,
        typer.Option(
            "--tta", help="Test-time augmentation. flip: mirrored images too; ms: three scales, each mirrored too."
        ),
    ] = DEFAULTS.tta,
    thresholds: Annotated[
        Thresholds | None,
        typer.Option(
            "--thresholds",
            help="How thresholds are fitted. [dim]\\[default: the run's][/dim]",
            rich_help_panel=CLASSIFIERS,
        ),
    ] = DEFAULTS.thresholds,
    ci: Annotated[
        int,
        typer.Option(
            "--ci",
            min=0,
            help="Bootstrap resamples for 95 % intervals; 0: off. [dim]\\[default: off][/dim]",
            show_default=False,
            rich_help_panel=CLASSIFIERS,
        ),
    ] = DEFAULTS.ci,
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="Score the mean of the runs' probabilities.", rich_help_panel=CLASSIFIERS)
    ] = False,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare", help="Compare two runs by a paired bootstrap over the images.", rich_help_panel=CLASSIFIERS
        ),
    ] = False,
    attack: Annotated[
        str | None,
        typer.Option("--attack", help=attack_help(), rich_help_panel=ATTACKS, autocompletion=attacks),
    ] = None,
    eps: Annotated[
        str | None,
        typer.Option(
            "--eps",
            help=f"Perturbation budgets, separated by commas. [dim]\\[default: {EPS}][/dim]",
            rich_help_panel=ATTACKS,
        ),
    ] = None,
    norm: Annotated[
        Norm | None,
        typer.Option(
            "--norm",
            help=f"Norm of the budget. [dim]\\[default: {ATTACK_DEFAULTS.norm}][/dim]",
            rich_help_panel=ATTACKS,
        ),
    ] = None,
    step: Annotated[
        str | None,
        typer.Option(
            "--step",
            help=f"Step length of {', '.join(fixed_step_attacks())}, written as --eps. [dim]\\[default: {STEP}][/dim]",
            rich_help_panel=ATTACKS,
        ),
    ] = None,
    goal: Annotated[
        str | None,
        typer.Option(
            "--goal",
            help=f"untargeted, target:CLASS or hide:CLASS. [dim]\\[default: {ATTACK_DEFAULTS.goal}][/dim]",
            rich_help_panel=ATTACKS,
            autocompletion=goals,
        ),
    ] = None,
    reference: Annotated[
        Reference | None,
        typer.Option(
            "--reference",
            help="Reference labels: the ground truth, or the run's clean prediction. "
            f"[dim]\\[default: {ATTACK_DEFAULTS.reference}][/dim]",
            rich_help_panel=ATTACKS,
        ),
    ] = None,
    corruption: Annotated[
        str | None,
        typer.Option(
            "--corruption",
            help=f"Corruptions to score, separated by commas, or all: {', '.join(CORRUPTIONS)}.",
            rich_help_panel=CORRUPTED,
            autocompletion=corruptions,
        ),
    ] = None,
    severity: Annotated[
        str | None,
        typer.Option(
            "--severity",
            help=f"Severities from 1 to 5, separated by commas. [dim]\\[default: {SEVERITY}][/dim]",
            rich_help_panel=CORRUPTED,
        ),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(
            "--images",
            min=1,
            help="Attack or corrupt a fixed subset of this many images. [dim]\\[default: all][/dim]",
            rich_help_panel=ROBUSTNESS,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            min=0,
            help=f"Seed of the subset, the attacks and the corruptions. [dim]\\[default: {ATTACK_DEFAULTS.seed}][/dim]",
            rich_help_panel=ROBUSTNESS,
        ),
    ] = None,
    save_adv: Annotated[
        Path | None,
        typer.Option("--save-adv", help="Save the adversarial images in this folder.", rich_help_panel=ATTACKS),
    ] = None,
    transfer: Annotated[
        bool,
        typer.Option(
            "--transfer", help="Generate adversarial images on each run, score them on all.", rich_help_panel=ATTACKS
        ),
    ] = False,
    device: Device = DEFAULTS.device,
    as_json: Annotated[bool, typer.Option("--json", help="Print only the scores, as JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Score runs at the images' original sizes and store scores and predictions in RUN/eval/. With --attack: robustness.

    vocctl eval RUN --attack noise,fgsm,cospgd-20,adv:ADVRUN --eps 2/255,8/255

    vocctl eval RUN --corruption all --severity 1,3,5
    """
    options = EvalOptions(
        data=data, split=split, checkpoint=checkpoint, tta=tta, device=device, thresholds=thresholds, ci=ci
    )
    of_attacks = {"eps": _split(eps), "norm": norm, "step": step, "goal": goal, "reference": reference}
    of_corruptions = {"severity": _severities(severity)}
    of_both = {"images": images, "seed": seed}
    for_attacks = _flags(of_attacks) + _given({"--save-adv": save_adv, "--transfer": transfer})
    for_classifiers = _given(
        {"--ensemble": ensemble, "--compare": compare, "--ci": ci, "--thresholds": thresholds is not None}
    )
    of_scores = for_classifiers + _given({"--tta": tta != DEFAULTS.tta})
    check_runs(runs)
    check_data(data)
    if attack is not None:
        _check_excluded("--attack", of_scores + _flags({"corruption": corruption} | of_corruptions))
        config = AttackConfig(attack=_split(attack), **_set(of_attacks | of_both))  # type: ignore[arg-type]
        evaluate_attack(runs, config, options, save_adv, transfer=transfer, as_json=as_json, quiet=quiet)
        return
    if corruption is not None:
        _check_excluded("--corruption", of_scores + for_attacks)
        chosen = CorruptionConfig(corruption=_split(corruption) or (), **_set(of_corruptions | of_both))
        evaluate_corruptions(runs, chosen, options, as_json=as_json, quiet=quiet)
        return
    _check_unused(for_attacks, "--attack")
    _check_unused(_flags(of_corruptions), "--corruption")
    _check_unused(_flags(of_both), "--attack or --corruption")
    if compare and ensemble:
        raise ConfigError("--compare and --ensemble are mutually exclusive")
    if compare and len(runs) != 2:
        raise ConfigError(f"--compare takes two runs, got {len(runs)}")
    _score(runs, options, for_classifiers, ensemble=ensemble, compare=compare, as_json=as_json, quiet=quiet)


def _check_excluded(flag: str, others: list[str]) -> None:
    """Raise ConfigError if flags were used that cannot be used with this one."""
    if others:
        raise ConfigError(f"{flag} cannot be combined with {', '.join(others)}")


def _check_unused(flags: list[str], condition: str) -> None:
    """Raise ConfigError if flags were used that mean something only together with another one."""
    if flags:
        raise ConfigError(_requires(flags, condition))


def _set(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that the user has set."""
    return {name: value for name, value in settings.items() if value is not None}


def _flags(settings: Mapping[str, Any]) -> list[str]:
    """The flags of the settings that the user has set."""
    return [f"--{name}" for name in _set(settings)]


def _severities(text: str | None) -> tuple[int, ...] | None:
    """The numbers of --severity. Raises ConfigError."""
    return None if text is None else tuple(parse_severity(word) for word in _split(text) or ())


def _split(text: str | None) -> tuple[str, ...] | None:
    """The words of a list that is separated by commas."""
    return None if text is None else tuple(word.strip() for word in text.split(",") if word.strip())


def _given(flags: Mapping[str, Any]) -> list[str]:
    """Names of the flags that were used."""
    return [name for name, value in flags.items() if value]


def _requires(flags: list[str], condition: str) -> str:
    """The error that these flags cannot be used without the condition."""
    return f"{', '.join(flags)} {'requires' if len(flags) == 1 else 'require'} {condition}"


def _score(
    runs: list[str], options: EvalOptions, for_classifiers: list[str], *,
    ensemble: bool, compare: bool, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Score the runs and print the results. for_classifiers: the flags used that segmenters do not have."""
    from vocctl.runs.find import open_run
    from vocctl.runs.kinds import CLS, kind_of

    classifiers = {kind_of(open_run(run)) for run in runs} == {CLS}
    if for_classifiers and not classifiers:
        raise ConfigError(_requires(for_classifiers, f"runs of {CLS.task}"))
    with progress.counter("scoring", "images", quiet=quiet or as_json) as on_image:
        if classifiers:
            _score_classifiers(runs, options, on_image, ensemble=ensemble, compare=compare, as_json=as_json)
            return
        from vocctl.tasks import evaluate_seg

        for run in runs:
            _print(evaluate_seg.evaluate(run, options, on_image), as_json)


def _score_classifiers(
    runs: list[str], options: EvalOptions, on_image: Callable[[int, int], None], *,
    ensemble: bool, compare: bool, as_json: bool,
) -> None:  # fmt: skip
    from vocctl.tasks import evaluate_cls

    if not compare:
        for group in [runs] if ensemble else [[run] for run in runs]:
            _print(evaluate_cls.evaluate(group, options, on_image), as_json)
        return
    first, second, rows = evaluate_cls.compare(runs[0], runs[1], options, on_image)
    _print(first, as_json)
    _print(second, as_json)
    if as_json:
        for row in rows:
            messages.print_line(json.dumps(to_json(asdict(row))))
    else:
        score_tables.print_comparison(runs[0], runs[1], rows)


def _print(evaluation: "Evaluation", as_json: bool) -> None:
    if as_json:
        messages.print_line(json.dumps(to_json(evaluation.to_json())))
    else:
        score_tables.print_evaluation(evaluation)
