"""What a user does in one call: fit a scan, predict maps by a network, evaluate them, or see the whole library at work.

These are what the commands of the same names do, for scripts and notebooks. Each checks everything that can be refused
before anything is computed, writes its files all or none, and returns an :class:`Outcome`.
"""

from relaxnet.workflows._bids_app import fit_data_set
from relaxnet.workflows._demo import demo
from relaxnet.workflows._evaluate import evaluate_maps, evaluate_network
from relaxnet.workflows._fit_joint_scan import fit_joint_scan
from relaxnet.workflows._fit_scan import fit_scan
from relaxnet.workflows._outcome import Outcome
from relaxnet.workflows._predict_scan import NETWORK, predict_scan
from relaxnet.workflows._view import serve_maps

__all__ = [
    "NETWORK",
    "Outcome",
    "demo",
    "evaluate_maps",
    "evaluate_network",
    "fit_data_set",
    "fit_joint_scan",
    "fit_scan",
    "predict_scan",
    "serve_maps",
]
