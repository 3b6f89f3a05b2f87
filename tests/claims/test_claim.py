from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ipse.claims import Claim
from ipse.claims.harness.claim import known, load
from ipse.errors import UserError

WORDS = {"statement": "Ours wins", "setting": "numbers", "measure": "accuracy", "tried": "nothing else"}


def test_claims_are_found_by_their_papers_key_without_importing_them(claim: Callable[..., Path]) -> None:
    claim("barlow_twins", run="raise RuntimeError")
    claim("dcl")
    claim("no_such_paper")
    assert list(known()) == ["barlow-twins", "dcl"]
    key, found, run = load("dcl")
    assert (key, found.statement, found.kind) == ("dcl", "Ours beats the baseline", "greater")
    assert run(1, False) == {"ours": 0.51, "baseline": 0.4, "also": 7.0}


def test_what_has_no_claim_is_said_in_one_line(claim: Callable[..., Path]) -> None:
    claim("dcl")
    with pytest.raises(UserError, match="unknown paper 'barlow-twin': did you mean 'barlow-twins'"):
        load("barlow-twin")
    with pytest.raises(UserError, match=r"no claim of 'barlow-twins' yet; there are: dcl$"):
        load("barlow-twins")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"kind": "better"}, "greater, less, within, at_least, at_most"),
        ({"kind": "within"}, "bound of more than 0"),
        ({"seeds": 1}, "two seeds"),
        ({"tried": " "}, "tried is empty"),
    ],
)
def test_what_a_claim_cannot_be(words: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Claim(**(WORDS | words))  # type: ignore[arg-type]


def test_listing_claims_imports_no_torch() -> None:
    code = "import sys; from ipse.claims.harness.claim import known; known(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
