"""The figures of attacks and defences in docs/results.md, one step after the other, on voc-objects or another VOC tree.

    python tests/benchmarks/attack_study.py run OUT DATA [PART...]
    python tests/benchmarks/attack_study.py show OUT [PART...]

Each line of OUT/attacks.jsonl is one command with what it gave: a training run's last metrics, or an evaluation's rows. What
is there already is not run again, so a study that was stopped goes on. Last weights everywhere: nothing is chosen on the
scored images. `show` prints tables.
"""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SWEEP = "--eps 1/255,2/255,4/255,8/255 --images 100"
ROBUST = "--eps 2/255 --images 100"
HARD = "--adv-train pgd-3 --adv-eps 2/255"
# step -> its command; a step that trains makes the run of its name, which the steps below it find
PARTS: dict[str, dict[str, str]] = {
    "targets": {
        "seg": "train-seg --minutes 3",
        "cls": "train-cls --minutes 3",
        "seg-scratch": "train-seg --encoder scratch --minutes 3",
        "seg-no-skip": "train-seg --no-skip --minutes 3",
    },
    "adversaries": {
        "adv-seg": "train-adv --target seg --minutes 5",
        "adv-seg, val": "eval seg --attack adv:adv-seg --eps 4/255,8/255",
        "adv-cls": "train-adv --target cls --minutes 5",
        "adv-cls, val": "eval cls --attack adv:adv-cls --eps 4/255,8/255",
        "adv-both": "train-adv --target seg --target cls --minutes 9.8",
        "adv-both, seg val": "eval seg --attack adv:adv-both --eps 8/255",
        "adv-both, cls val": "eval cls --attack adv:adv-both --eps 8/255",
        "adv-l2": "train-adv --target seg --norm l2 --eps 6 --minutes 2",
        "adv-l2, val": "eval seg --attack adv:adv-l2,noise --norm l2 --eps 3,6",
        "adv-soft": "train-adv --target seg --penalty l2 --minutes 2",
        "adv-soft, val": "eval seg --attack adv:adv-soft --eps 8/255",
    },
    "sweep": {
        "seg sweep": f"eval seg --attack noise,fgsm,pgd-20,apgd-20,segpgd-20,cospgd-20 {SWEEP}",
        "seg SEA": "eval seg --attack sea-50,sea-js-50,sea-masked-50,sea-balanced-50 --eps 1/255 --images 100",
        "seg CosPGD, val": "eval seg --attack cospgd-20 --eps 8/255",
        "cls sweep": f"eval cls --attack noise,fgsm,pgd-20,apgd-20 {SWEEP}",
        "cls Square": "eval cls --attack square-200,pgd-20 --eps 8/255 --images 100",
    },
    "goals": {
        "adv-person": "train-adv --target seg --goal target:person --minutes 2",
        "adv-person, val": "eval seg --attack adv:adv-person,pgd-20 --goal target:person --eps 8/255 --images 100",
        "adv-hide": "train-adv --target seg --goal hide:person --minutes 2",
        "adv-hide, val": "eval seg --attack adv:adv-hide,pgd-20 --goal hide:person --eps 8/255 --images 100",
        "adv-universal": "train-adv --target seg --universal --minutes 2",
        "adv-universal, val": "eval seg --attack adv:adv-universal,noise --eps 8/255",
    },
    "transfer": {
        "transfer": "eval seg seg-no-skip seg-scratch --transfer --attack cospgd-20,adv:adv-seg --eps 8/255 --images 100",
    },
    "hardened": {
        "seg-hard-half": f"train-seg --minutes 3 {HARD} --adv-fraction 0.5",
        "seg-hard-all": f"train-seg --minutes 3 {HARD} --adv-fraction 1",
        "cls-fast": "train-cls --minutes 3 --encoder-lr 0.3",  # what is trained on attacks has to move, and this one tells
        "cls-hard-half": f"train-cls --minutes 3 --encoder-lr 0.3 {HARD} --adv-fraction 0.5",  # that from the attacks
    }
    | {
        f"{run}, attacked": f"eval {run} --attack {'cospgd-20' if run.startswith('seg') else 'pgd-20'} {ROBUST}"
        for run in ("seg", "seg-hard-half", "seg-hard-all", "cls", "cls-fast", "cls-hard-half")
    },
    "strategies": {
        f"{kind}-{name}": f"train-{kind} --minutes 3 {flags}"
        for kind, name, flags in (
            ("seg", "unaugmented", "--augment none"),
            ("seg", "strong", "--augment strong"),
            ("cls", "scratch", "--model scratch"),
            ("cls", "unaugmented", "--augment none"),
            ("cls", "strong", "--augment strong"),
        )
    }
    | {
        f"{run}, attacked": f"eval {run} --attack {'cospgd-20' if run.startswith('seg') else 'pgd-20'} {ROBUST}"
        for run in (
            "seg-scratch", "seg-no-skip", "seg-unaugmented", "seg-strong", "cls-scratch", "cls-unaugmented", "cls-strong",
        )
    },
}  # fmt: skip
COLUMNS = {  # of a table: what it is called, what it is multiplied by, its decimals
    "mean_iou": ("mean IoU", 100, 1),
    "map_sklearn": ("mAP", 100, 1),
    "pixel_accuracy": ("pixel acc.", 100, 1),
    "image_accuracy": ("acc. per image", 100, 2),
    "sample_f1": ("F1", 100, 1),
    "fooling_rate": ("fooling rate", 100, 1),
    "target_success_rate": ("target success", 100, 1),
    "linf_max": ("linf, px", 255, 0),
    "l2_mean": ("L2", 1, 1),
    "psnr_mean": ("PSNR, dB", 1, 2),
    "ssim_mean": ("SSIM", 1, 3),
}


def ran(step: str, words: str, out: Path, data: Path) -> dict[str, Any]:
    """The command's result; it runs in OUT, where the runs lie under runs/."""
    command = [sys.executable, "-m", "vocctl", *words.split(), "--quiet"]
    resumed = time.perf_counter()
    if not words.startswith("eval"):
        for stopped in (out / "runs").glob(f"*/{step}"):
            shutil.rmtree(stopped)
        subprocess.run([*command, "--data", str(data), "--name", step, "--eval-every", "1000"], check=True, cwd=out)
        metrics = next((out / "runs").glob(f"*/{step}")) / "metrics.jsonl"
        return {"metrics": json.loads(metrics.read_text().splitlines()[-1])}
    done = subprocess.run(
        [*command, "--checkpoint", "final", "--json"], check=True, cwd=out, capture_output=True, text=True
    )
    return {
        "results": [json.loads(line) for line in done.stdout.splitlines()],
        "seconds": time.perf_counter() - resumed,
    }


def read(out: Path) -> dict[str, dict[str, Any]]:
    path = out / "attacks.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return {line["step"]: line for line in map(json.loads, lines)}


def run(out: Path, data: Path, parts: list[str]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for part in parts:
        for step, words in PARTS[part].items():
            if step in read(out):
                continue
            line = {"step": step, "command": words, **ran(step, words, out, data)}
            with (out / "attacks.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(f"{step}: {words}", flush=True)


def show(out: Path, parts: list[str]) -> None:
    held = read(out)
    for part in parts:
        for step in [step for step in PARTS[part] if step in held]:
            print(f"\n### {step}: vocctl {held[step]['command']}")
            if "metrics" in held[step]:
                print(held[step]["metrics"])
            for result in held[step].get("results", []):
                if "rows" in result:
                    _attacked(result)
                else:
                    _transferred(result)
        if part in ("hardened", "strategies"):
            _defences(held, [step.removesuffix(", attacked") for step in PARTS[part] if step.endswith(", attacked")])


def _attacked(result: dict[str, Any]) -> None:
    rows = [(row, row["scores"] | row["rates"] | row["distortion"]) for row in result["rows"]]
    columns = [name for name in COLUMNS if any(name in seen for _, seen in rows)]
    _table(
        ["attack", "eps", *(COLUMNS[name][0] for name in columns)],
        [[row["attack"], row["eps"], *(_cell(name, seen.get(name)) for name in columns)] for row, seen in rows],
    )
    for check in result["sanity"]:
        print("sanity:", check["name"], "passed" if check["passed"] else "FAILED", check["measured"])


def _transferred(result: dict[str, Any]) -> None:
    rows = {"clean": result["clean"]} | result["scores"]
    _table(
        [f"{result['attack']}, {result['eps']}", *result["runs"]],
        [[name, *(_cell(result["metric"], seen[run]) for run in result["runs"])] for name, seen in rows.items()],
    )


def _defences(held: dict[str, dict[str, Any]], runs: list[str]) -> None:
    """Of each run its training, and its scores before and under the attack."""
    for kind, main in (("seg", "mean_iou"), ("cls", "map_sklearn")):
        rows = []
        for run in [run for run in runs if run.startswith(kind) and f"{run}, attacked" in held]:
            trained = held[run]["metrics"]
            clean, attacked, *_ = held[f"{run}, attacked"]["results"][0]["rows"]
            scores = [_cell(main, row["scores"][main]) for row in (clean, attacked)]
            rows.append([held[run]["command"], f"{trained['images_per_second']:.0f}", str(trained["epoch"]), *scores])
        _table(["run", "images/s", "epochs", f"{COLUMNS[main][0]}, clean", "attacked"], rows)


def _cell(name: str, value: float | None) -> str:
    _, times, decimals = COLUMNS[name]
    return "" if value is None else f"{times * value:.{decimals}f}"


def _table(heads: list[str], rows: list[list[str]]) -> None:
    for row in [heads, ["---"] * len(heads), *rows]:
        print("| " + " | ".join(row) + " |")


def main() -> None:
    what, out = sys.argv[1], Path(sys.argv[2]).resolve()
    if what == "show":
        show(out, sys.argv[3:] or list(PARTS))
    else:
        run(out, Path(sys.argv[3]).resolve(), sys.argv[4:] or list(PARTS))


if __name__ == "__main__":
    main()
