"""Which initial weights count as trained on VOC. tests/tasks/test_submit.py has the runs that are refused."""

from pathlib import Path

import pytest

from vocctl.competition.leakage import voc_weights
from vocctl.runs.folder import RunFolder


@pytest.mark.parametrize(
    ("weights", "is_voc"),
    [("auto", False), ("none", False), ("deeplabv3_coco_voc.pth", True), ("pascal_r50.safetensors", True),
     ("invoccation.pth", False)],
)  # fmt: skip
def test_weights_named_after_voc(world, weights, is_voc):
    config = Path("runs/seg/one/config.toml")
    text = config.read_text().replace('encoder = "scratch"', 'encoder = "resnet18"')
    config.write_text(text.replace('weights = "auto"', f'weights = "{weights}"'))
    assert (voc_weights(RunFolder(Path("runs/seg/one"))) is not None) is is_voc
