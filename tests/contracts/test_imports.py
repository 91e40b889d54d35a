"""The layers hold, and nothing of the workplace has slipped into the sources."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("ir_nav", "devices", "hw_mocks", "plans")
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
TEXTS = [
    path
    for folder in (*PACKAGES, "tests", "docs", "benchmarks")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in (".py", ".toml", ".md", ".json", ".cfg", ".html") and path != Path(__file__)
]


def imported(path: Path) -> set[str]:
    """Every module a file imports, anywhere in it, as written from the root."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_the_contracts_of_setup_cfg_hold() -> None:
    script = (
        "from importlinter.cli import lint_imports; raise SystemExit(lint_imports('setup.cfg'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Contracts: [1-9]\d* kept, 0 broken", done.stdout), done.stdout


def test_only_the_gui_imports_the_toolkit_and_rendering() -> None:
    """Surfaces are worked out with VTK's filters elsewhere; drawing happens in the GUI alone."""
    toolkit = re.compile(r"PyQt6|vtkmodules\.(vtkRendering|vtkInteraction|qt)|vtk$|vtk\.|pyvista")
    found = {
        str(path.relative_to(ROOT)): sorted(name for name in imported(path) if toolkit.match(name))
        for path in SOURCES
        if ROOT / "ir_nav" / "gui" not in path.parents
    }
    # The command line and the demonstration start the window.
    starters = ("ir_nav/cli.py", "ir_nav/demo")
    broken = {name: what for name, what in found.items() if what and not name.startswith(starters)}
    assert broken == {}
    inside = {n for p in SOURCES if ROOT / "ir_nav" / "gui" in p.parents for n in imported(p)}
    assert any(toolkit.match(name) for name in inside)


def test_geometry_needs_numpy_alone() -> None:
    known = set(sys.stdlib_module_names) | {"numpy"}
    for path in sorted((ROOT / "ir_nav" / "geometry").glob("*.py")):
        outside = {name.split(".")[0] for name in imported(path)} - known
        assert outside <= {"ir_nav"}, f"{path.name}: {outside}"


@pytest.mark.parametrize("words", ["/work/", "shared/design", "shared/reference"])
def test_no_file_mentions_the_workplace(words: str) -> None:
    assert len(TEXTS) > 100
    named = [
        str(path.relative_to(ROOT))
        for path in TEXTS
        if words in path.read_text(encoding="utf-8", errors="replace")
    ]
    assert named == []


def test_drivers_hold_no_branch_for_simulation() -> None:
    """A demo and the clinic run the same code."""
    for path in sorted((ROOT / "devices").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\bif\b[^\n]*\bsimulat", text), path.name
        assert "__del__" not in text, path.name
