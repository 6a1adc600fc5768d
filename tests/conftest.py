"""Settings shared by all tests."""

import gc
import importlib.util
import logging
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

# Before pip, which the tests of the set-up load: setuptools refuses to load
# after it, and torch's compiler needs setuptools.
import setuptools  # noqa: F401
import torch
from hypothesis import HealthCheck, given, settings
from mmengine.config import config as config_module
from mmengine.config import utils as config_utils
from mmengine.visualization import Visualizer
from yapf.yapflib import yapf_api

TOOLS = Path(__file__).resolve().parents[1] / 'tools'


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked `gpu` on a machine without CUDA."""
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason='needs a CUDA device')
    for item in items:
        if 'gpu' in item.keywords:
            item.add_marker(skip)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """Forget the test's visualizers.

    mmengine keeps them by name, with the folder of their first use; the next
    run in this process would write into it, or fail where it is gone.
    """
    for kind in (Visualizer, *Visualizer.__subclasses__()):
        kind._instance_dict.clear()


def pytest_collection_finish() -> None:
    """Leave what was imported out of every garbage collection to come.

    mmengine collects whenever it builds a data set; there are a million
    objects by now.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope='session', autouse=True)
def quick_configs() -> Iterator[None]:
    """Leave out most of the time that configs take.

    To find a base config of mmdet, mmengine reads all 100 metafiles. What it
    writes to logs and files goes through yapf, which breaks its lines.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config_utils, 'load', cache(config_utils.load))
        for module in (yapf_api, config_module):
            # Imported by some mmengines when it is called.
            patch.setattr(
                module,
                'FormatCode',
                lambda text, **_: (text, False),
                raising=False,
            )
        yield


@pytest.fixture(scope='session')
def scenes(tmp_path_factory) -> Path:
    """Scenes in PRW's form, for tests that do not change the files."""
    from small_sets import write_scenes

    return write_scenes(tmp_path_factory.mktemp('data') / 'scenes')


@pytest.fixture
def free_port() -> str:
    """A port that nobody listens on; a fixed one may be somebody else's."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return str(probe.getsockname()[1])


@pytest.fixture
def fuzz(tmp_path: Path) -> Callable[..., None]:
    """Damages a target's files again and again; no outcome is a fault."""
    from fuzzing import CASES, FAULT, TARGETS, CaseRunner

    def run(name: str, max_examples: int) -> None:
        runner = CaseRunner(TARGETS[name], tmp_path / 'files')
        seen: Counter[str] = Counter()

        @given(CASES)
        @settings(
            max_examples=max_examples,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        def check(case: bytes) -> None:
            outcome = runner.run(case)
            seen[outcome.kind] += 1
            assert outcome.kind != FAULT, (
                f'{outcome.detail}; tests/fuzz.py {name} --repeat {case.hex()}'
            )

        check()
        # Without this, all of it might have been the valid files.
        assert seen['refused'] > max_examples // 4, seen
        assert seen['same'] + seen['other'] > 0, seen

    return run


@pytest.fixture
def tool(monkeypatch) -> Callable:
    """Load a tool's module by its path below tools/."""

    def load(name: str):
        path = TOOLS / name
        spec = importlib.util.spec_from_file_location(
            f'tool_{path.stem}', path
        )
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def cli(tool, monkeypatch, capsys) -> Callable:
    """Run a tool's main in this process; returns status and stderr."""
    from mmps.cli.common import run_cli

    monkeypatch.delenv('MMPS_TRACEBACK', raising=False)
    monkeypatch.delenv('RANK', raising=False)
    monkeypatch.setenv('LOCAL_RANK', '0')
    # Loggers of an earlier run write to what pytest has closed since.
    monkeypatch.setattr(logging, 'raiseExceptions', False)

    def run(name: str, *args: object) -> tuple[int, str]:
        module = tool(name)
        monkeypatch.setattr(sys, 'argv', [name, *map(str, args)])
        with pytest.raises(SystemExit) as info:
            run_cli(module.main)
        return info.value.code, capsys.readouterr().err

    return run
