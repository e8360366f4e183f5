"""What an image's pixels say about its labels: a pixel classifier, fitted to masks, beside a classifier's head.

The evidence for a class is the log-odds of the power mean of its probabilities over the pixels, (mean p^4)^(1/4): between their
mean, which overlooks small objects, and their maximum, which one wrong pixel decides.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from vocctl.labels import CLASSES
from vocctl.models.encoder import FINEST_STRIDE, VIT_MAPS
from vocctl.models.pixel_classifier import HIDDEN, PixelClassifier

POWER = 4.0
MIN_PROB = 1e-6  # of the log-odds


class MaskEvidence(nn.Module):
    """Maps a classifier's intermediate feature maps [(B, C, h, w), ...], finest first, to log-odds (B, 20) float32.

    indices: of the feature maps to ask the backbone for.
    """

    def __init__(self, backbone: nn.Module) -> None:
        """backbone: a timm model with can_give_evidence."""
        super().__init__()
        self.indices, channels, strides = zip(*_levels(backbone), strict=True)
        self.pixels = PixelClassifier(channels, strides, len(CLASSES) + 1, hidden=HIDDEN, skip=True)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        probs = self.pixels(maps).float().softmax(1)[:, 1:]
        mean = (probs.clamp(min=MIN_PROB) ** POWER).mean((2, 3)) ** (1 / POWER)
        return mean.logit(eps=MIN_PROB)


def can_give_evidence(backbone: nn.Module) -> bool:
    """Whether the backbone is a timm model that returns its intermediate feature maps."""
    return hasattr(backbone, "forward_intermediates") and bool(_levels(backbone))


def _levels(backbone: nn.Module) -> list[tuple[int, int, int]]:
    """(index, channels, stride) of the feature maps to read: one for each stride, or of every quarter of a ViT's blocks."""
    info = getattr(backbone, "feature_info", None) or []
    levels = [(index, stage["num_chs"], stage["reduction"]) for index, stage in enumerate(info)]
    levels = [level for level in levels if level[2] >= FINEST_STRIDE]
    strides = [stride for _, _, stride in levels]
    if len(set(strides)) == len(strides):
        return levels
    if len(set(strides)) == 1 and len(levels) >= VIT_MAPS:
        return [levels[len(levels) * (part + 1) // VIT_MAPS - 1] for part in range(VIT_MAPS)]
    return []
