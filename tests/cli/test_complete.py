"""Shell completion, asked for as bash and zsh do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vocctl.cli import complete
from vocctl.runs.find import RUNS

WITHOUT_SLOW_LIBRARIES = """
import sys
sys.modules.update(dict.fromkeys(("torch", "numpy", "matplotlib", "kaggle")))  # importing them fails, and timm imports torch
from vocctl.__main__ import main
main()
"""


@pytest.fixture
def runs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """runs/seg/first with one evaluation, and runs/adv/generator, in the working folder."""
    for path in ("seg/first/run.json", "adv/generator/run.json", "seg/first/eval/voc-val/scores.json"):
        (tmp_path / "runs" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "runs" / path).write_text("{}")
    monkeypatch.chdir(tmp_path)


def completed(line: str) -> list[str]:
    """The words that bash offers when Tab is pressed at the end of the line."""
    number = len(line.split(" ")) - 1
    asked = {"_VOCCTL_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(number)}
    command = [sys.executable, "-c", WITHOUT_SLOW_LIBRARIES]
    process = subprocess.run(command, env=os.environ | asked, capture_output=True, text=True, check=False)
    assert process.stderr == ""
    return process.stdout.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("vocctl tr", ["train-cls", "train-seg", "train-adv"]),
        ("vocctl train-seg --loss-", ["--loss-stride"]),
        ("vocctl train-seg --loss d", ["dice"]),
        ("vocctl train-seg --encoder convnext_tiny_", ["convnext_tiny_hnf"]),
        ("vocctl train-cls --model scr", ["scratch"]),
        ("vocctl train-adv --encoder scr", []),  # a generator's encoder is pretrained
        ("vocctl eval fi", ["first"]),
        ("vocctl submit --seg ", ["first"]),
        ("vocctl eval first --attack noise,fg", ["noise,fgsm"]),
        ("vocctl eval first --corruption fog,fr", ["fog,frost"]),
        ("vocctl plot first --evaluation ", ["voc-val"]),
        ("vocctl plot first --kind curves,com", ["curves,compare"]),
        ("vocctl download sh", ["shapes"]),
    ],
)
@pytest.mark.usefixtures("runs_folder")
def test_bash_completes(line: str, words: list[str]) -> None:
    assert completed(line) == words


@pytest.mark.usefixtures("runs_folder")
def test_zsh_completes_with_descriptions() -> None:
    asked = {"_VOCCTL_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "vocctl eval first --attack adv"}
    command = [sys.executable, "-c", WITHOUT_SLOW_LIBRARIES]
    process = subprocess.run(command, env=os.environ | asked, capture_output=True, text=True, check=True)
    assert process.stdout == "_arguments '*: :((\"adv\\\\:generator\"))'\n"


def test_timm_models_are_those_of_timm() -> None:
    import timm

    assert complete.timm_models("") == sorted(timm.list_models())
    assert complete.timm_models("resnet18") == ["resnet18", "resnet18d"]


def test_names_are_those_of_the_package() -> None:
    from vocctl.competition.editions import ALIAS, EDITIONS
    from vocctl.tasks.download import known_data_sets

    slugs = {edition.slug for edition in EDITIONS.values()}
    assert set(complete.data_sets("")) == known_data_sets().keys() - slugs | {ALIAS}
    assert Path(complete.RUNS) == RUNS


def test_lists_with_commas_are_continued() -> None:
    assert "fgsm,pgd" in complete.attacks("fgsm,p")
    assert "fgsm,fgsm" not in complete.attacks("fgsm,")
