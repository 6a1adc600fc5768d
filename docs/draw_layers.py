"""Drawing of the layers, from the import contract in pyproject.toml.

``python docs/draw_layers.py`` writes docs/images/layers.svg.
"""

import re
import sys
from html import escape
from pathlib import Path

if sys.version_info < (3, 11):
    import tomli as tomllib
else:
    import tomllib

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / 'docs' / 'images' / 'layers.svg'
WIDTH, ROW, BOX, GAP = 760, 56, 38, 12
LEFT, TOP = 70, 24
STYLE = """
text { font: 14px ui-monospace, Menlo, Consolas, monospace; fill: #1f2328; }
.note { font-size: 12px; font-family: system-ui, sans-serif; fill: #57606a; }
.card { fill: #fff; stroke: #d0d7de; }
.box { fill: #ddf4ff; stroke: #54aeff; }
.plain { fill: #dafbe1; stroke: #4ac26b; }
.arrow { stroke: #57606a; stroke-width: 1.5; fill: none; }
"""


def contract(name: str) -> dict:
    """One of the contracts of import-linter, by its id."""
    config = tomllib.loads((ROOT / 'pyproject.toml').read_text())
    contracts = config['tool']['importlinter']['contracts']
    return next(one for one in contracts if one['id'] == name)


def layers() -> list[list[str]]:
    """Rows from top to bottom: packages, and what stands between them.

    '|': neither imports the other; ':': they may.
    """
    rows = []
    for text in contract('layers')['layers']:
        words = re.findall(r'[\w.]+|[|:]', text)
        rows.append([word.removeprefix('mmps.') for word in words])
    return rows


def plain_packages() -> list[str]:
    """Packages that need no framework."""
    modules = contract('functional')['source_modules']
    return [module.removeprefix('mmps.') for module in modules]


def draw() -> str:
    """The SVG file."""
    rows, plain = layers(), plain_packages()
    height = TOP + len(rows) * ROW + 60
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
        f'height="{height}" viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-label="Layers of the package, from top to bottom">',
        f'<style>{STYLE}</style>',
        f'<rect class="card" x="1" y="1" width="{WIDTH - 2}" '
        f'height="{height - 2}" rx="8"/>',
    ]
    for number, row in enumerate(rows, 1):
        lines += _row(number, row, plain)
    lines += _arrow(len(rows)) + _legend(height)
    return '\n'.join([*lines, '</svg>', ''])


def _row(number: int, words: list[str], plain: list[str]) -> list[str]:
    y = TOP + (number - 1) * ROW
    names = words[::2]
    width = (WIDTH - LEFT - 24 - GAP * (len(names) - 1)) / len(names)
    lines = [_text(LEFT - 28, y + BOX / 2, str(number), 'note')]
    for i, name in enumerate(names):
        x = LEFT + i * (width + GAP)
        kind = 'plain' if name in plain else 'box'
        lines += [
            f'<rect class="{kind}" x="{x:g}" y="{y}" width="{width:g}" '
            f'height="{BOX}" rx="5"/>',
            _text(x + width / 2, y + BOX / 2, name),
        ]
        if i and words[2 * i - 1] == ':':
            lines.append(
                f'<path class="arrow" d="M{x - GAP:g} {y + BOX / 2:g}h{GAP}"/>'
            )
    return lines


def _arrow(rows: int) -> list[str]:
    x, end = 22, TOP + rows * ROW - (ROW - BOX)
    return [
        f'<path class="arrow" d="M{x} {TOP}V{end}m-5 -8l5 8l5 -8"/>',
    ]


def _legend(height: int) -> list[str]:
    y = height - 30
    parts = [
        (LEFT, 'box', 'on torch and mmdet'),
        (LEFT + 180, 'plain', 'no framework: numpy, scipy, scikit-learn'),
    ]
    lines = []
    for x, kind, text in parts:
        lines += [
            f'<rect class="{kind}" x="{x}" y="{y - 7}" width="14" '
            'height="14" rx="3"/>',
            _text(x + 22, y, text, 'note', 'start'),
        ]
    x = LEFT + 480
    lines += [
        f'<path class="arrow" d="M{x} {y}h{GAP}"/>',
        _text(x + 20, y, 'may import each other', 'note', 'start'),
    ]
    return lines


def _text(
    x: float, y: float, text: str, kind: str = '', anchor: str = 'middle'
) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" '
        f'dominant-baseline="central"{f" class={kind!r}" if kind else ""}>'
        f'{escape(text)}</text>'
    )


if __name__ == '__main__':
    FILE.write_text(draw())
    print(FILE)
