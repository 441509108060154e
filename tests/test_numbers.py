"""Arguments that are numbers: seeds have the same range everywhere, and what is no number is refused by name."""

import pytest
import torch

import relaxnet as rx

COHORT = rx.phantom.liver_cohort(2, 1, (32, 32), seed=2**64 - 1)
DECAY = rx.signals.MonoExponential()
TAKERS = {
    "cohort": lambda seed: rx.phantom.liver_cohort(2, 1, (32, 32), seed=seed),
    "corruptions": lambda seed: rx.phantom.corrupted(COHORT[0], [], seed=seed),
    "train": lambda seed: rx.training.train(COHORT, seed=seed, progress=False),
    "weighting": lambda seed: rx.losses.RandomWeighting(2, seed=seed),
    "bootstrap": lambda seed: rx.metrics.bootstrap_mean([1.0, 2.0, 3.0], seed=seed),
    "times": lambda seed: rx.information.optimal_times(DECAY, (30, 60), n=2, max_ms=60, seed=seed),
}


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, "0", None, True], ids=str)
@pytest.mark.parametrize("take", TAKERS.values(), ids=TAKERS)
@pytest.mark.usefixtures("as_user")
def test_a_seed_out_of_range_is_refused(take, seed):
    with pytest.raises(ValueError, match=r"^seed=.*: give a whole number, from 0 to 18446744073709551615\.$"):
        take(seed)


def test_the_largest_seed_can_be_used():
    assert rx.losses.RandomWeighting(2, seed=2**64 - 1)(torch.ones(1, 2, 3)) == pytest.approx(2)
    assert torch.isfinite(COHORT[0].images).all()


@pytest.mark.parametrize("value", ["much", True, None, [0.5], 1j], ids=str)
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("beta", lambda v: rx.losses.HeteroscedasticLaplace(beta=v)),
        ("temperature", lambda v: rx.losses.DynamicWeightAverage(2, temperature=v)),
        ("temperature", lambda v: rx.losses.SoftOptimalWeighting(2, temperature=v)),
        ("init", lambda v: rx.losses.HomoscedasticLaplace(2, init=v)),
        ("init", lambda v: rx.losses.CorrelatedLaplace(2, init=v)),
        ("init", lambda v: rx.losses.HomoscedasticLaplace(2, init=(1.0, v))),
        ("weights", lambda v: rx.losses.FixedWeights((1.0, v))),
        ("weights", lambda v: rx.losses.FixedWeights(None if isinstance(v, list) else v)),
        ("n_tasks", rx.losses.RandomWeighting),
        ("momentum", lambda v: rx.losses.ProfiledLaplace(momentum="0.5" if v is None else v)),
        ("seed", lambda v: rx.losses.RandomWeighting(2, seed=v)),
        ("faithful", lambda v: rx.losses.HeteroscedasticLaplace(faithful=1 if v is True else v)),
    ],
)
@pytest.mark.usefixtures("as_user")
def test_what_is_no_number_is_refused_by_name(name, make, value):
    with pytest.raises(ValueError, match=f"^{name}="):
        make(value)
