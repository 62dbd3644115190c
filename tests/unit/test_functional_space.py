"""Mathematics of maps, and the projectors between maps of other sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.fft import dctn, idctn

from alambic.functional.space import amplitude, flow_matrix, haar, hierarchical_mse, low_frequencies, without_mean
from alambic.models.feature import StageSpec
from alambic.models.projector import HintRegressor, meet, share_heads


@pytest.mark.parametrize("sizes", [(28, 7), (14, 7), (7, 7), (7, 14), (4, 7), (5, 9)])
def test_hint_regressor_reaches_the_teachers_size(sizes: tuple[int, int]) -> None:
    low, high = StageSpec("map", 3, (sizes[0],) * 2), StageSpec("map", 6, (sizes[1],) * 2)
    assert HintRegressor(low, high, relu=True)(torch.randn(2, 3, sizes[0], sizes[0])).shape == (2, 6, *high.size)


def test_meet_pools_each_axis_to_the_smaller() -> None:
    a, b = meet(torch.randn(2, 3, 8, 2), torch.randn(2, 5, 4, 6))
    assert a.shape == (2, 3, 4, 2)
    assert b.shape == (2, 5, 4, 2)


def test_heads_divide_the_channels() -> None:
    assert [share_heads(c, 16) for c in (768, 24, 7, 30)] == [16, 12, 7, 15]


def test_haar_is_orthonormal() -> None:
    x = torch.randn(2, 3, 6, 8, dtype=torch.float64)
    bands = haar(x)
    torch.testing.assert_close(sum(band.square().sum() for band in bands), x.square().sum())
    ramp = torch.arange(4.0).expand(1, 1, 4, 4)  # grows along columns only
    _, across, down, both = haar(ramp)
    assert across.abs().sum() > 0
    assert down.abs().sum() == 0
    assert both.abs().sum() == 0
    assert [band.shape[2:] for band in haar(torch.randn(1, 1, 3, 5))] == [(2, 3)] * 4


def test_amplitude_keeps_energy_and_has_a_gradient_at_zero() -> None:
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(amplitude(x).square().sum(), x.square().sum())
    zero = torch.zeros(1, 1, 4, 4, requires_grad=True)
    amplitude(zero).sum().backward()
    assert zero.grad is not None
    assert zero.grad.isfinite().all()
    flat = amplitude(torch.ones(1, 1, 6, 5))
    assert flat[0, 0, 3, 2] == flat.max(), "the zero frequency lies in the centre"
    assert low_frequencies(flat, 1).item() == flat.max()


def test_without_mean_equals_a_dct_without_its_first_coefficient() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 7))
    coefficients = dctn(x, axes=(2, 3))
    coefficients[:, :, 0, 0] = 0
    np.testing.assert_allclose(without_mean(torch.from_numpy(x)).numpy(), idctn(coefficients, axes=(2, 3)), atol=1e-12)


def test_hierarchy_leaves_out_sizes_that_are_not_smaller() -> None:
    a, b = torch.randn(2, 3, 2, 2), torch.randn(2, 3, 2, 2)
    difference = a - b
    expected = (difference.square().mean((1, 2, 3)) + 0.5 * difference.mean((2, 3)).square().mean(1)) / 1.5
    torch.testing.assert_close(hierarchical_mse(a, b), expected)


def test_flow_matrix_does_not_depend_on_size() -> None:
    ones = flow_matrix(torch.ones(1, 2, 9, 9), torch.ones(1, 3, 4, 4))
    torch.testing.assert_close(ones, torch.ones(1, 2, 3))
