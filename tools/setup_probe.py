"""Look at a virtual environment; run by its own Python for setup_env.py.

Prints JSON. Needs nothing but pip, which brings `packaging` with it.
"""

import argparse
import importlib.metadata
import json
import shutil
import sys
import sysconfig
from pathlib import Path

from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.specifiers import SpecifierSet
from pip._vendor.packaging.utils import canonicalize_name

SITE = Path(sysconfig.get_paths()['purelib'])
OPENCV = {'opencv-python', 'opencv-python-headless'}


def read_requirements(files: list[str]) -> list[Requirement]:
    """Parse requirement files; comments and empty lines are skipped."""
    lines = [
        line.partition('#')[0].strip()
        for name in files
        for line in Path(name).read_text().splitlines()
    ]
    return [Requirement(line) for line in lines if line]


def installed() -> dict[str, importlib.metadata.Distribution]:
    """Return the distributions of the environment by normalised name."""
    found = importlib.metadata.distributions(path=[str(SITE)])
    return {canonicalize_name(d.metadata['Name']): d for d in found}


def damaged() -> list[Path]:
    """Find what an interrupted pip left: metadata without all its files.

    pip writes RECORD last, and pip itself would take such a distribution
    for installed. ``~name`` are files it moved away before a replacement.
    """
    found = list(SITE.glob('~*'))
    for info in SITE.glob('[!~]*.dist-info'):
        record = info / 'RECORD'
        if not (record.is_file() and (info / 'METADATA').is_file()):
            found.append(info)
            continue
        files = importlib.metadata.PathDistribution(info).files or ()
        paths = (f.locate() for f in files if f.suffix != '.pyc')
        if not all(p.exists() for p in paths):
            found.append(info)
    return found


def missing(
    requirements: list[Requirement], pins: list[Requirement]
) -> list[str]:
    """Return the requirements, direct or not, that are not met.

    Either build of OpenCV meets a requirement of the other one.

    Args:
        requirements: What is wanted, with what that depends on in turn.
        pins: Further bounds on whatever of these is wanted.
    """
    have = installed()
    bounds = {canonicalize_name(p.name): p.specifier for p in pins}
    todo, seen, lacking = list(requirements), set(), []
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        dist = have.get(name)
        if dist is None and name in OPENCV:
            dist = next((have[n] for n in OPENCV if n in have), None)
        wanted = requirement.specifier & bounds.get(name, SpecifierSet())
        if dist is None or not wanted.contains(dist.version, True):
            lacking.append(f'{requirement.name}{wanted}')
            continue
        key = (name, frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        for line in dist.requires or ():
            child = Requirement(line)
            extras = requirement.extras or {''}
            if child.marker is None or any(
                child.marker.evaluate({'extra': extra}) for extra in extras
            ):
                todo.append(child)
    return sorted(set(lacking))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--repair', action='store_true', help='remove what is damaged'
    )
    parser.add_argument(
        '--requirements', nargs='*', default=[], help='files of what is needed'
    )
    parser.add_argument(
        '--constraints', nargs='*', default=[], help='files of its versions'
    )
    args = parser.parse_args()
    removed = []
    if args.repair:
        for path in damaged():
            removed.append(path.name)
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    wanted = read_requirements(args.requirements)
    pins = read_requirements(args.constraints)
    report = {
        'python': list(sys.version_info[:3]),
        'include': sysconfig.get_paths()['include'],
        'removed': removed,
        'missing': missing(wanted, pins),
        'opencv': sorted(OPENCV & set(installed())),
    }
    print(json.dumps(report))


if __name__ == '__main__':
    main()
