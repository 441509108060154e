"""What users type to learn without labels, line by line."""

import pytest
import torch

import relaxnet as rx


@pytest.fixture(scope="module")
def given():
    protocol = rx.protocols.LIVER_T1RHO_T2
    cohort = rx.phantom.liver_cohort(n_subjects=3, slices=2, shape=(32, 32), snr=20, seed=0)
    images = cohort[0].images
    maps_ms = torch.full((2, 2, 32, 32), 40.0, requires_grad=True)
    return protocol, cohort, images, maps_ms


def test_residuals(given):
    protocol, cohort, images, maps_ms = given
    m0 = cohort[0].truth["m0"]
    residuals = [
        rx.losses.PairwiseConstraint(protocol)(maps_ms, images),
        rx.losses.PairwiseConstraint(protocol, pairs="forward")(maps_ms, images),
        rx.losses.PairwiseConstraint(protocol, pairs="orthogonal", held_out_from="short")(maps_ms, images),
        rx.losses.Reconstruction(protocol)(maps_ms, images, m0=None),
        rx.losses.Reconstruction(protocol, held_out_from="short")(maps_ms, images, m0=m0),
        rx.losses.PairwiseConstraint(protocol)(maps_ms, rx.signals.remove_rician_bias(images, cohort[0].sigma)),
    ]
    assert all(residual.shape == (2, 2, 32, 32) for residual in residuals)


def test_weightings(given):
    protocol, cohort, images, maps_ms = given
    constraint = rx.losses.PairwiseConstraint(protocol)
    residual, mask = constraint(maps_ms, images), cohort[0].roi
    log_scale = torch.zeros_like(residual)
    losses = [
        rx.losses.HomoscedasticLaplace(n_tasks=2)(residual, mask=mask),
        rx.losses.HeteroscedasticLaplace()(residual, log_scale, mask=mask),
        rx.losses.FixedWeights((1.0, 1.0))(residual),
        rx.losses.FixedWeights((1, 0))(residual),
        rx.losses.ProfiledLaplace()(residual),
        rx.losses.CorrelatedLaplace(n_tasks=2)(constraint.signed(maps_ms, images)),
        rx.losses.supervised(maps_ms, maps_ms.detach() + 1, mask=mask),
    ]
    assert all(loss.ndim == 0 and loss.requires_grad for loss in losses)
    weighting = rx.losses.HomoscedasticLaplace(n_tasks=2)
    optimizer = torch.optim.Adam([maps_ms], lr=5e-4)
    optimizer.add_param_group(*weighting.parameter_groups(lr=5e-2))
    weighting(residual).backward()
    optimizer.step()
    assert weighting.scales.shape == weighting.weights.shape == (2,)
    assert (weighting.scales != 1).all()
    weighting.reset()
    assert (weighting.scales == 1).all()


def test_networks(given):
    protocol, _, images, _ = given
    net = rx.nets.RelaxationNet(protocol, inputs="short", base=16, depth=4, uncertainty="heteroscedastic")
    out = net(images[:, net.input_channels])
    assert out.maps_ms.shape == out.log_scale.shape == (2, 2, 32, 32)
    assert rx.nets.UNet(in_channels=3, out_channels=2, base=16, depth=4)(images[:, :3]).shape == (2, 2, 32, 32)


def test_training(given, tmp_path):
    _, cohort, images, _ = given
    trained = rx.training.train(cohort, weighting="homoscedastic", preset="smoke", seed=0, progress=False)
    maps = trained.predict(images)
    assert maps["t1rho"].shape == maps["t1rho_std"].shape == (2, 32, 32)
    trained.save(tmp_path / "liver.safetensors")
    assert torch.equal(rx.load(tmp_path / "liver.safetensors").predict(images)["t1rho"], maps["t1rho"])


def test_images_made_in_inference_mode_can_be_learnt_from(given):
    protocol, cohort, _, _ = given
    with torch.inference_mode():
        images = cohort[0].images.clone()
    maps_ms = torch.full((2, 2, 32, 32), 40.0, requires_grad=True)
    for residual in (rx.losses.PairwiseConstraint(protocol), rx.losses.Reconstruction(protocol)):
        residual(maps_ms, images.clone()).sum().backward()
        assert torch.isfinite(maps_ms.grad).all()
    trained = rx.training.train([images, 2 * images], protocol=protocol, preset="smoke", progress=False)
    assert torch.isfinite(trained.predict(images)["t2"]).all()
