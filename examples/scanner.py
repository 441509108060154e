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
# # Map a scan as it comes from the scanner
#
# A scan is a folder of DICOM files, one file for each echo as converters write them, or
# one file with four dimensions. relaxnet takes each of them, and finds the times where
# they stand. To have something to read, this page first writes a multi-echo scan of a
# digital abdomen in all three forms.

# %%
# %matplotlib inline
import json
from pathlib import Path

import numpy as np
import pydicom
from nibabel import Nifti1Image, save
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

import relaxnet as rx

te_ms = (10.0, 20.0, 30.0, 45.0, 60.0, 80.0)
protocol = rx.Protocol((rx.Contrast("t2", te_ms),))
subject = rx.phantom.liver_cohort(
    1, 2, (96, 128), snr=30, seed=4, protocol=protocol, pixel_mm=3
)[0]
volumes = np.round(subject.images.permute(3, 2, 0, 1).numpy())  # (x, y, z, time)
affine = np.diag((-3.0, -3.0, 7.0, 1.0))
volumes.shape

# %% [markdown]
# ## One file for each echo
#
# This is what dcm2niix and BIDS have: a volume for each echo, and its echo time in
# seconds in a JSON file beside it.

# %%
anat = Path("raw/sub-01/anat")
anat.mkdir(parents=True, exist_ok=True)
for k, te in enumerate(te_ms):
    name = anat / f"sub-01_echo-{k + 1}_MESE"
    save(Nifti1Image(volumes[..., k].astype(np.int16), affine), f"{name}.nii.gz")
    Path(f"{name}.json").write_text(json.dumps({"EchoTime": te / 1000}))

scan = rx.io.read_scan(sorted(anat.glob("*_MESE.nii.gz")), "t2")
print(scan.data.shape, scan.times_ms, "from", scan.times_from)

# %% [markdown]
# ## One file
#
# With four dimensions, and times from options or from a JSON file:

# %%
save(Nifti1Image(volumes.astype(np.int16), affine), "scan.nii.gz")
scan = rx.io.read_scan("scan.nii.gz", "t2", times_ms=te_ms)
print(scan.data.shape, scan.times_ms)

# %% [markdown]
# ## A folder of DICOM files
#
# In any order and under any names; position, orientation and echo time of each image
# are in its file.

# %%
folder = Path("dicom")
folder.mkdir(exist_ok=True)
for k, te in enumerate(te_ms):
    for z in range(volumes.shape[2]):
        image = Dataset()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = MRImageStorage
        image.SOPInstanceUID = generate_uid()
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        image.Modality, image.SeriesNumber, image.SeriesInstanceUID = "MR", 3, "1.2.3"
        image.EchoTime = te
        image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        image.ImagePositionPatient = [0, 0, 7 * z]
        image.PixelSpacing, image.SliceThickness = [3, 3], 7
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
        image.PixelRepresentation = 0
        pixels = volumes[..., z, k].T.astype(np.uint16)
        image.Rows, image.Columns = pixels.shape
        image.PixelData = pixels.tobytes()
        name = folder / f"{image.SOPInstanceUID}.dcm"
        pydicom.dcmwrite(name, image, enforce_file_format=True)

scan = rx.io.read_scan(folder, "t2")
print(scan.data.shape, scan.times_ms, "from", scan.times_from)

# %% [markdown]
# ## Maps
#
# `fit_scan` reads, fits and writes in one call. Its command is `relaxnet fit t2
# raw/sub-01/anat/sub-01_echo-*_MESE.nii.gz --out maps/`, or with `dicom/` in place of
# the files. The maps have BIDS names and are in seconds.

# %%
outcome = rx.workflows.fit_scan(sorted(anat.glob("*_MESE.nii.gz")), "t2", out="maps")
for path in sorted(Path("maps").rglob("*.nii.gz")):
    print(path.relative_to("maps"))

# %% T2 of two slices of a digital abdomen
rx.plots.map_figure(
    rx.fit(subject.images, protocol.contrasts[0]).maps["t2"].numpy(), name="t2"
)
