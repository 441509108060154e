"""A shortcut for the straight line through the logarithms of voxels whose samples are all positive."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from relaxnet.fitting._core.moments import Moments, Workspace
from relaxnet.signals import ExponentialDecay

RESOLVED = 0.98  # of the second moment of the weights, the part that the square of the first may take


class LineShortcut(Moments):
    """Two weighted lines, the second with weights from the first, by moments of the logarithms."""

    def __init__(
        self,
        model: ExponentialDecay,
        time: Float[Tensor, " time"],
        weight: Float[Tensor, " time"],
        bounds: tuple[float, float],
    ) -> None:
        super().__init__(model, time, weight, bounds)
        self.centred = (self.exact[0] - self.centre).to(time)[:, None]
        self.twice_since_first = 2 * (self.exact[0] - self.exact[0].min()).to(time)[:, None]
        eps, latest = torch.finfo(time.dtype).eps, float(self.exact[0].max())
        self.rounding = 8 * eps / latest if latest > 0 else 0.0

    def __call__(
        self,
        samples: Float[Tensor, "time voxel"],
        noise: Float[Tensor, " #voxel"] | None,
        *,
        maps_only: bool,
        refine: bool,
    ) -> tuple[Float[Tensor, "row voxel"], Bool[Tensor, " voxel"]]:
        """Draw both lines, and judge them; certain are voxels of positive samples that decay within the bounds."""
        del refine
        w = self.workspace(samples.shape[1])
        certain = self._find(w, samples)
        return (w.values, certain) if maps_only else (w.table, certain & self.judge(w, noise))

    def _find(self, w: Workspace, samples: Float[Tensor, "time voxel"]) -> Bool[Tensor, " voxel"]:
        (m0, t), rate, slope, change = w.values, w.rate, w.step, w.scratch
        w0, w1, w2 = w.decay_moments
        l0, l1, _ = w.signal_moments
        w.rows.copy_(samples)
        least, most = samples.aminmax(dim=0)
        square = least * least
        # Of no square may the digits be lost.
        certain = (least > 0) & (square > self.least_square) & torch.isfinite(most * most)
        logs = torch.log(w.rows)
        height = logs[0].clone()  # of the line at the centre of the times
        logs.sub_(height)
        spread = logs.abs().amax(0)
        torch.mul(w.rows, w.rows, out=w.decay)
        slope.zero_()
        for of_fit in (False, True):
            if of_fit:
                # Of what the first line leaves, which is small, few digits are needed.
                logs.addcmul_(self.centred, change, value=-1).sub_(l0)
                torch.mul(self.twice_since_first, slope, out=w.decay).exp_()
                certain &= slope < 0  # the largest weight is that of the first time, then
            torch.mm(self.moments, w.decay, out=w.decay_moments)
            torch.mm(self.moments, torch.mul(w.decay, logs, out=w.product), out=w.signal_moments)
            middle = w1.div_(w0)
            certain &= middle * middle * w0 < RESOLVED * w2
            torch.div(l1.addcmul_(middle, l0, value=-1), w2.sub_(middle * middle * w0), out=change)
            l0.div_(w0).addcmul_(middle, change, value=-1)
            height.add_(l0)
            slope.add_(change)
        torch.add(height, slope, alpha=-self.centre, out=m0).exp_()
        torch.neg(slope, out=rate)
        certain &= rate > self.rounding * (1 + spread)
        certain &= (rate > self.slowest) & (rate < self.fastest)
        t.copy_(self.model.from_rate(rate))
        return certain
