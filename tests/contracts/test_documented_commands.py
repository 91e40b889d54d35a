"""Every command that README and docs show is one that `ir-nav` takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from ir_nav.cli import _parser
from ir_nav.commands.arguments import points_joined

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# At the start of a line, or four spaces in: prose has a tick before it.
COMMAND = re.compile(r"^(?: {4})?(ir-nav .+)$", re.MULTILINE)


def commands(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in COMMAND.findall(text) if "..." not in line]


def test_the_pages_show_commands() -> None:
    assert len([line for page in PAGES for line in commands(page)]) >= 15


@pytest.mark.parametrize(
    ("page", "line"),
    [pytest.param(page.name, line, id=line[:60]) for page in PAGES for line in commands(page)],
)
def test_a_documented_command_is_taken(page: str, line: str) -> None:
    arguments = shlex.split(line, comments=True)[1:]
    try:
        options = _parser().parse_args(points_joined(arguments))
    except SystemExit:
        pytest.fail(f"{page}: ir-nav does not take: {line}")
    assert callable(options.run)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link]
    missing = [link for link in links if not (page.parent / link).exists()]
    named = re.findall(r"\b(?:docs|tests|benchmarks|hw_mocks|ir_nav|plans)/[\w./-]*\.\w+", text)
    missing += [name for name in named if not (ROOT / name).exists()]
    assert not missing
