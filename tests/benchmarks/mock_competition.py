"""The competition rehearsed on any VOC tree: is the expected score what the solution then gives?

    python tests/benchmarks/mock_competition.py OUT VOC_TREE MINUTES

Builds the competition's layout, trains a default run of each kind for so many minutes, prepares the csv, scores it. Both
scores have a bootstrap interval over their own images, which are independent: the difference's 95 % interval is the root of
the sum of the squares of their half-widths.
"""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

from vocctl.competition.offline_score import score_file


def _silent(done: int, total: int | None) -> None: ...


def main() -> None:
    out, tree, minutes = Path(sys.argv[1]), Path(sys.argv[2]).resolve(), sys.argv[3]
    out.mkdir(parents=True, exist_ok=True)
    os.chdir(out)

    def vocctl(*words: str) -> None:
        subprocess.run([sys.executable, "-m", "vocctl", *words], check=True)

    vocctl("download", "h02a5a", "--from", str(tree), "--out", "h02a5a")
    for kind in ("cls", "seg"):
        vocctl(f"train-{kind}", "--data", "h02a5a", "--minutes", minutes, "--name", "rehearsal", "--quiet")
    vocctl("submit", "--data", "h02a5a", "--dry-run")
    about = json.loads(Path("runs/submit/submissions.jsonl").read_text().splitlines()[-1])
    scored = score_file(Path(about["file"]), truth=Path("h02a5a"), data=None, new_counter=lambda verb, unit: _silent)
    expected = about["expected"]
    half = math.hypot(*((high - low) / 2 for low, high in (expected["interval"], scored.interval)))
    for name, joint, (low, high) in (
        ("expected", expected["joint"], expected["interval"]), ("scored", scored.score.joint, scored.interval)
    ):  # fmt: skip
        print(f"{name:9}{joint:.4f} ({low:.4f} to {high:.4f})")
    print(f"classification {expected['classification']:.4f}, then {scored.score.classification:.4f}")
    print(f"segmentation {expected['segmentation']:.4f}, then {scored.score.segmentation:.4f}")
    print(f"difference {scored.score.joint - expected['joint']:+.4f}, 95 % of chance: -{half:.4f} to +{half:.4f}")


if __name__ == "__main__":
    main()
