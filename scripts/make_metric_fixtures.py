"""Reference values of ranking metrics and statistics, from torchmetrics, scikit-learn and SciPy.

  python make_metric_fixtures.py [OUT_FILE]      by default test/fixtures/eval/metrics.json

Needs torchmetrics, scikit-learn, scipy. Per case of `metrics`: the ranking (places of candidates, best first), the grade of each
right candidate, and what each library makes of it, by its own definitions; test/unit/eval/metrics.test.ts says where those
differ from the leaderboard's. `binomial`: exact two-sided tests. `bootstrap`: percentile intervals of macro means, each the
mean of several seeds, with the spread between seeds; `binomial_quantiles`: those of a resampled mean of zeros and ones.
`sign_flip`: p over all flips of differences, by enumeration.
"""
import itertools, json, math, sys
from pathlib import Path
import numpy as np, torch
from importlib.metadata import version
from scipy.stats import binom, binomtest, bootstrap, permutation_test
from sklearn.metrics import average_precision_score, f1_score, ndcg_score
from torchmetrics.functional.retrieval import (retrieval_average_precision, retrieval_hit_rate, retrieval_precision, retrieval_recall,
                                               retrieval_reciprocal_rank)

CUTOFFS = [1, 5, 10]
TORCHMETRICS = {"hit": retrieval_hit_rate, "precision": retrieval_precision, "recall": retrieval_recall,
                "map": retrieval_average_precision, "mrr": retrieval_reciprocal_rank}
# Name, ranking of all candidates, {place: grade}.
CASES = [
    ("one right candidate, first", [0, *range(1, 12)], {0: 1}),
    ("one right candidate, fourth", [7, 3, 9, 0, 1, 2, 4, 5, 6, 8, 10, 11], {0: 1}),
    ("one right candidate, eleventh", [*range(1, 11), 0, 11], {0: 1}),
    ("several right candidates", [4, 0, 9, 2, 8, 1, 3, 5, 6, 7, 10, 11], {0: 1, 1: 1, 2: 1}),
    ("graded", [4, 0, 9, 2, 8, 1, 3, 5, 6, 7, 10, 11], {0: 1, 1: 3, 2: 2, 11: 2}),
    ("graded, best first", [1, 2, 0, 3, 4, 5, 6, 7, 8, 9, 10, 11], {0: 1, 1: 3, 2: 2}),
    ("more right candidates than ten", [3, 0, 15, 1, 2, 5, 14, 4, 6, 7, 8, 9, 10, 11, 12, 13], {i: 1 + i % 3 for i in range(12)}),
    ("two candidates, the right one last", [1, 0], {0: 1}),
    ("seven candidates, graded", [5, 2, 6, 0, 1, 4, 3], {0: 2, 2: 1, 3: 3}),
    ("none found", [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0, 1], {0: 1, 1: 2}),
]
BINOMIAL = [(0, 1), (3, 3), (5, 1), (1, 5), (12, 2), (0, 20), (10, 11), (60, 31), (430, 371), (1000, 700), (25_200, 24_800),
            (50_500, 49_500)]


def metric_case(name, ranked, grades):
    # Both libraries know a ranking by scores, and the ideal order is one of the ranked candidates.
    assert set(grades) <= set(ranked)
    truth = np.array([grades.get(place, 0) for place in ranked], dtype=float)
    score = np.arange(len(ranked), 0, -1, dtype=float)
    by_torchmetrics = {f"{ours}@{k}": float(theirs(torch.tensor(score), torch.tensor(truth > 0), top_k=k))
                       for ours, theirs in TORCHMETRICS.items() for k in CUTOFFS}
    by_sklearn = {}
    for k in CUTOFFS:
        by_sklearn[f"ndcg_linear@{k}"] = float(ndcg_score(truth[None], score[None], k=k))
        by_sklearn[f"ndcg_exponential@{k}"] = float(ndcg_score(2 ** truth[None] - 1, score[None], k=k))
        if k <= len(ranked):  # With fewer candidates there are not k positive predictions.
            by_sklearn[f"f1@{k}"] = float(f1_score(truth > 0, np.arange(len(ranked)) < k))
    if len(ranked) <= 10:  # It knows no cutoff.
        by_sklearn["map@10"] = float(average_precision_score(truth > 0, score))
    return {"name": name, "ranked": ranked, "relevance": [[place, grade] for place, grade in grades.items()],
            "torchmetrics": by_torchmetrics, "sklearn": by_sklearn}


def bootstrap_case(name, groups, level, seeds=20, samples=10_000):
    def macro(*data, axis=-1):
        return np.mean([group.mean(axis=axis) for group in data], axis=0)
    arrays = [np.array(group, dtype=float) for group in groups]
    bounds = []
    for seed in range(seeds):
        found = bootstrap(arrays, macro, n_resamples=samples, confidence_level=level, method="percentile",
                          rng=np.random.default_rng(seed), batch=500)
        bounds.append([found.confidence_interval.low, found.confidence_interval.high])
    low, high = np.mean(bounds, axis=0)
    return {"name": name, "groups": groups, "level": level, "low": low, "high": high,
            "standard_error": float(found.standard_error), "spread": float(np.std(bounds, axis=0).max())}


def sign_flip_case(name, groups):
    """Exact p of the macro mean of the differences: of all ways to sign them, those at least as far from 0."""
    parts = [value / len(group) / len(groups) for group in groups for value in group]
    observed = abs(sum(parts))
    sums = [abs(sum(sign * part for sign, part in zip(signs, parts))) for signs in itertools.product([1, -1], repeat=len(parts))]
    case = {"name": name, "groups": groups, "p": sum(it >= observed - 1e-12 for it in sums) / len(sums)}
    if len(groups) == 1:
        both = permutation_test((np.array(groups[0]),), lambda x, axis: x.mean(axis=axis), permutation_type="samples", n_resamples=np.inf)
        assert math.isclose(both.pvalue, case["p"]), (both.pvalue, case["p"])
    return case


def main():
    rng = np.random.default_rng(7)
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "test/fixtures/eval/metrics.json"
    hits = lambda n, p: [int(it) for it in rng.random(n) < p]
    ndcg = lambda n: [round(float(it), 3) for it in rng.choice([0, 0.387, 0.5, 0.631, 1], n)]
    zeros_and_ones = [(37, 100), (9, 40), (1, 25)]
    data = {
        "made_with": {name: version(name) for name in ["torchmetrics", "torch", "scikit-learn", "scipy", "numpy"]},
        "metrics": [metric_case(*case) for case in CASES],
        "binomial": [{"gained": a, "lost": b, "p": float(binomtest(a, a + b).pvalue)} for a, b in BINOMIAL],
        "bootstrap": [
            bootstrap_case("one dataset of hits", [hits(80, 0.6)], 0.95),
            bootstrap_case("three datasets of different sizes", [hits(30, 0.8), ndcg(12), hits(90, 0.3)], 0.95),
            bootstrap_case("at a level of 0.8", [ndcg(40), hits(15, 0.5)], 0.8),
        ],
        "binomial_quantiles": [{"right": right, "queries": n, "low": float(binom.ppf(0.025, n, right / n) / n),
                                "high": float(binom.ppf(0.975, n, right / n) / n)} for right, n in zeros_and_ones],
        "sign_flip": [
            sign_flip_case("one dataset", [[0.5, -0.25, 1, 0, 0.75, 0.5, -0.125, 0.375]]),
            sign_flip_case("two datasets of different sizes", [[1, 1, 0, -1, 1], [0.5, 0.25, 0.625, -0.125, 0.25, 0.375, 0.5]]),
            sign_flip_case("hits", [[1, 1, 1, 0, 0, -1], [1, 1, 0, 1, 0]]),
        ],
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(data, indent=1) + "\n")


main()
