"""The report's gallery: which images of a run it shows, and the cards of attacked images."""

from pathlib import Path

import numpy as np

from vocctl.data.images import read_image
from vocctl.plots.report_page import GalleryCard, Layer, thumbnail_url
from vocctl.reporting.segmenter_view import labels_layer, list_classes
from vocctl.reporting.task_views import view_of
from vocctl.runs.attacks import AttackRecord, attack_records
from vocctl.runs.evaluations import Evaluation
from vocctl.runs.records import RunRecord

MAX_CARDS = 200  # in a report
SELECTION_RULE = (
    f"at most {MAX_CARDS} in all, and the same number for each run. Half of a run's images are its worst predictions, "
    "ranked by the image's mean IoU (segmenters) or the confidence of its most confident error (classifiers). The other half is "
    "evenly spaced over the rest of this ranking. Up to half of an attacked run's images are adversarial."
)


def gallery_cards(run: RunRecord, count: int) -> list[GalleryCard]:
    """At most count cards: images of the evaluation, then adversarial images that attacks on the run have stored."""
    evaluation = run.evaluation
    if evaluation is None:
        return []
    ranked = view_of(run).rank_images(evaluation)
    adversarial = _adversarial_cards(run, evaluation, set(ranked), count // 2)
    image_ids = sample_gallery(ranked, count - len(adversarial))
    return [view_of(run).gallery_card(run, evaluation, image_id) for image_id in image_ids] + adversarial


def sample_gallery(ranked: list[str], count: int) -> list[str]:
    """Half of count from the front of the ranking, half evenly spaced over the rest; all if there are at most count."""
    if len(ranked) <= count:
        return ranked
    worst, rest = ranked[: -(-count // 2)], ranked[-(-count // 2) :]
    indices = np.linspace(0, len(rest) - 1, count - len(worst)).round().astype(int)
    return worst + [rest[index] for index in indices]


def _adversarial_cards(run: RunRecord, evaluation: Evaluation, scored: set[str], count: int) -> list[GalleryCard]:
    """The first images of each attack, the same number for each. scored: ids that the evaluation has."""
    attacks = attack_records(run.folder.path)
    cards: list[GalleryCard] = []
    for attack in attacks:
        paths = [path for path in attack.adversarial_paths() if path.stem in scored]
        cards += [_adversarial_card(run, evaluation, attack, path) for path in paths[: max(count // len(attacks), 1)]]
    return cards[:count]


def _adversarial_card(run: RunRecord, evaluation: Evaluation, attack: AttackRecord, path: Path) -> GalleryCard:
    """path: the adversarial image, <id>.png. Classes and errors are those of the clean image."""
    clean = view_of(run).gallery_card(run, evaluation, path.stem)
    layers = [Layer("adversarial", thumbnail_url(read_image(path)), is_overlay=False)]
    lines = [f"attack {attack.name}"]
    labels = attack.adversarial_labels(path.stem)
    if labels is not None:  # of a segmenter
        layers.append(labels_layer("prediction under attack", labels))
        lines.append(f"predicted under attack: {list_classes(labels)}")
    return GalleryCard(
        image_id=path.stem,
        run=run.name,
        kind="adversarial",
        image=thumbnail_url(evaluation.info.source.image(path.stem)),
        layers=layers,
        lines=[*lines, *(f"clean: {line}" for line in clean.lines)],
        classes=clean.classes,
        errors=clean.errors,
    )
