"""Training a pixel classifier on cached features, compared with the same head on features computed in each step.

    python tests/benchmarks/feature_cache.py OUT DATA [EPOCHS] [SEED]

Three runs of `vocctl train-seg`: the head on cached features, the head with --no-cache-features and --augment none, both for
EPOCHS (10), and one epoch of full training. Printed: their training images/s without the time for validation and for the
features, and the mean IoU of the final weights.

The two runs of the head differ in more than the cache: cached features also hold the mirrored images; with them, a step reads
128 points of an image instead of every second pixel; and --augment none shrinks the longer side of an image to --size, so DATA
should be of square images, such as voc-objects.
"""

import json
import subprocess
import sys
from pathlib import Path


def main() -> None:
    out, data, *rest = sys.argv[1:]
    defaults = ("10", "0")
    epochs, seed = (*rest, *defaults[len(rest) :])
    frozen = ["--freeze-encoder", "--epochs", epochs, "--eval-every", epochs]
    variants = {
        "full training": ["--epochs", "1"],
        "frozen, computed in each step": [*frozen, "--no-cache-features", "--augment", "none"],
        "frozen, cached": frozen,
    }
    full_speed = 0.0
    for number, (name, flags) in enumerate(variants.items()):
        run = Path(out) / f"run-{number}"
        command = [sys.executable, "-m", "vocctl", "train-seg", "--data", data, "--out", str(run), "--seed", seed]
        subprocess.run([*command, "--quiet", *flags], check=True, stdout=subprocess.DEVNULL)
        record = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
        speed = record["images_per_second"]
        full_speed = full_speed or speed
        print(f"{name}: {speed:.0f} images/s, {speed / full_speed:.1f} times; mean IoU {record['mean_iou']:.4f}")


if __name__ == "__main__":
    main()
