"""Tests of result files: exact figures, refusal of other files."""

import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmps.results.result_file import read_results, write_results
from mmps.utils.errors import UsageError

RESULTS = dict(
    figures={'person_search/mAP': 0.1 + 0.2},
    protocol=dict(main='regular'),
    inference=dict(fp16=False),
    config=dict(name='a.py', sha256='0', content={}),
    weights=dict(sha256='1', iter=3),
    predictions=None,
    data=None,
    seed=dict(training=0, test=None),
    device='CPU',
    versions=dict(mmps='0'),
)


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / 'results.json'
    write_results(path, RESULTS)
    assert read_results(path) == RESULTS
    before = path.read_bytes()
    write_results(path, read_results(path))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ['results.json']


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.dictionaries(st.text(), st.floats(), max_size=8))
def test_figures_to_the_last_bit(tmp_path_factory, figures):
    path = tmp_path_factory.getbasetemp() / 'figures.json'
    write_results(path, RESULTS | dict(figures=figures))
    found = read_results(path)['figures']
    assert list(found) == list(figures)
    for name, value in figures.items():
        if value - value == 0:
            assert struct.pack('d', found[name]) == struct.pack('d', value)
        else:
            assert found[name] is None
    json.loads(path.read_text(), parse_constant=pytest.fail)


def test_what_a_run_does_not_know_is_null(tmp_path):
    path = tmp_path / 'results.json'
    known = ('figures', 'inference', 'config', 'versions')
    write_results(path, {name: RESULTS[name] for name in known})
    found = read_results(path)
    assert all((found[name] is None) == (name not in known) for name in found)


def test_a_failing_write_leaves_the_old_file(tmp_path):
    path = tmp_path / 'results.json'
    write_results(path, RESULTS)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_results(path, RESULTS | dict(config=object()))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('', 'no JSON'),
        ('{"format": "mmps res', 'no JSON'),
        ('[' * 100000, 'no JSON'),
        ('\x00\x01', 'no JSON'),
        ('[]', "expected format 'mmps results 1', found None"),
        ('{"mAP": 1}', 'found None'),
        ('{"format": "mmps results 9"}', "found 'mmps results 9'"),
        (dict(figures=None), 'figures is None, expected a dict'),
        (dict(figures=[1]), r'figures is \[1\], expected a dict'),
        (dict(figures={'mAP': '1'}), "figure mAP is '1', expected a number"),
        (dict(figures={'mAP': True}), 'figure mAP is True'),
        (dict(figures={'mAP': float('nan')}), 'figure mAP is nan'),
        (dict(config=None), 'config is None, expected a dict'),
        (dict(versions='1'), 'versions is .1., expected a dict'),
        (dict(data=3), 'data is 3, expected a dict'),
        (dict(device={}), 'device is {}, expected a str'),
    ],
)
def test_junk_is_refused(tmp_path, content, message):
    path = tmp_path / 'results.json'
    if isinstance(content, dict):
        whole = {'format': 'mmps results 1', **RESULTS, **content}
        content = json.dumps(whole)
    path.write_text(content)
    with pytest.raises(UsageError, match=message) as caught:
        read_results(path)
    assert str(path) in str(caught.value)
    assert '\n' not in str(caught.value)


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / 'results.json'
    path.write_bytes(b'\xff\xfe{}')
    with pytest.raises(UsageError, match='no JSON'):
        read_results(path)
    with pytest.raises(UsageError, match='none.json does not exist'):
        read_results(tmp_path / 'none.json')
