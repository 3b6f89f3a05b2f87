"""The worked examples in the docstrings of ipse."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import ipse

MODULES = [m.name for m in pkgutil.walk_packages(ipse.__path__, "ipse.") if m.name.rpartition(".")[2] != "__main__"]


@pytest.mark.parametrize("name", MODULES)
def test_examples_come_out_as_printed(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
