"""`vocctl doctor`: one line per check, an exit code, and no secret in what it prints."""

import importlib.metadata
import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from vocctl.cli.app import main
from vocctl.tasks import doctor


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)


def check_named(name: str) -> doctor.Check:
    (check,) = (check for check in doctor.run_checks() if check.name == name)
    return check


def test_every_check_is_one_line(capsys):
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    names = [
        "Python",
        "packages",
        "torch",
        "torchvision",
        "CUDA",
        "CPU",
        "memory",
        "runs",
        "cache",
        "packaged",
        "hub",
        "Kaggle",
    ]
    lines = printed.splitlines()
    assert [name for name in names if not any(line.split()[1] == name for line in lines)] == []
    assert all(line.split()[0] in ("ok", "warning", "error") for line in lines)


def test_json_is_one_document(capsys):
    assert main(["doctor", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["can_train"] is True
    by_name = {check["name"]: check for check in document["checks"]}
    assert by_name["torch"]["value"] == torch.__version__
    assert by_name["hub"]["status"] == "warning"
    assert "HF_HUB_OFFLINE" in by_name["hub"]["value"]


def test_exit_code_1_if_a_folder_cannot_be_written(monkeypatch, capsys):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert main(["doctor"]) == 1
    assert "error    runs folder       runs is not writable: fix its permissions" in capsys.readouterr().out


def test_versions_outside_of_the_metadata_are_named(monkeypatch):
    required = ["timm>=9.0", "no-such-package>=1.5", "torch>=1.0", "pytest>=99; extra == 'dev'"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: required)
    check = check_named("packages")
    assert check.status == "error"
    assert check.value.startswith("no-such-package is missing; timm ")
    assert check.value.endswith(" is outside >=9.0")
    assert check.advice == "pip install 'no-such-package>=1.5' 'timm>=9.0'"
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: required[:1])
    assert check_named("packages").status == "warning"


def test_python_outside_of_the_metadata(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "metadata", lambda name: SimpleNamespace(json={"requires_python": ">=4"}))
    check = check_named("Python")
    assert (check.status, check.advice) == ("error", "vocctl needs Python >=4: make an environment with one")


@pytest.mark.parametrize(
    ("torch_version", "torchvision_version", "status", "advice"),
    [
        ("2.13.0+cu130", "0.28.0", "ok", ""),
        ("2.11.0+cu128", "0.26.0", "ok", ""),
        ("2.13.0", "0.26.0", "warning", "install torchvision 0.28.* if imports fail"),
    ],
)
def test_torchvision_of_another_torch(torch_version, torchvision_version, status, advice, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: torchvision_version)
    check = doctor._check_torchvision(torch_version)
    assert (check.status, check.advice) == (status, advice)


def test_cpu_features_of_an_old_torch(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert doctor._cpu_features() == torch.backends.cpu.get_cpu_capability()


def test_driver_without_a_torch_that_can_use_it(monkeypatch):
    monkeypatch.setattr(doctor, "_nvidia_driver", lambda: "470.57")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    check = doctor._check_gpu_driver()
    assert check.status == "warning"
    assert check.value == "torch is built for CUDA 13.0 and cannot use driver 470.57"
    monkeypatch.setattr(torch.version, "cuda", None)
    assert "torch is built for the CPU" in doctor._check_gpu_driver().value


def test_little_memory_and_disk_are_warnings(monkeypatch):
    monkeypatch.setattr(doctor, "_memory", lambda: (8 << 30, 1 << 30))
    monkeypatch.setattr(doctor, "MIN_DISK", 1 << 62)
    assert check_named("memory").value == "1.0 of 8.0 GB free"
    assert check_named("memory").status == check_named("cache folder").status == "warning"


@pytest.mark.parametrize(
    "variables", [{"KAGGLE_API_TOKEN": "secret"}, {"KAGGLE_USERNAME": "ann", "KAGGLE_KEY": "secret"}]
)
def test_credentials_are_named_by_their_kind_alone(variables, monkeypatch, capsys):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert "secret" not in printed
    assert "ann" not in printed.split()
    assert any(kind in printed for kind in ("an access token\n", "an API key\n"))


def test_credentials_in_a_home_folder_do_not_show_its_path(monkeypatch, tmp_path):
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "ann"))
    (tmp_path / "ann" / ".kaggle").mkdir(parents=True)
    (tmp_path / "ann" / ".kaggle" / "access_token").write_text("secret")
    assert check_named("Kaggle") == doctor.Check("Kaggle", "ok", "an access token")


def test_a_proxy_that_never_answers(monkeypatch):
    """Nothing listens at 192.0.2.1, an address for documentation."""
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("https_proxy", "http://192.0.2.1:9")
    started = time.monotonic()
    check = doctor._HubRequest().check()
    assert time.monotonic() - started < doctor.HUB_TIMEOUT + 1
    assert check.status == "warning"
    assert check.value.startswith("not reachable (")
