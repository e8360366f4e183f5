"""All that is written to the terminal: progress, tables, the error line. Nothing else prints.

On a terminal progress is drawn in place; in a file it becomes plain lines, one an epoch and one each half minute.
"""

from __future__ import annotations

import io
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from vocctl.distributed import is_main_process, rank, world_size

if TYPE_CHECKING:
    from vocctl.data.audit import Audit
    from vocctl.tasks.download import DownloadResult
    from vocctl.tasks.evaluate_cls import ClsEvalResult, PairedComparison
    from vocctl.tasks.evaluate_seg import SegEvalResult
    from vocctl.tasks.export import ExportResult
    from vocctl.tasks.list_runs import RunSummary
    from vocctl.tasks.predict import Prediction
    from vocctl.training.loop import TrainProgress as Look
    from vocctl.training.trainer import TrainResult

for stream in (sys.stdout, sys.stderr):
    if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
        stream.reconfigure(errors="backslashreplace")  # a name need not be text in the terminal's encoding

Plain = partial(Console, highlight=False, soft_wrap=True, emoji=False)  # `:car:` in a name is no emoji
out = Plain(quiet=not is_main_process())
err = Plain(stderr=True, quiet=not is_main_process())
PATIENCE = 5.0  # seconds in which torchrun ends the other ranks of a failed one
PLAIN_EVERY = 30.0  # seconds between plain progress lines
COUNTS = (BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn("{task.fields[unit]}"), TimeRemainingColumn())
BYTES = (BarColumn(bar_width=24), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
SHOWN = {
    "mean_iou": "mean IoU",
    "pixel_accuracy": "pixel accuracy",
    "map_11_point": "mAP (11-point)",
    "map_sklearn": "mAP (sklearn)",
    "sample_f1": "F1 per image",
}  # of a validation's scores
OnCount = Callable[[int, "int | None"], None]


def line(text: str) -> None:
    """As it is: a path, a JSON document."""
    out.print(text, markup=False)


def error(message: str) -> None:
    """Of several ranks that fail alike, one speaks: the first at once, another only if it is still there to do so."""
    if not is_main_process():
        time.sleep(PATIENCE)
        message = f"rank {rank()} of {world_size()}: {message}"
    Plain(stderr=True).print(f"[bold red]error:[/] {escape(' '.join(message.split()))}")


def peer_gone() -> int:
    """Another rank has ended and says why; torchrun ends this one. The exit code, if it does not."""
    time.sleep(2 * PATIENCE)
    error("another process of this run has ended: its message says why")
    return 1


def note(text: str, *, quiet: bool) -> None:
    if not quiet:
        err.print(text, markup=False)


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


@contextmanager
def counting(verb: str, unit: str, *, quiet: bool) -> Iterator[OnCount]:
    """A bar that counts things of one kind; nothing in a file."""
    with transfer(quiet=quiet) as steps:
        yield steps(verb, unit)


@contextmanager
def transfer(*, quiet: bool) -> Iterator[Callable[[str, str], OnCount]]:
    """Bars made on first use: steps(verb, unit) gives what to call with (done, total). unit 'bytes' shows speed.

    A count that begins anew gets a bar of its own.
    """
    bars: dict[str, Progress] = {}
    counted: dict[str, int] = {}

    def steps(verb: str, unit: str) -> OnCount:
        def count(done: int, total: int | None) -> None:
            if quiet or not err.is_terminal:
                return
            if verb not in bars or done < counted[verb]:
                for shown in bars.values():
                    shown.stop()
                columns: tuple[ProgressColumn, ...] = BYTES if unit == "bytes" else COUNTS
                bars[verb] = Progress(
                    TextColumn("{task.description}"),
                    *columns,
                    console=err,
                    redirect_stdout=False,  # a task may have turned it elsewhere
                    redirect_stderr=False,
                )
                bars[verb].add_task(verb, unit=unit, total=total)
                bars[verb].start()
            counted[verb] = done
            bars[verb].update(bars[verb].task_ids[0], completed=done, total=total)

        return count

    try:
        yield steps
    finally:
        for bar in bars.values():
            bar.stop()


class TrainingView:
    """What a run shows while it trains."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.drawn = err.is_terminal and not quiet
        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.fields[figures]}"), console=err
        )
        self.counted = ""  # what is counted now
        self.count_bar = self.epoch_bar = TaskID(-1)
        self.plain_at = time.monotonic()

    def note(self, text: str) -> None:
        if not self.quiet:
            err.print(text, markup=False)

    def count(self, what: str, done: int, total: int) -> None:
        if not self.drawn:
            return
        if what != self.counted:
            self.counted, self.count_bar = what, self.bar.add_task(what, total=total, figures="")
        self.bar.update(self.count_bar, completed=done, figures=f"{done}/{total} images")
        if done == total:
            self.bar.remove_task(self.count_bar)
            self.counted = ""

    def progress(self, look: Look) -> None:
        epochs = f"/{look.epochs}" if look.epochs else ""
        head = f"epoch {look.epoch}{epochs}"
        figures = (
            f"step {look.batch}/{look.batches}  loss {look.loss:.3f}  lr {look.lr:.1e}  "
            f"{look.images_per_second:.1f} images/s, data {100 * look.data_wait:.0f} %  "
            f"{_minutes(look.seconds_left)} left"
        )
        if self.drawn:
            if self.epoch_bar < 0:
                self.epoch_bar = self.bar.add_task(head, total=1.0, figures=figures)
            self.bar.update(self.epoch_bar, description=head, completed=look.done, figures=figures)
        elif not self.quiet and time.monotonic() - self.plain_at >= PLAIN_EVERY:
            self.plain_at = time.monotonic()
            err.print(f"{head}  {figures}", markup=False)

    def epoch(self, record: dict[str, Any]) -> None:
        scores = "  ".join(f"{name} {100 * record[key]:.1f}" for key, name in SHOWN.items() if key in record)
        self.note(
            f"epoch {record['epoch']:>3}  loss {record['train_loss']:.3f}  val loss {record['val_loss']:.3f}  "
            f"{scores}  {record['images_per_second']:.1f} images/s"
        )


@contextmanager
def training(*, quiet: bool) -> Iterator[TrainingView]:
    view = TrainingView(quiet=quiet)
    if view.drawn:
        with view.bar:
            yield view
    else:
        yield view


def train_result(result: TrainResult, *, is_adversary: bool) -> None:
    scale = 1 if result.monitor == "val_loss" else 100
    final = ", ".join(f"{name} {100 * result.scores[key]:.1f}" for key, name in SHOWN.items() if key in result.scores)
    out.print(
        f"trained {_minutes(result.seconds)} min; best {result.monitor} {scale * result.best:.1f} at epoch "
        f"{result.best_epoch}, final {final}"
    )
    scored = f"TARGET --attack adv:{result.run}" if is_adversary else result.run
    line(f"{result.run}: next `vocctl eval {scored}`, then `vocctl plot {result.run}`")


def share(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f}"


def seg_scores(result: SegEvalResult) -> None:
    """The table of one evaluation, with the definitions under it."""
    scores = result.scores
    where = f"{result.data} {result.split}, {result.images} images"
    title = f"{result.run.name}, {result.checkpoint} weights, tta {result.tta}: {where}"
    table = Table(title=escape(title), title_justify="left")
    for head in ("class", "IoU", "Dice"):
        table.add_column(head, justify="left" if head == "class" else "right")
    for name, iou in scores.iou.items():
        table.add_row(name, share(iou), share(scores.dice[name]))
    table.add_section()
    table.add_row("[bold]mean[/]", f"[bold]{share(scores.mean_iou)}[/]", share(scores.mean_dice))
    out.print(table)
    out.print(
        f"mean IoU [bold]{share(scores.mean_iou)}[/]   pixel accuracy {share(scores.pixel_accuracy)}   "
        f"competition Dice {share(result.competition_dice)}   (all in %)"
    )
    out.print(
        "IoU: TP / (TP + FP + FN), from one confusion matrix over all pixels at the images' own size, border (255) left "
        "out. Dice: 2 TP / (2 TP + FP + FN), from the same matrix. Competition Dice: of each image's foreground pixels "
        "with their class, border as background, mean over images.",
        style="dim",
    )
    absent = f": {len(scores.absent)} here ({', '.join(scores.absent)})" if scores.absent else ", none here"
    out.print(
        f"A class without truth is left out of the means{absent}. - stands for neither truth nor prediction.",
        style="dim",
    )
    out.print(f"{result.folder}: scores.json, confusion.csv, labels/", markup=False)


AP_HEADS = {"11_point": "AP 11-point", "all_points": "AP all points", "sklearn": "AP sklearn"}


def cls_scores(result: ClsEvalResult) -> None:
    """The table of one evaluation of a classifier or an ensemble, with the definitions under it."""
    who = result.run.name if len(result.members) == 1 else f"{len(result.members)} runs"
    where = f"{result.data} {result.split}, {result.images} images"
    title = f"{who}, {result.checkpoint} weights, tta {result.tta}: {where}"
    table = Table(title=escape(title), title_justify="left")
    for head in ("class", "images", *AP_HEADS.values(), "precision", "recall", "F1"):
        table.add_column(head, justify="left" if head == "class" else "right")
    for name, count in result.positives.items():
        aps = [share(result.ap[key][name]) for key in AP_HEADS]
        decided = [share(result.per_class[key][name]) for key in ("precision", "recall", "f1")]
        table.add_row(name, str(count), *aps, *decided)
    scores = result.scores
    table.add_section()
    means = [f"[bold]{share(scores[f'map_{key}'])}[/]" for key in AP_HEADS]
    table.add_row("[bold]mean[/]", "", *means, "", "", share(scores["macro_f1"]))
    out.print(table)
    for name, (low, high) in result.intervals.items():
        out.print(f"{name} {share(scores[name])}, 95 % interval {share(low)} to {share(high)}")
    out.print(
        f"competition Dice (F1 per image) [bold]{share(scores['sample_f1'])}[/]   micro F1 {share(scores['micro_f1'])}   "
        f"exact match {share(scores['exact_match'])}   Hamming accuracy {share(scores['hamming_accuracy'])}   "
        f"calibration error {share(scores['calibration_error'])}   (all in %)"
    )
    out.print(
        "AP 11-point is VOC2007-2009's, AP all points VOC2010's and later, AP sklearn interpolates nothing. Images with "
        "only difficult objects of a class are left out of it. - stands for a class without positives, in no mean. "
        f"Decisions: {result.thresholds} thresholds, {result.decided}; the most probable class where none is reached. "
        "Calibration: expected error over 15 bins of image-class pairs.",
        style="dim",
    )
    out.print(f"{result.folder}: scores.json, predictions.csv, errors.csv, confused_with.csv", markup=False)


def comparison(first: str, second: str, rows: list[PairedComparison]) -> None:
    title = f"{second} against {first}, paired bootstrap over the images"
    table = Table(title=escape(title), title_justify="left")
    for head in ("score", "first", "second", "difference", "95 % interval", "p"):
        table.add_column(head, justify="left" if head == "score" else "right")
    for row in rows:
        between = f"{100 * row.low:+.1f} to {100 * row.high:+.1f}"
        difference = f"{100 * (row.second - row.first):+.1f}"
        table.add_row(row.score, share(row.first), share(row.second), difference, between, f"{row.p:.3f}")
    out.print(table)


def audit(report: Audit) -> None:
    for problem in report.problems:
        line(f"{problem.path}: {problem.reason}")
    sizes = ", ".join(f"{split} {count}" for split, count in report.splits.items())
    line(f"{report.root}: {report.layout}; {sizes}; {report.checked} images checked, {len(report.problems)} problems")


def downloaded(result: DownloadResult) -> None:
    sizes = ", ".join(f"{split} {count}" for split, count in result.splits.items())
    line(f"{result.root}: {'was there already' if result.skipped else 'ready'}; {sizes}")


def submissions(records: list[dict[str, Any]]) -> None:
    if not records:
        line("no submission yet: `vocctl submit --dry-run` writes one")
        return
    table = Table(title="submissions, oldest first", title_justify="left")
    for head in ("time", "file", "runs", "expected", "public", "status"):
        table.add_column(head, justify="right" if head in ("expected", "public") else "left", overflow="fold")
    for record in records:
        runs = ", ".join(name.rpartition("/")[2] for kind in ("cls", "seg") for name in record.get(kind, []))
        expected = record.get("expected")
        status = record["status"] + (f": {record['reason']}" if record.get("reason") else "")
        score = [f"{expected['joint']:.4f}" if expected else "-", record.get("public_score") or "-"]
        table.add_row(*map(escape, (record["time"][:16], record["file"], runs or "-", *score, status)))
    out.print(table)
    if any(record["status"] == "pending" for record in records):
        line("some were not scored yet: `vocctl submit --history --wait 60` asks Kaggle")


def predictions(results: list[Prediction]) -> None:
    """A row a image: labels with probabilities of a classifier, classes with their share of the pixels of a segmenter."""
    table = Table()
    masks = any(result.mask for result in results)
    for head in ("image", "size", "classes, % of the pixels" if masks else "labels, probability in %"):
        table.add_column(head, overflow="fold")
    if masks:
        table.add_column("mask", overflow="fold")
    for result in results:
        if result.error:
            table.add_row(escape(str(result.image)), "-", f"[red]{escape(result.error)}[/]", *["-"] * masks)
            continue
        shares = result.shares or {}
        named = ", ".join(f"{name} {100 * shares[name]:.0f}" for name in result.labels) or "background alone"
        size = f"{result.size[0]} x {result.size[1]}"
        table.add_row(escape(str(result.image)), size, named, *([escape(str(result.mask))] if masks else []))
    out.print(table)


def exported(result: ExportResult) -> None:
    out.print(f"{result.path}: {result.megabytes:.1f} MB", markup=False)
    out.print(
        f"onnxruntime against the run in fp32 on {result.num_images} images: largest difference of a logit "
        f"{result.difference:.1e} of the largest one, of a probability {result.probability_difference:.1e}, decisions that "
        f"agree {100 * result.agreement:.3f} %"
    )


def run_list(runs: list[RunSummary]) -> None:
    if not runs:
        return line("no runs yet: `vocctl train-seg` and `vocctl train-cls` make them")
    table = Table()
    for head in ("run", "task", "data", "what differs from the defaults", "seed", "score", "when"):
        table.add_column(head, overflow="fold")
    for run in runs:
        if run.problem:
            table.add_row(escape(run.path.name), "-", "-", f"[red]{escape(run.problem)}[/]", "-", "-", "-")
            continue
        score = "-" if run.score is None else f"{run.score_name} {share(run.score)} %"
        when = run.started[:16].replace("T", " ")
        seed = "-" if run.seed is None else str(run.seed)
        table.add_row(
            escape(run.path.name), run.task.removeprefix("train-"), escape(run.data), escape(run.differs) or "nothing", seed,
            f"{score}\n[dim]{escape(run.scored_on)}[/]", escape(when),
        )  # fmt: skip
    return out.print(table)
