"""Training on a GPU with the images on it: from a cold start to the end, against a bare loop of the same step.

    python tests/benchmarks/gpu_training.py DATA [ENCODER] [EPOCHS] [BATCH]

Real training images of DATA, repeated to 749, at 256 px; a U-Net over ENCODER (resnet50) without pretrained weights, bf16,
`--augment-on gpu`, batches of BATCH (64), EPOCHS (40) epochs with a validation at their half and one at their end. The
cache is warm; the time is counted from the start of a process that trains; beside it what the training loop alone took, the
speed of the whole and of its second half as shares of the bare step's, which leaves out its first three steps and is taken
before and after, and the device's peak memory. On a CPU it runs too, and measures little.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from memory import linked
from throughput import bare  # before torch's other users: it mends torchvision's import

from vocctl.config import TrainSegConfig, given
from vocctl.data.source import open_dataset
from vocctl.devices import device_name, pick_device
from vocctl.tasks import train_seg

IMAGES, SIZE, BARE_SECONDS = 749, 256, 5.0


def main() -> None:
    source = open_dataset(Path(sys.argv[1])).root
    encoder, epochs, batch = (sys.argv[2:] + ["resnet50", "40", "64"][len(sys.argv) - 2 :])[:3]
    if int(epochs) < 2:
        raise SystemExit("EPOCHS is 2 or more: the second half is timed by itself")
    with tempfile.TemporaryDirectory() as folder:
        data = linked(source, Path(folder) / "data", IMAGES)
        flags = {
            "path": str(data), "encoder": encoder, "weights": "none", "size": SIZE, "size_from": 0, "precision": "bf16",
            "augment_on": "gpu", "batch": int(batch), "epochs": int(epochs), "eval_every": -(-int(epochs) // 2),
        }  # fmt: skip
        words = [f"--{name.replace('_', '-')}={value}" for name, value in flags.items() if name != "path"]
        command = [sys.executable, "-m", "vocctl", "train-seg", "--data", str(data), *words, "--quiet", "--out"]
        config = given(TrainSegConfig(), **flags)
        device = pick_device(config.train.device)
        train_seg.run(given(config, epochs=1), Path(folder) / "warm")  # fills the cache; its peak is that of any epoch
        peak = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else float("nan")
        alone = [bare(config, BARE_SECONDS)]
        began = time.perf_counter()
        subprocess.run([*command, str(Path(folder) / "run")], check=True)
        whole = time.perf_counter() - began
        half, last = map(json.loads, (Path(folder) / "run" / "metrics.jsonl").read_text().splitlines())
        alone.append(bare(config, BARE_SECONDS))
    seconds, steps = last["train_seconds"], last["step"]
    speeds = {"whole": steps / seconds, "second half": (steps - half["step"]) / (seconds - half["train_seconds"])}
    print(f"{device_name(device)}: {IMAGES} images of {SIZE} px, {encoder}, {epochs} epochs in batches of {batch}")
    print(f"{whole:.1f} s from the start of the process: {last['train_seconds']:.1f} s training, "
          f"{last['val_seconds']:.1f} s validation; peak memory {peak:.1f} GiB")  # fmt: skip
    print(f"the bare step: {alone[0]:.0f} images/s before, {alone[1]:.0f} after")
    for name, speed in speeds.items():
        of_bare = int(batch) * speed / (sum(alone) / 2)
        print(f"{name}: {int(batch) * speed:.0f} images/s, {of_bare:.3f} of the bare step's mean")


if __name__ == "__main__":
    main()
