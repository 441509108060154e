"""Training without labels, and trained networks.

:func:`train` takes a cohort and returns a :class:`Trained` network, ready to map new images, to be saved, and to be
loaded again with :func:`load`. A :class:`Loss` (:data:`LOSSES`) is what its maps are compared with, a :class:`Preset`
(:data:`PRESETS`) the size of the network and the length of the training.

An :class:`Ensemble` of such networks maps better than each of them. A :class:`Spread` holds what their standard
deviations in ms follow from.

Lightning runs the training and is imported by :func:`train` alone (extra ``train``).
"""

from typing import TYPE_CHECKING

from relaxnet._lazy import lazily

if TYPE_CHECKING:
    from relaxnet.training._ensemble import Ensemble as Ensemble
    from relaxnet.training._loss import LOSSES as LOSSES
    from relaxnet.training._loss import Loss as Loss
    from relaxnet.training._presets import PRESETS as PRESETS
    from relaxnet.training._presets import Preset as Preset
    from relaxnet.training._spread import Spread as Spread
    from relaxnet.training._train import train as train
    from relaxnet.training._trained import Trained as Trained
    from relaxnet.training._trained import load as load

__getattr__, __dir__, __all__ = lazily(__name__)
