"""Weightings of losses that are numbers, or lists and dictionaries of what each task has."""

import pytest
import torch
from weightings import every_weighting, residuals

import relaxnet as rx


@every_weighting
def test_two_losses_of_any_kind_are_weighed_as_residuals_are(make):
    a, b = torch.tensor(0.3, requires_grad=True), torch.tensor(2.0, requires_grad=True)
    expected = make()(torch.stack([a, b]).expand(1, 2))
    gradient = torch.autograd.grad(expected, (a, b))
    for losses in (torch.stack([a, b]), [a, b], (a, b), {"maps": a, "edges": b}):
        loss = make()(losses)
        assert loss == expected
        assert torch.autograd.grad(loss, (a, b)) == gradient


@every_weighting
def test_a_list_of_maps_is_a_stack(make):
    residual = residuals(3, 2, 4, 5)
    assert make()([residual[:, 0], residual[:, 1]]) == make()(residual)


def test_names_of_losses_keep_their_order():
    weighting = rx.losses.FixedWeights((1.0, 10.0))
    assert weighting({"a": torch.tensor(1.0), "b": torch.tensor(2.0)}) == 21
    assert weighting({"b": torch.tensor(2.0), "a": torch.tensor(1.0)}) == 21
    with pytest.raises(ValueError, match=r"tasks \('a',\), and had \('a', 'b'\)"):
        weighting({"a": torch.tensor(1.0)})
