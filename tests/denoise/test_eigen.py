"""Eigenvectors of many small matrices, against LAPACK."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from relaxnet.denoise._eigen import eigen, pairs, project

MATRICES = 200


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(1, 6),
    rank=st.integers(0, 6),
    scale=st.sampled_from([1e-12, 1.0, 1e12]),
    double=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_it_takes_matrices_apart_as_lapack_does(n, rank, scale, double, seed):
    dtype = torch.float64 if double else torch.float32
    parts = torch.randn(n, min(n, rank), MATRICES, generator=torch.Generator().manual_seed(seed), dtype=dtype) * scale
    matrices = torch.einsum("apm,bpm->abm", parts, parts)
    values, vectors = eigen(matrices)
    rounding = 20 * torch.finfo(dtype).eps
    size = matrices.diagonal().sum(-1).clamp(min=torch.finfo(dtype).tiny)
    expected = torch.linalg.eigvalsh(matrices.movedim(-1, 0)).T
    assert float(((values.sort(0).values - expected).abs() / size).max()) < rounding
    again = torch.einsum("akm,km,bkm->abm", vectors, values, vectors)
    assert float(((again - matrices).abs() / size).max()) < rounding
    products = torch.einsum("akm,alm->mkl", vectors, vectors)
    np.testing.assert_allclose(products, torch.eye(n, dtype=dtype).expand(MATRICES, n, n), atol=rounding)


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(1, 5),
    ratio=st.sampled_from([1.5, 10.0]),
    kept=st.integers(0, 5),
    scale=st.sampled_from([1e-12, 1.0, 1e12]),
    double=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_projections_are_those_on_the_largest_eigenvalues(n, ratio, kept, scale, double, seed):
    dtype, kept = torch.float64 if double else torch.float32, min(kept, n)
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.linalg.qr(torch.randn(MATRICES, n, n, generator=generator, dtype=torch.float64)).Q
    values = ratio ** -torch.arange(n + 1.0, dtype=torch.float64)
    matrices = scale * torch.einsum("mak,k,mbk->abm", vectors, values[:n], vectors)
    entries = torch.stack([matrices[pair] for pair in pairs(n)]).to(dtype)
    least = torch.full((MATRICES,), scale * ratio ** (0.5 - kept), dtype=dtype)
    expected = torch.einsum("mak,mbk->abm", vectors[..., :kept], vectors[..., :kept])
    gap = float(values[max(kept - 1, 0)] - values[kept]) if 0 < kept < n else 1.0
    rounding = 20 * torch.finfo(dtype).eps / gap
    found = project(entries, n, least)
    np.testing.assert_allclose(found, torch.stack([expected[pair] for pair in pairs(n)]), rtol=0, atol=rounding)


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_nothing_is_projected_on_nothing(rows):
    found = project(torch.zeros(len(pairs(rows)), 4), rows, torch.tensor([0.0, 1e-30, 1.0, torch.inf]))
    assert (found == 0).all()


@pytest.mark.parametrize("matrix", [[[2.0, 0.0], [0.0, 2.0]], [[0.0, 0.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]]])
def test_directions_that_are_alike_are_orthogonal(matrix):
    values, vectors = eigen(torch.tensor(matrix)[..., None])
    assert torch.isfinite(values).all()
    torch.testing.assert_close(vectors[..., 0].T @ vectors[..., 0], torch.eye(2))
