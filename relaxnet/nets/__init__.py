"""Networks that turn a few weighted images into relaxation-time maps.

:class:`UNet` is the backbone. :class:`RelaxationNet` puts physics around it: it divides each subject's images by one
number, so that maps do not depend on the receiver gain, and bounds the relaxation times it can answer with, so that no
map value is ever zero, negative or infinite.
"""

from relaxnet.nets._relaxation_net import RelaxationNet, RelaxationOutput
from relaxnet.nets._unet import UNet

__all__ = ["RelaxationNet", "RelaxationOutput", "UNet"]
