"""Training on a GPU by a recipe, in a new process with warm caches, compared with a bare loop of the same step.

    python tests/benchmarks/gpu_training.py DATA [--recipe gpu] [--encoder NAME] [--weights none] [--precision P]
        [--epochs 40] [--batch N]

Data: the training images of DATA, repeated to 749. Model, size, batch, precision and augmentation are the recipe's unless a
flag changes them, with validation after half of the epochs and at the end. --weights none is for an encoder
whose weights are not installed. Its batch norms are then not folded, which is slower than the recipe; the installed
tf_efficientnet_lite2 shows the speed of folded ones.
Printed: the time from the start of a new process; the time of the training loop; the speed of the whole run and of its second
half, as a fraction of the bare step's speed (it does not accumulate), which is measured
before and after without its first three steps; the peak
memory of the device in one epoch of warm-up; the mean IoU. It also runs on a CPU, where the figures mean little.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tomli_w
import torch
from memory import make_linked_devkit
from throughput import bare  # first: it declares the operators that torchvision's import needs

from vocctl.config import TrainSegConfig, as_tables, given
from vocctl.config.recipes import RECIPES, recipe_config
from vocctl.data.source import open_dataset
from vocctl.devices import device_name, pick_device
from vocctl.tasks import train_seg

IMAGES, BARE_SECONDS = 749, 5.0


def main() -> None:
    arguments = parse_arguments()
    source = open_dataset(Path(arguments.data)).root
    changes = {
        name: value
        for name in ("encoder", "weights", "precision", "epochs", "batch")
        if (value := getattr(arguments, name)) is not None
    }
    with tempfile.TemporaryDirectory() as folder:
        flags = {"path": str(make_linked_devkit(source, Path(folder) / "data", IMAGES)), **changes}
        config = given(recipe_config(arguments.recipe, "train-seg", TrainSegConfig()), **flags)
        config = given(config, eval_every=-(-config.train.epochs // 2))
        config_file = Path(folder) / "config.toml"
        config_file.write_text(tomli_w.dumps(as_tables(config)))
        device = pick_device(config.train.device)
        train_seg.run(given(config, epochs=1), Path(folder) / "warm")  # fills the caches
        peak = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else float("nan")
        bare_speeds = [bare(config, BARE_SECONDS)]
        start = time.perf_counter()
        command = [sys.executable, "-m", "vocctl", "train-seg", "--config", str(config_file), "--quiet"]
        subprocess.run([*command, "--out", str(Path(folder) / "run")], check=True)
        total_seconds = time.perf_counter() - start
        half, last = map(json.loads, (Path(folder) / "run" / "metrics.jsonl").read_text().splitlines())
        bare_speeds.append(bare(config, BARE_SECONDS))
    batch, steps = config.train.batch * config.optim.accumulate, last["step"]  # images of a step of the optimizer
    second_half = (steps - half["step"]) / (last["train_seconds"] - half["train_seconds"])
    speeds = {"whole run": steps / last["train_seconds"], "second half": second_half}
    print(f"{device_name(device)}: recipe {arguments.recipe}, {IMAGES} images, {config.train.epochs} epochs, {changes}")
    print(
        f"{total_seconds:.1f} s from the start of the process: {last['train_seconds']:.1f} s training, "
        f"{last['val_seconds']:.1f} s for the last validation; peak memory {peak:.1f} GiB; mean IoU {last['mean_iou']:.4f}"
    )
    print(f"bare step: {bare_speeds[0]:.0f} images/s before, {bare_speeds[1]:.0f} after")
    for name, speed in speeds.items():
        fraction = batch * speed / (sum(bare_speeds) / 2)
        print(f"{name}: {batch * speed:.0f} images/s, {fraction:.3f} of the bare step's mean")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--recipe", default="gpu", choices=RECIPES)
    for name, kind in {"encoder": str, "weights": str, "precision": str, "epochs": int, "batch": int}.items():
        parser.add_argument(f"--{name}", type=kind)
    return parser.parse_args()


if __name__ == "__main__":
    main()
