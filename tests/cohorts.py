"""Comparing cohorts, and folders of cohorts."""

import dataclasses

import torch

SMALL = {"slices": 2, "shape": (32, 40)}


def assert_same(one, other):
    for field in dataclasses.fields(one):
        expected, found = getattr(one, field.name), getattr(other, field.name)
        if field.name == "truth":
            torch.testing.assert_close(found, expected, rtol=3e-7, atol=0, equal_nan=True)
        elif isinstance(expected, torch.Tensor):
            torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
        else:
            assert found == expected


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
