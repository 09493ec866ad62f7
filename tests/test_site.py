"""What the site promises without being built: all that is public has its place, all scripts are of the gallery."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
SCRIPTS = sorted((ROOT / "examples" / "gallery").glob("*.py"))
PUBLIC = ["skflowmix", "skflowmix.displays", "skflowmix.modules", "skflowmix.modules.transforms", "skflowmix.training"]


@pytest.mark.parametrize("module", [*PUBLIC, "skflowmix.inference"])
def test_everything_public_is_in_the_reference(module):
    public = set(importlib.import_module(module).__all__) - {"__version__"}
    body = re.findall(rf"(?s)currentmodule:: {re.escape(module)}\n(.*?)```", REFERENCE)
    listed = {name for part in body for pair in re.findall(r"(?m)^   (\w+)$|``(\w+)``", part) for name in pair if name}
    assert listed == public


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_of_the_gallery_are_run_and_titled(path):
    assert path.stem.startswith("plot_"), "sphinx-gallery runs no others"
    title, line = path.read_text(encoding="utf-8").splitlines()[1:3]
    assert set(line) == {"="}
    assert len(line) == len(title)


def test_pictures_of_pages_are_made_by_scripts():
    numbers = {path.stem: len(re.findall(r"plt\.subplots|Display\.\w+\(", path.read_text())) for path in SCRIPTS}
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("**/*.md"))
    named = set(re.findall(r"sphx_glr_(plot_\w+?)_\d{3}\.png", pages))
    assert len(named) > 5
    assert [name for name in named if not numbers.get(name)] == []
