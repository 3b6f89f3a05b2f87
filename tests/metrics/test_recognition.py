from __future__ import annotations

import math
import random
from functools import lru_cache

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.metrics import roc_curve

from ipse.errors import UserError
from ipse.metrics.recognition import edit_distance, equal_error_rate, error_rate, query_by_example, superb_score


def slow_edits(a: str, b: str) -> int:
    @lru_cache(None)
    def rest(i: int, j: int) -> int:
        if i == len(a) or j == len(b):
            return len(a) - i + len(b) - j
        return min(rest(i + 1, j) + 1, rest(i, j + 1) + 1, rest(i + 1, j + 1) + (a[i] != b[j]))

    return rest(0, 0)


class TestEdits:
    def test_equals_the_slow_version(self) -> None:
        dice = random.Random(0)
        for _ in range(100):
            a, b = ("".join(dice.choices("abc", k=dice.randrange(9))) for _ in range(2))
            assert edit_distance(a, b) == edit_distance(b, a) == slow_edits(a, b)

    @pytest.mark.parametrize(("a", "b", "expected"), [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("abc", "abc", 0)])
    def test_empty_and_equal(self, a: str, b: str, expected: int) -> None:
        assert edit_distance(a, b) == expected

    def test_phones_and_words(self) -> None:
        assert edit_distance([3, 1, 4], [3, 4]) == 1
        assert error_rate([["the", "cat", "sat"], []], [["the", "cat", "sat", "down"], ["now"]]) == 2 / 5

    def test_rates_weigh_by_length(self) -> None:
        assert error_rate(["a", "abcdefghi"], ["b", "abcdefghi"]) == 0.1
        assert error_rate(["xyz"], ["a"]) == 3

    def test_nothing_to_compare(self) -> None:
        with pytest.raises(UserError, match="given 1 for 2"):
            error_rate(["a", "b"], ["a"])
        with pytest.raises(UserError, match="not empty, given 2 empty ones"):
            error_rate(["a", "b"], ["", ""])


class TestEqualErrorRate:
    def test_separated_scores(self) -> None:
        assert equal_error_rate(torch.tensor([0.9, 0.8, 0.2]), torch.tensor([True, True, False])) == 0
        assert equal_error_rate(torch.tensor([0.1, 0.2, 0.9]), torch.tensor([True, True, False])) == 1

    def test_scores_that_say_nothing(self) -> None:
        assert equal_error_rate(torch.zeros(10), torch.arange(10) < 3) == pytest.approx(0.5)
        generator = torch.Generator().manual_seed(0)
        scores, same = torch.randn(20_000, generator=generator), torch.rand(20_000, generator=generator) < 0.3
        assert equal_error_rate(scores, same) == pytest.approx(0.5, abs=0.02)

    def test_by_hand(self) -> None:
        """Two of each kind rejected or accepted wrongly, of 4 and 4."""
        scores = torch.tensor([8.0, 7.0, 4.0, 3.0, 6.0, 5.0, 2.0, 1.0])
        assert equal_error_rate(scores, torch.arange(8) < 4) == 0.5
        # Interpolated: a false acceptance costs 1/3, a false rejection 1/2.
        assert equal_error_rate(torch.tensor([4.0, 2.0, 3.0, 1.0, 0.0]), torch.arange(5) < 2) == pytest.approx(1 / 3)

    def test_two_normal_distributions(self) -> None:
        generator = torch.Generator().manual_seed(0)
        same = torch.arange(40_000) % 2 == 0
        scores = torch.randn(40_000, generator=generator) + 2.0 * same
        expected = 0.5 * math.erfc(1 / math.sqrt(2))  # the tail beyond one deviation
        assert equal_error_rate(scores, same) == pytest.approx(expected, abs=0.005)
        false, true, _ = roc_curve(same.numpy(), scores.numpy())
        assert equal_error_rate(scores, same) == pytest.approx(false[np.abs(1 - true - false).argmin()], abs=1e-3)

    def test_only_the_order_of_scores_matters(self) -> None:
        scores, same = torch.randn(200), torch.arange(200) % 3 == 0
        expected = equal_error_rate(scores, same)
        assert equal_error_rate(scores.double().exp(), same) == expected
        order = torch.randperm(200)
        assert equal_error_rate(scores[order], same[order]) == expected

    def test_one_kind_of_pairs(self) -> None:
        with pytest.raises(UserError, match="given 3 and 0"):
            equal_error_rate(torch.randn(3), torch.ones(3).bool())


BASELINE = {"speaker": {"accuracy": 20.0}, "slots": {"f1": 70.0, "cer": 50.0}}
BEST = {"speaker": {"accuracy": 90.0}, "slots": {"f1": 90.0, "cer": 20.0}}


class TestSuperbScore:
    def test_its_ends(self) -> None:
        assert superb_score(BASELINE, BASELINE, BEST) == 0
        assert superb_score(BEST, BASELINE, BEST) == 1000

    def test_tasks_weigh_the_same_and_errors_count_down(self) -> None:
        scores = {"speaker": {"accuracy": 55.0}, "slots": {"f1": 70.0, "cer": 35.0}}
        assert superb_score(scores, BASELINE, BEST) == pytest.approx(1000 * (0.5 + (0 + 0.5) / 2) / 2)

    def test_what_cannot_be_placed(self) -> None:
        with pytest.raises(UserError, match="needs 'emotion' 'accuracy'"):
            superb_score({"emotion": {"accuracy": 1.0}}, BASELINE, BEST)
        with pytest.raises(UserError, match="cannot place 'speaker' 'accuracy': baseline and best are both 20"):
            superb_score(BASELINE, BASELINE, BASELINE)


class TestQueryByExample:
    def slow(self, query: np.ndarray, document: np.ndarray) -> float:
        d = np.exp(cdist(query, document, "cosine")) - 1
        d = (d - d.min(1, keepdims=True)) / (d.max(1, keepdims=True) - d.min(1, keepdims=True))

        @lru_cache(None)
        def cost(i: int, j: int) -> float:
            if j < 0:
                return math.inf
            return d[i, j] + (0 if i == 0 else min(cost(i - 1, j - step) for step in range(3)))

        return min(cost(len(query) - 1, j) for j in range(len(document))) / len(query)

    @pytest.mark.parametrize(("q", "n"), [(6, 15), (9, 4), (1, 5)])
    def test_equals_the_slow_version(self, q: int, n: int) -> None:
        rng = np.random.default_rng(0)
        query, document = rng.normal(size=(q, 3)), rng.normal(size=(n, 3))
        result = query_by_example(torch.as_tensor(query), torch.as_tensor(document))
        assert result == pytest.approx(self.slow(query, document))

    def test_finds_a_copy_spoken_at_another_speed(self) -> None:
        torch.manual_seed(0)
        word, other = torch.randn(2, 5, 12).repeat_interleave(2, dim=1)  # each sound lasts two frames
        noise = torch.randn(20, 12)
        fast, slow = word[::2], word.repeat_interleave(2, dim=0)
        for version in (word, fast, slow):
            document = torch.cat([noise[:9], 3 * version, noise[9:]])
            assert query_by_example(word, document) == pytest.approx(0, abs=1e-6)
            assert query_by_example(other, document) > 0.05

    def test_documents_of_one_frame(self) -> None:
        assert query_by_example(torch.randn(3, 2), torch.randn(1, 2)) == 0
