"""Training curves of one run: losses, scores and learning rate against the epoch."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.ticker import MaxNLocator

from vocctl.plots.style import quiet_style, save_figure

SCORES = {
    "mean IoU": "mean_iou",
    "mean Dice": "mean_dice",
    "pixel accuracy": "pixel_accuracy",
    "mAP, 11-point": "map_11_point",
    "mAP, all points": "map_all_points",
    "mAP, sklearn": "map_sklearn",
    "F1 per photo at 0.5": "sample_f1",
}


def draw_curves(records: list[dict[str, Any]], path: Path, *, title: str, best_epoch: int) -> Path:
    """records: the lines of metrics.jsonl. The best epoch is marked in each panel."""
    epochs = [record["epoch"] for record in records]
    panels = (
        ("loss", {"training loss": "train_loss", "validation cross-entropy": "val_loss"}, 1),
        ("score, %", SCORES, 100),
        ("learning rate at the epoch's end", {"decoder or head": "lr"}, 1),
    )
    with quiet_style():
        figure, axes = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
        for ax, (label, lines, scale) in zip(axes, panels, strict=True):
            for name, key in lines.items():
                if key not in records[0]:  # a score of another task
                    continue
                ax.plot(epochs, [scale * record[key] for record in records], marker="o", markersize=3, label=name)
            ax.axvline(best_epoch, color="0.5", linestyle=":", label=f"best epoch, {best_epoch}")
            ax.set(xlabel="epoch", ylabel=label)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
            ax.set_ylim(bottom=0)
            ax.legend(frameon=False)
        figure.suptitle(title)
        sns.despine(figure)
        return save_figure(figure, path)
