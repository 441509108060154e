"""Where a workflow computes."""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from relaxnet._device import known_device
from relaxnet.training import Trained


def device_of(name: str) -> torch.device:
    """Return the device of a name: ``"auto"`` is the first GPU of CUDA if there is one, or else the processor.

    Raises
    ------
    ValueError
        If torch knows no such device, or does not see it here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return known_device(name)


def on_device(data: NDArray[Any], device: torch.device) -> Any:
    """Bring images to a device; the processor takes them as they are."""
    if device.type == "cpu":
        return data
    moved: Tensor = torch.from_numpy(data).to(device)
    return moved


def predict_on(device: torch.device, trained: Trained, images: Tensor, **options: Any) -> dict[str, Tensor]:
    """Predict maps on a device, and bring them back."""
    trained.net.to(device)
    return {name: values.cpu() for name, values in trained.predict(images.to(device), **options).items()}
