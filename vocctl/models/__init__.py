"""Networks. Missing operators of torchvision are declared first, because timm and segmentation-models-pytorch import it."""

from vocctl.compat import declare_missing_ops

declare_missing_ops()
