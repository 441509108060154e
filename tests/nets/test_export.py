"""Networks with initial estimates are compiled and exported whole, and go on as before."""

import subprocess
import sys

CODE = """
import torch
import relaxnet as rx


class Maps(torch.nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, *given):
        return self.net(*given).maps_ms


protocol = rx.protocols.LIVER_T1RHO_T2
for inputs in ("middle", "any"):
    net = rx.nets.RelaxationNet(protocol, inputs, base=2, depth=1, initial_estimates=(0.0, 1.5, "low-rank")).eval()
    images = rx.phantom.liver_cohort(1, 2, shape=(32, 34), snr=20)[0].images[:, net.input_channels]
    images[0, 1, 5, 6] = float("nan")
    given = (images, rx.nets.input_mask(protocol, ["long", (0, 3, 6)], 2)) if inputs == "any" else (images,)
    maps = Maps(net)(*given)
    exported = torch.export.export(Maps(net), given).module()
    compiled = torch.compile(Maps(net), fullgraph=True, backend="eager")
    for graph in (exported, compiled):
        torch.testing.assert_close(graph(*given), maps, rtol=1e-4, atol=1e-4, equal_nan=True)
    torch.testing.assert_close(Maps(net)(*given), maps, equal_nan=True)
"""


def test_a_network_with_initial_estimates_is_a_graph():
    """In a process of its own: the compiler cannot follow the shape checks of the tests."""
    subprocess.run([sys.executable, "-c", CODE], timeout=600, check=True)
