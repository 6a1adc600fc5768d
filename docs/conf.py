"""Sphinx: pages are read where they lie, so the source folder is the checkout.

``make docs`` builds the site. Every warning is an error: broken links and
anchors, names in docstrings that do not exist, pages that no menu has.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT), str(HERE / 'extensions')]

from mmps import __version__  # noqa: E402

project = 'mmps'
author = 'the mmps authors'
version = release = __version__

extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',
    'sphinx.ext.linkcode',
    'source_pages',
    'api_pages',
    'object_links',
    'site_menu',
]

# -- what is read
root_doc = 'README'
include_patterns = [
    '*.md',
    'docs/*.md',
    'docs/api/*.rst',
    'configs/*/README.md',
]
exclude_patterns = ['.*', 'build', 'data', 'mmps', 'tests', 'tools', 'work_*']
nitpicky = True
smartquotes_action = 'D'  # dashes alone: f' is no quotation
highlight_language = 'text'
default_role = 'code'
myst_heading_anchors = 4  # those of GitHub

# -- docstrings
napoleon_numpy_docstring = False
napoleon_use_ivar = True
autodoc_typehints = 'description'
autodoc_typehints_description_target = 'documented'
autodoc_typehints_format = 'short'
autodoc_member_order = 'bysource'
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True

# -- looks; nothing is fetched, neither here nor by who reads it
html_theme = 'furo'
html_title = f'mmps {release}'
html_static_path = ['site.css']
html_css_files = ['site.css']
html_copy_source = False
html_show_copyright = False
pygments_style = 'friendly'
pygments_dark_style = 'monokai'
