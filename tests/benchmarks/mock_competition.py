"""Compare the expected score of a submission with its score on a mock competition.

    python tests/benchmarks/mock_competition.py OUT DEVKIT MINUTES

Builds the competition's folder from the VOC devkit, trains a default run of each subtask for MINUTES, prepares the csv and
scores it with the solution. Both scores have a bootstrap interval over their own images, which are independent, so the
half-width of the 95 % interval of the difference is the root of the sum of their squared half-widths.
"""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

from vocctl.competition.offline_score import score_file


def _ignore(done: int, total: int | None) -> None:
    """Progress is not shown."""


def main() -> None:
    out, devkit, minutes = Path(sys.argv[1]), Path(sys.argv[2]).resolve(), sys.argv[3]
    out.mkdir(parents=True, exist_ok=True)
    os.chdir(out)

    def vocctl(*arguments: str) -> None:
        subprocess.run([sys.executable, "-m", "vocctl", *arguments], check=True)

    vocctl("download", "h02a5a", "--from", str(devkit), "--out", "h02a5a")
    for kind in ("cls", "seg"):
        vocctl(f"train-{kind}", "--data", "h02a5a", "--minutes", minutes, "--name", "mock", "--quiet")
    vocctl("submit", "--data", "h02a5a", "--dry-run")
    record = json.loads(Path("runs/submit/submissions.jsonl").read_text().splitlines()[-1])
    result = score_file(Path(record["file"]), truth=Path("h02a5a"), data=None, new_counter=lambda verb, unit: _ignore)
    expected = record["expected"]
    half_width = math.hypot(*((high - low) / 2 for low, high in (expected["interval"], result.interval)))
    for name, joint, (low, high) in (
        ("expected", expected["joint"], expected["interval"]), ("scored", result.score.joint, result.interval)
    ):  # fmt: skip
        print(f"{name:9}{joint:.4f} ({low:.4f} to {high:.4f})")
    print(f"classification {expected['classification']:.4f}, then {result.score.classification:.4f}")
    print(f"segmentation {expected['segmentation']:.4f}, then {result.score.segmentation:.4f}")
    print(f"difference {result.score.joint - expected['joint']:+.4f}, half-width of its 95 % interval {half_width:.4f}")


if __name__ == "__main__":
    main()
