# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Other contrasts: T1, T2* and the ADC
#
# A contrast carries its signal model, and every fit, bound and loss obeys it. Here a
# ring of vials with known values is scanned in four ways and mapped.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch

import relaxnet as rx

y, x = np.mgrid[-40:41, -40:41]
vials = np.zeros((81, 81), dtype=int)
for k in range(8):
    centre = 28 * np.cos(k * np.pi / 4), 28 * np.sin(k * np.pi / 4)
    vials[(x - centre[0]) ** 2 + (y - centre[1]) ** 2 < 64] = k + 1


def scanned(contrast, values, snr=40):
    """Scan vials that have these values, with noise."""
    t = torch.tensor([values[0], *values], dtype=torch.float32)[vials]
    m0 = torch.from_numpy(1000.0 * (vials > 0)).float()
    clean = contrast.model(m0[None], t[None], contrast)
    generator = torch.Generator().manual_seed(0)
    return rx.signals.add_noise(clean, 1000 / snr, generator=generator)[0].numpy()


# %% [markdown]
# ## The contrasts
#
# Of a model whose images do not differ in time, `times_ms` holds what they differ in:
# flip angles in degrees, or b-values in s/mm². A saturation or inversion that is not
# perfect is fitted, too, unless its efficiency is given.

# %%
recovery = rx.signals.InversionRecovery()
angles = rx.signals.VariableFlipAngle(tr_ms=15)
t1_values = (200, 400, 600, 800, 1000, 1300, 1600, 2000)
t2star_values = (5, 8, 12, 16, 20, 30, 40, 60)
adc_values = (0.3e-3, 0.6e-3, 0.9e-3, 1.2e-3, 1.5e-3, 1.8e-3, 2.2e-3, 2.6e-3)
cases = {
    "T1, inversions (ms)": (
        rx.Contrast("t1", (50, 150, 400, 900, 1800, 4000), model=recovery),
        t1_values,
    ),
    "T1, flip angles (ms)": (rx.Contrast("t1", (2, 5, 10, 20), model=angles), t1_values),
    "T2* (ms)": (rx.Contrast("t2star", (2, 5, 10, 20, 35, 50)), t2star_values),
    "ADC (mm²/s)": (
        rx.Contrast("adc", (0, 200, 500, 1000), model=rx.signals.Diffusion()),
        adc_values,
    ),
}

# %% Maps of eight vials, and fitted against true values, for four contrasts
figure, axes = plt.subplots(2, 4, figsize=(12, 5.6), layout="constrained")
for (title, (contrast, values)), (upper, lower) in zip(
    cases.items(), axes.T, strict=True
):
    result = rx.fit(scanned(contrast, values), contrast, dim=0, mask=vials > 0)
    fitted = result.maps[contrast.name]
    upper.set(title=title, xticks=[], yticks=[], facecolor="0.9")
    figure.colorbar(upper.imshow(fitted, vmin=0, vmax=1.1 * values[-1]), ax=upper)
    rows = result.regions(vials)
    rows = [row for row in rows if row["map"] == contrast.name]
    lower.errorbar(
        values, [r["mean"] for r in rows], [r["sd"] for r in rows], fmt="o", capsize=2
    )
    lower.plot(values, values, "0.6", zorder=0)
    lower.set(xlabel="true", ylabel="mean ± sd")
    failed = sum(row["n_failed"] for row in rows)
    print(f"{title:<22} {failed} of {(vials > 0).sum()} voxels without a value")

# %% [markdown]
# With flip angles, T1 is far less precise at the same noise: the signal is a tenth of
# the amplitude, and a mean of noisy T1 is too long.
#
# The commands are `relaxnet fit t1 scan.nii.gz --ti-ms 50,150,400,900,1800,4000`, `fit
# t1 --flip-deg 2,5,10,20 --tr-ms 15`, `fit t2star --te-ms ...` and `fit adc --b ...`.
