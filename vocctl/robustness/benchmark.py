"""What an attack works on: the images with their truth, and the crafting of adversarial images for all of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

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
from vocctl.inference.eval_split import eval_split
from vocctl.inference.thresholds import binarize
from vocctl.robustness.outcomes import AttackedPredictions, GroundTruth, attacked_predictions, worst_case
from vocctl.robustness.victims import Victim
from vocctl.seeding import derived_generator

Images = list[np.ndarray]  # (H, W, 3) uint8
AttackedImages = tuple[Images, AttackedPredictions]


def read_ground_truth(
    target: Victim, config: AttackConfig, data: Path | None, split: str | None
) -> tuple[GroundTruth, Source, str]:
    """The images that are attacked, all of the split or a subset that (images, seed) alone decide; and where from."""
    source, name, part = eval_split(target.runs[0], target.config.data, data, split)
    places = np.arange(len(part.images.ids))
    if 0 < config.images < len(places):
        order = torch.randperm(len(places), generator=derived_generator("subset", config.seed)).numpy()
        places = np.sort(order[: config.images])
    ids = tuple(part.images.ids[place] for place in places)
    masks = [source.mask(image_id) for image_id in ids] if target.segments else []
    targets = np.empty((0, 0), np.uint8) if part.targets is None else part.targets[places]
    return GroundTruth(ids, [source.image(image_id) for image_id in ids], masks, targets), source, name


@dataclass(frozen=True)
class AttackBenchmark:
    """What stays the same while attacks and budgets change."""

    target: Victim
    root: Path  # of the data set that the images are from
    truth: GroundTruth
    clean: AttackedPredictions
    limits: np.ndarray | None  # (20,) thresholds by which a classifier decides
    config: AttackConfig
    trained: dict[str, TrainedGenerator]
    count: Callable[[int], None]

    def run(self, spec: AttackSpec, eps: str, made: dict[str, AttackedImages] | None = None) -> AttackedImages:
        """Adversarial images and what the target says of them; of an ensemble of attacks the worst of each image.

        made: by name, what was made at this budget before, which is not made again; what is made now is put there.
        """
        threat, made = Threat(self.config.norm, parse_epsilon(eps)), {} if made is None else made
        for member in spec.members:
            if member.name not in made:
                images = self.crafted(member, threat)
                made[member.name] = images, attacked_predictions(self.target, images, self.truth)
        crafted, seen = zip(*(made[member.name] for member in spec.members), strict=True)
        if len(crafted) == 1:
            return crafted[0], seen[0]
        whole, chosen = worst_case(seen)
        return [crafted[k][place] for place, k in enumerate(chosen)], whole

    def crafted(self, spec: AttackSpec, threat: Threat, num_images: int | None = None) -> Images:
        """num_images: the first so many alone."""
        held = self.truth.images[:num_images]
        trained = self.trained.get(spec.run)
        if trained is not None and not trained.bounded:
            threat = replace(threat, epsilon=UNBOUNDED_EPSILON)
        mine: dict[int, np.ndarray] = {}
        batches = same_shape_batches([image.shape[:2] for image in held], self.target.config.train.batch)
        for batch in batches[rank() :: world_size()]:  # a batch stays whole: its images' starts are drawn together
            clean = self.pixels(batch)
            generator = derived_generator("attack", self.config.seed, spec.name, self.truth.ids[batch[0]])
            found = run_attack(
                spec, self.target.forward, clean, self.attack_goal(batch), threat,
                generator=generator, trained=trained,
            )  # fmt: skip
            whole = (found * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
            for index, adversarial in zip(batch, whole, strict=True):
                mine[index] = np.ascontiguousarray(adversarial)
            self.count(len(batch) * world_size())
        found_by_all = all_gather_dict(mine)
        return [found_by_all[index] for index in range(len(held))]

    def pixels(self, batch: list[int]) -> Tensor:
        stacked = torch.from_numpy(np.stack([self.truth.images[index] for index in batch]))
        moved = stacked.permute(0, 3, 1, 2).to(self.target.setup.device)
        return moved.to(torch.float32, memory_format=torch.channels_last) / 255

    def attack_goal(self, batch: list[int]) -> AttackGoal:
        if self.config.reference == "truth":
            known = self.truth.masks if self.target.segments else list(self.truth.targets)
        elif self.clean.probs is not None and self.limits is not None:
            known = list(binarize(self.clean.probs, self.limits).astype(np.uint8))
        else:
            known = list(self.clean.maps)
        labels = torch.from_numpy(np.stack([known[index] for index in batch])).to(self.target.setup.device)
        return attack_goal(self.config.goal, labels)
