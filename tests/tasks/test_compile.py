"""--compile: names and losses as without it, crops that grow, going on, and one line where it fails."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch._inductor.config
from safetensors.torch import load_file

from vocctl.cli.app import main
from vocctl.config import TrainAdvConfig, TrainClsConfig, TrainSegConfig, given
from vocctl.errors import Interrupted
from vocctl.tasks.train_adv import run as train_adv
from vocctl.tasks.train_cls import run as train_cls
from vocctl.tasks.train_seg import resume, run
from vocctl.training.reporter import SilentReporter


def reporter_with(**receivers: Callable[..., object]) -> SilentReporter:
    """A reporter that calls receivers["note"], ["count"], ["progress"] or ["epoch"]."""
    reporter = SilentReporter()
    vars(reporter).update(receivers)
    return reporter


COMPILER = os.environ.get("CXX", "g++")


@pytest.fixture(autouse=True)
def _nothing_compiled_yet() -> None:
    torch._dynamo.reset()


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[torch.fx.GraphModule]:
    """What torch.compile captures; it then runs as it is, in place of machine code that takes long to make."""
    captured: list[torch.fx.GraphModule] = []

    def capture(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., Any]:
        captured.append(graph)
        return graph.forward

    compiled = torch.compile
    monkeypatch.setattr(torch, "compile", lambda what: compiled(what, backend=capture))
    return captured


def tiny_config(data: Path, **flags: object) -> TrainSegConfig:
    small = {"encoder": "scratch", "widths": (8, 8, 8), "size": 32, "batch": 4, "precision": "fp32", "compile": True}
    return given(TrainSegConfig(), path=str(data), **(small | flags))


def last_line(folder: Path) -> dict[str, float]:
    return json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])


@pytest.mark.skipif(shutil.which(COMPILER) is None, reason=f"{COMPILER}, which torch compiles with, is not here")
def test_a_compiled_network_learns_the_same_under_the_same_names(tiny: Path, tmp_path: Path) -> None:
    for name, compiles in (("plain", False), ("compiled", True)):
        run(tiny_config(tiny, epochs=2, compile=compiles), tmp_path / name)
    plain, compiled = (load_file(tmp_path / name / "best.safetensors") for name in ("plain", "compiled"))
    assert compiled.keys() == plain.keys()
    for key in ("train_loss", "val_loss"):
        assert last_line(tmp_path / "compiled")[key] == pytest.approx(last_line(tmp_path / "plain")[key], abs=1e-3)


def test_crops_that_grow_are_compiled_for_one_size_and_then_for_all(tiny: Path, tmp_path: Path, graphs: list) -> None:
    """And with no moving average, where the network that is validated has the same weights, it is not compiled."""
    run(tiny_config(tiny, size=160, size_from=32, epochs=5, ema=0.0), tmp_path / "run")  # 32, 64, ... 160
    assert len(graphs) == 1 + 2  # the look whether torch can compile, and the network


def test_classifiers_and_adversaries_are_compiled_too(
    tiny_set: Path, runs: dict[str, Path], tmp_path: Path, graphs: list
) -> None:
    """A classifier whose body is frozen at first."""
    small = {"path": str(tiny_set), "size": 32, "batch": 4, "precision": "fp32", "compile": True}
    train_cls(given(TrainClsConfig(), model="scratch", epochs=2, freeze_epochs=1, **small), tmp_path / "cls")
    assert len(graphs) == 1 + 2
    torch._dynamo.reset()
    train_adv(
        given(TrainAdvConfig(), target=(str(runs["seg"]),), generator="unet", width=8, depth=1, epochs=1, **small),
        tmp_path / "adv",
    )
    assert len(graphs) == 1 + 2 + 1 + 1


def test_a_compiled_run_is_resumed(tiny: Path, tmp_path: Path, graphs: list) -> None:
    run(tiny_config(tiny, epochs=3, compile=False), tmp_path / "plain")
    stop = reporter_with(epoch=lambda record: os.kill(os.getpid(), signal.SIGINT) if record["epoch"] == 1 else None)
    with pytest.raises(Interrupted, match="resume with"):
        run(tiny_config(tiny, epochs=3), tmp_path / "stopped", reporter=stop)
    before = len(graphs)
    torch._dynamo.reset()  # as in a process of its own
    resume(str(tmp_path / "stopped"))
    assert len(graphs) > before
    assert last_line(tmp_path / "stopped")["train_loss"] == pytest.approx(last_line(tmp_path / "plain")["train_loss"])


@pytest.mark.filterwarnings("ignore:dynamo_pgo")
def test_without_a_compiler_one_line_says_what_to_do(tiny: Path, tmp_path: Path, capsys) -> None:
    with torch._inductor.config.patch({"cpp.cxx": (None, "no-compiler"), "force_disable_caches": True}):
        assert main(["train-seg", "--data", str(tiny), "--out", str(tmp_path / "run"), "--compile"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: torch.compile fails here")
    assert "no-compiler" in line
    assert line.endswith("or omit --compile")
    assert not (tmp_path / "run").exists()


def test_a_network_that_cannot_be_compiled(tiny: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    def broken(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., Any]:
        if len(inputs) > 1:  # not the look whether torch can compile
            raise NotImplementedError("an operator is missing")
        return graph.forward

    compiled = torch.compile
    monkeypatch.setattr(torch, "compile", lambda what: compiled(what, backend=broken))
    flags = ["--encoder", "scratch", "--widths", "8,8,8", "--size", "32", "--epochs", "1", "--quiet", "--compile"]
    assert main(["train-seg", "--data", str(tiny), "--out", str(tmp_path / "run"), *flags]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "an operator is missing" in line
    assert line.endswith("or omit --compile")
