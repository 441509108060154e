"""Eigenvectors of many small symmetric matrices, and projections on those of large eigenvalues."""

from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor

_LARGEST = 4  # rows: of larger matrices, those of LAPACK are the faster ones
_BEYOND = 1e-7  # of the spread of the eigenvalues, which are known to a few parts in 1e8 where two are alike
_SWEEPS = (0, 0, 1, 4, 5)  # by the number of rows: errors square from one to the next; double precision needs one more


def pairs(n: int) -> list[tuple[int, int]]:
    """List the entries of a symmetric matrix that are stored: those on and above its diagonal.

    Parameters
    ----------
    n
        Number of rows.

    Returns
    -------
    list of tuple
        Row and column of each.
    """
    return [(row, column) for row in range(n) for column in range(row, n)]


def project(
    entries: Float[Tensor, "pair *matrix"], n: int, least: Float[Tensor, "*matrix"]
) -> Float[Tensor, "pair *matrix"]:
    """Compute projections on the eigenvectors of the largest eigenvalues.

    Parameters
    ----------
    entries
        Symmetric matrices that are not negative: their :func:`pairs`.
    n
        Number of rows.
    least
        Eigenvalues that are larger are kept.

    Returns
    -------
    Tensor
        The pairs of the projections.
    """
    # Double precision makes up for the digits that the closed form loses; where it is slow or missing, Jacobi is not.
    if n == 3 and entries.dtype == torch.float32 and entries.device.type == "cpu":
        return _project_in_closed_form(entries, least)
    number = {pair: k for k, pair in enumerate(pairs(n))}
    matrices = [[entries[number[min(a, b), max(a, b)]] for b in range(n)] for a in range(n)]
    values, vectors = eigen(torch.stack([torch.stack(row) for row in matrices]))
    kept = vectors * (values > least)
    return torch.stack([(kept[a] * vectors[b]).sum(0) for a, b in pairs(n)])


def _project_in_closed_form(
    entries: Float[Tensor, "pair *matrix"], least: Float[Tensor, "*matrix"]
) -> Float[Tensor, "pair *matrix"]:
    r"""Compute the projections of matrices of three rows.

    With c the cosine of a third of the angle whose cosine is half of :math:`\det((A - qI)/p)`, the eigenvalues are
    :math:`q + 2pc` and :math:`q - p(c \pm \sqrt{3 - 3c^2})`. The projection on the vector of a single one is the
    adjugate of :math:`A - \lambda I`, divided by its trace; that on two is what the third one leaves.
    """
    # So that no product is too large or too small.
    scale = (entries[0] + entries[3]).add_(entries[5]).clamp_(min=torch.finfo(entries.dtype).tiny)
    entries, least = entries / scale, least / scale
    xx, xy, xz, yy, yz, zz = entries.double()
    q = (xx + yy + zz).div_(3)
    x, y, z = xx - q, yy - q, zz - q
    squares = x.square().addcmul_(y, y).addcmul_(z, z)
    squares.add_(xy.square().addcmul_(xz, xz).addcmul_(yz, yz), alpha=2)
    p, tiny = squares.div_(6).sqrt_(), torch.finfo(squares.dtype).tiny
    determinant = (y * z).addcmul_(yz, yz, value=-1).mul_(x)
    determinant.addcmul_(xy, (xz * yz).addcmul_(xy, z, value=-1))
    determinant.addcmul_(xz, (xy * yz).addcmul_(xz, y, value=-1))
    cosine = determinant.div_(p.pow(3).clamp_(min=tiny)).div_(2).clamp_(-1, 1).acos_().div_(3).cos_()
    first, rest = cosine * p, (3 * cosine.square_().neg_().add_(1)).sqrt_().mul_(p)
    third = (first + rest).neg_()
    second, first = rest.sub_(first), first.mul_(2)
    excess = least - q
    one, two, three = (value > excess for value in (first, second, third))
    # Of one that is kept, the first vector counts; of two, the third one does not. A little beyond the eigenvalue,
    # those that are hardly apart from it have positive shares of the trace, too, whatever the rounding.
    single = torch.where(two, third.sub_(p, alpha=_BEYOND), first.add_(p, alpha=_BEYOND))
    one, two, three = (kept.to(q) for kept in (one, two, three))
    x, y, z = x - single, y - single, z - single
    minors = [
        (y * z).addcmul_(yz, yz, value=-1),
        (xz * yz).addcmul_(xy, z, value=-1),
        (xy * yz).addcmul_(xz, y, value=-1),
        (x * z).addcmul_(xz, xz, value=-1),
        (xy * xz).addcmul_(yz, x, value=-1),
        (x * y).addcmul_(xy, xy, value=-1),
    ]
    part = one.add_(three).sub_(two, alpha=2).div_((minors[0] + minors[3]).add_(minors[5]).clamp_(min=tiny))
    for minor in minors:
        minor.mul_(part)
    for k in (0, 3, 5):
        minors[k].add_(two)
    return torch.stack([minor.to(entries.dtype) for minor in minors])


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
    one, zero, tiny = torch.ones_like(scale), torch.zeros_like(scale), torch.finfo(matrices.dtype).tiny
    v = [[one if r == k else zero for k in range(n)] for r in range(n)]
    for _ in range(_SWEEPS[n] + (matrices.dtype == torch.float64)):
        for p, q in combinations(range(n), 2):
            d, twice = a[q, q] - a[p, p], 2 * a[p, q]
            size = d.square().addcmul_(twice, twice).sqrt_().add_(d.abs()).clamp_(min=tiny)
            t = twice.div_(size.copysign_(d))
            cosine = t.square().add_(1).rsqrt_()
            sine = t * cosine
            shift = t.mul_(a[p, q])
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
