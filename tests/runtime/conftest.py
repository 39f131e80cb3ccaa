import pathlib
import sys

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from evaluator import Evaluator  # noqa: E402


@pytest.fixture(scope="session")
def evaluator():
    started = Evaluator()
    yield started
    started.close()


@pytest.fixture
def rows():
    """Makes training and test rows: numbers of several scales, some exact repeats, some missing."""

    def make(count, columns, classes, missing=0.15, seed=7):
        random = np.random.default_rng(seed)
        values = random.normal(size=(count, columns)) * 10.0 ** random.integers(-2, 3, size=columns)
        values[:, 0] = np.round(values[:, 0], 1)
        score = np.tanh(values / (np.abs(values).mean(axis=0) + 1e-9)) @ random.normal(size=columns) + random.normal(scale=0.3, size=count)
        if missing:
            values[random.random(values.shape) < missing] = np.nan
        if classes:
            edges = np.quantile(score, np.linspace(0, 1, classes + 1)[1:-1])
            return values, np.searchsorted(edges, score)
        return values, score

    return make
