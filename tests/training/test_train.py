import dataclasses
import json
import math
import signal

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import relaxnet as rx
from relaxnet.losses import TaskWeighting
from relaxnet.training import PRESETS, _callbacks, _module
from relaxnet.training._data import gather
from relaxnet.training._train import _split

SMOKE = PRESETS["smoke"]


@pytest.fixture(scope="module")
def cohort():
    return rx.phantom.liver_cohort(n_subjects=4, slices=2, shape=(32, 32), snr=20, seed=0)


def train(cohort, **options):
    return rx.training.train(cohort, **{"preset": "smoke", "progress": False, **options})


def weights(trained):
    return torch.cat([p.flatten() for p in trained.net.state_dict().values()])


@pytest.fixture(scope="module")
def trained(cohort):
    return train(cohort)


def test_the_same_seed_gives_the_same_network(cohort, trained):
    again = train(cohort, seed=0)
    assert torch.equal(weights(again), weights(trained))
    assert again.history == trained.history
    assert not torch.equal(weights(train(cohort, seed=1)), weights(trained))


def test_the_callers_random_numbers_are_left_alone(cohort):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(cohort)
    assert torch.equal(torch.rand(3), expected)


def test_it_learns(cohort):
    longer = dataclasses.replace(SMOKE, epochs=25, patience=25, learning_rate=5e-3, schedule="cosine")
    subject, errors = cohort[0], []

    def watch(epoch, net, entry):
        assert entry["epoch"] == epoch == len(errors)
        ratio = net.predict(subject.images)["t2"] / subject.truth["t2"]
        errors.append(float(ratio[subject.truth["t2"] < 400].log().abs().mean()))

    history = train(cohort, preset=longer, each_epoch=watch).history
    assert len(history) == len(errors) == 25
    assert history[-1]["val_residual"] < history[0]["val_residual"]
    assert errors[-1] < 0.85 * errors[0]
    assert {
        "epoch",
        "residual",
        "val_residual",
        "val_residual_t1rho",
        "val_residual_t2",
        "scale_t1rho",
        "scale_t2",
    } == set(history[0])
    assert all(history[-1][f"scale_{name}"] < 1 for name in ("t1rho", "t2"))


def test_the_best_epoch_is_kept_and_training_stops_when_nothing_improves(cohort):
    hasty = dataclasses.replace(SMOKE, epochs=40, patience=2, learning_rate=0.1)
    result = train(cohort, preset=hasty)
    residuals = [epoch["val_residual"] for epoch in result.history]
    assert len(residuals) < 40
    best = residuals.index(min(residuals))
    assert best == len(residuals) - 3
    short = dataclasses.replace(hasty, epochs=best + 1, patience=99)
    assert torch.equal(weights(train(cohort, preset=short)), weights(result))


@pytest.mark.parametrize("weighting", ["fixed", "homoscedastic", rx.losses.FixedWeights((1.0, 0.0))])
@pytest.mark.parametrize("inputs", ["short", (0, 3, 6, 5)])
def test_weightings_and_inputs(cohort, weighting, inputs):
    result = train(
        cohort, weighting=weighting, inputs=inputs, loss="paper", preset=dataclasses.replace(SMOKE, epochs=1)
    )
    assert result.net.input_channels == cohort.protocol.channels(inputs)
    assert torch.isfinite(result.predict(cohort[0].images)["t2"]).all()


@pytest.mark.parametrize("epochs_before", [1, 2, 3])
def test_a_run_that_was_interrupted_ends_as_if_it_had_not_been(cohort, tmp_path, monkeypatch, epochs_before):
    preset = dataclasses.replace(
        SMOKE,
        epochs=4,
        patience=4,
        schedule="cosine",
        max_degrees=5.0,
        max_shift=0.05,
        flips=True,
        averaging=0.9,
        fresh_noise=True,
        clip=1.0,
    )
    settings = {"preset": preset, "weighting": "dynamic"}
    expected = train(cohort, **settings)
    save = _callbacks.SaveRun.on_train_epoch_end

    def save_and_interrupt(self, trainer, pl_module):
        save(self, trainer, pl_module)
        if trainer.current_epoch + 1 == epochs_before:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_callbacks.SaveRun, "on_train_epoch_end", save_and_interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(cohort, **settings, out=tmp_path / "run")
    resumed = train(cohort, **settings, out=tmp_path / "run")
    assert resumed.history == expected.history
    assert torch.equal(weights(resumed), weights(expected))
    finished = train(cohort, **settings, out=tmp_path / "run")
    assert torch.equal(weights(finished), weights(expected))
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["run.ckpt", "settings.json"]


def test_ctrl_c_still_works_after_it_was_used(cohort, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(_module.RelaxationModule, "training_step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(cohort)
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_folder_holds_one_run(cohort, tmp_path):
    train(cohort, out=tmp_path)
    with pytest.raises(ValueError, match="run of other settings"):
        train(cohort, out=tmp_path, seed=1)


def test_a_loss_that_is_not_finite_stops_the_training_and_names_the_batch(cohort):
    class Broken(TaskWeighting):
        weights = torch.ones(2)

        def reset(self):
            pass

        def combine(self, means):
            return means * torch.nan

    with pytest.raises(FloatingPointError, match=r"not finite in epoch 0, batch 0, training slices \[\d"):
        train(cohort, weighting=Broken(2))


def test_row_58_a_validation_that_is_not_finite_stops_the_training_and_says_so(cohort):
    wild = dataclasses.replace(SMOKE, learning_rate=1e38, batch_size=8)
    with pytest.raises(
        FloatingPointError, match=r"validation residual is not finite in epoch 0, validation slices \[0"
    ):
        train(cohort, preset=wild)


@pytest.mark.usefixtures("as_user")
def test_row_62_one_subject_cannot_train_and_validate(cohort):
    subject = cohort[0]
    same = dataclasses.replace(subject, images=subject.images.clone())
    with pytest.raises(ValueError, match=r"data: subject 0 and subject 1 have the same images, and so have all"):
        train([subject] * 4)
    with pytest.warns(
        UserWarning, match=r"data: subject \d and subject \d have the same images: they are kept together"
    ):
        train([*cohort[1:], subject, same])
    assert len(train([subject, same], validation=0).history) == 2


@pytest.mark.parametrize("seed", range(8))
def test_row_62_copies_of_a_subject_are_on_one_side(cohort, seed):
    _, cases = gather([*cohort, cohort[0], cohort[0]], None)
    with pytest.warns(UserWarning, match="kept together"):
        validating, training = _split(cases, rx.protocols.LIVER_T1RHO_T2, 0.3, seed)
    assert len(validating) + len(training) == len(cases)
    images = [{case.images.numpy().tobytes() for case in side} for side in (validating, training)]
    assert not images[0] & images[1]


@pytest.mark.parametrize("bounds", [(1,), (1, 2, 3), 5.0, "ab", {"t2": (1,)}, (math.nan, 400), (1, math.inf)], ids=str)
@pytest.mark.usefixtures("as_user")
def test_row_34_bounds_of_a_network(bounds):
    with pytest.raises(ValueError, match="bounds_ms="):
        rx.nets.RelaxationNet(rx.protocols.LIVER_T1RHO_T2, "short", bounds_ms=bounds)


@pytest.mark.parametrize("change", [{"base": 4.5}, {"base": "4"}, {"depth": 0}, {"depth": None}], ids=str)
@pytest.mark.usefixtures("as_user")
def test_sizes_of_a_network(change):
    with pytest.raises(ValueError, match=f"{next(iter(change))}=.*: a whole number of at least 1 is needed"):
        rx.nets.RelaxationNet(rx.protocols.LIVER_T1RHO_T2, "short", **change)


def test_progress_goes_to_standard_error(cohort, capsys):
    train(cohort, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "training: epoch 2 of 2, validation residual 0." in err
    train(cohort, progress=False)
    assert capsys.readouterr() == ("", "")


class Spoiled(list):
    protocol = rx.protocols.LIVER_T1RHO_T2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "labtop"}, "preset='labtop'.*Did you mean 'laptop'"),
        ({"weighting": "learned"}, "weighting='learned'"),
        ({"inputs": "tall"}, "inputs='tall'"),
        ({"validation": -0.1}, "validation=-0.1"),
        ({"loss": "papers"}, "loss='papers' is unknown.*Did you mean 'paper'"),
        (
            {"weighting": "correlated", "loss": "reconstruction"},
            "weighting=CorrelatedLaplace needs the signed residuals",
        ),
        ({"validation": 1.0}, "validation=1.0"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 1.5}, r"seed=1\.5: give a whole number, from 0 to"),
        ({"seed": "a"}, "seed='a': give a whole number"),
        ({"seed": None}, "seed=None: give a whole number"),
        ({"validation": "a"}, "validation='a'"),
        ({"validation": math.nan}, "validation=nan"),
        ({"inputs": (0,)}, r"inputs=\(0,\): two images of a contrast are needed"),
        ({"inputs": (1, 4)}, r"inputs=\(1, 4\): two images of a contrast are needed"),
    ],
)
@pytest.mark.usefixtures("as_user")
def test_bad_arguments(cohort, options, message):
    with pytest.raises(ValueError, match=message):
        train(cohort, **options)


@pytest.mark.usefixtures("as_user")
def test_bad_cohorts(cohort):
    with pytest.raises(ValueError, match="1 subject"):
        train(cohort[:1])
    subjects = Spoiled(cohort)
    subjects[2] = dataclasses.replace(subjects[2], images=torch.full_like(subjects[2].images, math.nan))
    with pytest.raises(ValueError, match="subject 2 has no voxel where all images of a contrast are finite"):
        train(subjects)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"learning_rate": 0.0}, "learning_rate=0.0"),
        ({"learning_rate": -1.0}, "learning_rate=-1.0"),
        ({"weighting_rate": math.nan}, "weighting_rate=nan"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0"),
        ({"weight_decay": math.inf}, "weight_decay=inf"),
        ({"learning_rate": math.inf}, "learning_rate=inf"),
        ({"weighting_rate": math.inf}, "weighting_rate=inf"),
        ({"learning_rate": "fast"}, "learning_rate='fast': a rate is a positive number"),
        ({"epochs": "10"}, "epochs='10': a whole number"),
        ({"epochs": 1.5}, r"epochs=1\.5: a whole number"),
        ({"base": None}, "base=None: a whole number"),
        ({"clip": "a"}, "clip='a'"),
        ({"schedule": "cosin"}, "schedule='cosin' is unknown"),
    ],
)
@pytest.mark.usefixtures("as_user")
def test_rows_59_and_60_presets_refuse_what_cannot_train(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMOKE, **change)


def test_the_preset_of_the_paper():
    paper = PRESETS["paper"]
    assert (paper.shape, paper.batch_size, paper.epochs) == ((256, 256), 4, 300)
    assert (paper.learning_rate, paper.weight_decay, paper.schedule) == (5e-4, 1e-4, "constant")


# --- what comes out -----------------------------------------------------------------------------------------------


def test_prediction_takes_all_images_or_its_own_and_any_number_of_slices(cohort, trained):
    images = torch.cat([subject.images for subject in cohort] * 3)
    maps = trained.predict(images)
    assert set(maps) == {"t1rho", "t2", "t1rho_std", "t2_std"}
    assert maps["t1rho"].shape == (24, 32, 32)
    own = trained.predict(images[:, trained.net.input_channels])
    assert torch.equal(own["t2"], maps["t2"])
    one_by_one = torch.cat([trained.predict(image[None])["t2"] for image in images])
    torch.testing.assert_close(one_by_one, maps["t2"], rtol=1e-4, atol=0)
    torch.testing.assert_close(trained.predict(images * 1e4)["t2"], maps["t2"], rtol=1e-3, atol=0)


def test_a_spoiled_voxel_costs_that_voxel_alone(cohort, trained):
    images = cohort[0].images.clone()
    images[0, trained.net.input_channels[1], 4, 5] = torch.nan
    maps = trained.predict(images)
    assert torch.isnan(maps["t1rho"]).sum() == torch.isnan(maps["t2"]).sum() == 1
    assert torch.isnan(maps["t1rho"][0, 4, 5])


@pytest.mark.usefixtures("as_user")
def test_bad_images(trained):
    for shape in [(7, 32, 32), (1, 5, 32, 32)]:
        with pytest.raises(ValueError, match="all 7 images of the protocol, or the 3"):
            trained.predict(torch.ones(shape))
    with pytest.raises(ValueError, match="images are on meta, the network is on cpu"):
        trained.predict(torch.ones(1, 7, 32, 32, device="meta"))


def test_a_saved_network_is_the_same_network(cohort, trained, tmp_path):
    path = tmp_path / "folder" / "liver.safetensors"
    trained.save(path)
    loaded = rx.load(path)
    assert torch.equal(weights(loaded), weights(trained))
    assert loaded.history == trained.history
    assert loaded.net.config == trained.net.config
    images = cohort[1].images
    assert torch.equal(loaded.predict(images)["t1rho"], trained.predict(images)["t1rho"])
    assert list(path.parent.iterdir()) == [path]


def rewritten(path, tensors=None, **changes):
    with safe_open(path, framework="pt") as file:
        description = json.loads(file.metadata()["relaxnet"])
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(
        found if tensors is None else tensors, path, metadata={"relaxnet": json.dumps({**description, **changes})}
    )


def test_files_that_are_no_networks(trained, tmp_path):
    path = tmp_path / "liver.safetensors"
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        rx.load(path)
    trained.save(path)
    whole = path.read_bytes()
    for content in (b"", whole[:-100], whole[:20], b"\x80\x04 a pickle", b"\xff" * 64):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="damaged"):
            rx.load(path)
    save_file({"a": torch.ones(1)}, path)
    with pytest.raises(ValueError, match="not one that relaxnet wrote"):
        rx.load(path)
    path.write_bytes(whole)
    rewritten(path, format=99, relaxnet="9.9")
    with pytest.raises(ValueError, match=r"relaxnet 9.9, later than"):
        rx.load(path)
    path.write_bytes(whole)
    rewritten(path, format=3, relaxnet="0.0")
    with pytest.raises(ValueError, match=r"written by relaxnet 0.0, .* train it again"):
        rx.load(path)
    path.write_bytes(whole)
    rewritten(path, tensors={"a": torch.ones(1)})
    with pytest.raises(ValueError, match="does not hold the weights"):
        rx.load(path)
