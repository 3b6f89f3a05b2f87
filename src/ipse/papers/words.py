"""Text to comparable word stems; the page in the browser is given the same stop words and patterns."""

from __future__ import annotations

import re

_STOP = """
a about an and any are as at be but by can could do does for from get give has have how i if in into is it its like
make many me much my need not of on one or other our should so than that the their them then there these they this to
use used uses using want we what when where which while who why will with would you your
"""
STOP = frozenset(_STOP.split())

WORD = r"[a-z0-9]+"
ENDING = (
    r"^(.{3,}?)(?:ifications?|ifi(?:er|ers|ed|es)|ify(?:ing)?|i[sz]ations?|i[sz](?:e|es|ed|ing|ers?)|at(?:e|es|ed|ing|ions?|ors?|ive)"
    r"|ements?|ions?|ive|ness|ings?|ed|ers?|ies|ied|ly|es|(?<!s)s|e|y)$"
)
DOUBLE = r"([bdfgklmnprt])\1$"


def stems(text: str) -> list[str]:
    """The words of a text without stop words, endings and differences between British and American spelling.

    >>> stems("How are noisy images denoised?"), stems("denoising a noisy image")
    (['nois', 'imag', 'deno'], ['deno', 'nois', 'imag'])
    """
    return [_stem(word) for word in re.findall(WORD, text.lower().replace("pre-", "pre")) if word not in STOP]


def _stem(word: str) -> str:
    return re.sub(DOUBLE, r"\1", re.sub(ENDING, r"\1", word.replace("our", "or")))
