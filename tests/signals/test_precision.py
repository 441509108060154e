import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from relaxnet.signals._precision import in_double


def test_a_device_without_double_precision_leaves_it_to_the_processor():
    assert in_double(torch.ones(2)).dtype == torch.float64
    with FakeTensorMode():
        on_apple = torch.ones(2, device="mps")
        assert in_double(on_apple).device.type == "cpu"
        assert in_double(torch.ones(2, device="cuda")).device.type == "cuda"
