"""The rules of the layout that a machine can look after: floors, cycles, lengths, names, who prints, what is unpickled."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "vocctl"
FILES = sorted(PACKAGE.rglob("*.py"))

FLOOR = {
    "__main__": 6, "cli": 5, "tasks": 4, "training": 3, "inference": 3, "attacks": 3, "plots": 3, "data": 2,
    "submission": 2, "models": 2, "losses": 2, "metrics": 2, "runs": 2, "config": 1, "devices": 1,
}  # fmt: skip
BEDROCK = {
    "errors",
    "labels",
    "ranks",
    "reading",
    "resizing",
    "seeding",
    "torchvision_ops",
    "__init__",
}  # floor 0: these import nothing of ours


NEED_TORCHVISION = {"timm", "torchvision", "segmentation_models_pytorch", "torchmetrics"}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def module_of(path: Path) -> str:
    """vocctl/data/voc.py -> vocctl.data.voc; vocctl/data/__init__.py -> vocctl.data.__init__"""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


MODULES = {module_of(path): path for path in FILES}


def resolve(name: str) -> str:
    """The module that a dotted name lies in: itself, its package's __init__, or the one it is a member of."""
    for candidate in (name, f"{name}.__init__", name.rpartition(".")[0], f"{name.rpartition('.')[0]}.__init__"):
        if candidate in MODULES:
            return candidate
    raise AssertionError(f"{name} is no module of vocctl")


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    """(module of vocctl, line) of every import in the file, those inside functions too."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name == "vocctl" or name.startswith("vocctl."):
                yield resolve(name), node.lineno


def top(module: str) -> str:
    return module.split(".")[1]


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def imports_within() -> list[tuple[str, str, str]]:
    return [(top(module_of(path)), top(there), where(path, line)) for path in FILES for there, line in imports_of(path)]


@pytest.mark.parametrize(("here", "there", "line"), imports_within())
def test_imports_go_down(here: str, there: str, line: str) -> None:
    assert here == there or FLOOR.get(there, 0) < FLOOR.get(here, 0), line


def test_every_module_has_a_floor():
    assert {top(module) for module in MODULES} <= FLOOR.keys() | BEDROCK


def test_packages_side_by_side_do_not_see_each_other():
    seen = {(here, there) for here, there, _ in imports_within() if here != there}
    assert [pair for pair in seen if FLOOR.get(pair[0], 0) == FLOOR.get(pair[1], 0)] == []
    assert [pair for pair in seen if (pair[1], pair[0]) in seen] == []


def graph() -> dict[str, set[str]]:
    return {module: {there for there, _ in imports_of(path)} - {module} for module, path in MODULES.items()}


def test_no_two_files_import_each_other():
    edges = graph()
    below: dict[str, bool] = {}  # True: all below it is without a cycle

    def walk(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " -> ".join((*way[way.index(module) :], module))
        if not below.get(module):
            for there in edges[module]:
                walk(there, (*way, module))
            below[module] = True

    for module in edges:
        walk(module, ())
    assert len(below) == len(FILES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_over_400_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_every_name_says_something():
    names = {path.stem for path in (*FILES, *(ROOT / "tests").rglob("*.py"))} | {path.parent.name for path in FILES}
    assert names & {"utils", "helpers", "common", "misc", "test_utils", "test_helpers", "util", "helper"} == set()


def called(node: ast.Call) -> str:
    """'print' of print(...), 'sys.exit' of sys.exit(...), '.eval' of any.thing[0].eval(...)"""
    return ast.unparse(node.func)


def keyword(node: ast.Call, name: str) -> object:
    return next((ast.literal_eval(word.value) for word in node.keywords if word.arg == name), None)


def calls(path: Path) -> list[ast.Call]:
    return [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]


BELOW_CLI = [path for path in FILES if top(module_of(path)) not in ("cli", "__main__")]
ENDINGS = {"print", "exit", "quit", "sys.exit", "os._exit", "sys.stdout.write", "sys.stderr.write", "input"}


def test_nothing_below_the_cli_prints_or_exits():
    found = [where(path, call.lineno) for path in BELOW_CLI for call in calls(path) if called(call) in ENDINGS]
    raised = [
        where(path, node.lineno)
        for path in BELOW_CLI
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Raise) and node.exc is not None and "SystemExit" in ast.unparse(node.exc)
    ]
    assert found + raised == []


def test_only_messages_progress_and_tables_print():
    for path in FILES:
        words = {name.split(".")[0] for name in _imported(path)}
        if path.parent != PACKAGE / "cli" or not (
            path.stem in ("messages", "progress") or path.stem.endswith("tables")
        ):
            assert "rich" not in words, path
            assert not any(called(call) in ("print", "typer.echo", "typer.secho") for call in calls(path)), path
        if top(module_of(path)) != "cli":
            assert not words & {"typer", "click"}, path


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_one_file_alone_imports_kaggle_and_inside_functions() -> None:
    for path in FILES:
        names = {name.split(".")[0] for name in _imported(path)} & {"kaggle", "kagglesdk"}
        assert names == ({"kaggle"} if path == PACKAGE / "submission" / "kaggle.py" else set()), path
    for node in tree(PACKAGE / "submission" / "kaggle.py").backbone:  # the top level
        assert not isinstance(node, ast.Import | ast.ImportFrom) or "kaggle" not in ast.unparse(node), ast.unparse(node)


RUNS_CODE = {"eval", "exec", "pickle.load", "pickle.loads", "pickle.Unpickler", "os.system", "marshal.loads"}


def unsafe(call: ast.Call) -> bool:
    name = called(call)
    if name == "torch.load":
        return keyword(call, "weights_only") is not True
    if name in ("np.load", "numpy.load"):
        return keyword(call, "allow_pickle") is not False
    return name in RUNS_CODE or keyword_is_true(call, "shell")


def keyword_is_true(call: ast.Call, name: str) -> bool:
    return any(word.arg == name and ast.unparse(word.value) == "True" for word in call.keywords)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_that_is_read_can_run(path: Path) -> None:
    assert [where(path, call.lineno) for call in calls(path) if unsafe(call)] == []


@pytest.mark.parametrize(
    ("code", "bad"),
    [
        ("torch.load(p)", True),
        ("torch.load(p, weights_only=False)", True),
        ("torch.load(p, weights_only=True)", False),
        ("np.load(p)", True),
        ("np.load(p, allow_pickle=False)", False),
        ("pickle.load(f)", True),
        ("eval(text)", True),
        ("model.eval()", False),
        ("subprocess.run(x, shell=True)", True),
    ],
)
def test_the_look_for_unsafe_calls_sees_them(code, bad):
    assert unsafe(ast.parse(code, mode="eval").backbone) is bad


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_what_imports_torchvision_comes_after_its_mending(path: Path) -> None:
    """vocctl/models/__init__.py declares the operators that may lack; who imports elsewhere does it inside a function."""
    if path.is_relative_to(PACKAGE / "models"):
        return
    for node in tree(path).backbone:
        names = (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [getattr(node, "module", None) or ""]
        )
        if isinstance(node, ast.Import | ast.ImportFrom):
            assert not {name.split(".")[0] for name in names} & NEED_TORCHVISION, f"{path}:{node.lineno}"
