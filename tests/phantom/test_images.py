"""Images follow the decay law, and their noise is that of magnitude images."""

import math

import pytest
import torch

import relaxnet as rx
from relaxnet.phantom import Tissue


def test_every_two_images_obey_the_decay_law(noise_free):
    inside = noise_free.roi
    for contrast in noise_free.protocol.contrasts:
        t = noise_free.truth[contrast.name][inside]
        images = noise_free.images[:, noise_free.protocol.images_of(contrast.name)]
        for i, t_i in enumerate(contrast.times_ms):
            for j, t_j in enumerate(contrast.times_ms):
                propagated = images[:, i][inside] * torch.exp((t_i - t_j) / t)
                torch.testing.assert_close(images[:, j][inside], propagated, rtol=5e-3, atol=0)


def test_amplitude_is_the_image_at_time_zero(noise_free):
    assert torch.equal(noise_free.images[:, 0], noise_free.truth["m0"])


def test_air_is_silent(noise_free):
    air = noise_free.labels == Tissue.AIR
    assert (noise_free.images.movedim(1, 0)[:, air] == 0).all()
    assert (noise_free.truth["m0"][air] == 0).all()
    for name in noise_free.protocol.names:
        assert torch.equal(noise_free.truth[name].isnan(), air)


def test_clean_is_the_image_without_noise(noisy, noise_free):
    assert torch.equal(noisy.clean, noise_free.clean)
    torch.testing.assert_close(noise_free.images, noise_free.clean)


def test_noise_has_the_requested_size(noisy, noise_free):
    assert noise_free.sigma == 0
    signal = noise_free.images[:, 0][noise_free.roi]
    assert float(signal.mean()) / noisy.sigma == pytest.approx(20, rel=1e-5)
    error = (noisy.images - noise_free.images).movedim(1, 0)[:, noisy.roi][0]
    assert float(error.std()) == pytest.approx(noisy.sigma, rel=0.05)


def test_noise_of_air_is_rayleigh(noisy):
    air = noisy.images.movedim(1, 0)[:, noisy.labels == Tissue.AIR]
    assert float(air.mean()) == pytest.approx(noisy.sigma * math.sqrt(math.pi / 2), rel=0.02)
    assert float(air.std()) == pytest.approx(noisy.sigma * math.sqrt(2 - math.pi / 2), rel=0.02)


def test_noise_changes_images_only(noisy, noise_free):
    assert torch.equal(noisy.labels, noise_free.labels)
    torch.testing.assert_close(noisy.truth, noise_free.truth, equal_nan=True, rtol=0, atol=0)


def test_noise_is_drawn_for_each_image(noisy, noise_free):
    error = (noisy.images - noise_free.images).movedim(1, 0)[:, noisy.roi]
    correlation = torch.corrcoef(error) - torch.eye(len(error))
    assert correlation.abs().max() < 0.15


@pytest.mark.parametrize(
    "protocol",
    [
        rx.Protocol((rx.Contrast("t2", (5, 40)), rx.Contrast("t1rho", (0, 10, 30)))),
        rx.Protocol((rx.Contrast("t2", (0, 40)), rx.Contrast("t1rho", (0, 10, 30))), shared_first=True),
        rx.Protocol((rx.Contrast("t2", (10, 20, 30)),), shared_first=True),
    ],
)
def test_any_protocol_of_known_contrasts(protocol):
    subject = rx.phantom.liver_cohort(1, slices=1, shape=(32, 32), snr=math.inf, protocol=protocol)[0]
    assert set(subject.truth) == {*protocol.names, "m0"}
    assert subject.images.shape[1] == protocol.n_images
    for contrast in protocol.contrasts:
        expected = rx.signals.MonoExponential()(subject.truth["m0"], subject.truth[contrast.name], contrast.times_ms)
        channels = subject.images[:, protocol.images_of(contrast.name)]
        torch.testing.assert_close(
            channels.movedim(1, 0)[:, subject.roi], expected.movedim(1, 0)[:, subject.roi], rtol=0.02, atol=0
        )  # voxels of 12 mm are not quite of one T


def test_the_protocol_does_not_change_the_subject():
    only_t2 = rx.Protocol((rx.Contrast("t2", (10, 20, 30)),))
    one, other = (
        rx.phantom.liver_cohort(1, slices=1, shape=(32, 32), protocol=protocol)[0].truth["t2"]
        for protocol in (only_t2, rx.protocols.LIVER_T1RHO_T2)
    )
    torch.testing.assert_close(one, other, equal_nan=True, rtol=0, atol=0)


def test_a_fit_finds_the_truth(noise_free):
    protocol = noise_free.protocol
    for contrast in protocol.contrasts:
        images = noise_free.images[:, protocol.images_of(contrast.name)]
        fitted = rx.fitting.nlls(images, contrast.times_ms, mask=noise_free.roi).maps["t"]
        torch.testing.assert_close(
            fitted[noise_free.roi], noise_free.truth[contrast.name][noise_free.roi], rtol=1e-3, atol=0
        )
