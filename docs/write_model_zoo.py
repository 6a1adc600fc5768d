"""Table of published models, from configs/model_zoo.yml.

``python docs/write_model_zoo.py`` puts it into docs/model_zoo.md.
"""

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / 'docs' / 'model_zoo.md'
START, END = '<!-- table -->\n', '<!-- end of table -->\n'
HEAD = (
    '| model | data set | mAP | top-1 | config | where | licence | file seen '
    '| equal to its code |\n'
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n'
)


def table() -> str:
    """The rows, in Markdown."""
    rows = []
    for method in yaml.safe_load((ROOT / 'configs/model_zoo.yml').read_text()):
        for model in method['models']:
            name = model['config']
            (file,) = (ROOT / 'configs').glob(f'*/{name}.py')
            cells = (
                method['title'],
                model['dataset'],
                model.get('mAP', ''),
                model.get('top-1', ''),
                f'[{name}](../{file.relative_to(ROOT).as_posix()})',
                f'[{method["files"]}]({method["page"]})',
                method['licence'],
                'yes' if method['seen'] else 'no',
                _equal(method['equal_to']),
            )
            rows.append(f'| {" | ".join(map(str, cells))} |\n')
    return HEAD + ''.join(rows)


def _equal(oracle: str | None) -> str:
    return f'[made-up weights](../{oracle})' if oracle else 'not compared'


def page() -> str:
    """The page with the table as it should be."""
    text = PAGE.read_text()
    before, _, rest = text.partition(START)
    return before + START + table() + END + rest.partition(END)[2]


if __name__ == '__main__':
    PAGE.write_text(page())
    print(PAGE)
