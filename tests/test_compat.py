"""declare_missing_ops makes torchvision importable with a torch that its operators do not fit, and else changes nothing."""

import subprocess
import sys
import types

import pytest

from vocctl import compat
from vocctl.compat import declare_missing_ops

declare_without_cache = declare_missing_ops.__wrapped__


def run(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_torchvision_imports_after_declare_missing_ops():
    process = run(
        "from vocctl.compat import declare_missing_ops; declare_missing_ops(); declare_missing_ops()\n"
        "import torchvision; print(torchvision.__version__)"
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip()


def test_a_second_call_returns_the_same():
    assert declare_missing_ops() == declare_missing_ops()


def test_a_declared_operator_still_raises():
    import torch

    declare_missing_ops()
    from torchvision.extension import _has_ops

    if _has_ops():
        pytest.skip("torchvision's own operators load here")
    with pytest.raises((NotImplementedError, RuntimeError)):
        torch.ops.torchvision.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)


def test_without_torchvision_nothing_is_declared(monkeypatch):
    monkeypatch.setattr(compat, "_libraries", [])
    monkeypatch.setattr(compat.importlib.util, "find_spec", lambda name: None)
    assert declare_without_cache() is False


def test_operators_that_load_are_not_declared(monkeypatch, tmp_path):
    (tmp_path / "_C.so").write_bytes(b"")
    loaded = []
    monkeypatch.setattr(compat, "_libraries", [])
    spec = types.SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(compat.importlib.util, "find_spec", lambda name: spec)
    monkeypatch.setattr(compat.torch.ops, "load_library", loaded.append)
    monkeypatch.setattr(compat.torch._C, "_dispatch_find_schema_or_throw", lambda name, overload: object())
    assert declare_without_cache() is False
    assert loaded == [str(tmp_path / "_C.so")]
