"""What a user does in one call: fit a scan, predict maps by a network, evaluate them, or see the whole library at work.

These are what the commands of the same names do, for scripts and notebooks. Each checks everything that can be refused
before anything is computed, writes its files all or none, and returns an :class:`Outcome`. What it needs is
loaded when it is first used.
"""

from typing import TYPE_CHECKING

from relaxnet._lazy import lazily

if TYPE_CHECKING:
    from relaxnet.workflows._bids_app import fit_data_set as fit_data_set
    from relaxnet.workflows._demo import demo as demo
    from relaxnet.workflows._evaluate import evaluate_maps as evaluate_maps
    from relaxnet.workflows._evaluate import evaluate_network as evaluate_network
    from relaxnet.workflows._fit_joint_scan import fit_joint_scan as fit_joint_scan
    from relaxnet.workflows._fit_scan import fit_scan as fit_scan
    from relaxnet.workflows._outcome import Outcome as Outcome
    from relaxnet.workflows._predict_scan import predict_scan as predict_scan
    from relaxnet.workflows._view import serve_maps as serve_maps

__getattr__, __dir__, __all__ = lazily(__name__)
