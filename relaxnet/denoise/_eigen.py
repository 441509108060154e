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

    Let :math:`B = A - q` be a matrix less its mean eigenvalue, :math:`-3p^2` the trace of its adjugate, and e what is
    to be exceeded, less q. The sign of :math:`\det(e - B)` and the place of e beside -p and p tell how many eigenvalues
    do. The largest and the smallest one of B are :math:`\mu = \pm 2p \cos(\arccos(\pm \det B / 2p^3) / 3)`. The
    projection on the vector of either is :math:`\mathrm{adj} B + \mu B + \mu^2`, divided by its trace; that on two is
    what the third one leaves.
    """
    xx, xy, xz, yy, yz, zz = entries.double()
    q = (xx + yy).add_(zz).div_(3)
    x, y, z, excess = xx.sub_(q), yy.sub_(q), zz.sub_(q), least.double().sub_(q)
    parts = [
        (y * z).addcmul_(yz, yz, value=-1),
        (xz * yz).addcmul_(xy, z, value=-1),
        (xy * yz).addcmul_(xz, y, value=-1),
        (x * z).addcmul_(xz, xz, value=-1),
        (xy * xz).addcmul_(yz, x, value=-1),
        (x * y).addcmul_(xy, xy, value=-1),
    ]
    tiny = torch.finfo(q.dtype).tiny
    square = (parts[0] + parts[3]).add_(parts[5]).div_(-3).clamp_(min=0)
    p, determinant = square.sqrt(), (x * parts[0]).addcmul_(xy, parts[1]).addcmul_(xz, parts[2])
    # Where one is kept, or none, the largest counts; where two or three are, the smallest.
    beyond = excess.square().sub_(square, alpha=3).mul_(excess).sub_(determinant)
    sign = torch.where(beyond < 0, 1.0, -1.0).to(q)
    share = (excess.mul_(sign) > -p) * sign
    all_of_them = (sign + 1).div_(2).sub_(share)
    cosine = determinant.mul_(sign).div_(square.mul_(p).mul_(2).clamp_(min=tiny)).clamp_(-1, 1).acos_().div_(3).cos_()
    # A little beyond the eigenvalue, those that are hardly apart from it have positive shares of the trace, too,
    # whatever the rounding.
    single = cosine.mul_(2).add_(_BEYOND).mul_(p).mul_(sign)
    for part, entry in zip(parts, (x.add_(single), xy, xz, y.add_(single), yz, z.add_(single)), strict=True):
        part.addcmul_(single, entry)
    share.div_((parts[0] + parts[3]).add_(parts[5]).clamp_(min=tiny))
    found = torch.empty_like(entries)
    for k, part in enumerate(parts):
        found[k] = part.mul_(share).add_(all_of_them) if k in (0, 3, 5) else part.mul_(share)
    return found


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
