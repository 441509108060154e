"""Measure mrpro: the best of a dictionary of 1,000 decays, whose T are evenly spaced in log T between 1 and 500 ms."""

import sys
from unittest.mock import MagicMock

import numpy as np
import torch
from peer import measure

# Its phantoms need torchvision, whose builds only load beside their own build of torch. The dictionary does not.
sys.modules |= {
    name: MagicMock() for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")
}

from mrpro.operators import DictionaryMatchOp  # noqa: E402
from mrpro.operators.models import MonoExponentialDecay  # noqa: E402


def fit(signal: np.ndarray, times_ms: np.ndarray) -> np.ndarray:
    """Make the dictionary and match all voxels, as many at a time as is quickest."""
    model = MonoExponentialDecay(torch.from_numpy(times_ms).float())
    match = DictionaryMatchOp(model, index_of_scaling_parameter=0, batch_size=256)
    match.append(torch.tensor(1.0), torch.logspace(0, np.log10(500), 1000))
    return match(torch.from_numpy(signal).float().T)[1].numpy()


measure("mrpro", {"mrpro, dictionary": fit})
