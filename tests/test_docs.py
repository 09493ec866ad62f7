"""What a reader can rely on in the documents: lines that fit, links that lead somewhere, files that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("docs", "examples", "skflowmix", "tests")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md"))])
MAX_WIDTH, MAX_LINES_OF_BENCHMARKS = 120, 120

FENCE = re.compile(r"(?ms)^```.*?^```$")
CODE = re.compile(r"(?s)```.*?```|`[^`]+`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
SINGLE_LINK = re.compile(r"([-*] )?!?(\[[^\]]*\]\(\S+\)|<?https?://\S+)[.,;]?")
SOURCE = re.compile(r"[\w.-]+(?:/[\w.-]+)*/[\w-]+\.py\b")

each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def may_be_long(line):
    """Rows of tables cannot be broken, and links should not be."""
    return line.startswith("|") or SINGLE_LINK.fullmatch(line.strip())


def targets(text):
    """Files that links of a document lead to, relative to it."""
    found = (target.partition("#")[0] for target in LINK.findall(CODE.sub("", text)))
    return [target for target in found if target and not re.match(r"[a-z]+:", target)]


def sources(text):
    """Python files, with the folders that they are in, that code of a document names."""
    return [name for code in CODE.findall(text) for name in SOURCE.findall(code)]


def test_the_documents_are_found():
    names = {str(path.relative_to(ROOT)) for path in DOCUMENTS}
    assert {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/benchmarks.md", "docs/notes/README.md"} <= names


def test_what_counts_as_a_link_and_a_source():
    links = "[a\nb](c.md#d), [e](https://f.org/g), `[l](m.md)`"
    text = f"{links}, `python h/i.py --j`, `k.py`, n/o.py\n```\np/q/r.py\n```\n"
    assert targets(text) == ["c.md"]
    assert sources(text) == ["h/i.py", "p/q/r.py"]
    lines = ["- [a](b.md)", "| a | b |", "See [a](b.md), and c.", "a"]
    assert [bool(may_be_long(line)) for line in lines] == [True, True, False, False]


@each_document
def test_lines_fit(path):
    prose = FENCE.sub("", path.read_text(encoding="utf-8"))  # a command to be copied is one line, however long
    long = [line for line in prose.splitlines() if len(line) > MAX_WIDTH and not may_be_long(line)]
    assert long == []


@each_document
def test_links_lead_to_files(path):
    missing = [target for target in targets(path.read_text(encoding="utf-8")) if not (path.parent / target).exists()]
    assert missing == []


@each_document
def test_sources_that_are_named_exist(path):
    places = ROOT, ROOT / "skflowmix"
    named = sources(path.read_text(encoding="utf-8"))
    assert [name for name in named if not any((place / name).is_file() for place in places)] == []


def test_benchmarks_are_two_screens():
    assert len((ROOT / "docs" / "benchmarks.md").read_text().splitlines()) <= MAX_LINES_OF_BENCHMARKS


def test_every_note_is_listed():
    notes = ROOT / "docs" / "notes"
    listed = set(targets((notes / "README.md").read_text()))
    assert {path.name for path in notes.glob("*.md")} - {"README.md"} <= listed
