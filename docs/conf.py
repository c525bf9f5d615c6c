"""Settings of sphinx: ``sphinx-build -W docs docs/_build``."""

import re
import warnings

project = "ketmap"
copyright = "the ketmap developers"
version = release = "0.1.0"

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "tutorials/GALLERY_HEADER.rst"]
html_theme = "furo"
html_title = "ketmap"

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 3

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_default_options = {"exclude-members": "__weakref__"}

# tutorials are Python scripts; they are run here, and a failing one fails the build
sphinx_gallery_conf = {
    "examples_dirs": "../tutorials",
    "gallery_dirs": "tutorials",
    "filename_pattern": r"\.py$",
    "abort_on_example_error": True,
    "min_reported_time": 1e9,
    "show_memory": False,
    "show_signature": False,
    "download_all_examples": False,
    "write_computation_times": False,
    "remove_config_comments": True,
}
# sphinx-gallery's configuration holds nothing that matters to what is cached
suppress_warnings = ["config.cache"]
warnings.filterwarnings("ignore", message=r".torch.jit.script. is deprecated", category=DeprecationWarning)


def _bars(app, what, name, obj, options, lines):
    """Bars in docstrings are absolute values, not substitutions."""
    lines[:] = [re.sub(r"(``.*?``)|(?<!\\)\|", lambda found: found[1] or r"\|", line) for line in lines]


def setup(app):
    app.connect("autodoc-process-docstring", _bars)
