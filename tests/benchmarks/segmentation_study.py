"""The figures of docs/results.md for segmentation: our recipe, the tutorial's, and one change at a time.

Each line of OUT/study.jsonl is one run: what, seed, mean IoU of the final weights at the photos' own size, speed. What
is there already is not run again, so a study that was stopped goes on. `draw` makes the picture from those lines.

python tests/benchmarks/segmentation_study.py run OUT DATA MINUTES SEEDS WHAT...
python tests/benchmarks/segmentation_study.py draw OUT PICTURE DATA
WHAT: default, no-skip, ce, dice, scratch, tutorial. SEEDS: as 0,1,2.
"""

import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean
from typing import Any

import matplotlib.pyplot as plt
import seaborn as sns

from vocctl.plots.style import quiet_style, save_figure

VARIANTS = {
    "default": [],
    "no-skip": ["--no-skip"],
    "ce": ["--loss", "ce"],
    "dice": ["--loss", "dice"],
    "scratch": ["--encoder", "scratch", "--encoder-lr", "1"],
}


def train_ours(data: Path, minutes: float, what: str, seed: int, out: Path) -> dict[str, float]:
    """Train and score in processes of their own, as a user would."""
    folder = out / f"{data.name}-{what}-{minutes:g}min-s{seed}"
    vocctl = [sys.executable, "-m", "vocctl"]
    flags = ["--data", str(data), "--minutes", str(minutes), "--seed", str(seed), "--out", str(folder), "--quiet"]
    subprocess.run([*vocctl, "train-seg", *flags, "--eval-every", "1000", *VARIANTS[what]], check=True)
    scored = subprocess.run(
        [*vocctl, "eval", str(folder), "--checkpoint", "final", "--json"], check=True, capture_output=True, text=True
    )
    last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    trained = {"seconds": last["train_seconds"], "images_per_second": last["step"] * 8 / last["train_seconds"]}
    return {"mean_iou": json.loads(scored.stdout)["scores"]["mean_iou"], **trained}


def train_tutorial(data: Path, minutes: float, seed: int) -> dict[str, float]:
    script = Path(__file__).with_name("tutorial_segmentation.py")
    command = [sys.executable, str(script), str(data), str(60 * minutes), str(seed)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    iou, seconds, speed = re.search(r"mean IoU ([\d.]+) after (\d+) s, ([\d.]+)", said).groups()
    return {"mean_iou": float(iou), "seconds": float(seconds), "images_per_second": float(speed)}


def read(out: Path) -> list[dict[str, Any]]:
    path = out / "study.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def run(out: Path, data: Path, minutes: float, seeds: list[int], names: list[str]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        for what in names:
            about = {"data": data.name, "what": what, "minutes": minutes, "seed": seed}
            if any(about.items() <= done.items() for done in read(out)):
                continue
            ours = what != "tutorial"
            result = train_ours(data, minutes, what, seed, out) if ours else train_tutorial(data, minutes, seed)
            with (out / "study.jsonl").open("a") as stream:
                stream.write(json.dumps(about | result) + "\n")
            print(about | result, flush=True)


def draw(out: Path, picture: Path, data: str) -> None:
    """A dot a run, a bar their mean, sorted; for each time that was given."""
    groups: dict[str, list[float]] = defaultdict(list)
    for record in read(out):
        if record["data"] == data:
            groups[f"{record['what']}, {record['minutes']:g} min"].append(100 * record["mean_iou"])
    order = sorted(groups, key=lambda name: mean(groups[name]))
    with quiet_style():
        figure, ax = plt.subplots(figsize=(7, 0.5 + 0.38 * len(order)), layout="constrained")
        ax.barh(order, [mean(groups[name]) for name in order], color="0.85", edgecolor="0.6")
        for name in order:
            ax.plot(groups[name], [name] * len(groups[name]), "o", color=sns.color_palette("colorblind")[0])
        ax.set(xlabel=f"mean IoU on {data} val, % (dot: one seed, bar: their mean)", xlim=(0, None))
        sns.despine(figure)
        save_figure(figure, picture)


def main() -> None:
    if sys.argv[1] == "run":
        out, data, minutes, seeds = Path(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4]), sys.argv[5]
        run(out, data, minutes, [int(seed) for seed in seeds.split(",")], sys.argv[6:])
    else:
        draw(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])


if __name__ == "__main__":
    main()
