"""Maps in the browser: the server gives no more than it should, and a click shows the decay of its voxel."""

import http.client
import json
import shutil
import signal
import subprocess
import sys
import threading
from urllib.parse import urlsplit

import nibabel
import numpy as np
import pytest

import relaxnet as rx
from relaxnet.cli import main
from relaxnet.workflows._viewer.maps import open_folder

TIMES_MS = (0.0, 10.0, 30.0, 50.0)
AFFINE = np.array([[-2, 0, 0, 11], [0, 2, 0, -9], [0, 0, 5, 0], [0, 0, 0, 1.0]])
ABSENT = "relaxnet-viewer is not installed"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def fitted(tmp_path):
    """Fit a scan in which the relaxation time tells the voxel."""
    t = np.linspace(30, 80, 12 * 10 * 3).reshape(12, 10, 3, 1)
    images = 1000 * np.exp(-np.array(TIMES_MS) / t)
    images[0, 0, 0] = 0
    nibabel.Nifti1Image(images.astype(np.float32), AFFINE).to_filename(tmp_path / "scan.nii.gz")
    outcome = rx.workflows.fit_scan(tmp_path / "scan.nii.gz", "t1rho", times_ms=TIMES_MS, out=tmp_path / "out")
    (tmp_path / "out" / "secret.txt").write_text("secret")
    return tmp_path / "out", outcome.result


@pytest.fixture
def served(fitted):
    """Serve the maps, and return what asks the server: status and content by path."""
    pytest.importorskip("relaxnet_viewer", reason=ABSENT)
    with rx.workflows.serve_maps(fitted[0]) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()

        def ask(path, **headers):
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            return answer.status, content

        ask.address = server.address
        yield ask
        server.shutdown()
        thread.join()


def test_the_maps_are_listed_and_served_in_ms(served, fitted):
    names = json.loads(served("/maps")[1])
    assert names[0] == "scan_T1rho.nii.gz"
    assert len(names) == 6
    status, content = served("/map.nii?map=0")
    image = nibabel.Nifti1Image.from_bytes(content)
    np.testing.assert_allclose(image.get_fdata(), fitted[1].maps["t1rho"], rtol=1e-6)
    np.testing.assert_array_equal(image.affine, AFFINE)
    assert status == 200
    about = json.loads(served("/about?map=0")[1])
    assert about["unit"] == "ms"
    assert about["high"] == pytest.approx(2 * np.nanmedian(fitted[1].maps["t1rho"]), rel=1e-5)


@pytest.mark.parametrize(
    "path",
    [
        "/secret.txt",
        "/../scan.nii.gz",
        "/scan_T1rho.nii.gz",
        "/map.nii",
        "/map.nii?map=99",
        "/map.nii?map=-1",
        "/nothing?map=0",
        "/voxel?map=0&x=1",
    ],
)
def test_nothing_else_is_served(served, path):
    status, content = served(path)
    assert status == 404
    assert b"secret" not in content


def test_other_names_of_the_machine_are_refused(served):
    assert served("/maps", Host="evil.example")[0] == 403
    assert served("/map.nii?map=x")[0] == 500


def test_a_voxel_is_found_by_its_position_and_shown_with_samples_and_fit(served, fitted):
    x, y, z, _ = AFFINE @ (4, 7, 2, 1)
    html = served(f"/voxel?map=0&x={x + 0.4}&y={y - 0.4}&z={z}")[1].decode()
    value = fitted[1].maps["t1rho"][4, 7, 2]
    assert "<h2>Voxel 4, 7, 2</h2>" in html
    assert f"voxel 4, 7, 2: T1rho {value:.3g} ms" in html
    assert "<svg" in html
    assert "--scan" not in html
    assert "CONVERGED" in html
    outside = served("/voxel?map=0&x=500&y=0&z=0")[1].decode()
    assert "outside" in outside
    x, y, z, _ = AFFINE @ (0, 0, 0, 1)
    assert "T1rho has no value" in served(f"/voxel?map=0&x={x}&y={y}&z={z}")[1].decode()


def test_without_the_scan_the_fit_is_shown_and_the_page_says_so(fitted, tmp_path):
    (tmp_path / "scan.nii.gz").rename(tmp_path / "moved.nii.gz")
    (decay,) = open_folder(fitted[0]).decays_at(0, (1, 2, 1))
    assert decay.samples is None
    assert decay.result.maps["t1rho"][0] == pytest.approx(fitted[1].maps["t1rho"][1, 2, 1], rel=1e-6)
    (decay,) = open_folder(fitted[0], tmp_path / "moved.nii.gz").decays_at(0, (1, 2, 1))
    assert decay.samples.shape == (4,)


def test_the_decays_of_a_joint_fit_are_those_of_its_contrasts(tmp_path):
    subject = rx.phantom.liver_cohort(n_subjects=1, slices=1, shape=(32, 32), snr=20, seed=0)[0]
    images = np.ascontiguousarray(subject.images.numpy().transpose(3, 2, 0, 1))
    nibabel.Nifti1Image(images, np.eye(4)).to_filename(tmp_path / "scan.nii.gz")
    rx.workflows.fit_joint_scan(tmp_path / "scan.nii.gz", protocol=subject.protocol, out=tmp_path / "out")
    decays = open_folder(tmp_path / "out").decays_at(0, (16, 16, 0))
    assert [decay.contrast.name for decay in decays] == ["t1rho", "t2"]
    np.testing.assert_array_equal(decays[1].samples, images[16, 16, 0][[0, 4, 5, 6]])


def test_a_model_with_an_offset_is_fitted_anew(tmp_path):
    times = (50.0, 200.0, 600.0, 1500.0, 4000.0)
    images = np.abs(1000 * (1 - 1.8 * np.exp(-np.array(times) / np.full((4, 3, 2, 1), 900.0))))
    nibabel.Nifti1Image(images.astype(np.float32), np.eye(4)).to_filename(tmp_path / "scan.nii.gz")
    model = rx.signals.InversionRecovery()
    rx.workflows.fit_scan(tmp_path / "scan.nii.gz", "t1", times_ms=times, model=model, out=tmp_path / "out")
    (decay,) = open_folder(tmp_path / "out").decays_at(0, (1, 1, 1))
    assert decay.contrast.model == model
    assert decay.result.maps["t1"][0] == pytest.approx(900, rel=1e-3)


def test_what_cannot_be_viewed_is_named(tmp_path, capsys):
    assert main(["view", str(tmp_path / "nothing"), "--no-browser"]) == 1
    assert "there is no such folder" in capsys.readouterr().err
    assert main(["view", str(tmp_path), "--no-browser"]) == 1
    assert "it holds no maps, such as scan_T1rho.nii.gz" in capsys.readouterr().err


def test_without_the_viewer_its_package_is_named(fitted, monkeypatch, capsys):
    monkeypatch.setattr("relaxnet.workflows._viewer.server.find_spec", {"relaxnet_viewer": None}.__getitem__)
    assert main(["view", str(fitted[0]), "--no-browser"]) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert "pip install relaxnet-viewer, or pip install ./viewer in a clone of relaxnet" in told


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for a process")
def test_ctrl_c_ends_the_command_with_its_status(fitted):
    pytest.importorskip("relaxnet_viewer", reason=ABSENT)
    code = "import sys; from relaxnet.cli import main; sys.exit(main())"
    line = [sys.executable, "-c", code, "view", str(fitted[0]), "--no-browser"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert "interrupted by SIGINT" in process.stderr.read()


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium to click in")
def test_a_click_shows_the_decay_of_its_voxel(served, fitted):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright, which drives the browser, is missing")
    options = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]  # WebGL without a GPU
    with playwright.sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=options)
        page = browser.new_page(viewport={"width": 1000, "height": 700})
        asked, wrong = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(served.address)
        page.wait_for_selector("body[data-loaded]", timeout=60_000)
        box = page.locator("#canvas").bounding_box()
        page.wait_for_timeout(500)  # what loading the map asks for is answered
        with page.expect_response(lambda answer: "/voxel" in answer.url):
            page.mouse.click(box["x"] + 0.6 * box["width"], box["y"] + 0.4 * box["height"])
        page.wait_for_selector("#voxel svg", timeout=60_000)
        page.wait_for_timeout(500)
        text = page.inner_text("#voxel")
        before = page.inner_text("#voxel h2")
        page.mouse.wheel(0, 120)  # to the next slice
        page.wait_for_function("before => document.querySelector('#voxel h2').textContent !== before", arg=before)
        after = page.inner_text("#voxel h2")
        browser.close()
    assert not wrong
    assert {urlsplit(url).netloc for url in asked if not url.startswith(("data:", "blob:"))} == {
        urlsplit(served.address).netloc
    }
    i, j, k = (int(part) for part in before.removeprefix("Voxel ").split(", "))
    assert f"T1rho {fitted[1].maps['t1rho'][i, j, k]:.3g} ms" in text
    # Right of the middle of a radiological picture is the patient's left; above the middle is the front.
    assert (i, j) == (pytest.approx(7, abs=1), pytest.approx(6, abs=1))
    assert after.removeprefix("Voxel ").split(", ")[:2] == [str(i), str(j)]
