"""The labels' log-odds from the pixels: worked out by hand, and the maps that are read of each kind of network."""

import pytest
import timm
import torch
from torch import nn

from vocctl.config import ClsModelConfig
from vocctl.models.classifier import Classifier, PooledFeatures
from vocctl.models.mask_evidence import MaskEvidence, can_give_evidence


class FixedLogits(nn.Module):
    def __init__(self, probs: torch.Tensor) -> None:
        super().__init__()
        self.probs = probs

    def forward(self, maps: object) -> torch.Tensor:
        return self.probs.log()


def evidence_of(probs: torch.Tensor) -> torch.Tensor:
    """probs: (B, 21, h, w)."""
    evidence = MaskEvidence(timm.create_model("resnet18"))
    evidence.pixels = FixedLogits(probs)
    return evidence([])


def test_the_power_mean_of_each_class_by_hand():
    probs = torch.full((1, 21, 2, 2), 1e-9)
    probs[0, 3] = torch.tensor([[0.8, 0.4], [0.4, 0.2]])
    probs[0, 0] = 1 - probs[0, 3]
    mean = ((0.8**4 + 2 * 0.4**4 + 0.2**4) / 4) ** 0.25  # 0.5849
    logits = evidence_of(probs)
    assert logits.shape == (1, 20)
    assert logits[0, 2].sigmoid().item() == pytest.approx(mean, abs=1e-5)
    assert logits[0, [0, 1, 3]].max() < -13  # finite, for classes without any probability
    assert logits.isfinite().all()


def test_a_small_sure_object_counts_more_than_faint_traces_of_the_same_sum():
    probs = torch.full((2, 21, 10, 10), 1e-9)
    probs[0, 5, 0, :4] = 0.9
    probs[1, 5] = 0.036
    probs[:, 0] = 1 - probs[:, 5]
    small, faint = evidence_of(probs)[:, 4].sigmoid()
    assert small > 0.35 > 0.04 > faint


def test_gradients_are_finite_for_a_class_without_probability():
    probs = torch.full((1, 21, 4, 4), 1e-12)
    probs[:, 0] = 1.0
    probs.requires_grad_()
    evidence_of(probs).sum().backward()
    assert probs.grad.isfinite().all()


@pytest.mark.parametrize(
    ("name", "strides"),
    [
        ("tf_efficientnet_lite0", (4, 8, 16, 32)),
        ("resnet18", (4, 8, 16, 32)),
        ("convnext_atto", (4, 8, 16, 32)),
        ("swin_tiny_patch4_window7_224", (4, 8, 16, 32)),
        ("vit_tiny_patch16_224", (16, 16, 16, 16)),
    ],
)
@torch.no_grad()
def test_the_maps_that_are_read(name, strides):
    torch.manual_seed(0)
    # as if the weights were pretrained: those of --weights none get no evidence
    model = Classifier(ClsModelConfig(model=name), 64, load_pretrained=False).eval()
    assert model.evidence.pixels.strides == strides
    images = torch.rand(2, 3, 64, 64)
    *maps, pooled = model.feature_maps(images)
    assert [tuple(level.shape) for level in maps] == [
        (2, channels, 64 // stride, 64 // stride)
        for channels, stride in zip(model.evidence.pixels.channels, strides, strict=True)
    ]
    expected = (model.head(pooled.flatten(1)) + model.evidence(maps)) / 2
    assert torch.allclose(model(images), expected, atol=1e-5)
    assert torch.allclose(PooledFeatures(model).feature_maps(images)[0], pooled)


def test_who_has_none():
    assert not can_give_evidence(nn.Linear(1, 1))
    repeated = nn.Module()
    repeated.forward_intermediates = None
    repeated.feature_info = [{"num_chs": 8, "reduction": stride} for stride in (4, 8, 8)]
    assert not can_give_evidence(repeated)
    for settings in (
        {"model": "scratch"}, {"weights": "none"}, {"mask_evidence": False}, {"freeze_encoder": True}
    ):  # fmt: skip
        config = ClsModelConfig(**{"model": "tf_efficientnet_lite0"} | settings)
        assert Classifier(config, 64, load_pretrained=False).evidence is None


def test_it_learns_at_the_rate_of_the_head():
    model = Classifier(ClsModelConfig(model="tf_efficientnet_lite0"), 64, load_pretrained=False)
    scales = model.lr_scales(0.1, head_lr_scale=0.5)
    assert {scale for name, scale in scales.items() if name.startswith("evidence.")} == {0.5}
    assert scales.keys() == dict(model.named_parameters()).keys()
