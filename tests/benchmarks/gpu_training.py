"""Training on a GPU that holds the images, from a cold start to the end, compared with a bare loop of the same step.

    python tests/benchmarks/gpu_training.py DATA [ENCODER] [EPOCHS] [BATCH]

Data: the training images of DATA, repeated to 749, at 256 px. Model: a U-Net over ENCODER (resnet50) without pretrained
weights, bf16, `--augment-on gpu`, batches of BATCH (64), EPOCHS (40) epochs, with validation after half of them and at
the end. The cache is warm. Printed: the time from the start of a new process; the time of the training loop; the speed
of the whole run and of its second half, as a fraction of the bare step's speed, which is measured before and after
without its first three steps; the peak memory of the device. It also runs on a CPU, where the figures mean little.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from memory import linked
from throughput import bare  # first: it declares the operators that torchvision's import needs

from vocctl.config import TrainSegConfig, given
from vocctl.data.source import open_dataset
from vocctl.devices import device_name, pick_device
from vocctl.tasks import train_seg

IMAGES, SIZE, BARE_SECONDS = 749, 256, 5.0


def main() -> None:
    source = open_dataset(Path(sys.argv[1])).root
    encoder, epochs, batch = (sys.argv[2:] + ["resnet50", "40", "64"][len(sys.argv) - 2 :])[:3]
    if int(epochs) < 2:
        raise SystemExit("EPOCHS is 2 or more: the second half is timed separately")
    with tempfile.TemporaryDirectory() as folder:
        data = linked(source, Path(folder) / "data", IMAGES)
        flags = {
            "path": str(data), "encoder": encoder, "weights": "none", "size": SIZE, "size_from": 0, "precision": "bf16",
            "augment_on": "gpu", "batch": int(batch), "epochs": int(epochs), "eval_every": -(-int(epochs) // 2),
        }  # fmt: skip
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in flags.items() if name != "path"]
        command = [sys.executable, "-m", "vocctl", "train-seg", "--data", str(data), *arguments, "--quiet", "--out"]
        config = given(TrainSegConfig(), **flags)
        device = pick_device(config.train.device)
        train_seg.run(
            given(config, epochs=1), Path(folder) / "warm"
        )  # fills the cache; every epoch has the same peak memory
        peak = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else float("nan")
        bare_speeds = [bare(config, BARE_SECONDS)]
        start = time.perf_counter()
        subprocess.run([*command, str(Path(folder) / "run")], check=True)
        total_seconds = time.perf_counter() - start
        half, last = map(json.loads, (Path(folder) / "run" / "metrics.jsonl").read_text().splitlines())
        bare_speeds.append(bare(config, BARE_SECONDS))
    seconds, steps = last["train_seconds"], last["step"]
    speeds = {"whole run": steps / seconds, "second half": (steps - half["step"]) / (seconds - half["train_seconds"])}
    print(f"{device_name(device)}: {IMAGES} images of {SIZE} px, {encoder}, {epochs} epochs in batches of {batch}")
    print(f"{total_seconds:.1f} s from the start of the process: {last['train_seconds']:.1f} s training, "
          f"{last['val_seconds']:.1f} s validation; peak memory {peak:.1f} GiB")  # fmt: skip
    print(f"bare step: {bare_speeds[0]:.0f} images/s before, {bare_speeds[1]:.0f} after")
    for name, speed in speeds.items():
        fraction = int(batch) * speed / (sum(bare_speeds) / 2)
        print(f"{name}: {int(batch) * speed:.0f} images/s, {fraction:.3f} of the bare step's mean")


if __name__ == "__main__":
    main()
