from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ipse.errors import UserError
from ipse.papers import find, search
from ipse.papers.words import stems

needs_model = pytest.mark.skipif(not search.has_model(), reason="needs the extra `search`")


@pytest.fixture(scope="module", params=["words", pytest.param("meaning", marks=[needs_model, pytest.mark.slow])])
def ranked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], list[str]]]:
    """Keys, best first, by each of the two rankings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "has_model", lambda: request.param == "meaning")
        patch.setenv("IPSE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield lambda words: [paper.key for paper, _ in search.search(words)]


def test_noise_without_clean_images_is_restoration(ranked: Callable[[str], list[str]]) -> None:
    assert [find(key).job for key in ranked("noise without clean images")[:5]] == ["restore"] * 5


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("make a language model forget facts", {"unstar"}),
        ("faster text generation with the same output", {"draft-and-verify", "layerskip", "kangaroo"}),
        ("choose a checkpoint without labels", {"rankme"}),
        ("shrink a network to low bit weights", {"self-compressing-nn"}),
        ("depth or motion from video without ground truth", {"emr-msf"}),
        ("adapt a classifier to corrupted test images without source data", {"rmt-tta", "tesla-tta", "ttt-rotation"}),
        ("barlow twins", {"barlow-twins"}),
        ("masked autoencoder", {"mae", "medflip"}),
    ],
)
def test_best_answer(ranked: Callable[[str], list[str]], words: str, expected: set[str]) -> None:
    assert ranked(words)[0] in expected


def test_authors_and_keys_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "has_model", lambda: False)
    assert {"barlow-twins", "rankme"} <= {p.key for p, _ in search.search("LeCun", limit=40)}
    assert search.search("t-jepa")[0][0].key == "t-jepa"


def test_scores_fall_and_the_limit_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "has_model", lambda: False)
    scores = [score for _, score in search.search("contrastive speech", limit=7)]
    assert len(scores) == 7
    assert scores == sorted(scores, reverse=True)


def test_nothing_to_search_for() -> None:
    with pytest.raises(UserError, match="no word to search for in 'how to'"):
        search.search("how to")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("colour", "color"),
        ("normalisation", "normalized"),
        ("unlabelled", "unlabeled"),
        ("images", "imaging"),
        ("noisy", "noise"),
        ("classification", "classifier"),
        ("generative", "generates"),
        ("forgetting", "forgets"),
        ("pre-training", "pretrained"),
        ("losses", "loss"),
        ("embeddings", "embedded"),
        ("enhancement", "enhances"),
    ],
)
def test_words_meet_in_their_stem(one: str, other: str) -> None:
    assert stems(one) == stems(other) != []


def test_bm25_by_hand() -> None:
    # lengths 2, 4, 0; mean 2; "cat" is in one text of three, "dog" in two
    cat, dog = math.log(1 + 2.5 / 1.5), math.log(1 + 1.5 / 2.5)
    first = cat * 2.2 / (1 + 1.2) + dog * 2.2 / (1 + 1.2)
    second = dog * 3 * 2.2 / (3 + 1.2 * (0.25 + 0.75 * 2))
    assert search.by_words("cat dog", ["cat dog", "dog dog dog bird", ""]) == pytest.approx([first, second, 0])


def test_mix_adds_a_fifth_of_the_words() -> None:
    assert search.mix([0, 5, 10], [0.5, 0.2, -0.1]) == pytest.approx([0.5, 0.3, 0.1])
    assert search.mix([0, 0], [0.5, 0.2]) == [0.5, 0.2]


@needs_model
def test_embeddings_equal_those_of_sentence_transformers() -> None:
    from ipse.papers.minilm import MiniLM

    vectors = MiniLM()(["noise without clean images", "a photo of a cat"])
    assert vectors.shape == (2, 384)
    assert vectors[0, :4].tolist() == pytest.approx([0.01996873, -0.03833177, 0.13292146, -0.0334145], abs=1e-6)
    assert vectors[1, :4].tolist() == pytest.approx([0.032963, 0.09118462, 0.02771711, 0.02362916], abs=1e-6)


@needs_model
def test_embeddings_are_cached_by_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPSE_CACHE", str(tmp_path / "new"))
    texts = ["a cat sleeps", "a rocket starts"]
    first = search.by_meaning("a kitten naps", texts)
    assert first[0] > first[1]
    (path,) = (tmp_path / "new").iterdir()
    stamp = path.stat().st_mtime_ns
    assert search.by_meaning("a kitten naps", texts) == first
    assert path.stat().st_mtime_ns == stamp
    path.write_bytes(path.read_bytes()[:100])
    assert search.by_meaning("a kitten naps", texts) == first
    search.by_meaning("a kitten naps", [*texts, "rain"])
    assert len(list((tmp_path / "new").iterdir())) == 2
