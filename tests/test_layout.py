"""The rules of the layout that a machine can check. Each test lists the violations it finds."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "vocctl"
FILES = sorted(PACKAGE.rglob("*.py"))

# Imports go down: a package imports only what stands in a line below its own.
LAYERS = [
    {"__main__"},
    {"cli"},
    {"study"},
    {"tasks"},
    {"competition", "robustness", "reporting"},
    {"training"},
    {"inference"},
    {"runs"},
    {"data", "models", "attacks", "plots"},
    {"losses", "metrics"},
    {"config", "devices"},
    {"files", "folders", "resizing", "seeding", "compat"},
    {"errors", "labels", "distributed", "__init__"},
]
LAYER = {name: level for level, names in enumerate(LAYERS) for name in names}
IMPORTS_TORCHVISION = {"timm", "torchvision", "segmentation_models_pytorch", "torchmetrics"}
VAGUE_NAMES = {"util", "utils", "helper", "helpers", "common", "misc", "test_utils", "test_helpers"}
EXITS = {"print", "exit", "quit", "sys.exit", "os._exit", "sys.stdout.write", "sys.stderr.write", "input"}
RUNS_CODE = {"eval", "exec", "pickle.load", "pickle.loads", "pickle.Unpickler", "os.system", "marshal.loads"}
MAX_FILE_LINES, MAX_FUNCTION_LINES = 400, 50


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def module_of(path: Path) -> str:
    """vocctl/data/voc.py -> vocctl.data.voc; vocctl/data/__init__.py -> vocctl.data.__init__"""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


MODULES = {module_of(path): path for path in FILES}


def package_of(module: str) -> str:
    return module.split(".")[1]


def resolve(name: str) -> str:
    """The module of a dotted name: itself, its package's __init__, or the module that it is a member of."""
    for candidate in (name, f"{name}.__init__", name.rpartition(".")[0], f"{name.rpartition('.')[0]}.__init__"):
        if candidate in MODULES:
            return candidate
    raise AssertionError(f"{name} is not a module of vocctl")


def imported_names(node: ast.AST) -> list[str]:
    """The dotted names of an import statement."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def internal_imports(path: Path) -> Iterator[tuple[str, int]]:
    """(imported module of vocctl, line) of every import in the file, those inside functions too."""
    for node in ast.walk(tree(path)):
        for name in imported_names(node):
            if name.split(".")[0] == "vocctl":
                yield resolve(name), node.lineno


def external_packages(nodes: Iterator[ast.AST]) -> set[str]:
    return {name.split(".")[0] for node in nodes for name in imported_names(node)}


def at(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def called_name(call: ast.Call) -> str:
    """'print' for print(...), 'sys.exit' for sys.exit(...)"""
    return ast.unparse(call.func)


def calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call))


def test_every_package_has_a_layer():
    assert {package_of(module) for module in MODULES} == set(LAYER)


def test_imports_go_down():
    violations = [
        f"{at(path, line)} imports {imported}"
        for module, path in MODULES.items()
        for imported, line in internal_imports(path)
        if package_of(imported) != package_of(module) and LAYER[package_of(imported)] <= LAYER[package_of(module)]
    ]
    assert violations == []


def test_no_task_imports_a_task():
    violations = [
        f"{at(path, line)} imports {imported}"
        for module, path in MODULES.items()
        for imported, line in internal_imports(path)
        if package_of(module) == package_of(imported) == "tasks" and imported != "vocctl.tasks.__init__"
    ]
    assert violations == []


def test_no_import_cycles():
    graph = {module: {name for name, _ in internal_imports(path)} - {module} for module, path in MODULES.items()}
    finished: set[str] = set()

    def visit(module: str, chain: tuple[str, ...]) -> None:
        assert module not in chain, " -> ".join((*chain[chain.index(module) :], module))
        if module not in finished:
            for imported in graph[module]:
                visit(imported, (*chain, module))
            finished.add(module)

    for module in graph:
        visit(module, ())
    assert finished == set(MODULES)


def test_only_the_competition_commands_import_competition():
    allowed = {"vocctl.cli.submit", "vocctl.cli.submit_tables", "vocctl.tasks.submit"}
    violations = []
    for module, path in MODULES.items():
        if package_of(module) == "competition" or module in allowed:
            continue
        for node in tree(
            path
        ).body:  # inside a function it is allowed: `vocctl download` fetches the competition's data
            names = [name for name in imported_names(node) if name.startswith("vocctl.competition")]
            violations += [f"{at(path, node.lineno)} imports {name}" for name in names]
    assert violations == []


def test_files_are_short():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert [f"{at(path, length)}" for path, length in lengths.items() if length > MAX_FILE_LINES] == []


def is_typer_command(function: ast.FunctionDef) -> bool:
    """Whether it has parameters that are annotated for Typer: its signature is a table of flags."""
    return any("typer." in ast.unparse(argument.annotation) for argument in function.args.args if argument.annotation)


def test_functions_are_short():
    violations = []
    for path in FILES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef):
                first = node.body[0].lineno if is_typer_command(node) else node.lineno
                length = (node.end_lineno or 0) - first + 1
                if length > MAX_FUNCTION_LINES:
                    violations.append(f"{at(path, node.lineno)} {node.name} has {length} lines")
    assert violations == []


def test_names_are_not_vague():
    names = {path.stem for path in (*FILES, *(ROOT / "tests").rglob("*.py"))} | {path.parent.name for path in FILES}
    assert names & VAGUE_NAMES == set()


def test_nothing_below_the_cli_prints_or_exits():
    below = [path for module, path in MODULES.items() if package_of(module) not in ("cli", "__main__")]
    violations = [at(path, call.lineno) for path in below for call in calls(path) if called_name(call) in EXITS]
    violations += [
        at(path, node.lineno)
        for path in below
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Raise) and node.exc is not None and "SystemExit" in ast.unparse(node.exc)
    ]
    violations += [str(path) for path in below if external_packages(ast.walk(tree(path))) & {"typer", "click", "rich"}]
    assert violations == []


def test_only_messages_progress_and_tables_write_to_the_terminal():
    violations = []
    for path in (PACKAGE / "cli").glob("*.py"):
        if path.stem in ("messages", "progress") or path.stem.endswith("tables"):
            continue
        if "rich" in external_packages(ast.walk(tree(path))):
            violations.append(f"{path.name} imports rich")
        violations += [
            at(path, call.lineno) for call in calls(path) if called_name(call) in ("print", "typer.echo", "typer.secho")
        ]
    assert violations == []


def test_only_the_kaggle_client_imports_kaggle_and_only_inside_functions():
    client = PACKAGE / "competition" / "kaggle.py"
    importers = [path for path in FILES if external_packages(ast.walk(tree(path))) & {"kaggle", "kagglesdk"}]
    assert importers == [client]
    assert not external_packages(iter(tree(client).body)) & {"kaggle", "kagglesdk"}


def test_only_augment_imports_albumentations_and_only_inside_a_function():
    """Its import takes seconds, and asks the package index for its newest version unless augment.py prevents that."""
    module = PACKAGE / "data" / "augment.py"
    assert [path for path in FILES if "albumentations" in external_packages(ast.walk(tree(path)))] == [module]
    assert "albumentations" not in external_packages(iter(tree(module).body))


def test_only_data_asks_for_the_format_of_a_data_set():
    """Other packages use the members of data/source.py's Source, so that a new format needs no change there."""
    readers = ("VocData", "CompetitionData")
    violations = [
        at(path, call.lineno)
        for path in FILES
        if not path.is_relative_to(PACKAGE / "data")
        for call in calls(path)
        if called_name(call) == "isinstance" and any(reader in ast.unparse(call) for reader in readers)
    ]
    assert violations == []


def keyword_value(call: ast.Call, name: str) -> str | None:
    return next((ast.unparse(word.value) for word in call.keywords if word.arg == name), None)


def may_run_code(call: ast.Call) -> bool:
    """Whether a call could execute or unpickle what it reads."""
    name = called_name(call)
    if name == "torch.load":
        return keyword_value(call, "weights_only") != "True"
    if name in ("np.load", "numpy.load"):
        return keyword_value(call, "allow_pickle") != "False"
    return name in RUNS_CODE or keyword_value(call, "shell") == "True"


def test_nothing_that_is_read_is_executed():
    assert [at(path, call.lineno) for path in FILES for call in calls(path) if may_run_code(call)] == []


@pytest.mark.parametrize(
    ("code", "unsafe"),
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
def test_may_run_code_recognizes_unsafe_calls(code: str, unsafe: bool):
    expression = ast.parse(code, mode="eval").body
    assert isinstance(expression, ast.Call)
    assert may_run_code(expression) is unsafe


def test_torchvision_is_imported_after_its_missing_operators_are_declared():
    """vocctl/models/__init__.py declares them; other packages import what needs torchvision inside functions."""
    violations = [
        at(path, node.lineno)
        for path in FILES
        if not path.is_relative_to(PACKAGE / "models")
        for node in tree(path).body
        if external_packages(iter([node])) & IMPORTS_TORCHVISION
    ]
    assert violations == []
