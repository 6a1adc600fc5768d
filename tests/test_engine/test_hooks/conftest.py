"""A toy model and its Runner, see toy_search."""

import pytest

import toy_search


@pytest.fixture
def toy_model():
    return toy_search.ToySearch()


@pytest.fixture
def make_runner():
    return toy_search.make_runner
