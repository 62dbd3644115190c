"""One thread, fixed seeds and plain floats for every test, so that a failure repeats."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits


def pytest_configure(config: pytest.Config) -> None:
    torch.set_num_threads(1)
    threadpool_limits(1, user_api="blas")  # two workers with two threads each wait for one another


@pytest.fixture(autouse=True)
def fixed_seeds() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    torch.set_flush_denormal(False)  # a command that a test called in this process may have set it


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="no CUDA device here")
    for item in items:
        if "cuda" in item.keywords:
            item.add_marker(skip)
