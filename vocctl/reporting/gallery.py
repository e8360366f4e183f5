"""The report's gallery: which images of a run, and what is said of each."""

from pathlib import Path
from typing import Any

import numpy as np

from vocctl.data.images import read_image
from vocctl.data.multilabel import with_labels
from vocctl.labels import CLASSES, IGNORE, PALETTE, SEG_CLASSES
from vocctl.plots.report import Card, Layer, image_source, layer_source
from vocctl.plots.segmentation import ERROR_COLORS, error_map, palette_image
from vocctl.reporting.prediction_figures import surest_mistakes
from vocctl.runs.attacks import AttackRecord, attack_records
from vocctl.runs.evaluations import Evaluation, RunRecord

LIMIT = 200  # pictures in a report
TELLING = 0.05  # share of the pixels that are an object's in truth or prediction: from here on an error is named
MISSED, FALSE_POSITIVE, WRONG_CLASS = "object missed", "object invented", "class mistaken"
LEGEND = {name: f"#{r:02x}{g:02x}{b:02x}" for name, (r, g, b) in zip(SEG_CLASSES[1:], PALETTE[1:], strict=False)} | {
    f"errors: {name}": f"#{r:02x}{g:02x}{b:02x}" for name, (r, g, b) in ERROR_COLORS.items() if name != "right"
}


def gallery(run: RunRecord, count: int) -> list[Card]:
    """At most count cards: of the evaluation's images, and of adversarial ones that attacks on the run kept."""
    if run.evaluation is None:
        return []
    adversarial = _adversarial(run, run.evaluation, count // 2)
    ranked = _worst_first(run, run.evaluation)
    chosen = sample_gallery(ranked, count - len(adversarial))
    make = _segmented if run.segments else _classified
    return [make(run, run.evaluation, image_id) for image_id in chosen] + adversarial


def sample_gallery(ranked: list[str], count: int) -> list[str]:
    """Half of count from the front, the other half spread evenly over the rest; all where there are no more."""
    if len(ranked) <= count:
        return ranked
    front, rest = ranked[: -(-count // 2)], ranked[-(-count // 2) :]
    places = np.linspace(0, len(rest) - 1, count - len(front)).round().astype(int)
    return front + [rest[place] for place in places]


def _worst_first(run: RunRecord, evaluation: Evaluation) -> list[str]:
    if run.segments:
        by_image = evaluation.scores["image_iou"]
        return sorted((i for i, score in by_image.items() if score is not None), key=lambda i: by_image[i])
    wrong = [image for image, _ in surest_mistakes(evaluation.predictions)]
    seen = set(wrong)
    right = [place for place in range(len(evaluation.predictions.ids)) if place not in seen]
    return [evaluation.predictions.ids[place] for place in wrong + right]


def _segmented(run: RunRecord, evaluation: Evaluation, image_id: str) -> Card:
    source = evaluation.source
    truth = source.mask(image_id)
    predicted = evaluation.label_map(image_id, truth.shape)
    score = evaluation.scores["image_iou"][image_id]
    return Card(
        image_id=image_id,
        run=run.name,
        kind="clean",
        image=image_source(source.image(image_id)),
        layers=_layers(truth, predicted),
        lines=[f"its mean IoU {100 * score:.0f}\N{NO-BREAK SPACE}%", *_said(truth, predicted)],
        classes=_names(truth, predicted),
        errors=errors_in(truth, predicted),
    )


def _layers(truth: np.ndarray, predicted: np.ndarray) -> list[Layer]:
    verdicts = error_map(truth, predicted)
    wrong = (verdicts != np.array(ERROR_COLORS["right"], np.uint8)).any(2)
    return [
        Layer("prediction", layer_source(_transparent(palette_image(predicted), predicted > 0)), True),
        Layer("truth", layer_source(_transparent(palette_image(truth), truth > 0)), True),
        Layer("errors", layer_source(_transparent(verdicts, wrong)), True),
    ]


def _transparent(colors: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(H, W, 4): what is not seen lets the image through."""
    return np.dstack([colors, np.where(seen, 255, 0).astype(np.uint8)])


def _said(truth: np.ndarray, predicted: np.ndarray) -> list[str]:
    return [f"truth: {_listed(truth)}", f"predicted: {_listed(predicted)}"]


def _listed(labels: np.ndarray) -> str:
    found = np.unique(labels)
    return ", ".join(SEG_CLASSES[label] for label in found if label not in (0, IGNORE)) or "background alone"


def _names(truth: np.ndarray, predicted: np.ndarray) -> list[str]:
    found = np.union1d(np.unique(truth), np.unique(predicted))
    return [SEG_CLASSES[label] for label in found if label not in (0, IGNORE)]


def errors_in(truth: np.ndarray, predicted: np.ndarray) -> list[str]:
    """Which kinds of error take up a telling share of the pixels that are an object's in truth or prediction."""
    scored = truth != IGNORE
    objects = scored & ((truth > 0) | (predicted > 0))
    wrong = objects & (truth != predicted)
    kinds = {
        MISSED: wrong & (predicted == 0),
        FALSE_POSITIVE: wrong & (truth == 0),
        WRONG_CLASS: wrong & (truth > 0) & (predicted > 0),
    }
    least = TELLING * max(int(objects.sum()), 1)
    return [name for name, pixels in kinds.items() if pixels.sum() >= least] or ["mostly right"]


def _classified(run: RunRecord, evaluation: Evaluation, image_id: str) -> Card:
    predictions = evaluation.predictions
    place = predictions.ids.index(image_id)
    probs, targets, decided = predictions.probs[place], predictions.targets[place], predictions.decided[place]
    true = [CLASSES[label] for label in np.flatnonzero(targets == 1)]
    chosen = [f"{CLASSES[label]} {100 * probs[label]:.0f} %" for label in np.flatnonzero(decided)]
    missed = [f"{CLASSES[label]} {100 * probs[label]:.0f} %" for label in np.flatnonzero((targets == 1) & ~decided)]
    errors = ["missed"] if missed else []
    errors += ["wrongly found"] if ((targets == 0) & decided).any() else []
    lines = [f"true: {', '.join(true) or 'none'}", f"predicted: {', '.join(chosen)}"]
    if missed:
        lines.append(f"missed: {', '.join(missed)}")
    return Card(
        image_id=image_id,
        run=run.name,
        kind="clean",
        image=image_source(with_labels(evaluation.source).image(image_id)),
        layers=[],
        lines=lines,
        classes=[CLASSES[label] for label in np.flatnonzero((targets == 1) | decided)],
        errors=errors or ["all right"],
    )


def _adversarial(run: RunRecord, evaluation: Evaluation, count: int) -> list[Card]:
    """Images that attacks kept; the first of each attack."""
    attacks = attack_records(run.folder.path)
    known = set(_worst_first(run, evaluation))
    cards: list[Card] = []
    for seen in attacks:
        kept = [path for path in seen.case_paths() if path.stem in known]
        cards += [_attacked(run, evaluation, seen, path) for path in kept[: max(count // len(attacks), 1)]]
    return cards[:count]


def _attacked(run: RunRecord, evaluation: Evaluation, seen: AttackRecord, path: Path) -> Card:
    image_id = path.stem
    image: np.ndarray = read_image(path)
    layers = [Layer("adversarial", image_source(image), False)]
    lines, said = [f"attack {seen.name}"], _clean_facts(run, evaluation, image_id)
    if (attacked := seen.labels(image_id)) is not None:
        layers.append(
            Layer("prediction attacked", layer_source(_transparent(palette_image(attacked), attacked > 0)), True)
        )
        lines.append(f"predicted under attack: {_listed(attacked)}")
    return Card(
        image_id=image_id,
        run=run.name,
        kind="adversarial",
        image=image_source(evaluation.source.image(image_id)),
        layers=layers,
        lines=[*lines, *said["lines"]],
        classes=said["classes"],
        errors=said["errors"],
    )


def _clean_facts(run: RunRecord, evaluation: Evaluation, image_id: str) -> dict[str, Any]:
    """What is true of the image, and how it went without the attack."""
    card = (_segmented if run.segments else _classified)(run, evaluation, image_id)
    return {"lines": [f"clean: {line}" for line in card.lines], "classes": card.classes, "errors": card.errors}
