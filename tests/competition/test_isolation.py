"""vocctl/competition can be deleted: the rest of the package works without it, apart from `vocctl submit`, `vocctl download` of
a competition or with --years, and `vocctl doctor`.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "vocctl"
SUBMIT = {"tasks/submit.py"}  # imported only by cli/submit.py, inside functions
LAZY = {"cli/submit.py", "tasks/doctor.py", "tasks/download.py"}  # import it inside functions


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports(node: ast.AST, in_function: bool = False) -> Iterator[tuple[str, bool]]:
    """(imported module, whether it is imported inside a function) of every import that runs."""
    for child in ast.iter_child_nodes(node):
        if is_type_checking(child):
            continue
        if isinstance(child, ast.ImportFrom):
            yield from ((f"{child.module}.{alias.name}", in_function) for alias in child.names)
        elif isinstance(child, ast.Import):
            yield from ((alias.name, in_function) for alias in child.names)
        else:
            yield from imports(child, in_function or isinstance(child, ast.FunctionDef))


def test_few_modules_import_the_competition_and_inside_functions():
    violations, importers = [], set()
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name.startswith("competition/") or name in SUBMIT:
            continue
        for module, in_function in imports(ast.parse(path.read_text(encoding="utf-8"))):
            if f"{module}.".startswith(("vocctl.competition.", "vocctl.tasks.submit.")):
                importers.add(name)
                if name not in LAZY or not in_function:
                    violations.append(f"{name} imports {module}")
    assert violations == []
    assert importers == LAZY
