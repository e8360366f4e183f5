"""The loss that trains the generator: its value and gradient, and how the victims share a batch."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from vocctl.config import TrainAdvConfig, given
from vocctl.robustness.generator import build_adversary
from vocctl.robustness.generator_loss import (
    GeneratorLoss,
    allocate_batch,
    binarize_logits,
    equalize_gradient_norms,
    local_counts,
    perturbation_levels,
    victim_objective,
)
from vocctl.robustness.victims import Victim, open_victim


def config(**flags: object) -> TrainAdvConfig:
    return given(TrainAdvConfig(), size=32, generator="unet", width=8, depth=1, eps="48/255", **flags)


def open_victims(attackable_runs: dict[str, Path], *names: str) -> list[Victim]:
    return [open_victim([str(attackable_runs[name])], "best", "cpu") for name in names]


def random_batch(size: int) -> tuple[Tensor, Tensor]:
    """Images (B, 3, 32, 32) and masks (B, 32, 32)."""
    images = torch.rand(size, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return images, torch.randint(0, 21, (size, 32, 32), generator=torch.Generator().manual_seed(1))


class Identity(nn.Module):
    """In place of a generator: returns the images, and keeps them for their gradient."""

    def forward(self, images: Tensor) -> Tensor:
        self.output = images.clone().requires_grad_()
        return self.output


def image_gradient(victims: list[Victim], images: Tensor, masks: Tensor, settings: TrainAdvConfig) -> Tensor:
    network = Identity()
    GeneratorLoss(victims, settings)(network, images, masks).backward()
    assert network.output.grad is not None
    return network.output.grad


def test_loss_and_gradient_for_one_victim_are_those_of_the_cross_entropy(attackable_runs: dict[str, Path]) -> None:
    settings = config(attack_loss="ce")
    victims = open_victims(attackable_runs, "seg")
    network = build_adversary(settings).eval()
    nn.init.normal_(network.generator.last.weight, std=0.1)
    images, masks = random_batch(2)
    loss = GeneratorLoss(victims, settings)(network, images, masks)
    logits = victims[0].forward(network(images))[..., 1::2, 1::2]  # every second pixel per axis
    expected = -nn.functional.cross_entropy(logits, masks[:, 1::2, 1::2])
    weight = network.generator.last.weight
    gradient, expected_gradient = (torch.autograd.grad(value, weight)[0] for value in (loss, expected))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert torch.allclose(gradient, expected_gradient, rtol=1e-3, atol=1e-7)


def test_each_victim_gets_its_part_of_the_batch_and_an_equal_gradient_norm(attackable_runs: dict[str, Path]) -> None:
    victims = open_victims(attackable_runs, "seg", "cls")
    images, masks = random_batch(6)
    both = image_gradient(victims, images, masks, config())
    parts = (slice(0, 2), slice(2, 6))  # 2 images for the segmenter, 4 for the classifier
    for victim, part in zip(victims, parts, strict=True):
        single = image_gradient([victim], images[part], masks[part], config())
        assert torch.allclose(both[part] / both[part].norm(), single / single.norm(), atol=1e-5)
    assert both[:2].norm().item() == pytest.approx(both[2:].norm().item(), rel=1e-4)


def test_reference_labels(attackable_runs: dict[str, Path]) -> None:
    images, masks = random_batch(2)
    masks[:] = 0
    masks[0, 0, :2] = torch.tensor([3, 255])
    segmenter, classifier = open_victims(attackable_runs, "seg", "cls")
    truth, prediction = (config(reference=reference).attack_loss for reference in ("truth", "prediction"))
    assert victim_objective(segmenter, truth).reference(images, masks) is masks
    predicted = victim_objective(segmenter, prediction).reference(images, masks)
    assert torch.equal(predicted, segmenter.forward(images).argmax(1))
    label_sets = victim_objective(classifier, truth).reference(images, masks)  # the classes of the masks
    assert [row.nonzero().flatten().tolist() for row in label_sets] == [[2], []]
    assert victim_objective(classifier, truth).reference(images, label_sets) is label_sets
    assert victim_objective(classifier, prediction).reference(images, masks).sum(1).min() >= 1


@pytest.mark.parametrize(
    ("name", "flags", "expected"),
    [
        ("seg", {}, "cospgd"),
        ("seg", {"attack_loss": "ce"}, "ce"),
        ("cls", {}, "margin"),
        ("cls", {"goal": "hide:person"}, "cosine"),
        ("cls", {"attack_loss": "ce"}, "ce"),
    ],
)
def test_auto_loss(attackable_runs: dict[str, Path], name: str, flags: dict[str, object], expected: str) -> None:
    (victim,) = open_victims(attackable_runs, name)
    assert victim_objective(victim, config(**flags).attack_loss).loss == expected


def test_present_labels_weigh_as_much_as_absent_ones(attackable_runs: dict[str, Path]) -> None:
    (victim,) = open_victims(attackable_runs, "cls")
    logits, reference = torch.zeros(1, 20), torch.zeros(1, 20, dtype=torch.long)
    logits[0, 0], reference[0, 0] = 2.0, 1
    present, absent = torch.tensor(2.0), torch.tensor(0.0)
    expected = (nn.functional.softplus(-present) + nn.functional.softplus(absent)) / 2
    objective = victim_objective(victim, config(attack_loss="ce").attack_loss)
    assert objective(logits, reference).item() == pytest.approx(expected.item(), rel=1e-5)


def test_logits_are_binarized_as_probabilities() -> None:
    logits = torch.tensor([[2.0, 0.3, -3.0], [-3.0, -2.0, -4.0]])
    assert binarize_logits(logits, torch.tensor([0.5, 0.7, 0.5])).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert binarize_logits(logits, torch.tensor([0.5, 0.5, 0.02])).tolist() == [[1, 1, 1], [0, 1, 0]]


def test_gradient_norms_are_equalized_to_their_mean() -> None:
    strong, weak = torch.zeros(2, 3, 1, 1), torch.zeros(2, 3, 1, 1)
    strong[0, 0], strong[1, 0], weak[0, 1] = 3.0, 4.0, 1.0  # norms 5 and 1, mean 3
    first, second = equalize_gradient_norms([strong, weak])
    assert first[:, 0, 0, 0].tolist() == pytest.approx([3 * 3 / 5, 3 * 4 / 5])
    assert second[0, :, 0, 0].tolist() == pytest.approx([0, 3, 0])
    assert torch.equal(equalize_gradient_norms([strong])[0], strong)
    assert all(gradient.isfinite().all() for gradient in equalize_gradient_norms([strong, torch.zeros_like(weak)]))


@pytest.mark.parametrize(
    ("num_images", "weights", "sizes"),
    [
        (8, [1], [8]),
        (8, [1, 7], [1, 7]),
        (8, [7, 1], [7, 1]),
        (16, [1, 7], [2, 14]),
        (9, [7, 7], [5, 4]),
        (2, [1, 7], [1, 1]),
        (12, [1, 1, 7], [2, 2, 8]),
    ],
)
def test_batch_is_split_in_proportion_to_the_weights(num_images: int, weights: list[int], sizes: list[int]) -> None:
    assert allocate_batch(num_images, weights) == sizes


@pytest.mark.parametrize(
    ("world_size", "counts"),
    [
        (1, [[3, 1, 6]]),
        (2, [[2, 0, 3], [1, 1, 3]]),  # images 0, 2, 4, 6, 8 and 1, 3, 5, 7, 9
        (5, [[1, 0, 1], [1, 0, 1], [1, 0, 1], [0, 1, 1], [0, 0, 2]]),
    ],
)
def test_each_process_knows_its_images_of_each_victim(
    monkeypatch: pytest.MonkeyPatch, world_size: int, counts: list[list[int]]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", str(world_size))
    for rank, count in enumerate(counts):
        monkeypatch.setenv("RANK", str(rank))
        assert local_counts([3, 1, 6]) == count


def test_perturbation_levels() -> None:
    delta = torch.tensor([[3.0, 4.0], [0.0, 0.0]]).view(2, 1, 1, 2) / 255
    assert perturbation_levels(delta, "linf").item() == pytest.approx(2)  # (4 + 0) / 2
    assert perturbation_levels(delta, "l2").item() == pytest.approx(12.5**0.5 / 2, abs=1e-5)
