"""Networks. torchvision's import is mended first: timm and segmentation-models-pytorch bring it along."""

from vocctl.compat import declare_missing_ops

declare_missing_ops()
