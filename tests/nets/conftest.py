import pytest
import torch

import relaxnet as rx


@pytest.fixture(scope="session")
def make_net():
    """Make a small network for the liver protocol, always with the same weights."""

    def make(inputs="short", protocol=rx.protocols.LIVER_T1RHO_T2, **options):
        torch.manual_seed(0)
        return rx.nets.RelaxationNet(protocol, inputs, **{"base": 4, "depth": 2, **options}).eval()

    return make
