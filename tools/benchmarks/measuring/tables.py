"""The table of benchmarks on a terminal and in Markdown."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from .rows import Row

HEADER = ('part', 'what', 'ours', 'beside', 'ratio', 'target', 'met')
BEGIN, END = '<!-- benchmark -->', '<!-- /benchmark -->'


def row_texts(row: Row) -> list[str]:
    """The texts of one line, in the order of :data:`HEADER`."""
    beside = ''
    if row.beside is not None:
        beside = f'{amount(row.beside, row.unit)}, {row.beside_what}'
    ratio = '' if row.ratio is None else number(row.ratio)
    met = {None: '', True: 'yes', False: 'NO'}[row.met]
    ours = amount(row.ours, row.unit)
    return [row.part, row.what, ours, beside, ratio, row.target or '', met]


def amount(value: float, unit: str) -> str:
    """A figure with its unit; seconds per image as images per second too."""
    if unit == 's/image':
        return f'{number(1000 * value)} ms ({number(1 / value)}/s)'
    if unit.partition('/')[0] == 's' and value < 1:
        return f'{number(1000 * value)} m{unit}'
    return f'{number(value)} {unit}'.strip()


def number(value: float) -> str:
    """A figure with three significant digits."""
    if value and not 1e-3 <= abs(value) < 1e15:
        return f'{value:.1e}'
    digits = 0
    while digits < 5 and abs(value) < 99.95 / 10**digits:
        digits += 1
    return f'{value:,.{digits}f}' if value else '0'


def print_rows(title: str, rows: Iterable[Row], console: Console) -> None:
    """Print a table."""
    table = Table(title=title)
    lines = [row_texts(row) for row in rows]
    shown = [i for i, _ in enumerate(HEADER) if any(line[i] for line in lines)]
    for i in shown:
        table.add_column(
            HEADER[i],
            justify='left' if i < 2 else 'right',
            overflow='fold',
        )
    for line in lines:
        table.add_row(*(line[i] for i in shown))
    console.print(table)


def markdown(machine: dict[str, object], rows: Iterable[Row]) -> str:
    """The machine in a line and the table, for a page of the docs."""
    described = ', '.join(f'{k} {v}' for k, v in machine.items())
    lines = [
        f'Measured on: {described}.',
        '',
        '| ' + ' | '.join(HEADER) + ' |',
        '| --- | --- |' + ' ---: |' * 4 + ' --- |',
    ]
    before = None
    for row in rows:
        part, *rest = row_texts(row)
        shown = '' if part == before else part
        lines.append('| ' + ' | '.join([shown, *rest]) + ' |')
        before = part
    return '\n'.join(lines)


def replace_marked(text: str, body: str) -> str:
    """Put a body between the two marks of a page.

    Args:
        text: The page, with :data:`BEGIN` and :data:`END` once each.
        body: What comes between them.

    Raises:
        ValueError: A mark is missing, doubled or they are the wrong way
            round.
    """
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end) or BEGIN in rest or END in head + tail:
        raise ValueError(f'expected {BEGIN} and behind it {END}, once each')
    return f'{head}{BEGIN}\n{body}\n{END}{tail}'
