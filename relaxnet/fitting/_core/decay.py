r"""A shortcut for exponential decays whose samples are all of use: most voxels of most images.

Everything that Newton's method needs of a voxel are moments of its samples, sums over the times of
:math:`w_k t_k^j S_k e^{-R t_k}`, and so a few products with small matrices do the work. What is found is certified to
be the global optimum; voxels without a certificate are left to the careful search.

The certificate is geometry. Scaled to length 1, the decays of all T form a curve on a sphere, and the best T is where
the curve comes nearest to the direction of the signal. Let the fit found be at an angle :math:`\theta` from the signal.
A better one would be nearer than that, so within :math:`2\theta` of the fit, and all of the curve between the two
within :math:`3\theta` of the signal. There the projection of the signal on the curve has a single peak if
:math:`\tan 3\theta < 1/\kappa`, where :math:`\kappa` is the curve's largest (geodesic) curvature: about 2 for most sets
of times. So a fit that explains enough of the signal cannot have a rival.
"""

import math
from functools import lru_cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from relaxnet.fitting._core.moments import Moments, Workspace
from relaxnet.signals import ExponentialDecay

CURVE_POINTS = 2000
END_ARC = 0.02  # radians at either end of the curve that count as its end, where T is hardly seen any more
SERIES = 7  # coefficients of the polynomial that starts the search within a few per cent of its end
STARTS = 16  # points of the curve that a search may start from: from between two of them, it takes two or three steps
LONG = 1.6  # a train of echoes is, if a typical signal decays by the exponential of that


class DecayShortcut(Moments):
    """Least squares for a decay at certain times, weights and bounds."""

    def __init__(
        self,
        model: ExponentialDecay,
        time: Float[Tensor, " time"],
        weight: Float[Tensor, " time"],
        bounds: tuple[float, float],
    ) -> None:
        super().__init__(model, time, weight, bounds)
        times, weights = self.exact
        curve = tuple(times.tolist()), tuple(weights.tolist()), (1 / self.fastest, 1 / self.slowest)
        mean_time, series, self.range = _mean_time_filter(curve[0])
        self.series = series.to(time).unbind()
        subspace, self.least_explained = certificate(*curve)
        # One product gives the samples in rows, the start of the search, and the part of the signal that can matter;
        # that is all of it where there are no more times than dimensions.
        self.all_matters = len(subspace) == self.n_times and bool((weights == 1).all())
        parts = (torch.eye(self.n_times, dtype=torch.float64), mean_time, subspace)
        self.filters = torch.cat(parts[:2] if self.all_matters else parts).to(time)
        self.n_rows = len(self.filters)
        directions, log_rates, gap = points_of_curve(*curve)
        self.directions = directions.to(time)
        self.nearest = torch.stack((log_rates, torch.ones_like(log_rates))).to(time)
        self.not_near = math.cos(2 * gap)
        typical = float(model.rate(torch.tensor(model.parameter.typical, dtype=torch.float64)))
        self.long = float(times.max() - times.min()) * typical > LONG
        self.small_step, self.n_steps = (7e-7, 3) if time.dtype == torch.float64 else (7e-4, 2)

    def __call__(
        self,
        samples: Float[Tensor, "time voxel"],
        noise: Float[Tensor, " #voxel"] | None,
        *,
        maps_only: bool,
        refine: bool,
    ) -> tuple[Float[Tensor, "row voxel"], Bool[Tensor, " voxel"]]:
        """Find amplitude and T of each voxel, and judge them; say which are certain.

        ``refine`` starts from points of the curve. So does the search of a long train of echoes, whose mean time is
        mostly noise from where the signal has long decayed.
        """
        w = self.workspace(samples.shape[1])
        torch.mm(self.filters, samples, out=w.filtered)
        if refine or self.long:
            self._start_on_curve(w)
        else:
            self._start(w.filtered[self.n_times], w.filtered[self.n_times + 1], w.rate, w.scratch)
        certain = self._find(w, self.n_steps + refine)
        return (w.values, certain) if maps_only else (w.table, certain & self.judge(w, noise))

    def _find(self, w: Workspace, n_steps: int) -> Bool[Tensor, " voxel"]:
        """Take Newton steps on the rate R, and certify what they arrive at.

        With the decay e, ``s0, s1, s2`` are sums of signal times decay, and ``d0, d1, d2`` of the squared decay, times
        the powers 0 to 2 of the centred time. The part of the signal that is explained is s0^2/d0.
        """
        (m0, t), rate, step, margin, scratch = w.values, w.rate, w.step, w.margin, w.scratch
        # The part of the samples that can tell one rate from another.
        essence = w.rows if self.all_matters else w.filtered[self.n_times + 2 :]
        s0, s1, s2 = w.signal_moments
        d0, d1, d2 = w.decay_moments
        for k in range(n_steps):
            if k:
                rate.add_(step).clamp_(self.slowest, self.fastest)
            torch.mul(self.minus_time, rate, out=w.decay).exp_()
            torch.mm(self.moments, torch.mul(w.rows, w.decay, out=w.product), out=w.signal_moments)
            torch.mm(self.moments, w.decay.square_(), out=w.decay_moments)
            # What is explained is greatest where s1 d0 = s0 d1; the step is that difference over its derivative by R.
            torch.mul(s1, d0, out=step).addcmul_(s0, d1, value=-1)
            torch.mul(s1, d1, out=scratch).addcmul_(s2, d0).addcmul_(s0, d2, value=-2)
            step.div_(scratch)
        # Steps square from one to the next, so behind a small one there is no error left. All parts of the margin are
        # positive where a voxel is certain; what is not a number never is.
        torch.mul(rate, self.small_step, out=margin).sub_(torch.abs(step, out=scratch))
        # The amplitude s0/d0 belongs to the rate before the last step: carry it over to the rate behind it, by its
        # derivative (centre s0 - s1 + 2 m0 d1)/d0.
        torch.div(s0, d0, out=m0)
        m0.add_(torch.mul(s0, self.centre, out=scratch).sub_(s1).addcmul_(m0, d1, value=2).mul_(step).div_(d0))
        rate.add_(step)
        # The certificate: s0 |s0| >= least_explained * |essence|^2 * d0, where no square underflows.
        torch.sum(torch.mul(essence, essence, out=w.product[: len(essence)]), 0, out=scratch)
        scratch.mul_(d0).mul_(-self.least_explained).sub_(self.least_square).addcmul_(s0, torch.abs(s0, out=step))
        torch.minimum(margin, scratch, out=margin)
        # Inside the bounds: (R - slowest)(fastest - R) > 0.
        torch.sub(rate, self.slowest, out=scratch).mul_(torch.sub(rate, self.fastest, out=step)).neg_()
        torch.minimum(margin, scratch, out=margin)
        t.copy_(self.model.from_rate(rate))
        certain: Tensor = margin > 0
        return certain

    def _start(self, first: Tensor, second: Tensor, rate: Tensor, scratch: Tensor) -> None:
        """Guess the rate from the mean time of the signal, which falls steadily as the rate grows."""
        mean_time = torch.div(first, second, out=scratch).clamp_(*self.range)
        rate.copy_(self.series[-1].expand_as(rate))
        for coefficient in reversed(self.series[:-1]):
            torch.addcmul(coefficient, rate, mean_time, out=rate)
        rate.exp_().clamp_(self.slowest, self.fastest)

    def _start_on_curve(self, w: Workspace) -> None:
        """Guess the rate from the points of the curve that are nearest to the signal: the mean of their log rates.

        It is a mean rather than a maximum, since that of many voxels is a product of matrices.
        """
        nearness = self.directions @ w.rows
        far = nearness.amax(0).mul_(self.not_near)
        log_rate, total = self.nearest @ nearness.sub_(far).clamp_(min=0).square_()
        torch.div(log_rate, total, out=w.rate).exp_().clamp_(self.slowest, self.fastest)


@lru_cache(maxsize=64)
def _mean_time_filter(
    times_ms: tuple[float, ...],
) -> tuple[Float[Tensor, "2 time"], Float[Tensor, " power"], tuple[float, float]]:
    """Make two filters whose ratio is a mean time, the polynomial from it to the log of the rate, and its range.

    The time is counted in spans, and late images weigh less: they hold little but noise where T is short.
    """
    time = torch.tensor(times_ms, dtype=torch.float64)
    span = float(time.max() - time.min())
    tapered = torch.exp(-2 * (time - time.min()) / span)
    filters = torch.stack((tapered * (time - time.min()) / span, tapered))
    rates = torch.logspace(math.log10(0.1 / span), math.log10(12 / span), 200, dtype=torch.float64)
    signal = torch.exp(-rates[:, None] * (time - time.min()))
    first, second = filters @ signal.T
    mean_time = first / second
    powers = torch.stack([mean_time**k for k in range(SERIES)], dim=1)
    series = torch.linalg.lstsq(powers, torch.log(rates)[:, None]).solution[:, 0]
    series = torch.round(series, decimals=6)  # its last digits are not the same twice, and would show in those of T
    return filters, series, (float(mean_time.min()), float(mean_time.max()))


def _curve(
    times_ms: tuple[float, ...], weights: tuple[float, ...], bounds: tuple[float, float]
) -> tuple[Float[Tensor, " point"], Float[Tensor, "point time"], Float[Tensor, " time"]]:
    """Trace the decays of all T between two bounds, of length 1: log T, the curve, and the roots of the weights."""
    time, weight = torch.tensor((times_ms, weights), dtype=torch.float64)
    x = torch.linspace(math.log(bounds[0]), math.log(bounds[1]), CURVE_POINTS, dtype=torch.float64)
    # Normalised to the first time, so that short T do not underflow.
    root = weight.sqrt() * torch.exp(-(time - time.min()) / torch.exp(x)[:, None])
    return x, root / root.norm(dim=1, keepdim=True), weight.sqrt()


@lru_cache(maxsize=64)
def points_of_curve(
    times_ms: tuple[float, ...], weights: tuple[float, ...], bounds: tuple[float, float]
) -> tuple[Float[Tensor, "point time"], Float[Tensor, " point"], float]:
    """Choose some points of the curve at equal distances: filters for them, the logs of their rates, the distance."""
    x, curve, root_weight = _curve(times_ms, weights, bounds)
    way = torch.cat((torch.zeros(1, dtype=torch.float64), curve.diff(dim=0).norm(dim=1).cumsum(0)))
    chosen = torch.searchsorted(way, torch.linspace(0, float(way[-1]), STARTS, dtype=torch.float64))
    chosen = chosen.clamp(max=len(x) - 1)
    return curve[chosen] * root_weight, -x[chosen], float(way[-1]) / (STARTS - 1)


@lru_cache(maxsize=64)
def certificate(
    times_ms: tuple[float, ...], weights: tuple[float, ...], bounds: tuple[float, float]
) -> tuple[Float[Tensor, "dimension time"], float]:
    """Find the subspace that the curve of all decays lies in, and how much of a signal in it a fit must explain.

    Noise outside of the subspace is alike for all T, so it cannot make one better than another.
    """
    x, curve, root_weight = _curve(times_ms, weights, bounds)
    _, strength, directions = torch.linalg.svd(curve, full_matrices=False)
    subspace = directions[strength > 1e-4 * strength[0]] * root_weight

    step = float(x[1] - x[0])
    middle = curve[1:-1]
    velocity = (curve[2:] - curve[:-2]) / (2 * step)
    speed = velocity.norm(dim=1)
    tangent = velocity / speed[:, None].clamp(min=1e-300)
    bend = (curve[2:] - 2 * middle + curve[:-2]) / step**2
    for direction in (middle, tangent):
        bend = bend - (bend * direction).sum(1, keepdim=True) * direction
    arc = torch.cumsum(speed * step, 0)
    inner = (arc > END_ARC) & (arc < arc[-1] - END_ARC)
    if not inner.any():  # all T look alike at these times
        return subspace, 1.0
    curvature = float((bend.norm(dim=1) / speed**2)[inner].max())
    angle = (math.atan(1 / curvature) - END_ARC) / 3
    # The curve must not come back to where it has been: its points draw apart steadily.
    apart = curve[::20] @ curve[::20].T
    steady = all((row[k:].diff() <= 1e-12).all() for k, row in enumerate(apart))
    return subspace, math.cos(angle) ** 2 if steady and angle > 0 else 1.0
