import pytest
import torch

import relaxnet as rx


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_metrics_of_half_precision_neither_overflow_nor_lose_digits(dtype):
    """256 x 256 x 4 voxels, whose sum is beyond the largest number of float16."""
    reference = torch.full((4, 256, 256), 40.0, dtype=dtype)
    found, roi = reference + 1, torch.ones(4, 256, 256, dtype=torch.bool)
    assert rx.metrics.rmae(found, reference, roi) == 1.0
    assert rx.metrics.bias(found, reference, roi) == 1.0
    assert rx.metrics.error_sd(found, reference, roi) == 0.0
