"""The journeys of docs/architecture.md, and a recorder of who is called."""

import gc
import re
import sys
import threading
from importlib import import_module
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / 'docs' / 'architecture.md').read_text()


class Step(NamedTuple):
    """An item of a journey's list: a text, a function and its file."""

    text: str
    file: str
    function: str

    @property
    def module(self) -> str:
        """Of a Python file."""
        return self.file.removesuffix('.py').replace('/', '.')


def _steps(part: str) -> list[Step]:
    items = re.split(r'^\d+\. +', part, flags=re.MULTILINE)[1:]
    return [_step(' '.join(item.split())) for item in items]


def _step(item: str) -> Step:
    text, _, place = item.partition('\\ ')
    function, file = re.fullmatch(r'`(.*)`, (.*)', place).groups()
    if link := re.fullmatch(r'\[(.*)\]\(\.\./(.*)\)', file):
        file = link[1]
        assert link[2] == file, item
    return Step(text, file, function)


JOURNEYS = [
    _steps(part) for part in re.split(r'\n## Journey \d: .*\n', PAGE)[1:]
]


def resolve(name: str) -> Any:
    """The object of a dotted name."""
    module, attributes = name, []
    while True:
        try:
            value = import_module(module)
            break
        except ModuleNotFoundError:
            module, _, last = module.rpartition('.')
            attributes.insert(0, last)
    for attribute in attributes:
        value = getattr(value, attribute)
    return value


class CallRecorder:
    """Notes the first call of each of some functions, in their order.

    Args:
        names: Of functions, dotted. What runs in other threads is noted if
            they start while it records.

    Attributes:
        called: Names in the order of their first calls.
    """

    def __init__(self, names: list[str]) -> None:
        self.called: list[str] = []
        self._names = {_code(resolve(name)): name for name in names}

    def __enter__(self) -> 'CallRecorder':
        # Generators that are closed later would count as called.
        gc.collect()
        threading.setprofile(self._note)
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        if event == 'call':
            name = self._names.pop(frame.f_code, None)
            if name is not None:
                self.called.append(name)


def _code(function: Any) -> CodeType:
    return getattr(function, '__wrapped__', function).__code__
