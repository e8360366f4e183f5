"""The figures of docs/results.md, sections 1 to 4: the default recipe, variants of it, and a tutorial's recipe.

    python tests/benchmarks/study.py run OUT TASK DATA MINUTES SEEDS VARIANT...
    python tests/benchmarks/study.py draw OUT TASK DATA FIGURE [VARIANT...]

TASK: seg or cls. VARIANT: tutorial, or a key of the task's VARIANTS. SEEDS: as 0,1,2. Each line of OUT/study.jsonl is one
run: task, data, variant, minutes, seed, score of the final weights (seg: mean IoU at the images' original size; cls:
scikit-learn's mAP, and F1 per image at a threshold of 0.5), speed. Runs with a line are not repeated, so an interrupted
study resumes. `draw` makes a figure of those lines.
"""

import json
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean
from typing import Any

import seaborn as sns

from vocctl.plots.style import figure_style, new_figure, save_figure, series_colors

VARIANTS: dict[str, dict[str, list[str]]] = {
    "seg": {
        "default": [],
        "no-skip": ["--no-skip"],
        "ce": ["--loss", "ce"],
        "dice": ["--loss", "dice"],
        "scratch": ["--encoder", "scratch"],
    },
    "cls": {
        "default": [],
        "scratch": ["--model", "scratch"],
        "no-probe": ["--no-probe"],
        "no-probe-encoder-lr-0.3": ["--no-probe", "--encoder-lr", "0.3"],
        "linear-probe": ["--encoder-lr", "0"],
        "encoder-lr-0.025": ["--encoder-lr", "0.025"],
        "earlier-default": ["--no-probe", "--encoder-lr", "0.3", "--size-from", "192"],
        "no-ema": ["--ema", "0"],
        "size-224": ["--size", "224"],
        "size-from-192": ["--size-from", "192"],
        "layer-decay-0.8": ["--layer-decay", "0.8"],
        "augment-none": ["--augment", "none"],
        "augment-light": ["--augment", "light"],
        "augment-strong": ["--augment", "strong"],
        "asl": ["--loss", "asl"],
        "focal": ["--loss", "focal"],
        "pos-weight": ["--pos-weight", "auto"],
    },
}
SCORES = {"seg": ("mean_iou", "mean IoU"), "cls": ("map_sklearn", "mAP (sklearn)")}
TUTORIALS = {"seg": "tutorial_segmentation.py", "cls": "tutorial_classification.py"}


def train_ours(task: str, data: Path, minutes: float, variant: str, seed: int, out: Path) -> dict[str, float]:
    """Train and score from the command line, as a user would."""
    folder = out / f"{task}-{data.name}-{variant}-{minutes:g}min-s{seed}"
    shutil.rmtree(folder, ignore_errors=True)  # of an interrupted run
    vocctl = [sys.executable, "-m", "vocctl"]
    flags = ["--data", str(data), "--minutes", str(minutes), "--seed", str(seed), "--out", str(folder), "--quiet"]
    # --eval-every 1000: validation only after the last epoch, so that the minutes go to training
    subprocess.run([*vocctl, f"train-{task}", *flags, "--eval-every", "1000", *VARIANTS[task][variant]], check=True)
    scored = subprocess.run(
        [*vocctl, "eval", str(folder), "--checkpoint", "final", "--json"], check=True, capture_output=True, text=True
    )
    last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    batch = int(re.search(r"^batch = (\d+)", (folder / "config.toml").read_text(), flags=re.M).group(1))
    result = {"seconds": last["train_seconds"], "images_per_second": last["step"] * batch / last["train_seconds"]}
    if task == "cls":
        result["f1"] = last["sample_f1"]
    return {"score": json.loads(scored.stdout)["scores"][SCORES[task][0]], **result}


def train_tutorial(task: str, data: Path, minutes: float, seed: int) -> dict[str, float]:
    script = Path(__file__).with_name(TUTORIALS[task])
    command = [sys.executable, str(script), str(data), str(60 * minutes), str(seed)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    score, seconds, speed = re.search(r"(?:mean IoU|mAP) ([\d.]+) after (\d+) s, ([\d.]+)", printed).groups()
    return {"score": float(score), "seconds": float(seconds), "images_per_second": float(speed)}


def read_results(out: Path) -> list[dict[str, Any]]:
    path = out / "study.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def run(out: Path, task: str, data: Path, minutes: float, seeds: list[int], variants: list[str]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        for variant in variants:
            run_key = {"task": task, "data": data.name, "variant": variant, "minutes": minutes, "seed": seed}
            if any(run_key.items() <= record.items() for record in read_results(out)):
                continue
            if variant == "tutorial":
                result = train_tutorial(task, data, minutes, seed)
            else:
                result = train_ours(task, data, minutes, variant, seed, out)
            with (out / "study.jsonl").open("a") as file:
                file.write(json.dumps(run_key | result) + "\n")
            print(run_key | result, flush=True)


def draw(out: Path, task: str, data: str, figure_path: Path, variants: list[str]) -> None:
    """One dot per run; one bar per variant and training time, the mean of its runs; sorted.

    data: name of the data set's folder. variants: those to draw; empty: all.
    """
    groups: dict[str, list[float]] = defaultdict(list)
    for record in read_results(out):
        if record["task"] == task and record["data"] == data and (not variants or record["variant"] in variants):
            groups[f"{record['variant']}, {record['minutes']:g} min"].append(100 * record["score"])
    order = sorted(groups, key=lambda name: mean(groups[name]))
    with figure_style():
        figure, axes = new_figure(1, 1, (7, 0.5 + 0.38 * len(order)))
        ax = axes[0, 0]
        ax.barh(order, [mean(groups[name]) for name in order], color="0.85", edgecolor="0.6")
        for name in order:
            ax.plot(groups[name], [name] * len(groups[name]), "o", color=series_colors(1)[0])
        ax.set(xlabel=f"{SCORES[task][1]} on {data} val, % (dot: one seed, bar: their mean)", xlim=(0, None))
        sns.despine(figure)
        save_figure(figure, figure_path)


def main() -> None:
    action, out, task, data = sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4]
    if action == "run":
        seeds = [int(seed) for seed in sys.argv[6].split(",")]
        run(out, task, Path(data), float(sys.argv[5]), seeds, sys.argv[7:])
    else:
        draw(out, task, Path(data).name, Path(sys.argv[5]), sys.argv[6:])


if __name__ == "__main__":
    main()
