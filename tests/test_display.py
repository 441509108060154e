"""What results, networks, protocols and cohorts show of themselves."""

from html.parser import HTMLParser

import numpy as np
import pytest
import torch

import relaxnet as rx
from relaxnet._display import Displayed, Section

PROTOCOL = rx.protocols.LIVER_T1RHO_T2
COHORT = rx.phantom.liver_cohort(n_subjects=3, slices=1, shape=(32, 32), snr=20, seed=0)
ARRAYS = [np.ones((1, 7, 8, 8)), np.full((1, 7, 8, 8), 2.0)]


def trained(inputs="middle"):
    net = rx.nets.RelaxationNet(PROTOCOL, inputs, base=2, depth=1)
    return rx.training.Trained(net, [{"epoch": 0, "val_residual": 0.25}])


def cohort_folder(tmp_path):
    rx.io.write_cohort(COHORT[:1], tmp_path / "cohort")
    return rx.io.read_cohort(tmp_path / "cohort")


def fitted():
    return rx.fit(COHORT[0].images[:, :4], PROTOCOL.contrasts[0])


SHOWN = {
    "result": (lambda _: fitted(), ("CONVERGED", "t1rho", "median")),
    "spatial": (lambda _: rx.fit_spatial(COHORT[0].images, PROTOCOL), ("SpatialFit", "CONVERGED", "t2")),
    "contrast": (lambda _: PROTOCOL.contrasts[1], ("t2", "18.2", "MonoExponential")),
    "protocol": (lambda _: PROTOCOL, ("7 images", "(0, 4, 5, 6)")),
    "cohort": (lambda _: COHORT, ("Cohort of 3", "32 x 32", "20")),
    "pictures": (lambda _: rx.phantom.texture_cohort(PROTOCOL, 4), ("TextureCohort of 4", "128 x 128")),
    "subject": (lambda _: COHORT[1], ("sub-002", "3 T", "t1rho")),
    "folder": (cohort_folder, ("1 subjects in", "t1rho, t2")),
    "network": (lambda _: trained(), ("t1rho, t2 from 3 of 7 images", "0, 2, 5", "5 to 400 ms", "1 epochs", "0.25")),
    "network of any": (lambda _: trained("any"), ("any of 7 images",)),
    "ensemble": (lambda _: rx.training.Ensemble([trained(), trained()]), ("Ensemble of 2",)),
}


class Text(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.text = [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        assert not attrs
        self.tags.append(tag)
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += f"{data}\n"


@pytest.mark.parametrize(("make", "words"), SHOWN.values(), ids=SHOWN)
def test_a_repr_is_short_and_summary_and_html_say_the_same(make, words, tmp_path):
    thing = make(tmp_path)
    assert len(repr(thing)) < 240
    assert "\n" not in repr(thing)
    page = Text(thing._repr_html_())
    assert page.open == []
    assert set(page.tags) <= {"table", "caption", "tr", "th", "td"}
    for word in words:
        assert word in thing.summary() or word in repr(thing)
    assert set(thing.summary().split()) <= set(page.text.split())
    titles = [line for line in thing.summary().splitlines() if not line.startswith(" ")]
    assert page.tags.count("table") == len(titles)


def test_text_is_escaped():
    class Sly(Displayed):
        def _sections(self):
            return [Section("<b>", [("a & b", "<script>")], ('"head"',))]

    html = Sly()._repr_html_()
    assert "<script>" not in html
    assert "<b>" not in html
    assert {"<b>", "a & b", "<script>", '"head"'} <= set(Text(html).text.splitlines())
    assert Sly().summary() == '<b>\n         "head"\n  a & b  <script>'


def test_a_smoke_training_says_what_it_is_worth(capsys):
    told = "only shows that everything runs: its maps mean nothing"
    rx.training.train(COHORT, preset="smoke")
    assert capsys.readouterr().err.count(told) == 1
    presets = rx.training.PRESETS
    assert [told in repr(preset) for preset in presets.values()] == [name == "smoke" for name in presets]
    assert told in presets["smoke"].summary
    assert repr(presets["paper"]) == "Preset(steps=20)"


def test_a_result_is_plotted():
    result = fitted()
    figure = result.plot()
    assert figure.axes[-1].get_ylabel() == "T1rho (ms)"
    assert result.plot("m0", title="amplitude").get_suptitle() == "amplitude"
    with pytest.raises(ValueError, match="name='t2': the maps are m0, t1rho"):
        result.plot("t2")
    with pytest.raises(ValueError, match="axes"):
        rx.fit(torch.tensor([100.0, 82, 51, 33]), (0, 10, 30, 50)).plot()
