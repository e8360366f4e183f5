"""What an attack works on: the photos with their truth, and the crafting of adversarial images for all of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vocctl.attacks.objectives import Aim, aim
from vocctl.attacks.table import AttackSpec, craft
from vocctl.attacks.threat import Threat
from vocctl.config import AttackConfig, parse_epsilon
from vocctl.data.loaders import equal_shapes
from vocctl.data.source import Source
from vocctl.distributed import merged, rank, world
from vocctl.inference.evaluation import scored_part
from vocctl.inference.thresholds import decide
from vocctl.robustness.outcomes import Outcome, Truth, outcome, worst_of
from vocctl.robustness.victims import Target
from vocctl.seeding import derived_generator
from vocctl.tasks.train_adv import UNBOUNDED, Trained

Images = list[np.ndarray]  # (H, W, 3) uint8
Made = tuple[Images, Outcome]


def read_truth(target: Target, config: AttackConfig, data: Path | None, split: str | None) -> tuple[Truth, Source, str]:
    """The photos that are attacked, all of the split or a subset that (images, seed) alone decide; and where from."""
    source, name, part = scored_part(target.runs[0], target.config.data, data, split)
    places = np.arange(len(part.photos.ids))
    if 0 < config.images < len(places):
        order = torch.randperm(len(places), generator=derived_generator("subset", config.seed)).numpy()
        places = np.sort(order[: config.images])
    ids = tuple(part.photos.ids[place] for place in places)
    masks = [source.mask(image_id) for image_id in ids] if target.segments else []
    targets = np.empty((0, 0), np.uint8) if part.targets is None else part.targets[places]
    return Truth(ids, [source.image(image_id) for image_id in ids], masks, targets), source, name


@dataclass(frozen=True)
class Bench:
    """What stays the same while attacks and budgets change."""

    target: Target
    root: Path  # of the data set that the photos are from
    truth: Truth
    clean: Outcome
    limits: np.ndarray | None  # (20,) thresholds by which a classifier decides
    config: AttackConfig
    trained: dict[str, Trained]
    count: Callable[[int], None]

    def run(self, spec: AttackSpec, eps: str, made: dict[str, Made] | None = None) -> Made:
        """Adversarial images and what the target says of them; of an ensemble of attacks the worst of each photo.

        made: by name, what was made at this budget before, which is not made again; what is made now is put there.
        """
        threat, made = Threat(self.config.norm, parse_epsilon(eps)), {} if made is None else made
        for member in spec.members:
            if member.name not in made:
                images = self.crafted(member, threat)
                made[member.name] = images, outcome(self.target, images, self.truth)
        crafted, seen = zip(*(made[member.name] for member in spec.members), strict=True)
        if len(crafted) == 1:
            return crafted[0], seen[0]
        whole, chosen = worst_of(seen)
        return [crafted[k][place] for place, k in enumerate(chosen)], whole

    def crafted(self, spec: AttackSpec, threat: Threat, photos: int | None = None) -> Images:
        """photos: the first so many alone."""
        held = self.truth.photos[:photos]
        trained = self.trained.get(spec.run)
        if trained is not None and not trained.bounded:
            threat = replace(threat, epsilon=UNBOUNDED)
        mine: dict[int, np.ndarray] = {}
        batches = equal_shapes([photo.shape[:2] for photo in held], self.target.config.train.batch)
        for batch in batches[rank() :: world()]:  # a batch stays whole: its photos' starts are drawn together
            images = self.pixels(batch)
            generator = derived_generator("attack", self.config.seed, spec.name, self.truth.ids[batch[0]])
            found = craft(
                spec, self.target.forward, images, self.aim(batch), threat,
                generator=generator, generate=trained.generate if trained else None,
            )  # fmt: skip
            whole = (found * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
            for index, image in zip(batch, whole, strict=True):
                mine[index] = np.ascontiguousarray(image)
            self.count(len(batch) * world())
        found_by_all = merged(mine)
        return [found_by_all[index] for index in range(len(held))]

    def pixels(self, batch: list[int]) -> Tensor:
        stacked = torch.from_numpy(np.stack([self.truth.photos[index] for index in batch]))
        moved = stacked.permute(0, 3, 1, 2).to(self.target.here.device)
        return moved.to(torch.float32, memory_format=torch.channels_last) / 255

    def aim(self, batch: list[int]) -> Aim:
        if self.config.against == "truth":
            known = self.truth.masks if self.target.segments else list(self.truth.targets)
        elif self.clean.probs is not None and self.limits is not None:
            known = list(decide(self.clean.probs, self.limits).astype(np.uint8))
        else:
            known = list(self.clean.maps)
        labels = torch.from_numpy(np.stack([known[index] for index in batch])).to(self.target.here.device)
        return aim(self.config.goal, labels)
