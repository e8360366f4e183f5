"""One page on one run or several: what was trained on what, its figures with their definitions, plots, tables, a gallery.

An attack's folder, RUN/attacks/<name>/, adds its attack.json and table.csv as tables, its pictures (*.png), and the images
that it keeps to the gallery as adversarial ones.
"""

import csv
import io
import json
import shlex
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from math import isnan
from pathlib import Path
from typing import Any

from vocctl import __version__
from vocctl.config import as_tables
from vocctl.errors import ConfigError, DataError
from vocctl.files import is_number, read_text, write_text
from vocctl.labels import CLASSES, SEG_CLASSES
from vocctl.plots.report import Headline, Picture, Report, Section, Table, picture_source, render
from vocctl.reporting.class_scores import class_frequencies, class_scores, class_scores_mean
from vocctl.reporting.config_diff import diff_from_default, differing_settings, format_settings
from vocctl.reporting.gallery import LEGEND, LIMIT, gallery
from vocctl.reporting.options import NothingToPlot, PlotOptions
from vocctl.runs.attacks import attack_records
from vocctl.runs.evaluations import CONFIGS, MAIN_SCORE, SCORE_NAMES, Evaluation, RunRecord, read_runs
from vocctl.tasks.plot import KINDS

ALONE = ("curves", "confusion", "classes", "masks", "mistakes")  # kinds that show one run
MEANINGS = {
    "mean_iou": "Mean over the classes that the truth holds of TP / (TP + FP + FN), from one confusion matrix over all "
    "pixels at the images' own size, borders left out.",
    "mean_dice": "The same mean of 2 TP / (2 TP + FP + FN).",
    "pixel_accuracy": "Share of the labeled pixels that are right.",
    "competition_dice": "Of each image's foreground pixels with their class, border as background; mean over the images.",
    "map_11_point": "Mean average precision as VOC 2007 to 2009 define it: best precision at eleven recalls.",
    "map_all_points": "As VOC 2010 and later define it: area under the precision envelope.",
    "map_sklearn": "As scikit-learn defines it: no interpolation.",
    "sample_f1": "Mean over the images of 2 |X n Y| / (|X| + |Y|), decided against true labels: the competition's Dice.",
    "calibration_error": "Expected gap between probability and frequency, over 15 bins of all pairs of image and class.",
}
NAMES = SCORE_NAMES | {"competition_dice": "competition Dice", "calibration_error": "calibration error"}
OnStep = Callable[[int, int], None]


def report(
    names: Sequence[str], path: Path, *, evaluation: str | None = None, on_step: OnStep = lambda done, total: None
) -> Path:
    """Write the page to path. Raises ConfigError: a path that is no .html file. DataError: a run of train-adv, and as plot
    does, with RunError too."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"-o takes an .html file, got {path}")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ConfigError(f"{path} can't be written: name a file in a folder that is there")
    runs = read_runs(list(dict.fromkeys(names)), evaluation)
    if adversary := next((run.folder.path for run in runs if run.task == "train-adv"), None):
        raise DataError(
            f"{adversary} is an adversary, whose page is its target's: `vocctl eval TARGET --attack adv:{adversary}`, then "
            "`vocctl report TARGET`"
        )
    steps = 2 * len(runs) + 1
    sections = []
    for done, run in enumerate(runs):
        sections.append(_section(run))
        on_step(done + 1, steps)
    cards = []
    for done, run in enumerate(runs):
        cards += gallery(run, LIMIT // len(runs))
        on_step(len(runs) + done + 1, steps)
    page = Report(
        title=runs[0].name if len(runs) == 1 else f"{len(runs)} runs",
        made=f"Made on {datetime.now(UTC).isoformat(sep=' ', timespec='minutes')[:16]} UTC by vocctl {__version__}. "
        "Everything is inside this file; nothing is fetched.",
        sections=sections,
        overview=_overview(runs) if len(runs) > 1 else None,
        pictures=_pictures(runs, ("compare", "curves", "classes")) if len(runs) > 1 else (),
        cards=cards,
        rule=f"{len(cards)} pictures, at most {LIMIT} in all and as many of each run: half are those that went worst, by "
        "each image's own mean IoU (segmenter) or by how sure the surest wrong decision was (classifier); the other half "
        "is spread evenly over the rest of that ranking. Of an attacked run, up to half are adversarial images.",
        colors=LEGEND if any(card.layers for card in cards) else {},
    )
    write_text(path, render(page))
    on_step(steps, steps)
    return path


def _section(run: RunRecord) -> Section:
    about = run.folder.about()
    data = about.get("data", {})
    tables = as_tables(run.folder.config(CONFIGS[run.task]))
    facts = {"run folder": str(run.folder.path), "begun": about.get("started", "-"), "device": about.get("device", "-")}
    facts |= {"precision": about.get("precision", "-"), "data": data.get("path", "-")}
    facts |= {"data's fingerprint": data.get("fingerprint", "-")}
    facts |= {name: str(value) for name, value in about.get("versions", {}).items()}
    commands = [about["command"]] if "command" in about else []
    if run.evaluation is not None:
        commands.append(_eval_command(run, run.evaluation))
    attacks, pictures = _attacks(run)
    return Section(
        name=run.name,
        sentence=_sentence(run, about),
        headlines=_headlines(run),
        pictures=[*_pictures([run], ALONE), *pictures],
        tables=[*_class_table(run), *attacks],
        settings={name: {key: _shown(value) for key, value in table.items()} for name, table in tables.items()},
        facts=facts,
        commands=commands,
    )


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return ("on" if value else "off") if isinstance(value, bool) else str(value) if value != "" else "-"


def _eval_command(run: RunRecord, evaluation: Evaluation) -> str:
    scores = evaluation.scores
    words = ["vocctl", "eval", str(run.folder.path), "--checkpoint", scores["checkpoint"]]
    if scores["tta"] != "none":
        words += ["--tta", scores["tta"]]
    if not run.segments:
        words += ["--thresholds", scores["thresholds"]]
    if scores["split"] != "held-out":
        words += ["--data", scores["data_path"], "--split", scores["split"]]
    return shlex.join(words)


def _sentence(run: RunRecord, about: dict[str, Any]) -> str:
    settings, data = run.settings, about.get("data", {})
    if run.segments:
        without = "" if settings["skip"] else " without skip connections"
        model = f"A {settings['decoder']} over {settings['encoder']}{without}"
    else:
        model = f"The classifier {settings['model']}"
    size = about.get("parameters", {}).get("model")
    held = f" ({size / 1e6:.1f} M parameters)" if is_number(size) else ""
    resumed = settings.get("model" if not run.segments else "encoder") == "scratch" or settings["weights"] == "none"
    weights = "from random weights" if resumed else "from ImageNet weights"
    if settings["weights"] not in ("auto", "none"):
        weights = f"from {settings['weights']}"
    length = f"{settings['minutes']:g} minutes" if settings["minutes"] else f"{settings['epochs']} epochs"
    name = Path(settings["path"]).resolve().name
    images = f"{data['train']} images of {name}" if "train" in data else name
    sentence = (
        f"{model}{held}, trained {weights} for {length} on {images}, loss {settings['loss']}, seed {settings['seed']}."
    )
    changed = diff_from_default(run)
    sentence += f" It differs from the defaults in: {changed}." if changed else " All other settings are the defaults."
    if run.evaluation is None:
        return (
            f"{sentence} It has not been evaluated yet: `vocctl eval {run.folder.path}` adds figures and the gallery."
        )
    scores = run.evaluation.scores
    tta = "" if scores["tta"] == "none" else f", averaged over {scores['tta']} views"
    where = f"{scores['data']} {scores['split']}, {scores['images']} images"
    return f"{sentence} Scored on {where}, with its {scores['checkpoint']} weights{tta}."


def _headlines(run: RunRecord) -> list[Headline]:
    """Of the evaluation, or of training's last validation where there is none."""
    if run.evaluation is None:
        values: dict[str, Any] = dict(run.records[-1])
    else:
        values = dict(run.evaluation.scores["scores"])
        values["competition_dice"] = run.evaluation.scores.get("competition_dice")
    intervals = {} if run.evaluation is None else run.evaluation.scores.get("intervals", {})
    found = []
    for key, meaning in MEANINGS.items():
        if values.get(key) is not None:
            meaning += f" 95 % interval {_interval(intervals[key])}." if None not in intervals.get(key, [None]) else ""
            found.append(Headline(NAMES[key], f"{100 * values[key]:.1f} %", meaning))
    return found


def _interval(bounds: Sequence[float]) -> str:
    return f"{100 * bounds[0]:.1f} to {100 * bounds[1]:.1f}"


def _class_table(run: RunRecord) -> list[Table]:
    if run.evaluation is None:
        return []
    scores, held = run.evaluation.scores, class_frequencies(run.evaluation)
    ranked = class_scores(run.evaluation)
    intervals = {name: _interval(bounds) for name, bounds in ranked.intervals.items()}
    names: Sequence[str] = SEG_CLASSES if run.segments else CLASSES
    if run.segments:
        columns = {"IoU": scores["scores"]["iou"], "Dice": scores["scores"]["dice"]}
        interval_of = "IoU"
    else:
        aps = {"11_point": "AP 11-point", "all_points": "AP all points", "sklearn": "AP sklearn"}
        columns = {head: scores["ap"][key] for key, head in aps.items()} | {
            head: scores["per_class"][head.lower()] for head in ("Precision", "Recall", "F1")
        }
        interval_of = "AP sklearn"
    heads = ["class", *held, *(f"{head}, %" for head in columns), f"95 % interval of {interval_of}"]
    rows = [
        [
            name,
            *(column[name] for column in held.values()),
            *(_percent(column[name]) for column in columns.values()),
            intervals.get(name, "-"),
        ]
        for name in names
    ]
    note = "A head sorts. - stands for undefined. Intervals: bootstrap over the images."
    return [Table("Scores of each class", heads, rows, note)]


def _percent(value: float | None) -> float | None:
    return None if value is None or isnan(value) else 100 * value


def _pictures(runs: Sequence[RunRecord], kinds: Sequence[str]) -> list[Picture]:
    """Drawn anew, into the page alone."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds:
            try:
                paths = KINDS[kind](runs, PlotOptions(out=Path(folder)))
            except NothingToPlot:
                continue
            found += [Picture(_title(kind), picture_source(path)) for path in paths]
    return found


def _title(kind: str) -> str:
    titles = {
        "curves": "Training curves",
        "confusion": "Confusion",
        "classes": "Scores of each class",
        "masks": "Image, truth, prediction and errors: drawn at random, then the worst",
        "mistakes": "The surest mistakes",
        "compare": "How the configs compare",
    }
    return titles[kind]


def _attacks(run: RunRecord) -> tuple[list[Table], list[Picture]]:
    """Tables and pictures of RUN/attacks/."""
    tables, pictures = [], []
    for seen in attack_records(run.folder.path):
        folder = seen.folder
        try:
            rows = [[str(key), _said(value)] for key, value in seen.about.items() if key not in ("rows", "kept")]
            tables.append(Table(f"Attack {folder.name}: how it was made", ["what", "value"], rows))
            if (folder / "table.csv").is_file():
                heads, *lines = list(csv.reader(io.StringIO(read_text(folder / "table.csv"))))
                tables.append(
                    Table(f"Attack {folder.name}: results", heads, [[_number(one) for one in row] for row in lines])
                )
            pictures += [
                Picture(f"Attack {folder.name}: {path.stem}", picture_source(path))
                for path in sorted(folder.glob("*.png"))
            ]
        except (OSError, ValueError, csv.Error) as error:
            raise DataError(f"{folder} can't be read: {' '.join(str(error).split())[:120]}; attack again") from error
    return tables, pictures


def _said(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def _number(text: str) -> str | float | None:
    try:
        value = float(text)
    except ValueError:
        return text
    return None if isnan(value) else int(value) if text.lstrip("-").isdigit() else value


def _overview(runs: Sequence[RunRecord]) -> Table:
    """A row a run, with what differs between the configs of its task."""
    rows: list[list[str | int | float | None]] = []
    for run in runs:
        alike = [other.settings for other in runs if other.task == run.task]
        words = format_settings(run.settings, [name for name in differing_settings(alike) if name != "path"]) or "-"
        score, where = None, "not evaluated"
        if run.evaluation is not None:
            score, where = _percent(class_scores_mean(run.evaluation)), run.evaluation.name
        name = SCORE_NAMES[MAIN_SCORE[run.task]]
        rows.append([run.name, run.task, words, run.settings["seed"], name, score, where])
    heads = ["run", "task", "what differs", "seed", "score", "%", "scored on"]
    return Table("The runs", heads, rows)
