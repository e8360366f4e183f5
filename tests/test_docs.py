"""README and docs: the commands parse, the links lead to files, and what they list is what the code has."""

import importlib.util
import re
import shlex
from fnmatch import fnmatch
from pathlib import Path
from types import ModuleType

import pytest
import typer.main

from vocctl.cli.app import app

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]


def make_reference() -> ModuleType:
    """docs/make_reference.py, which is not part of the package."""
    spec = importlib.util.spec_from_file_location("make_reference", DOCS / "make_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands() -> list[str]:
    """Lines that start with vocctl inside fences, and vocctl commands between backticks."""
    lines = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        fenced = "\n".join(re.findall(r"^```\w*\n(.*?)^```", text, flags=re.S | re.M))
        lines += re.findall(r"^(?:\$ )?(vocctl .+)$", fenced, flags=re.M)
        lines += re.findall(r"`(vocctl [^`\n]+)`", text)
    return sorted(set(lines))


@pytest.mark.parametrize("line", commands())
def test_command_parses(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    group = typer.main.get_command(app)
    if words[0].startswith("--"):
        assert words[0] in ("--help", "--version", "--install-completion", "--show-completion")
        return
    if words[0] in ("COMMAND", "help"):  # a placeholder, and what app.py's main turns into --help
        return
    command = group.commands[words[0]]
    if words[1:] and "--help" not in words:  # otherwise the text is about the command
        command.make_context(words[0], list(words[1:]))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target, heading in re.findall(r"\]\(([^)#:]*)(?:#([^)]+))?\)", page.read_text(encoding="utf-8")):
        path = page.parent / target if target else page
        assert path.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.M)
            assert heading in [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles]


def test_index_lists_every_page() -> None:
    listed = set(re.findall(r"\]\((\w+\.md)\)", (DOCS / "index.md").read_text(encoding="utf-8")))
    assert listed == {page.name for page in DOCS.glob("*.md")} - {"index.md"}


def test_generated_tables_are_up_to_date() -> None:
    page = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert make_reference().render(page) == page, "run python docs/make_reference.py"


def test_every_generated_table_is_on_the_page() -> None:
    page = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert re.findall(r"<!-- table: ([^>]+) -->", page) != []
    assert set(re.findall(r"<!-- table: ([^>]+) -->", page)) == set(make_reference().tables())


def test_stale_table_is_rewritten() -> None:
    reference = make_reference()
    page = "before\n<!-- table: exit codes -->\n| old |\n<!-- end -->\nafter\n"
    expected = f"before\n<!-- table: exit codes -->\n{reference.tables()['exit codes']}<!-- end -->\nafter\n"
    assert reference.render(page) == expected
    assert "| 143 |" in expected


def test_unknown_table_is_an_error() -> None:
    with pytest.raises(KeyError):
        make_reference().render("<!-- table: no such table -->\n<!-- end -->\n")


def test_every_file_of_a_run_folder_is_documented(trained, attacked) -> None:
    page = (DOCS / "commands.md").read_text(encoding="utf-8")
    names = re.findall(r"^\| `([^`]+)` \|", page.partition("## The run folder")[2], flags=re.M)
    patterns = [re.sub(r"NAME|ID|ATTACK", "*", name) for name in names]
    attacked(trained.seg)
    files = [path.relative_to(run).as_posix() for run in (trained.seg, trained.cls) for path in run.rglob("*.*")]
    assert len(files) > 20
    assert [name for name in files if not any(fnmatch(name, pattern) for pattern in patterns)] == []


def test_every_test_that_the_security_page_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (DOCS / "security.md").read_text())
    assert len(named) >= 15
    missing = [f"{path}::{name}" for path, name in named if f"def {name}(" not in (ROOT / path).read_text()]
    assert missing == []
