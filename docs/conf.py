"""How the documentation is built."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import spectraloom

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

# Figures of the tutorials are drawn without a screen.
os.environ.setdefault("MPLBACKEND", "Agg")

project = "Spectraloom"
author = "The Spectraloom developers"
project_copyright = "The Spectraloom developers"
version = release = spectraloom.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "tutorials", "_gallery/*.py"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# -- reference: a page for each floor, and for each name in its __all__ ----------------------
autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say the types, with shapes and units
numpydoc_show_class_members = False  # the page of a class shows them in full

# -- tutorials: scripts that are run, their figures and output kept ---------------------------
sphinx_gallery_conf = {
    "examples_dirs": "tutorials",
    "gallery_dirs": "_gallery",
    "filename_pattern": r".*\.py$",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "image_scrapers": ("gallery_figures.scrape",),
    "ignore_repr_types": r"matplotlib\.figure\.Figure",
    "download_all_examples": False,
    "remove_config_comments": True,
    "write_computation_times": False,
}

# -- pages --------------------------------------------------------------------------------------
html_theme = "pydata_sphinx_theme"
html_title = f"Spectraloom {release}"
html_theme_options = {"show_prev_next": False}
html_show_sourcelink = False
html_sidebars = {"*": []}  # pages of the first level have no section to navigate in


def skip_request_setters(_app: Any, _what: str, name: str, *_rest: Any) -> bool | None:
    """Leave out scikit-learn's ``set_fit_request`` and the like: not ours, and not used."""
    return True if re.fullmatch(r"set_\w+_request", name) else None


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-skip-member", skip_request_setters)
