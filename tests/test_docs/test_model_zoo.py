"""The page of published models against its data."""

import importlib.util
from pathlib import Path

import pytest

from mmps.apis.shipped_models import model_zoo

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def writer():
    path = ROOT / 'docs' / 'write_model_zoo.py'
    spec = importlib.util.spec_from_file_location('write_model_zoo', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_table_is_that_of_the_data(writer):
    written = writer.PAGE.read_text() == writer.page()
    assert written, 'run python docs/write_model_zoo.py'
    for family in model_zoo():
        for model in family['models']:
            assert f'[{model["config"]}]' in writer.table()


def test_stored_answers_are_there():
    for family in model_zoo():
        if family['equal_to'] is not None:
            assert (ROOT / family['equal_to']).is_file()
