"""Networks that predict relaxation-time maps from a few weighted images.

:class:`UNet` is the backbone; :func:`as_backbone` wraps another network to be used instead. :class:`RelaxationNet` adds
the physics: it divides the images of each subject by one number, so that maps do not depend on the receiver gain;
starts from fits of the smoothed input images; and bounds the relaxation times, so that no map value is zero, negative
or infinite. It can also predict the amplitude at time zero and an uncertainty. One network can serve any subset of the
images of a protocol, which :func:`input_mask` selects.
"""

from relaxnet.nets._backbone import as_backbone
from relaxnet.nets._input_mask import input_mask
from relaxnet.nets._relaxation_net import RelaxationNet, RelaxationOutput
from relaxnet.nets._unet import UNet

__all__ = ["RelaxationNet", "RelaxationOutput", "UNet", "as_backbone", "input_mask"]
