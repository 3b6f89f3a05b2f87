"""The worked examples in the docstrings of `ipse.reports`."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import ipse.reports as package

MODULES = [module.name for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_come_out_as_printed(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
