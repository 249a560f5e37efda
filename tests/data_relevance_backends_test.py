"""The same scores on JAX, in a process of its own."""

import json

import numpy as np
import pytest
from other_backend import run_on
from relevance_steps import scores


def test_scores_equal_those_on_jax(tmp_path):
    pytest.importorskip("sklearn")
    run_on("jax", "relevance_steps.py", tmp_path / "scores.json")
    found = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert found.pop("backend") == "jax"
    expected = scores()
    assert set(found) == set(expected)
    for method, values in expected.items():
        np.testing.assert_allclose(found[method], values, atol=1e-4, err_msg=method)
    assert np.ptp(expected["clusters"]) > 0.05
