"""Eigenvectors of many small symmetric matrices."""

from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor

_LARGEST = 4  # rows: of larger matrices, those of LAPACK are the faster ones
_SWEEPS = (0, 0, 1, 4, 5)  # by the number of rows: errors square from one to the next; double precision needs one more


def eigen(
    matrices: Float[Tensor, "row row *matrix"],
) -> tuple[Float[Tensor, "k *matrix"], Float[Tensor, "row k *matrix"]]:
    r"""Find eigenvalues and eigenvectors, in any order.

    Matrices of up to four rows are rotated by the cyclic method of Jacobi, all of them at a time, which is several
    times faster than one after another: for each pair of rows p < q, with :math:`d = a_{qq} - a_{pp}`, by the angle
    whose tangent is

    .. math:: t = \frac{2 a_{pq}}{d + \mathrm{sign}(d) \sqrt{d^2 + 4 a_{pq}^2}} .

    Parameters
    ----------
    matrices
        Symmetric matrices.

    Returns
    -------
    tuple of Tensor
        The eigenvalues and, in the second axis, their eigenvectors of length 1.

    References
    ----------
    Golub and Van Loan, *Matrix Computations*, 4th edition, section 8.5 (2013).
    """
    n = len(matrices)
    if n > _LARGEST:
        values, vectors = torch.linalg.eigh(matrices.movedim((0, 1), (-2, -1)))
        return values.movedim(-1, 0), vectors.movedim((-2, -1), (0, 1))
    # So that no square of theirs is too large or too small.
    scale = matrices.diagonal().sum(-1).clamp(min=torch.finfo(matrices.dtype).tiny)
    a = {(p, q): matrices[p, q] / scale for p in range(n) for q in range(p, n)}
    one, zero = torch.ones_like(scale), torch.zeros_like(scale)
    v = [[one if r == k else zero for k in range(n)] for r in range(n)]
    for _ in range(_SWEEPS[n] + (matrices.dtype == torch.float64)):
        for p, q in combinations(range(n), 2):
            d, twice = a[q, q] - a[p, p], 2 * a[p, q]
            size = torch.sqrt(d.square().addcmul_(twice, twice)).add_(d.abs())
            t = torch.where(size > 0, torch.where(d < 0, -twice, twice) / size, 0)
            cosine = torch.rsqrt(t.square().add_(1))
            sine = t * cosine
            shift = t * a[p, q]
            a[p, p], a[q, q], a[p, q] = a[p, p] - shift, a[q, q] + shift, zero
            for r in range(n):
                if r not in (p, q):
                    rp, rq = (min(r, p), max(r, p)), (min(r, q), max(r, q))
                    a[rp], a[rq] = _turn(a[rp], a[rq], cosine, sine)
                v[r][p], v[r][q] = _turn(v[r][p], v[r][q], cosine, sine)
    values = torch.stack([a[k, k] * scale for k in range(n)])
    return values, torch.stack([torch.stack(row) for row in v])


def _turn(x: Tensor, y: Tensor, cosine: Tensor, sine: Tensor) -> tuple[Tensor, Tensor]:
    return (cosine * x).addcmul_(sine, y, value=-1), (cosine * y).addcmul_(sine, x)
