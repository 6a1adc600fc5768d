"""Tests of numbers in text files."""

import pytest

from mmps.datasets.text_files import parse_id, parse_number


@pytest.mark.parametrize('text', ['0', '-1', '+7', '007', str(2**53 - 1)])
def test_ids(text: str) -> None:
    assert parse_id(text) == int(text)


@pytest.mark.parametrize(
    'text',
    ['', '1.0', '1_0', '\u0663', '\u00b2', '0x1', ' 1', '1\n', '--1', '1e3',
     str(2**53), '9' * 5000],
)  # fmt: skip
def test_no_ids(text: str) -> None:
    with pytest.raises(ValueError, match='no whole number'):
        parse_id(text)


@pytest.mark.parametrize('text', ['1', '-2.5', '1e3', '.5', '1e400', 'nan'])
def test_numbers(text: str) -> None:
    assert repr(parse_number(text)) == repr(float(text))


@pytest.mark.parametrize('text', ['', '1_0', '\u0663', 'one', '1,5', '0x1'])
def test_no_numbers(text: str) -> None:
    with pytest.raises(ValueError, match='number|float'):
        parse_number(text)
