"""What shortcuts for exponential decays share: moments of the samples over the times, and memory to compute them in."""

import math
import threading

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from relaxnet.signals import ExponentialDecay


class Moments:
    """Prepared for a decay at certain times, weights and bounds.

    Each thread has a workspace that its blocks are computed in: new memory for each intermediate result would cost more
    than the arithmetic. What is returned lies in there, too, and holds until the thread's next block.

    Parameters
    ----------
    model
        The decay. It is exponential in its coordinate, which takes the place of the time here.
    time
        Times of the images.
    weight
        Relative weight of each time.
    bounds
        Smallest and largest T.
    """

    def __init__(
        self,
        model: ExponentialDecay,
        time: Float[Tensor, " time"],
        weight: Float[Tensor, " time"],
        bounds: tuple[float, float],
    ) -> None:
        self.model = model
        self.n_times = self.n_rows = len(time)
        times, weights = self.exact = model.coordinate(time.cpu().double()), weight.cpu().double()
        self.slowest, self.fastest = sorted(model.rate(torch.tensor(bounds, dtype=torch.float64)).tolist())
        # Moments about the middle of the times cancel less than those about 0 where the decay is slow.
        self.centre = float((weights * times).sum() / weights.sum())
        centred = times - self.centre
        self.moments = (weights * torch.stack((torch.ones_like(centred), centred, centred**2))).to(time)
        self.minus_time = -times.to(time)[:, None]
        limits = torch.finfo(time.dtype)
        self.least_square = limits.tiny / limits.eps**2  # of smaller squares, digits are lost
        # Weighted sum, sum and weighted mean over the times.
        self.sums = torch.stack((weights, torch.ones_like(weights), weights / weights.sum())).to(time)
        self._of_thread = threading.local()

    def workspace(self, n: int) -> "Workspace":
        """Return the memory of this thread for blocks of some voxels."""
        space: Workspace | None = getattr(self._of_thread, "space", None)
        if space is None or space.rate.shape[0] != n:
            space = self._of_thread.space = Workspace(self.moments, self.n_rows, n)
        return space

    def judge(self, w: "Workspace", noise: Float[Tensor, " #voxel"] | None) -> Bool[Tensor, " voxel"]:
        """Fill in the rows of ``quality`` for what was found last; return where this precision sufficed for them."""
        (m0, t), variance, scratch, t_by_rate = w.values, w.step, w.margin, w.scratch
        d0, d1, d2 = w.decay_moments
        m0_std, t_std, covariance, rmse, r2 = w.quality
        torch.mul(self.minus_time, w.rate, out=w.decay).exp_()
        torch.mul(w.decay, m0, out=w.product)
        torch.sub(w.rows, w.product, out=w.product).square_()
        torch.mm(self.sums, w.product, out=w.signal_moments)
        residual, unweighted = w.signal_moments[0], w.signal_moments[1]
        torch.mul(unweighted, 1 / self.n_times, out=rmse).sqrt_()
        if noise is not None:
            variance.copy_(noise.square().expand_as(variance))
        else:
            freedom = self.n_times - 2
            torch.mul(residual, 1 / freedom if freedom else math.nan, out=variance)
        torch.mm(self.moments, w.decay.square_(), out=w.decay_moments)
        # With the mean time mu under the squared decay: var R = s^2 / (m0^2 sum (t - mu)^2), and so on from there.
        torch.mul(d1, d1, out=scratch).div_(d0)
        resolved: Tensor = scratch < 0.999 * d2
        spread = torch.sub(d2, scratch, out=scratch).mul_(m0).mul_(m0)
        torch.div(variance, spread, out=t_std)  # variance of the rate, for the moment
        mean = torch.div(d1, d0, out=d1).add_(self.centre).mul_(m0)
        torch.mul(t_std, mean, out=covariance)
        torch.div(variance, d0, out=m0_std).addcmul_(covariance, mean).sqrt_()
        # From R to T = R^(-1/p): dT/dR = -T/(p R).
        torch.div(t, w.rate, out=t_by_rate).div_(-self.model.power)
        covariance.mul_(t_by_rate)
        t_std.sqrt_().mul_(t_by_rate.abs_())
        residual = torch.add(residual, 0, out=variance)  # its row is needed for the next sums
        torch.mm(self.sums, w.rows, out=w.signal_moments)
        torch.mm(self.sums, torch.sub(w.rows, w.signal_moments[2], out=w.product).square_(), out=w.signal_moments)
        torch.div(residual, w.signal_moments[0], out=r2).neg_().add_(1)
        return resolved


class Workspace:
    """Memory for one block."""

    def __init__(self, like: Float[Tensor, "moment time"], n_rows: int, n: int) -> None:
        def rows(count: int) -> Tensor:
            return torch.empty(count, n, dtype=like.dtype, device=like.device)

        n_times = like.shape[1]
        self.filtered = rows(n_rows)
        self.rows = self.filtered[:n_times]
        """The samples."""
        self.decay, self.product = rows(n_times), rows(n_times)
        self.signal_moments, self.decay_moments = rows(3), rows(3)
        self.rate, self.step, self.margin, self.scratch = rows(4).unbind()
        self.table = rows(7)
        self.values, self.quality = self.table[:2], self.table[2:]
