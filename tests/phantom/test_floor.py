"""The floor of the error is what an estimate reaches that knows the law of the maps."""

import math
from functools import cache

import numpy as np
import pytest
import torch

import relaxnet as rx
from relaxnet.phantom import Texture, bayes_floor
from relaxnet.phantom._anatomy.random_fields import RandomField, band_correlation
from relaxnet.phantom._floor import _Covariance, _of_voxels

TEXTURE = Texture(0.12, 8.0, vessels=0, lesions=0)


@cache
def livers(snr=40.0):
    """Some livers of 196 voxels, in which T2 is not cut at T1rho."""
    labels = np.full((1, 20, 20), 5, np.int16)
    labels[:, :, :2] = labels[:, :, -2:] = 201
    cohort = rx.phantom.label_map_cohort(
        labels, (5.0, 4.0, 4.0), rx.phantom.TOTALSEGMENTATOR_MR, 12, snr=snr, texture=TEXTURE
    )
    return [s for s in cohort if s.truth["t1rho"][s.roi].mean() > 1.4 * s.truth["t2"][s.roi].mean()]


def maximum_a_posteriori(subject, channels):
    """Estimate the maps of a liver by Gauss-Newton steps on the logarithms of all voxels at once."""
    protocol, voxels = subject.protocol, np.argwhere(subject.roi[0].numpy())
    data = subject.images[0][list(channels)][:, subject.roi[0]].double().T.flatten()
    n, names = len(voxels), protocol.names
    order = ("m0", *names)
    means = [float(subject.truth[name][subject.roi].mean()) for name in order]
    covariance = _Covariance(subject, TEXTURE)(voxels).transpose(1, 0, 3, 2).reshape(3 * n, 3 * n)
    precision = torch.from_numpy(np.linalg.inv(covariance))

    def predicted(x):
        maps = {name: (mean * x[:, p].exp())[None] for p, (name, mean) in enumerate(zip(order, means, strict=True))}
        series = {c.name: c.model(maps["m0"], maps[c.name], c)[0] for c in protocol.contrasts}
        images = {k: image for name in names for k, image in zip(protocol.images_of(name), series[name], strict=True)}
        return torch.stack([images[channel] for channel in channels])

    x = torch.zeros(n, 3, dtype=torch.float64)
    for _ in range(5):
        x.requires_grad_(True)
        images = predicted(x)
        slopes = torch.stack([torch.autograd.grad(image.sum(), x, retain_graph=True)[0] for image in images], dim=1)
        x = x.detach()
        jacobian = torch.block_diag(*slopes) / subject.sigma
        residual = (data - images.detach().T.flatten()) / subject.sigma
        hessian = precision + jacobian.T @ jacobian
        x = x + torch.linalg.solve(hessian, jacobian.T @ residual - precision @ x.flatten()).reshape(n, 3)
    return {name: means[p + 1] * x[:, p + 1].exp() for p, name in enumerate(names)}


def test_the_maximum_a_posteriori_reaches_the_floor():
    chosen, inputs = livers()[:5], "middle"
    channels = chosen[0].protocol.channels(inputs)
    reached, floors = [], []
    for subject in chosen:
        maps = maximum_a_posteriori(subject, channels)
        reached.append([float((maps[n] - subject.truth[n][subject.roi]).abs().mean()) for n in ("t1rho", "t2")])
        floor = bayes_floor(subject, TEXTURE, inputs=inputs, n_voxels=12)
        floors.append([floor["t1rho"], floor["t2"]])
    assert len(chosen) >= 4
    np.testing.assert_allclose(np.mean(reached, axis=0), np.mean(floors, axis=0), rtol=0.08)


def test_the_floor_is_below_a_fit_and_falls_with_noise_and_images():
    (subject,) = livers()[:1]
    (noisier,) = livers(20.0)[:1]
    floor = {inputs: bayes_floor(subject, TEXTURE, inputs=inputs, n_voxels=5) for inputs in ("middle", None)}
    joint = rx.fit_joint(subject.images, subject.protocol)
    for name in ("t1rho", "t2"):
        error = (joint.maps[name] - subject.truth[name])[subject.roi].abs().mean()
        assert floor[None][name] < floor["middle"][name]
        assert floor[None][name] < 0.9 * float(error)
        assert floor[None][name] < bayes_floor(noisier, TEXTURE, n_voxels=5)[name]


def test_without_images_to_speak_of_the_floor_is_that_of_the_tissue():
    (subject,) = livers(0.01)[:1]
    floor = bayes_floor(subject, TEXTURE, n_voxels=5)
    value = rx.phantom._tissues.LIVER[subject.disease].t[3.0]["t1rho"]
    texture = 0.12 * math.sqrt(_of_voxels(lambda mm: np.exp(-mm / 8), (1, 1), (4.0, 4.0))[0, 0])
    expected = math.sqrt(2 / math.pi) * math.hypot(texture, value.sd / value.mean)
    assert floor["t1rho"] / float(subject.truth["t1rho"][subject.roi].mean()) == pytest.approx(expected, rel=0.15)


def test_the_smooth_field_has_the_correlation_of_its_band():
    rng = np.random.default_rng(2)
    x = np.array([[0.0, 4.0, 8.0, 16.0]])
    values = np.array([RandomField.draw(rng, band_mm=(8, 40))(x, np.zeros((1, 1)), 0.0)[0] for _ in range(600)])
    np.testing.assert_allclose(
        (values[:, :1] * values).mean(axis=0), band_correlation(x[0], band_mm=(8, 40)), atol=0.12
    )


@pytest.mark.usefixtures("as_user")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"texture": 0.06}, r"texture=0\.06"),
        ({"n_voxels": 0}, "n_voxels=0"),
        ({"seed": -1}, "seed=-1"),
        ({"inputs": "shortest"}, "shortest"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        bayes_floor(livers()[0], **arguments)


def test_without_noise_there_is_no_floor():
    subject = rx.phantom.liver_cohort(1, 1, (32, 32), math.inf)[0]
    with pytest.raises(ValueError, match="sub-001 has no noise"):
        bayes_floor(subject)
