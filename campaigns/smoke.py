"""Use what each extra or package of data brings, in a few lines each: ``python campaigns/smoke.py EXTRA ...``.

It runs from any folder with whatever relaxnet is installed, and needs nothing but that extra.
"""

import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import relaxnet as rx
from relaxnet.cli import main
from relaxnet.errors import MissingExtraError

T2 = rx.Contrast("t2", (10, 20, 40))
TRUTH_MS = np.linspace(30, 60, 64 * 64).reshape(64, 64, 1)
IMAGES = (4000 * np.exp(-np.array(T2.times_ms) / TRUTH_MS[..., None])).astype(np.float32)
TINY = rx.training.Preset(shape=(32, 32), epochs=1, base=4, depth=2)


def scan(folder: Path) -> Path:
    """Write the images to a file that knows where they are, and when they were taken."""
    path = folder / "scan.npz"
    np.savez(path, data=IMAGES, affine=np.eye(4), times_ms=T2.times_ms)
    return path


def close(maps_ms: object, rtol: float = 1e-3) -> None:
    """Compare a map with the truth."""
    np.testing.assert_allclose(np.asarray(maps_ms, float).reshape(TRUTH_MS.shape), TRUTH_MS, rtol=rtol)


def core(folder: Path) -> None:
    """Fit, bound, simulate and apply a network, without any extra."""
    result = rx.fit(IMAGES, T2, dim=-1)
    close(result.maps["t2"])
    result.save(folder / "fit.npz")
    close(rx.fitting.FitResult.load(folder / "fit.npz").maps["t2"])
    cohort = rx.phantom.liver_cohort(1, 1, (32, 32))
    rx.fit_joint(cohort[0].images, cohort[0].protocol)
    net = rx.nets.RelaxationNet(cohort[0].protocol, "short", base=4, depth=2)
    maps_ms = net(cohort[0].images[:, net.input_channels]).maps_ms
    rx.losses.ProfiledLaplace()(rx.losses.PairwiseConstraint(cohort[0].protocol)(maps_ms, cohort[0].images)).backward()


def train(folder: Path) -> None:
    """Train a network, save it and load it."""
    cohort = rx.phantom.liver_cohort(3, 1, (32, 32))
    trained = rx.training.train(cohort, preset=TINY, progress=False)
    trained.save(folder / "network.safetensors")
    assert rx.load(folder / "network.safetensors").predict(cohort[0].images)["t2"].isfinite().all()


def io(folder: Path) -> None:
    """Fit a scan of one format, and read the map that was written."""
    outcome = rx.workflows.fit_scan(scan(folder), "t2", out=folder, pictures=False)
    close(rx.io.read_map(outcome.files["t2"])[0].data)


def dicom(folder: Path) -> None:
    """Fit a series of a scanner, and write the map as DICOM."""
    import pydicom  # noqa: PLC0415
    from pydicom.data import get_testdata_file  # noqa: PLC0415

    (folder / "series").mkdir()
    for k, te in enumerate(T2.times_ms):
        dataset = pydicom.dcmread(str(get_testdata_file("MR_small.dcm")))
        dataset.EchoTime, dataset.InstanceNumber = te, k
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
        dataset.PixelData = IMAGES[:, :, 0, k].round().astype(np.int16).tobytes()
        dataset.save_as(folder / "series" / f"{k}.dcm")
    outcome = rx.workflows.fit_scan(folder / "series", "t2", out=folder, pictures=False, dicom=True)
    assert any(path.suffix == ".dcm" for path in outcome.files.values())


def itk(folder: Path) -> None:
    """Read a MetaImage."""
    import SimpleITK as sitk  # noqa: N813, PLC0415

    sitk.WriteImage(sitk.GetImageFromArray(IMAGES.transpose(3, 2, 1, 0), isVector=False), folder / "scan.mha")
    close(rx.fit(rx.io.read_scan(folder / "scan.mha", "t2", times_ms=T2.times_ms).data, T2, dim=-1).maps["t2"])


def plot(folder: Path) -> None:
    """Draw a map."""
    rx.plots.map_figure(TRUTH_MS[..., 0], name="t2").savefig(folder / "map.png")


def report(folder: Path) -> None:
    """Fit a scan with its report."""
    rx.workflows.fit_scan(scan(folder), "t2", out=folder, report=True)
    assert list(folder.glob("*.html"))


def cli(folder: Path) -> None:
    """Run each command that does not wait for a browser; an experiment refuses before it computes."""
    maps, cohort, run = (str(folder / name) for name in ("maps", "cohort", "run"))
    subject = f"{cohort}/sub-003/anat/sub-003_images.nii.gz"
    for line in (
        ["info"],
        ["fit", "t2", str(scan(folder)), "--out", maps, "--report"],
        ["design", "t2", "--range-ms", "30,60", "--n", "3", "--max-ms", "60"],
        ["simulate", "--subjects", "3", "--slices", "1", "--shape", "32x32", "--out", cohort],
        ["train", cohort, "--preset", "smoke", "--out", run],
        ["predict", run, subject, "--out", maps],
        ["fit", "joint", subject, "--out", str(folder / "joint")],
        ["evaluate", run, cohort],
        ["bids", cohort, str(folder / "fits"), "participant"],
        ["demo", "--preset", "smoke", "--out", str(folder / "demo")],
    ):
        assert main([*line, "--quiet"]) == 0, line
    if find_spec("relaxnet_viewer") is None:  # a package of its own
        assert main(["view", maps, "--no-browser"]) == 1
    if find_spec("skimage") is None:  # which comes with another extra
        assert main(["experiment", "all", "--out", str(folder / "results")]) == 1
        assert not (folder / "results").exists()


def experiments(folder: Path) -> None:
    """Run the shortest experiment."""
    rx.experiments.run("table4", preset="smoke", seeds=1, out=folder, jobs=1)
    assert rx.experiments.render(folder / "smoke", ["table4"])


def pandas(folder: Path) -> None:
    """Make a table of the voxels of a region."""
    del folder
    table = rx.fit(IMAGES, T2, dim=-1).to_dataframe(np.ones(TRUTH_MS.shape, int))
    assert list(table["map"]) == ["m0", "t2"]


def xarray(folder: Path) -> None:
    """Make a data set of the maps."""
    del folder
    close(rx.fit(IMAGES, T2, dim=-1).to_dataset()["t2"])


def dask(folder: Path) -> None:
    """Fit an image block by block into zarr."""
    import dask.array as da  # noqa: PLC0415
    import zarr  # noqa: PLC0415

    lazy = rx.fit(da.from_array(IMAGES, (32, 32, 1, 3)), T2, dim=-1)
    lazy.to_dataset().to_zarr(folder / "fit.zarr", consolidated=False)
    close(zarr.open(folder / "fit.zarr")["t2"])


def hub(folder: Path) -> None:
    """Save a network as the Hub keeps it, and load it."""
    net = rx.nets.RelaxationNet(rx.protocols.LIVER_T1RHO_T2, "short", base=4, depth=2)
    rx.training.Trained(net).save_pretrained(folder / "liver")
    assert rx.training.Trained.from_pretrained(folder / "liver").net.config == net.config


def fast(folder: Path) -> None:
    """Fit enough voxels for the compiled kernel to be loaded."""
    del folder
    rx.fit(np.random.default_rng(0).uniform(1, 100, (50_000, 3)).astype(np.float32), T2)
    assert "relaxnet.fitting._core.kernels.decay" in sys.modules


def viewer(folder: Path) -> None:
    """Serve the page that shows maps, with its script."""
    rx.workflows.fit_scan(scan(folder), "t2", out=folder, pictures=False)
    with rx.workflows.serve_maps(folder) as server:
        assert b"niivue.umd.js" in server.answer("/", {})[0]
        assert b"Niivue" in server.answer("/niivue.umd.js", {})[0]


def weights(folder: Path) -> None:
    """Predict maps by the network that is installed."""
    del folder
    images = rx.phantom.liver_cohort(1, 1, (64, 64), snr=50)[0].images
    assert rx.load("liver-any").predict(images)["t2"].isfinite().all()


def refuses(folder: Path) -> None:
    """See that relaxnet names the extra that is not installed, for those that it imports itself."""
    assert main(["info"]) == 1
    for name in ("train", "io", "plot", "report", "hub", "experiments", "pandas", "xarray"):
        message = ""
        try:
            SMOKE[name](Path(tempfile.mkdtemp(dir=folder)))
        except MissingExtraError as error:
            message = str(error)
        assert "pip install 'relaxnet[" in message, name


SMOKE: dict[str, Callable[[Path], None]] = {
    of.__name__: of
    for of in (
        core, refuses, train, io, dicom, itk, plot, report, cli, hub, experiments, pandas, xarray, dask, fast,
        viewer, weights,
    )
}  # fmt: skip

if __name__ == "__main__":
    for asked in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as temporary:
            SMOKE[asked](Path(temporary))
        print(asked)
