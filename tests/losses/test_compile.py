"""A network with every loss and every weighting compiles as a whole, and has the gradients of the one that does not."""

import subprocess
import sys

CODE = """
import sys
import torch
import relaxnet as rx
from relaxnet.losses import WEIGHTINGS
from relaxnet.training import LOSSES

protocol = rx.protocols.LIVER_T1RHO_T2
images = torch.rand(2, 7, 8, 8, generator=torch.Generator().manual_seed(0)) + 0.5
labels, mask = torch.full((2, 2, 8, 8), 40.0), torch.ones(2, 8, 8, dtype=torch.bool)
mask[0, :3] = False
scale, sigma = torch.full((2, 1, 1, 1), 2.0), torch.full((2,), 0.05)
outcomes = []
for compiled in (False, True):
    torch.manual_seed(0)
    net = rx.nets.RelaxationNet(protocol, "short", base=2, depth=1, uncertainty="heteroscedastic")
    weightings = [choice.load().for_tasks(2, **choice.options) for choice in WEIGHTINGS.values()]
    pairs = [(loss, weightings[0]) for loss in LOSSES.values()]
    pairs += [(LOSSES["orthogonal"], weighting) for weighting in weightings[1:]]
    parts = [(loss.comparison(net, weighting), weighting) for loss, weighting in pairs]

    def losses():
        out = net(images[:, net.input_channels])
        found = []
        for compare, weighting in parts:
            scales = [out.log_scale] if weighting.needs == "scales" else []
            found.append(weighting(compare(out, images, scale, sigma, labels=labels), *scales, mask=mask))
        return torch.stack(found)

    step = torch.compile(losses, fullgraph=True, backend=sys.argv[1]) if compiled else losses
    values = step()
    values.sum().backward()
    of_all = [net, *weightings]
    slopes = [p.grad for part in of_all for p in part.parameters() if p.grad is not None]
    outcomes.append((values.detach(), slopes, [w.weights for w in weightings], [w.state_dict() for w in weightings]))
    assert all((weighting.count is None) == compiled for weighting in weightings)
torch.testing.assert_close(*outcomes, rtol=1e-3, atol=1e-4, equal_nan=True)
"""


def test_every_loss_and_every_weighting_compiles_without_a_break():
    """In a process of its own: the compiler cannot follow the shape checks of the tests."""
    subprocess.run([sys.executable, "-c", CODE, "eager"], timeout=600, check=True)
