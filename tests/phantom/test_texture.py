"""Texture has the law that was asked for, and small vessels and lesions are in the truth."""

import math
import pickle
from functools import cache, partial

import numpy as np
import pytest
import torch
from scipy.ndimage import label

import relaxnet as rx
from relaxnet.phantom import Texture, Tissue
from relaxnet.phantom._anatomy.random_fields import RandomField
from relaxnet.phantom._anatomy.small_structures import Capsules
from relaxnet.phantom._appearance import Appearance

CROP = {"slices": 1, "shape": (128, 128), "pixel_mm": 2.0, "snr": math.inf, "seed": 6}
PLAIN = partial(Texture, vessels=0, lesions=0)


@cache
def cohort(texture=None, n_subjects=6, **changes):
    return list(rx.phantom.liver_cohort(n_subjects, texture=texture, **CROP | changes))


def relative(subject, name):
    """Return the map of a liver relative to its mean, less 1; NaN elsewhere."""
    inside = subject.roi & (subject.labels == Tissue.LIVER)
    values = torch.where(inside, subject.truth[name], torch.nan)[0]
    return values / values.nanmean() - 1


def covariances(subjects, one, other, lags):
    """Compute the mean covariance of two maps at distances of some rows and columns."""
    found = []
    for lag in lags:
        products = []
        for subject in subjects:
            a, b = relative(subject, one), relative(subject, other)
            products += [(a[lag:] * b[: len(b) - lag]).flatten(), (a[:, lag:] * b[:, : b.shape[1] - lag]).flatten()]
        found.append(float(torch.cat(products).nanmean()))
    return np.array(found)


def of_voxels(texture, lags, pixel_mm):
    """Return the covariance of voxels that average two by two points of an exponential law."""
    at = np.array([-0.5, -0.5, 0.5, 0.5]) / 2, np.array([-0.5, 0.5, -0.5, 0.5]) / 2
    dx, dy = (np.subtract.outer(p, p) for p in at)
    means = [np.exp(-np.hypot(dx + lag, dy) * pixel_mm / texture.length_mm).mean() for lag in lags]
    return texture.sd**2 * np.array(means)


@pytest.mark.parametrize("texture", [PLAIN(), PLAIN(0.12), PLAIN(0.06, 10.0)], ids=str)
def test_maps_of_a_liver_have_the_law_that_was_asked_for(texture):
    # 6 livers of 110 cm² hold hundreds of independent patches of 2 pi (5 mm)², and a quarter as many of 10 mm.
    lags = (0, 1, 2, 3, 5)
    found = covariances(cohort(texture), "t1rho", "t1rho", lags)
    expected = of_voxels(texture, lags, 2.0)
    assert found[0] == pytest.approx(expected[0], rel=0.15)
    np.testing.assert_allclose(found / found[0], expected / expected[0], atol=0.08)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 1.0])
def test_t1rho_and_t2_are_as_correlated_as_was_asked(correlation):
    subjects = cohort(PLAIN(correlation=correlation))
    # Where T1rho and T2 are nearly the same, T2 is cut at T1rho, and the correlation is higher.
    apart = [s for s in subjects if s.truth["t1rho"][s.roi].mean() > 1.25 * s.truth["t2"][s.roi].mean()]
    assert len(apart) >= 3
    both, t1rho, t2 = (covariances(apart, *pair, (0,))[0] for pair in (("t1rho", "t2"), ("t1rho",) * 2, ("t2",) * 2))
    assert both / math.sqrt(t1rho * t2) == pytest.approx(correlation, abs=0.1)


def test_the_mean_and_all_else_stay():
    smooth, textured = cohort(None), cohort(PLAIN())
    for one, other in zip(smooth, textured, strict=True):
        assert torch.equal(one.labels, other.labels)
        assert torch.equal(one.roi, other.roi)
        assert one.disease is other.disease
        for name in ("t1rho", "t2", "m0"):
            mean, expected = (float(subject.truth[name][subject.roi].mean()) for subject in (other, one))
            assert mean == pytest.approx(
                expected, rel=0.02
            )  # the standard error of 6 % in hundreds of patches is 0.6 %
    differences = [
        float(o.truth["t1rho"][o.roi].mean() / s.truth["t1rho"][s.roi].mean()) - 1
        for s, o in zip(smooth, textured, strict=True)
    ]
    assert abs(np.mean(differences)) < 0.008


def test_points_of_a_field_are_normal_and_exponential():
    rng = np.random.default_rng(1)
    fields = [RandomField.exponential(rng, length_mm=5.0) for _ in range(200)]
    x = np.array([[0.0, 2.5, 5.0, 10.0]])
    values = np.array([field(x, np.zeros((1, 1)), 3.0)[0] for field in fields])
    np.testing.assert_allclose(values.std(axis=0), 1, atol=0.15)
    np.testing.assert_allclose((values[:, :1] * values).mean(axis=0), np.exp(-x[0] / 5), atol=0.2)
    whole = fields[0](np.linspace(-150, 150, 300)[None], np.linspace(-150, 150, 300)[:, None], 0.0)
    assert abs(np.mean(whole**4) / np.mean(whole**2) ** 2 - 3) < 0.3  # the kurtosis of a normal law


def test_it_is_the_same_at_every_resolution():
    texture = PLAIN()
    coarse, fine = cohort(texture, 1, shape=(64, 64), pixel_mm=4.0), cohort(texture, 1)
    mean = torch.nn.functional.avg_pool2d(fine[0].truth["t2"], 2)
    inside = coarse[0].roi
    torch.testing.assert_close(coarse[0].truth["t2"][inside], mean[inside], rtol=0.05, atol=0)
    assert float((coarse[0].truth["t2"] / mean - 1)[inside].std()) < 0.02


# --- small vessels and lesions ----------------------------------------------------------------------------------------


def test_vessels_are_in_the_truth_and_not_in_the_labels():
    whole, crossed = cohort(PLAIN()), cohort(Texture(lesions=0))
    shares = []
    for one, other in zip(whole, crossed, strict=True):
        assert torch.equal(one.labels, other.labels)
        ratio = other.truth["m0"] / one.truth["m0"]
        dark = ratio < 0.99
        assert not (other.roi & dark).any()
        assert torch.equal(other.roi, one.roi & ~dark)  # nothing but them leaves the region of interest
        assert (other.clean[:, 3][dark] < 1.02 * one.clean[:, 3][dark]).all()
        blood = one.roi & (ratio < 0.1)
        assert (other.labels[blood] == Tissue.LIVER).all()
        assert (other.truth["t2"][blood] > 3 * one.truth["t2"][blood]).all()
        assert blood.any()
        shares.append(float((dark & one.roi).sum() / one.roi.sum()))
    assert 0.01 < np.mean(shares) < 0.1


def test_lesions_are_labelled_and_in_the_region_of_interest():
    plain, with_lesions = cohort(PLAIN()), cohort(Texture(vessels=0, lesions=4))
    found = 0
    for one, other in zip(plain, with_lesions, strict=True):
        assert torch.equal(one.roi, other.roi)
        new = one.roi & (one.labels != other.labels)
        assert (other.labels[new] == Tissue.TUMOUR).all()
        appearance = Appearance.draw(CROP["seed"], one.index, field_tesla=3.0)
        deep = new & (other.truth["t2"] > 1.3 * one.truth["t2"])
        if deep.any():
            assert float(other.truth["t2"][deep].max()) < 1.3 * appearance.t_ms["t2"][Tissue.TUMOUR]
        found += int(new.sum())
    assert found > 20


@pytest.mark.parametrize(("length_mm", "radius_mm"), [((10, 30), (0.8, 2.2)), ((0, 0), (2, 5))])
def test_as_many_structures_cross_a_slice_as_were_asked_for(length_mm, radius_mm):
    x = np.arange(-120, 120, 0.5)[None]
    everywhere = np.ones((480, 480), dtype=bool)
    counts = []
    for seed in range(3):
        drawn = Capsules.draw(np.random.default_rng(seed), 5.0, length_mm=length_mm, radius_mm=radius_mm)
        counts += [label(drawn.within(everywhere, x, x.T, z))[1] for z in (-100.0, 0.0, 40.0, 333.0)]
    # Some touch and count once, some are cut by the edge and count twice.
    assert np.mean(counts) / (240**2 / 1e4) == pytest.approx(5, rel=0.15)


def test_a_point_is_in_a_capsule_if_it_is_close_to_its_axis():
    rod = Capsules(np.array([[10.0, 20.0, 3.0]]), np.array([[4.0, 0.0, 0.0]]), np.array([2.0]))
    x, y = np.array([[3.5, 4.5, 10.0, 15.9, 16.5]]), np.array([[18.5], [20.0], [22.5]])
    found = rod.within(np.ones((3, 5), dtype=bool), x, y, 3.0)
    np.testing.assert_array_equal(found, [[0, 0, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0]])
    assert not rod.within(np.ones((3, 5), dtype=bool), x, y, 5.1).any()
    assert not rod.within(np.zeros((3, 5), dtype=bool), x, y, 3.0).any()


# --- settings ---------------------------------------------------------------------------------------------------------


def test_a_subject_depends_on_seed_and_number_alone():
    make = partial(rx.phantom.liver_cohort, slices=2, shape=(64, 64), seed=3, texture=(0.06, 5))
    one, other = make(2)[1], make(9)[::-1][7]
    assert torch.equal(one.images, other.images)
    assert torch.equal(one.labels, other.labels)
    assert not torch.equal(make(1)[0].truth["t2"], make(1, seed=4)[0].truth["t2"])
    same = make(2, texture=Texture())
    assert torch.equal(one.images, pickle.loads(pickle.dumps(same))[1].images)  # noqa: S301
    assert same == make(2) != make(2, texture=None)


@pytest.fixture(scope="module")
def labels():
    labels = np.zeros((2, 100, 100), np.int16)
    labels[:, 5:95, 5:95], labels[:, 15:85, 15:75] = 201, 5
    return labels


def test_neighbouring_slices_belong_together(labels):
    table, texture = rx.phantom.TOTALSEGMENTATOR_MR, PLAIN(length_mm=20)
    near = rx.phantom.label_map_subject(labels, (4.0, 2.0, 2.0), table, snr=math.inf, texture=texture)
    one, other = (torch.where(near.roi.all(0), near.truth["t1rho"][k], torch.nan) for k in (0, 1))
    pairs = torch.stack((one, other))[:, near.roi.all(0)]
    assert float(torch.corrcoef(pairs)[0, 1]) == pytest.approx(math.exp(-4 / 20), abs=0.1)


def test_label_maps_have_texture_too(labels):
    make = partial(
        rx.phantom.label_map_cohort, labels, (5.0, 2.0, 2.0), rx.phantom.TOTALSEGMENTATOR_MR, 2, snr=math.inf
    )
    texture = Texture(lesions=5)
    one, smooth = make(texture=texture)[1], make()[1]
    assert float(relative(one, "t1rho")[~relative(one, "t1rho").isnan()].std()) > 1.3 * 0.03
    assert (one.labels == Tissue.TUMOUR).any()
    assert not (one.labels == Tissue.BLOOD).any()
    assert (one.truth["m0"] < 0.5 * smooth.truth["m0"]).any()
    table = rx.phantom.TOTALSEGMENTATOR_MR
    alone = rx.phantom.label_map_subject(labels, (5.0, 2.0, 2.0), table, snr=math.inf, index=1, texture=texture)
    assert torch.equal(alone.images, one.images)


def test_other_tissues_vary_in_proportion():
    appearance = Appearance.draw(0, 0, field_tesla=3.0, texture=Texture(0.12))
    assert appearance.texture[Tissue.LIVER] == pytest.approx(0.12)
    assert appearance.texture[Tissue.SPLEEN] == pytest.approx(0.12)
    assert appearance.texture[Tissue.PANCREAS] == pytest.approx(0.24)
    assert appearance.texture[Tissue.GALLBLADDER] == pytest.approx(0.04)
    assert appearance.texture[Tissue.BOWEL_CONTENT] == pytest.approx(0.3)


def test_a_crop_is_a_part_of_the_whole_slice():
    whole, crop = (rx.phantom.liver_cohort(3, 1, shape, math.inf, pixel_mm=2)[2] for shape in ((144, 192), (128, 128)))
    assert whole.voxel_mm == crop.voxel_mm == (7.0, 2.0, 2.0)
    rows, columns = slice(6, 134), slice(14, 142)  # its middle is 4 mm to the front and 36 mm to the right
    assert torch.equal(whole.labels[:, rows, columns], crop.labels)
    torch.testing.assert_close(whole.truth["t2"][:, rows, columns], crop.truth["t2"], equal_nan=True)
    assert torch.equal(whole.roi.sum(), crop.roi.sum())
    natural = rx.phantom.liver_cohort(3, 1, (144, 192), math.inf)[2]
    torch.testing.assert_close(natural.clean, whole.clean)


def test_files_know_the_texture(tmp_path):
    pytest.importorskip("nibabel")
    make = partial(rx.phantom.liver_cohort, 1, 1, (64, 64), seed=3)
    textured = make(texture=(0.06, 5), pixel_mm=2)
    folder = rx.io.write_cohort(textured, tmp_path / "textured")
    assert "Texture(sd=0.06, length_mm=5.0" in (folder / "dataset_description.json").read_text()
    assert torch.equal(rx.io.read_cohort(folder)[0].images, textured[0].images)
    rx.io.write_cohort(textured, folder)  # resumes: nothing is missing
    for other in (make(), make(texture=(0.06, 6), pixel_mm=2), make(texture=(0.06, 5))):
        with pytest.raises(FileExistsError, match="other settings"):
            rx.io.write_cohort(other, folder)
    smooth = rx.io.write_cohort(make(), tmp_path / "smooth")
    assert "texture" not in (smooth / "dataset_description.json").read_text()


@pytest.mark.usefixtures("as_user")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"texture": 0.06}, r"texture=0\.06: .*such as \(0\.06, 5\), or a Texture"),
        ({"texture": (0.06,)}, "texture="),
        ({"texture": "0.06,5"}, "texture='0.06,5'"),
        ({"texture": (0.5, 5)}, r"texture: sd=0\.5: give a number from 0 to 0\.3"),
        ({"texture": (math.nan, 5)}, "texture: sd=nan"),
        ({"texture": (0.06, 0)}, "texture: length_mm=0: give a number from 1 to 100"),
        ({"texture": (0.06, None)}, "texture: length_mm=None"),
        ({"pixel_mm": 0}, "pixel_mm=0: give 0.5 to 12 mm for 256 pixels"),
        ({"pixel_mm": 1, "shape": (300, 64)}, "pixel_mm=1: give 2 to 12 mm for 64 pixels"),
        ({"pixel_mm": "2"}, "pixel_mm='2'"),
        ({"pixel_mm": math.nan}, "pixel_mm=nan"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        rx.phantom.liver_cohort(**arguments)


@pytest.mark.usefixtures("as_user")
@pytest.mark.parametrize("wrong", [{"correlation": -0.1}, {"vessels": 1e9}, {"lesions": True}])
def test_a_texture_checks_its_numbers(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"texture: {name}="):
        Texture(**wrong)
