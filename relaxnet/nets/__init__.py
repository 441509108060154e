"""Networks that turn a few weighted images into relaxation-time maps.

:class:`UNet` is the backbone; :func:`as_backbone` puts a network made elsewhere into its place. :class:`RelaxationNet`
puts physics around it: it divides each subject's images by one number, so that maps do not depend on the receiver gain,
and bounds the relaxation times it can answer with, so that no map value is ever zero, negative or infinite. It can also
answer with the amplitude at time zero, and with how sure it is; and one network can take any subset of a protocol's
images, which :func:`seen_mask` names.
"""

from relaxnet.nets._backbone import as_backbone
from relaxnet.nets._relaxation_net import RelaxationNet, RelaxationOutput
from relaxnet.nets._seen import seen_mask
from relaxnet.nets._unet import UNet

__all__ = ["RelaxationNet", "RelaxationOutput", "UNet", "as_backbone", "seen_mask"]
