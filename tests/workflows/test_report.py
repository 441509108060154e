"""Reports: one file that holds all it shows, says what is true, and tells no folder."""

import re
from html.parser import HTMLParser

import nibabel
import numpy as np
import pytest

import relaxnet as rx
from relaxnet.cli import main
from relaxnet.workflows._report.fit import sure_voxels, typical_voxels
from relaxnet.workflows._report.page import Page, Section, Table, render

TIMES_MS = (0.0, 10.0, 30.0, 50.0)
PATIENT = "Erika_Mustermann"


class Tags(HTMLParser):
    """Collect what a page holds."""

    def __init__(self, html):
        super().__init__()
        self.names, self.ids, self.links, self.open = [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        known = dict(attrs)
        self.ids += [known["id"]] if "id" in known else []
        self.links += [known[key] for key in ("src", "href", "xlink:href") if key in known]


@pytest.fixture
def scan(tmp_path):
    """Save a noisy decay in a folder that is named after a patient."""
    folder = tmp_path / PATIENT
    folder.mkdir()
    t = np.linspace(30, 60, 96).reshape(6, 8, 2, 1)
    images = 1000 * np.exp(-np.array(TIMES_MS) / t) + np.random.default_rng(0).normal(0, 10, (6, 8, 2, 4))
    images[0, 0] = 0
    path = folder / "scan.nii.gz"
    nibabel.Nifti1Image(images.astype(np.float32), np.eye(4)).to_filename(path)
    labels = np.zeros((6, 8, 2), np.uint8)
    labels[:3], labels[3:] = 1, 2
    nibabel.Nifti1Image(labels, np.eye(4)).to_filename(folder / "seg.nii.gz")
    (folder / "seg.tsv").write_text("index\tname\n1\t<script>alert(1)</script>\n2\tmuscle & fat\n")
    return path


@pytest.fixture
def html(scan):
    """Fit the scan with a report, by the command."""
    seg, out = scan.with_name("seg.nii.gz"), scan.parent / "out"
    line = ["fit", "t1rho", scan, "--tsl-ms", "0,10,30,50", "--labels", seg, "--out", out, "--report"]
    assert main([*map(str, line)]) == 0
    return (out / "scan_T1rho.html").read_text(encoding="utf-8")


def test_a_report_needs_nothing_but_itself(html):
    tags = Tags(html)
    assert html.startswith("<!DOCTYPE html>")
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in tags.links)
    assert "@import" not in html
    assert len(set(tags.ids)) == len(tags.ids)
    targets = {link[1:] for link in tags.links if link.startswith("#")} | {*re.findall(r"url\(#([^)]+)\)", html)}
    assert targets <= set(tags.ids)
    assert tags.names.count("svg") == 7  # map, standard error, status, three decays, residuals


def test_a_report_says_what_was_found(html):
    assert "94 of 96 voxels converged" in html
    for text in (
        "CONVERGED",
        "NO_SIGNAL",
        "Standard error of T1rho",
        "relaxnet 0",
        "Python 3",
        "muscle &amp; fat",
        "nlls",
    ):
        assert text in html, text


def test_a_report_escapes_what_comes_from_outside_and_names_no_folder(html):
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert PATIENT not in html


def test_there_is_no_report_unless_asked_for(scan):
    outcome = rx.workflows.fit_scan(scan, "t1rho", times_ms=TIMES_MS)
    assert "report" not in outcome.files
    assert not [*scan.parent.glob("*.html")]


def test_a_report_is_never_overwritten_unasked(scan):
    scan.with_name("scan_T1rho.html").write_text("mine")
    with pytest.raises(FileExistsError, match=r"scan_T1rho\.html"):
        rx.workflows.fit_scan(scan, "t1rho", times_ms=TIMES_MS, report=True)


def test_doubts_stand_at_the_top_of_a_report(scan):
    image = nibabel.load(scan)
    nibabel.Nifti1Image(np.asarray(image.dataobj) - 500, np.eye(4)).to_filename(scan)
    with pytest.warns(UserWarning, match="negative"):
        outcome = rx.workflows.fit_scan(scan, "t1rho", times_ms=TIMES_MS, report=True)
    html = outcome.files["report"].read_text(encoding="utf-8")
    assert html.index('class="warning"') < html.index("<h2>")


def test_a_fit_with_an_offset_has_curves_and_a_band(tmp_path):
    times = (50.0, 200.0, 600.0, 1500.0, 4000.0)
    images = np.abs(1000 * (1 - 1.8 * np.exp(-np.array(times) / np.full((4, 3, 2, 1), 900.0))))
    images += np.random.default_rng(0).normal(0, 5, images.shape)
    path = tmp_path / "scan.nii.gz"
    nibabel.Nifti1Image(images.astype(np.float32), np.eye(4)).to_filename(path)
    model = rx.signals.InversionRecovery()
    outcome = rx.workflows.fit_scan(path, "t1", times_ms=times, model=model, report=True)
    html = outcome.files["report"].read_text(encoding="utf-8")
    assert "95 % band" in html
    assert "offset" in html


def test_a_joint_fit_and_a_prediction_have_a_report_of_both_contrasts(tmp_path):
    subject = rx.phantom.liver_cohort(n_subjects=1, slices=1, shape=(32, 32), snr=20, seed=0)[0]
    images = subject.images.numpy().transpose(3, 2, 0, 1)
    path = tmp_path / "scan.nii.gz"
    nibabel.Nifti1Image(np.ascontiguousarray(images), np.eye(4)).to_filename(path)
    options = {"protocol": subject.protocol, "out": tmp_path / "joint", "report": True}
    joint = rx.workflows.fit_joint_scan(path, **options).files["report"]
    assert joint.name == "scan_joint.html"
    net = rx.nets.RelaxationNet(subject.protocol, inputs="short", base=4, depth=2)
    rx.training.Trained(net).save(tmp_path / "net.safetensors")
    found = rx.workflows.predict_scan(tmp_path / "net.safetensors", path, out=tmp_path / "net", report=True)
    assert found.files["report"].name == "scan_predicted.html"
    for page in (joint, found.files["report"]):
        html = page.read_text(encoding="utf-8")
        assert "Decays and residuals of T1rho" in html
        assert "Decays and residuals of T2" in html
        assert str(tmp_path) not in html


def test_typical_voxels_are_nearest_to_the_quartiles():
    values = np.arange(101.0).reshape(1, 101, 1)
    where = np.ones(values.shape, dtype=bool)
    assert typical_voxels(values, where) == [(0, 25, 0), (0, 50, 0), (0, 75, 0)]
    where[:] = False
    assert typical_voxels(values, where) == []
    where[0, 7, 0] = True
    assert typical_voxels(values, where) == [(0, 7, 0)]


def test_voxels_are_sure_where_the_error_is_below_half_or_unknown():
    values, std = np.array([40.0, 40.0, 40.0, np.nan]), np.array([10.0, 30.0, np.nan, 1.0])
    np.testing.assert_array_equal(sure_voxels(values, std, np.isfinite(values)), [True, False, True, False])


def test_cells_are_written_for_people():
    rows = [("a", 1234567, 1.23456, float("nan"), "<i>")]
    html = render(Page("t", "l", (Section("s", tables=(Table(tuple("abcde"), rows),)),)))
    for text in ("1 234 567", ">1.235<", ">–<", "&lt;i&gt;"):
        assert text in html.replace("\N{NARROW NO-BREAK SPACE}", " ")
