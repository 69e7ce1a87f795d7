"""Documents that point at something must find it there."""

import re
from pathlib import Path

import pytest

from pipelines.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_inside_the_repository_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_every_environment_variable_is_documented_and_no_other() -> None:
    table = set(re.findall(r"^\| `(ENGINE_\w+)`", (ROOT / "docs" / "operations.md").read_text(), flags=re.MULTILINE))
    assert table == {f"ENGINE_{name.upper()}" for name in Settings.model_fields}


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    records = {path.name for path in folder.glob("[0-9]*.md")}
    assert set(re.findall(r"\]\((\d[^)]+)\)", (folder / "README.md").read_text())) == records


def test_the_make_targets_that_documents_name_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for page in PAGES:
        code = re.findall(r"```sh\n(.*?)```|`([^`\n]+)`", page.read_text(), flags=re.DOTALL)
        named = {found for block in code for text in block for found in re.findall(r"(?:^|\n)\s*make ([a-z]+)", text)}
        assert named <= targets, page
