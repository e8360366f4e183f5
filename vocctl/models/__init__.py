"""Networks. torchvision's missing operators are declared first, because timm and smp import torchvision."""

from vocctl.compat import declare_missing_ops

declare_missing_ops()
