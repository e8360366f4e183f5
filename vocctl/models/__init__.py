"""Networks. torchvision's import is mended first: timm and segmentation-models-pytorch bring it along."""

from vocctl.torchvision_ops import declare_missing_ops

declare_missing_ops()
