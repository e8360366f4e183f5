"""A plain CNN for training from scratch, as an encoder and as a classifier.

Five stages, each of two 3x3 convolutions with batch norm and ReLU, the first with stride 2. The classifier is global
average pooling, dropout and a linear layer.
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


class PlainEncoder(nn.Module):
    """Maps images (B, 3, H, W) to feature maps at strides 4, 8, 16 and 32, finest first."""

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


class PlainClassifier(nn.Module):
    """Maps normalized images (B, 3, H, W) to logits (B, K), with the methods of a timm model that Classifier uses."""

    def __init__(self, classes: int, *, dropout: float = 0.2) -> None:
        super().__init__()
        self.encoder = PlainEncoder()
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
        """Patterns by which timm assigns parameters to stages; parameters without a match belong to the top layer."""
        return {"blocks": r"^encoder\.stages\.(\d+)"}
