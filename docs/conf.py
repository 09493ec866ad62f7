"""How Sphinx builds the site: `make -C docs html`. Nothing is fetched, neither here nor by the pages."""

import os
import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "_extensions")]

project, author, copyright = "skflowmix", "skflowmix developers", "2026, skflowmix developers"
version = release = import_module("skflowmix").__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx_gallery.gen_gallery",
    "numpydoc",
    "myst_parser",
    "mathml",
]
exclude_patterns = ["_build", "_templates", "gallery/GALLERY_HEADER.rst"]
templates_path = ["_templates"]
default_role = "literal"  # docstrings put names between single backticks, whether there is a page for them or not
html_math_renderer = "mathml"

autosummary_generate = True
autodoc_typehints = "none"
autodoc_preserve_defaults = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
doctest_test_doctest_blocks = ""  # those of docstrings are part of pytest's run

sphinx_gallery_conf = {
    "examples_dirs": ["../examples/gallery"],
    "gallery_dirs": ["gallery"],
    "backreferences_dir": "api/examples",
    "doc_module": ("skflowmix",),
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "capture_repr": (),
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 10**6,
    "parallel": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
}

html_theme = "pydata_sphinx_theme"
html_title = "skflowmix"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "github_url": "https://github.com/skflowmix/skflowmix",
    "show_prev_next": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
}
html_sidebars = {"index": [], "start": [], "benchmarks": [], "changelog": [], "reference": []}
