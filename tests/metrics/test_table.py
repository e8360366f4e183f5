"""The table of metrics: formatting, directions, and that importing it stays cheap."""

import subprocess
import sys
from math import nan

import pytest

from vocctl.metrics.table import METRICS, mean_of_classes


def test_every_row_has_a_definition_and_a_title_of_its_own():
    assert all(key == row.key and row.definition.endswith(".") for key, row in METRICS.items())
    titles = [row.title for row in METRICS.values()]
    assert len(set(titles)) == len(titles)


def test_a_mean_names_a_metric_of_the_table():
    assert mean_of_classes("iou") is METRICS["mean_iou"]
    assert mean_of_classes("ap_11_point") is METRICS["map_11_point"]
    assert mean_of_classes("precision") is None
    assert all(row.mean_of in METRICS for row in METRICS.values() if row.mean_of)


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("mean_iou", 0.51714, "51.7"),
        ("mean_iou", nan, "-"),
        ("mean_iou", None, "-"),
        ("linf_max", 8 / 255, "8"),
        ("ssim_mean", 0.98765, "0.988"),
        ("val_loss", 1.23456, "1.2346"),
    ],
)
def test_values_are_formatted_in_their_unit(key, value, text):
    assert METRICS[key].format(value) == text


def test_labels_name_the_unit_of_percentages_only():
    assert METRICS["mean_iou"].label == "mean IoU, %"
    assert METRICS["psnr_mean"].label == "PSNR, dB"


def test_direction_decides_which_value_is_better():
    assert METRICS["mean_iou"].is_better(0.6, 0.5)
    assert not METRICS["mean_iou"].is_better(0.5, 0.5)
    assert METRICS["val_loss"].is_better(0.5, 0.6)
    assert not METRICS["val_loss"].is_better(0.6, 0.5)
    assert not METRICS["mean_iou"].is_better(nan, 0.5)
    assert not METRICS["val_loss"].is_better(nan, 0.5)


def test_importing_the_table_imports_neither_torch_nor_numpy():
    code = "import sys, vocctl.metrics.table; print(*{'torch', 'numpy'} & sys.modules.keys())"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.split() == []
