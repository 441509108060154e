"""A run that is saved in a folder: it is resumed as it would have gone on, and no other is taken for it."""

import dataclasses
import json
import os
import pickle
import shutil
import zipfile

import pytest
import torch

import relaxnet as rx
from relaxnet.losses import FixedWeights, HeteroscedasticLaplace, ProfiledLaplace, RandomWeighting
from relaxnet.nets import RelaxationNet
from relaxnet.training import LOSSES, PRESETS, _callbacks

SMOKE = PRESETS["smoke"]
EPOCH = dataclasses.replace(SMOKE, epochs=1, base=2, depth=1)
HASTY = dataclasses.replace(EPOCH, epochs=25, patience=1, learning_rate=3e-2)
PROTOCOL = rx.protocols.LIVER_T1RHO_T2


@pytest.fixture(scope="module")
def cohort():
    return list(rx.phantom.liver_cohort(n_subjects=4, slices=2, shape=(32, 32), snr=20, seed=0))


def train(cohort, **options):
    return rx.training.train(cohort, **{"preset": EPOCH, "progress": False, **options})


@pytest.fixture(scope="module")
def finished(cohort, tmp_path_factory):
    """Return a folder with a run of the plain settings."""
    folder = tmp_path_factory.mktemp("finished")
    train(cohort, out=folder)
    return folder


@pytest.fixture
def folder(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


def weights(trained):
    return torch.cat([p.flatten() for p in trained.net.state_dict().values()])


def other_images(cohort):
    images = cohort[3].images.clone()
    images[0, 0, 16, 16] += 1e-3
    return [*cohort[:3], dataclasses.replace(cohort[3], images=images)]


def net(seed):
    torch.manual_seed(seed)
    return RelaxationNet(PROTOCOL, "middle", base=4, depth=2)


@dataclasses.dataclass(frozen=True)
class LossOfMine(rx.training.Loss):
    power: float = 1.0


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        ({}, {"seed": 1}, r"seed \(0, now 1\)"),
        ({}, {"preset": dataclasses.replace(EPOCH, epochs=2)}, r"preset\.epochs \(1, now 2\)"),
        ({}, {"weighting": "fixed"}, r"weighting\.class"),
        ({"weighting": FixedWeights((1.0, 1.0))}, {"weighting": FixedWeights((0.05, 0.95))}, r"weighting\.state"),
        (
            {"weighting": HeteroscedasticLaplace(beta=0.0)},
            {"weighting": HeteroscedasticLaplace(beta=1.0)},
            r"weighting\.beta \(0\.0, now 1\.0\)",
        ),
        ({"weighting": "profiled"}, {"weighting": ProfiledLaplace(momentum=0.9)}, r"weighting\.momentum"),
        (
            {"weighting": RandomWeighting(2)},
            {"weighting": RandomWeighting(2, seed=1)},
            r"weighting\.\w*seed \(0, now 1\)",
        ),
        ({}, {"loss": "paper"}, r"loss\."),
        ({"loss": LossOfMine("pairwise")}, {"loss": LossOfMine("pairwise", power=2.0)}, r"loss\.power"),
        ({}, {"validation": 0.6}, r"data\.validating \(1, now 2\), data\.training \(3, now 2\)"),
        ({}, {"data": other_images}, r"data\.content"),
        ({}, {"data": lambda cohort: list(reversed(cohort))}, r"data\.content"),
        ({}, {"data": lambda cohort: cohort[:3]}, r"data\.training \(3, now 2\)"),
        ({"net": net(0)}, {"net": net(1)}, r"start"),
        ({}, {"inputs": "short"}, r"net\.inputs"),
        ({}, {"trainer": {"precision": "bf16-mixed"}}, r"trainer\.precision \('32-true', now 'bf16-mixed'\)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_run_of_other_settings_is_refused_and_the_difference_told(cohort, folder, tmp_path, first, second, what):
    if first:
        folder = tmp_path / "first"
        train(cohort, out=folder, **first)
    data = second.get("data", list)(cohort)
    with pytest.raises(ValueError, match=rf"holds a run of other settings: .*{what}"):
        train(data, out=folder, **{name: value for name, value in second.items() if name != "data"})


def test_a_run_of_another_version_is_refused(cohort, folder, monkeypatch):
    monkeypatch.setattr("relaxnet.training._run_folder.__version__", "9.9")
    with pytest.raises(ValueError, match=r"other settings: relaxnet \('.*', now '9\.9'\)"):
        train(cohort, out=folder)


def test_where_a_run_is_computed_does_not_make_it_another(cohort, folder):
    assert len(train(cohort, out=folder, trainer={"accelerator": "cpu"}).history) == 1


@pytest.mark.parametrize("seed", [1, 4])
def test_a_finished_run_is_not_trained_further(cohort, tmp_path, seed):
    images = [subject.images for subject in cohort]
    runs = [train(images, protocol=PROTOCOL, preset=HASTY, seed=seed, out=tmp_path) for _ in range(3)]
    assert len(runs[0].history) < HASTY.epochs
    for run in runs[1:]:
        assert run.history == runs[0].history
        assert torch.equal(weights(run), weights(runs[0]))


def test_a_run_interrupted_at_any_epoch_stops_early_where_it_would_have(cohort, tmp_path, monkeypatch):
    images = [subject.images for subject in cohort]
    settings = {"protocol": PROTOCOL, "preset": dataclasses.replace(HASTY, patience=2), "seed": 1}
    expected = train(images, **settings)
    assert 3 <= len(expected.history) < HASTY.epochs
    save = _callbacks.SaveRun.on_train_epoch_end

    def save_and_interrupt(self, trainer, pl_module):
        save(self, trainer, pl_module)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_callbacks.SaveRun, "on_train_epoch_end", save_and_interrupt)
        for _ in expected.history:
            with pytest.raises(KeyboardInterrupt):
                train(images, **settings, out=tmp_path)
    resumed = train(images, **settings, out=tmp_path)
    assert resumed.history == expected.history
    assert torch.equal(weights(resumed), weights(expected))


class Command:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def without_callbacks(path):
    saved = torch.load(path, weights_only=True)
    torch.save({**saved, "callbacks": {}}, path)


def with_another(*keys, value):
    def damage(path):
        saved = torch.load(path, weights_only=True)
        inner = saved
        for key in keys[:-1]:
            inner = inner[key]
        assert keys[-1] in inner
        inner[keys[-1]] = value
        torch.save(saved, path)

    return damage


def with_a_flipped_bit(path):
    content = bytearray(path.read_bytes())
    largest = max(torch.load(path, weights_only=True)["state_dict"].values(), key=torch.numel)
    content[content.index(bytes(largest.untyped_storage()))] ^= 4  # elsewhere there may be padding
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("some text\n"),
        lambda path: path.write_bytes(b"\xff" * 64),
        lambda path: path.write_bytes(pickle.dumps(Command())),
        lambda path: torch.save({"callbacks": Command()}, path),
        lambda path: torch.save({}, path),
        lambda path: torch.save([1], path),
        lambda path: zipfile.ZipFile(path, "w").close(),
        without_callbacks,
        with_a_flipped_bit,
        with_another("callbacks", "BestWeights", "history", value=0),
        with_another("callbacks", "BestWeights", "weights", value={}),
        with_another("optimizer_states", value=[{}]),
        with_another("global_step", value=7),
    ],
    ids=(
        "half", "empty", "text", "bytes", "pickle", "pickle in zip", "{}", "list", "empty zip", "foreign", "flipped",
        "history", "weights", "optimizer", "step",
    ),
)  # fmt: skip
def test_a_checkpoint_that_is_damaged_or_foreign_is_named(cohort, folder, monkeypatch, damage):
    monkeypatch.chdir(folder)
    damage(folder / "run.ckpt")
    with pytest.raises(ValueError, match=r"run\.ckpt .*delete it to begin anew") as error:
        train(cohort, out=folder)
    assert "weights_only" not in str(error.value)
    assert "\n" not in str(error.value)
    assert not (folder / "executed").exists()


def test_settings_can_be_read(folder):
    settings = json.loads((folder / "settings.json").read_text())
    assert settings["preset"]["epochs"] == 1
    assert settings["weighting"]["class"].endswith("HomoscedasticLaplace")
    assert settings["data"]["training"] == 3


def test_names_of_losses_and_what_they_stand_for_are_the_same_run(cohort, folder):
    assert len(train(cohort, out=folder, loss=LOSSES["held-out-orthogonal"]).history) == 1
