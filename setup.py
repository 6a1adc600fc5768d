"""Build commands: ship configs and tools under ``mmps/.mim`` for mim.

Everything else is in pyproject.toml.
"""

import os
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
MIM = Path('mmps', '.mim')
SHIPPED = ('configs', 'tools', 'model-index.yml')
# What only those who work on the package run.
UNSHIPPED = ('benchmarks', '__pycache__', '.*')


def _source(name: str) -> Path:
    """Return where a shipped file lies: a checkout, or an sdist."""
    return next(
        path for path in (ROOT / name, ROOT / MIM / name) if path.exists()
    )


def _copy(target: Path) -> None:
    """Copy what is shipped to ``target``."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in SHIPPED:
        source = _source(name)
        if source.is_dir():
            ignore = shutil.ignore_patterns(*UNSHIPPED)
            shutil.copytree(source, target / name, ignore=ignore)
        else:
            shutil.copyfile(source, target / name)


def _link() -> None:
    """Link what is shipped into the source tree, for editable installs."""
    target = ROOT / MIM
    target.mkdir(exist_ok=True)
    for name in SHIPPED:
        link = target / name
        if not (ROOT / name).exists() or link.exists():
            continue
        link.unlink(missing_ok=True)  # a link to nothing
        link.symlink_to(os.path.relpath(ROOT / name, target))


class BuildPy(build_py):
    """Add ``mmps/.mim`` to a wheel, or link it in an editable install."""

    def run(self) -> None:
        """Build, then add what is shipped."""
        super().run()
        if self.editable_mode:
            _link()
        else:
            _copy(Path(self.build_lib) / MIM)


class SDist(sdist):
    """Add ``mmps/.mim`` to a source archive."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        """Lay out the archive, then add what is shipped."""
        files = [f for f in files if not Path(f).is_relative_to(MIM)]
        super().make_release_tree(base_dir, files)
        _copy(Path(base_dir) / MIM)


setup(cmdclass={'build_py': BuildPy, 'sdist': SDist})
