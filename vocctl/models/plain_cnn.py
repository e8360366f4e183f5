"""A plain CNN for training from nothing, as an encoder and as a classifier: no pretraining, no tricks.

Five stages; each halves the sides and is two 3x3 convolutions with batch norm and ReLU. The classifier averages the last
stage's features over the image, drops some, and is linear from there.
"""

from torch import Tensor, nn

WIDTHS = (32, 64, 128, 256, 256)  # channels at strides 2, 4, 8, 16, 32


def conv_block(inputs: int, outputs: int, *, stride: int = 1) -> nn.Sequential:
    """3x3 convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class ScratchEncoder(nn.Module):
    """images (B, 3, H, W) to features at strides 4, 8, 16 and 32."""

    channels = WIDTHS[1:]
    strides = (4, 8, 16, 32)

    def __init__(self) -> None:
        super().__init__()
        inputs = (3, *WIDTHS[:-1])
        self.stages = nn.ModuleList(
            nn.Sequential(conv_block(first, width, stride=2), conv_block(width, width))
            for first, width in zip(inputs, WIDTHS, strict=True)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        features = []
        for stage in self.stages:
            images = stage(images)
            features.append(images)
        return features[1:]


class ScratchClassifier(nn.Module):
    """images (B, 3, H, W), normalized, to logits (B, K). Offers what timm's models do: its head, and its layers by depth."""

    def __init__(self, classes: int, *, dropout: float = 0.2) -> None:
        super().__init__()
        self.encoder = ScratchEncoder()
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(self.encoder.channels[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(images))

    def forward_head(self, features: Tensor) -> Tensor:
        return self.fc(self.dropout(features.mean(dim=(2, 3))))

    def forward_features(self, images: Tensor) -> Tensor:
        return self.encoder(images)[-1]

    def get_classifier(self) -> nn.Module:
        return self.fc

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        """timm's: the stage of a parameter by its name; what no pattern holds lies on top."""
        return {"blocks": r"^encoder\.stages\.(\d+)"}
