"""Run attacks on a victim: adversarial images for every attack and budget, their scores, and the worst case."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vocctl.attacks.generator import UNBOUNDED_EPSILON, TrainedGenerator
from vocctl.attacks.objectives import AttackGoal, attack_goal
from vocctl.attacks.run import run_attack
from vocctl.attacks.table import AttackSpec
from vocctl.attacks.threat import Threat
from vocctl.config import AttackConfig, parse_epsilon
from vocctl.data.loaders import same_shape_batches
from vocctl.data.source import Source
from vocctl.distributed import all_gather_dict, rank, world_size
from vocctl.inference.eval_split import eval_split, fixed_subset
from vocctl.robustness.adversarial_dataset import AdversarialDataset
from vocctl.robustness.examples import ExampleCollector
from vocctl.robustness.outcomes import GroundTruth, Predictions, distortion_stats, strongest_per_image
from vocctl.robustness.victims import Victim
from vocctl.runs.attacks import UNBOUNDED, AttackRow
from vocctl.seeding import derived_generator

OnProgress = Callable[[int, int], None]  # adversarial images done, of all


class ProgressCounter:
    """Counts adversarial images and reports (done, total), never more than total."""

    def __init__(self, on_progress: OnProgress | None = None) -> None:
        self.on_progress = on_progress
        self.done = self.total = 0

    def start(self, total: int) -> None:
        self.done, self.total = 0, total

    def add(self, count: int) -> None:
        self.done = min(self.done + count, self.total)
        if self.on_progress:
            self.on_progress(self.done, self.total)


class AttackedImages(NamedTuple):
    """members: the predictions for the images of each member of an ensemble of attacks, without label maps."""

    images: Sequence[np.ndarray]  # (H, W, 3) uint8, adversarial
    predictions: Predictions
    members: tuple[Predictions, ...]


def read_ground_truth(
    victim: Victim, config: AttackConfig, data: Path | None, split: str | None
) -> tuple[GroundTruth, Source, str]:
    """Read the images to attack. Returns them with their data set and the name of the split.

    With config.images, a subset that is the same for every run. data, split: None for what the first run was validated on.
    Raises DataError as eval_split does.
    """
    source, split_name, labeled = eval_split(victim.runs[0], victim.config.data, data, split)
    indices = fixed_subset(len(labeled.images.ids), config.images, config.seed)
    ids = tuple(labeled.images.ids[index] for index in indices)
    images = [source.image(image_id) for image_id in ids]
    return GroundTruth(ids, images, victim.read_labels(source, labeled, indices)), source, split_name


@dataclass(frozen=True)
class AttackBenchmark:
    """A victim and the images to attack, for any number of attacks and budgets.

    generators: by run, the trained generators of the attacks adv:RUN.
    """

    victim: Victim
    truth: GroundTruth
    clean: Predictions  # of the victim, for truth's images
    config: AttackConfig
    generators: dict[str, TrainedGenerator]
    progress: ProgressCounter

    def is_unbounded(self, spec: AttackSpec) -> bool:
        """Whether the attack is a generator with a penalty in place of a bound: it has one strength at every budget."""
        return spec.run in self.generators and not self.generators[spec.run].bounded

    def budgets(self, spec: AttackSpec) -> tuple[str, ...]:
        """The budgets to evaluate the attack at, as they are written to tables."""
        return (UNBOUNDED,) if self.is_unbounded(spec) else self.config.eps

    def run(self, specs: Sequence[AttackSpec], eps: str) -> Iterator[tuple[AttackSpec, AttackedImages]]:
        """Run attacks at one budget. For an ensemble of attacks, such as sea, take each image's worst case.

        A member of several ensembles runs once. Its images are dropped from memory after their last use.
        """
        threat = Threat(self.config.norm, parse_epsilon(eps))
        uses_left = Counter(member.name for spec in specs for member in spec.members)
        results: dict[str, AttackedImages] = {}
        for spec in specs:
            for member in spec.members:
                if member.name not in results:
                    images = self.generate(member, threat)
                    predictions = self.victim.predict(images, self.truth)
                    results[member.name] = AttackedImages(images, predictions, (predictions.without_label_maps(),))
            strongest = _strongest_images([results[member.name] for member in spec.members])
            for member in spec.members:
                uses_left[member.name] -= 1
                if not uses_left[member.name]:
                    del results[member.name]
            yield spec, strongest

    def generate(self, spec: AttackSpec, threat: Threat, num_images: int | None = None) -> list[np.ndarray]:
        """Adversarial images (H, W, 3) uint8. num_images: only for the first num_images images; None for all."""
        images = self.truth.images[:num_images]
        if self.is_unbounded(spec):
            threat = replace(threat, epsilon=UNBOUNDED_EPSILON)
        local: dict[int, np.ndarray] = {}
        batches = same_shape_batches([image.shape[:2] for image in images], self.victim.config.train.batch)
        step_length = None if self.config.step is None else parse_epsilon(self.config.step)
        for batch in batches[rank() :: world_size()]:
            adversarial = run_attack(
                spec, self.victim.forward, self.pixels(batch), self.goal(batch), threat,
                generators=self.random_generators(spec, batch), step_length=step_length,
                trained=self.generators.get(spec.run),
            )  # fmt: skip
            rounded = (adversarial * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
            local |= {index: np.ascontiguousarray(image) for index, image in zip(batch, rounded, strict=True)}
            self.progress.add(len(batch) * world_size())
        gathered = all_gather_dict(local)
        return [gathered[index] for index in range(len(images))]

    def random_generators(self, spec: AttackSpec, batch: Sequence[int]) -> list[torch.Generator]:
        """A generator for each image, seeded by its id: its draws do not depend on the batch, the subset or the order."""
        return [derived_generator("attack", self.config.seed, spec.name, self.truth.ids[index]) for index in batch]

    def pixels(self, batch: Sequence[int]) -> Tensor:
        """The clean images of these indices, (B, 3, H, W) in [0, 1] on the victim's device."""
        images = torch.from_numpy(np.stack([self.truth.images[index] for index in batch])).permute(0, 3, 1, 2)
        return images.to(self.victim.setup.device).to(torch.float32, memory_format=torch.channels_last) / 255

    def goal(self, batch: Sequence[int]) -> AttackGoal:
        """The goal for these images, relative to the ground truth or to the clean predictions (--reference)."""
        labels = self.truth.labels if self.config.reference == "truth" else self.clean.predicted_labels()
        stacked = torch.from_numpy(np.stack([labels[index] for index in batch]))
        return attack_goal(self.config.goal, stacked.to(self.victim.setup.device))

    def row(self, name: str, eps: str, attacked: AttackedImages) -> AttackRow:
        """The scores, rates and distortion of one attack at one budget.

        The scores of an ensemble of attacks are the worst case over its members, for each score; rates and distortion are
        those of the strongest images.
        """
        predictions, goal = attacked.predictions, self.config.goal
        rates = predictions.fooling_rates(self.clean, self.truth)
        rates |= predictions.target_success(self.clean, self.truth, goal)
        scores = predictions.scores(self.truth)
        if len(attacked.members) > 1:
            scores = predictions.worst_case(attacked.members, self.clean, self.truth).scores
        return AttackRow(name, eps, scores, rates, distortion_stats(self.truth.images, attacked.images))

    def worst_case_row(
        self, eps: str, candidates: Sequence[Predictions], rows: Sequence[AttackRow]
    ) -> tuple[AttackRow, np.ndarray]:
        """The worst case over the predictions under all attacks at one budget, and the choice of the main metric, (N,).

        rows: of the attacks. Their values bound those of the worst case, because the search for the lowest mean IoU over all
        attacks may end above the one over the members of an ensemble.
        """
        worst = candidates[0].worst_case(candidates, self.clean, self.truth)
        scores = {key: min(value, *(row.scores[key] for row in rows)) for key, value in worst.scores.items()}
        rates = {key: max(value, *(row.rates[key] for row in rows)) for key, value in worst.rates.items()}
        return AttackRow("worst case", eps, scores, rates, {}), worst.choice

    def clean_row(self) -> AttackRow:
        """The row of the clean images. With a target class: how often it is predicted without an attack."""
        rates = {}
        if self.config.goal.startswith("target"):
            rates = self.clean.target_success(self.clean, self.truth, self.config.goal)
        return AttackRow("clean", "0", self.clean.scores(self.truth), rates, {})


def _strongest_images(results: Sequence[AttackedImages]) -> AttackedImages:
    if len(results) == 1:
        return results[0]
    predictions, choice = strongest_per_image([result.predictions for result in results])
    images = [results[k].images[index] for index, k in enumerate(choice)]
    return AttackedImages(images, predictions, tuple(member for result in results for member in result.members))


@dataclass(frozen=True)
class AttackEvaluation:
    """rows: the clean images first, then by budget, each budget with the worst case over its attacks.

    worst_attacks: budget -> attack or clean -> fraction of the images on which it gives the worst case of the main metric.
    predictions: by attack and budget, without label maps.
    """

    rows: list[AttackRow]
    worst_attacks: dict[str, dict[str, float]]
    predictions: dict[tuple[str, str], Predictions]


def evaluate_attacks(
    bench: AttackBenchmark, specs: Sequence[AttackSpec], examples: ExampleCollector, dataset: AdversarialDataset | None
) -> AttackEvaluation:
    """Run all attacks at all budgets, smallest first. dataset: where to save the adversarial images; None: nowhere."""
    members = {member.name: member for spec in specs for member in spec.members}
    bench.progress.start(sum(len(bench.budgets(member)) for member in members.values()) * len(bench.truth.ids))
    result = AttackEvaluation([bench.clean_row()], {}, {})
    bounded = [spec for spec in specs if not bench.is_unbounded(spec)]
    for eps in bench.config.eps:
        candidates: list[tuple[str, Predictions]] = [("clean", bench.clean.without_label_maps())]
        for spec, attacked in bench.run(specs if eps == bench.config.eps[0] else bounded, eps):
            label = UNBOUNDED if bench.is_unbounded(spec) else eps
            # the label maps of all images under all attacks would not fit into memory
            result.predictions[spec.name, label] = attacked.predictions.without_label_maps()
            examples.add(spec.name, label, attacked.images, attacked.predictions)
            result.rows.append(bench.row(spec.name, label, attacked))
            if not bench.is_unbounded(spec):
                candidates += [(spec.name, member) for member in attacked.members]
            if dataset is not None:
                dataset.write(spec, label, attacked.images)
        if bench.config.goal == "untargeted" and len(bounded) > 1:
            names = [spec.name for spec in bounded]
            rows = [row for row in result.rows if row.eps == eps and row.attack in names]
            row, choice = bench.worst_case_row(eps, [member for _, member in candidates], rows)
            result.rows.append(row)
            chosen = Counter(candidates[index][0] for index in choice)
            result.worst_attacks[eps] = {name: chosen[name] / len(choice) for name in ["clean", *names]}
    return result


def sort_budgets(config: AttackConfig) -> AttackConfig:
    """Sort the budgets and drop those that are equal, such as 8px and 8/255; tables, figures and examples rely on it."""
    by_size = {parse_epsilon(eps): eps for eps in reversed(config.eps)}  # of equal budgets the first spelling stays
    return replace(config, eps=tuple(by_size[size] for size in sorted(by_size)))
