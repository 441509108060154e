"""Which T a residual prefers for a homogeneous region, by noise: the reason why there is more than the paper's.

T1rho 45 ms at 0, 10, 30 and 50 ms; T2 34 ms at 0, 18.2, 34.6 and 51 ms, as in the documentation.
"""

import pytest
import scipy.optimize
import torch

import relaxnet as rx

PROTOCOL = rx.protocols.LIVER_T1RHO_T2
TRUTH = (45.0, 34.0)
RESIDUALS = {
    "all": rx.losses.PairwiseConstraint(PROTOCOL, pairs="all"),
    "forward": rx.losses.PairwiseConstraint(PROTOCOL, pairs="forward"),
    "orthogonal": rx.losses.PairwiseConstraint(PROTOCOL, pairs="orthogonal"),
    "reconstruction": rx.losses.Reconstruction(PROTOCOL),
}
N_VOXELS = 100_000
EXPECTED = {
    ("gaussian", 10, False): {
        "all": (47.2, 36.7), "forward": (44.1, 33.3), "orthogonal": (45.0, 34.0), "reconstruction": (45.0, 33.8),
    },
    ("gaussian", 5, False): {
        "all": (54.0, 44.0), "forward": (41.6, 31.5), "orthogonal": (45.0, 34.0), "reconstruction": (44.8, 33.5),
    },
    ("rician", 10, False): {
        "all": (48.8, 38.1), "forward": (45.5, 35.0), "orthogonal": (46.6, 35.7), "reconstruction": (46.3, 35.2),
    },
    ("rician", 10, True): {
        "all": (47.5, 37.1), "forward": (44.1, 33.3), "orthogonal": (45.0, 34.0), "reconstruction": (45.0, 33.8),
    },
}  # fmt: skip


@pytest.mark.parametrize("case", EXPECTED, ids=lambda case: f"{case[0]}-{case[1]}{'-corrected' * case[2]}")
def test_preferred_relaxation_times(case, generator):
    noise, snr, corrected = case
    m0 = torch.ones(1, N_VOXELS)
    maps = torch.tensor(TRUTH).reshape(1, 2, 1).expand(1, 2, N_VOXELS)
    late = [rx.signals.MonoExponential()(m0, maps[:, k], c.times_ms[1:]) for k, c in enumerate(PROTOCOL.contrasts)]
    clean = torch.cat([m0.unsqueeze(1), *late], dim=1)
    images = rx.signals.add_noise(clean, 1 / snr, kind=noise, generator=generator)
    if corrected:
        images = rx.signals.remove_rician_bias(images, 1 / snr)
    for name, residual in RESIDUALS.items():
        for k, expected in enumerate(EXPECTED[case][name]):

            def cost(value, k=k, residual=residual):
                guess = maps.clone()
                guess[:, k] = value
                return float(residual(guess, images)[:, k].double().mean())

            best = scipy.optimize.minimize_scalar(cost, bounds=(25, 65), method="bounded", options={"xatol": 0.02}).x
            assert best == pytest.approx(expected, abs=0.5), name
