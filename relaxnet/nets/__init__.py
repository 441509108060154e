"""Networks that turn a few weighted images into relaxation-time maps.

:class:`UNet` is the backbone; :func:`as_backbone` puts a network made elsewhere into its place. :class:`RelaxationNet`
puts physics around it: it divides each subject's images by one number, so that maps do not depend on the receiver gain,
starts from fits of the smoothed input images, and bounds the relaxation times that it can output, so that no map value
is ever zero, negative or infinite. It can also output the amplitude at time zero, and an uncertainty; and one network
can take any subset of a protocol's images, which :func:`input_mask` names.
"""

from relaxnet.nets._backbone import as_backbone
from relaxnet.nets._input_mask import input_mask
from relaxnet.nets._relaxation_net import RelaxationNet, RelaxationOutput
from relaxnet.nets._unet import UNet

__all__ = ["RelaxationNet", "RelaxationOutput", "UNet", "as_backbone", "input_mask"]
