"""Run the commands behind docs/results.md, sections 5 to 8 (attacks and defenses), on voc-objects or another VOC devkit.

    python tests/benchmarks/attack_study.py run OUT DATA [PART...]
    python tests/benchmarks/attack_study.py show OUT [PART...]

PART: a key of PARTS; all parts if none is given. Each line of OUT/attacks.jsonl is one command with its result: the last
metrics of a training run, or the rows of an evaluation. Commands with a result are not run again, so an interrupted study
resumes. Final weights are used everywhere, so that nothing is selected on the scored images. `show` prints tables.
"""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SWEEP = "--eps 1/255,2/255,4/255,8/255 --images 100"
SMALL_BUDGET = "--eps 2/255 --images 100"
ADV_TRAIN = "--adv-train pgd-3 --adv-eps 2/255"
# part -> step -> command; a training step creates a run of its name, which later steps use
PARTS: dict[str, dict[str, str]] = {
    "victims": {
        "seg": "train-seg --minutes 3",
        "cls": "train-cls --minutes 3",
        "seg-scratch": "train-seg --encoder scratch --minutes 3",
        "seg-no-skip": "train-seg --no-skip --minutes 3",
    },
    "generators": {
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
        "cls sweep": f"eval cls --attack noise,fgsm,pgd-20,pgd-margin-20,cospgd-20,apgd-20 {SWEEP}",
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
    "adversarial_training": {
        "seg-adv-half": f"train-seg --minutes 3 {ADV_TRAIN} --adv-fraction 0.5",
        "seg-adv-all": f"train-seg --minutes 3 {ADV_TRAIN} --adv-fraction 1",
        # cls-adv-half needs this learning rate; cls-fast shows the effect of the learning rate alone
        "cls-fast": "train-cls --minutes 3 --encoder-lr 0.3",
        "cls-adv-half": f"train-cls --minutes 3 --encoder-lr 0.3 {ADV_TRAIN} --adv-fraction 0.5",
    }
    | {
        f"{run}, attacked": f"eval {run} --attack {'cospgd-20' if run.startswith('seg') else 'pgd-20'} {SMALL_BUDGET}"
        for run in ("seg", "seg-adv-half", "seg-adv-all", "cls", "cls-fast", "cls-adv-half")
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
        f"{run}, attacked": f"eval {run} --attack {'cospgd-20' if run.startswith('seg') else 'pgd-20'} {SMALL_BUDGET}"
        for run in (
            "seg-scratch", "seg-no-skip", "seg-unaugmented", "seg-strong", "cls-scratch", "cls-unaugmented", "cls-strong",
        )
    },
}  # fmt: skip
COLUMNS = {  # key -> title, factor, decimals
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


def run_step(step: str, command_line: str, out: Path, data: Path) -> dict[str, Any]:
    """Run a command in OUT, which has the runs in runs/, and return its result."""
    command = [sys.executable, "-m", "vocctl", *command_line.split(), "--quiet"]
    start = time.perf_counter()
    if not command_line.startswith("eval"):
        for interrupted_run in (out / "runs").glob(f"*/{step}"):
            shutil.rmtree(interrupted_run)
        subprocess.run([*command, "--data", str(data), "--name", step, "--eval-every", "1000"], check=True, cwd=out)
        metrics = next((out / "runs").glob(f"*/{step}")) / "metrics.jsonl"
        return {"metrics": json.loads(metrics.read_text().splitlines()[-1])}
    command += ["--checkpoint", "final", "--json"]
    process = subprocess.run(command, check=True, cwd=out, capture_output=True, text=True)
    results = [json.loads(line) for line in process.stdout.splitlines()]
    return {"results": results, "seconds": time.perf_counter() - start}


def read_results(out: Path) -> dict[str, dict[str, Any]]:
    path = out / "attacks.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return {line["step"]: line for line in map(json.loads, lines)}


def run(out: Path, data: Path, parts: list[str]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for part in parts:
        for step, command_line in PARTS[part].items():
            if step in read_results(out):
                continue
            line = {"step": step, "command": command_line, **run_step(step, command_line, out, data)}
            with (out / "attacks.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(f"{step}: {command_line}", flush=True)


def show(out: Path, parts: list[str]) -> None:
    results = read_results(out)
    for part in parts:
        for step in [step for step in PARTS[part] if step in results]:
            print(f"\n### {step}: vocctl {results[step]['command']}")
            if "metrics" in results[step]:
                print(results[step]["metrics"])
            for result in results[step].get("results", []):
                if "rows" in result:
                    _print_attack(result)
                else:
                    _print_transfer(result)
        if part in ("adversarial_training", "strategies"):
            _print_defenses(
                results, [step.removesuffix(", attacked") for step in PARTS[part] if step.endswith(", attacked")]
            )


def _print_attack(result: dict[str, Any]) -> None:
    rows = [(row, row["scores"] | row["rates"] | row["distortion"]) for row in result["rows"]]
    columns = [name for name in COLUMNS if any(name in values for _, values in rows)]
    _print_table(
        ["attack", "eps", *(COLUMNS[name][0] for name in columns)],
        [[row["attack"], row["eps"], *(_cell(name, values.get(name)) for name in columns)] for row, values in rows],
    )
    for check in result["sanity"]:
        print("sanity:", check["name"], "passed" if check["passed"] else "FAILED", check["measured"])


def _print_transfer(result: dict[str, Any]) -> None:
    rows = {"clean": result["clean"]} | result["scores"]
    _print_table(
        [f"{result['attack']}, {result['eps']}", *result["runs"]],
        [[name, *(_cell(result["metric"], scores[run]) for run in result["runs"])] for name, scores in rows.items()],
    )


def _print_defenses(results: dict[str, dict[str, Any]], runs: list[str]) -> None:
    """One row per run: its training, its clean and its attacked score."""
    for kind, main in (("seg", "mean_iou"), ("cls", "map_sklearn")):
        rows = []
        for run in [run for run in runs if run.startswith(kind) and f"{run}, attacked" in results]:
            training = results[run]["metrics"]
            clean, attacked, *_ = results[f"{run}, attacked"]["results"][0]["rows"]
            scores = [_cell(main, row["scores"][main]) for row in (clean, attacked)]
            rows.append(
                [results[run]["command"], f"{training['images_per_second']:.0f}", str(training["epoch"]), *scores]
            )
        _print_table(["run", "images/s", "epochs", f"{COLUMNS[main][0]}, clean", "attacked"], rows)


def _cell(name: str, value: float | None) -> str:
    _, factor, decimals = COLUMNS[name]
    return "" if value is None else f"{factor * value:.{decimals}f}"


def _print_table(headers: list[str], rows: list[list[str]]) -> None:
    for row in [headers, ["---"] * len(headers), *rows]:
        print("| " + " | ".join(row) + " |")


def main() -> None:
    action, out = sys.argv[1], Path(sys.argv[2]).resolve()
    if action == "show":
        show(out, sys.argv[3:] or list(PARTS))
    else:
        run(out, Path(sys.argv[3]).resolve(), sys.argv[4:] or list(PARTS))


if __name__ == "__main__":
    main()
