"""Examples of each command, for its help."""

EXAMPLES = {
    "fit t1rho": (
        "relaxnet fit t1rho scan.nii.gz --tsl-ms 0,10,30,50 --out maps/ --report",
        "relaxnet fit t1rho DICOM/ --tsl-ms times.txt --mask organs.nii.gz --label liver",
    ),
    "fit t2": (
        "relaxnet fit t2 sub-01_echo-*_MESE.nii.gz --labels organs.nii.gz --out maps/",
        "relaxnet fit t2 scan.nii.gz --te-ms '10 20 30 40' --skip-first 1",
    ),
    "fit t2star": (
        "relaxnet fit t2star sub-01_echo-*_MEGRE.nii.gz --rates --out maps/",
        "relaxnet fit t2star ute.nii.gz --te-ms 0.03,0.2,0.5,0.9 --unit ms --bounds-ms 0.05,50",
    ),
    "fit t1": (
        "relaxnet fit t1 scan.nii.gz --ti-ms 50,400,1100,2500 --out maps/",
        "relaxnet fit t1 vfa.nii.gz --flip-deg 2,5,10,15 --tr-ms 15",
    ),
    "fit adc": ("relaxnet fit adc dwi.nii.gz --b 0,200,800 --out maps/",),
    "fit joint": (
        "relaxnet fit joint scan.nii.gz --tsl-ms 0,10,30,50 --te-ms 0,18.2,34.6,51 --out maps/",
        "relaxnet fit joint t1rho.nii.gz t2.nii.gz --first mean --out maps/",
    ),
    "demo": ("relaxnet demo --preset smoke",),
    "simulate": ("relaxnet simulate --subjects 4 --slices 1 --shape 32x32 --out cohort/",),
    "train": (
        "relaxnet train cohort/ --preset smoke --out run/",
        "relaxnet train cohort/ --weighting homoscedastic --inputs any --out run/",
    ),
    "predict": (
        "relaxnet predict run/ scan.nii.gz --out maps/ --report",
        "relaxnet predict liver-any scan.nii.gz --inputs middle --out maps/",
        "relaxnet predict liver.safetensors S0.nii.gz tsl-10.nii.gz te-18.nii.gz",
    ),
    "evaluate": (
        "relaxnet evaluate map.nii.gz reference.nii.gz --labels organs.nii.gz --out report/",
        "relaxnet evaluate run/ cohort/ --out report/",
    ),
    "design": (
        "relaxnet design t1rho --range-ms 30,60 --n 4 --max-ms 60",
        "relaxnet design adc --range 0.0005,0.002 --n 3 --max 1000",
    ),
    "view": ("relaxnet view maps/", "relaxnet view maps/ --scan scan.nii.gz --no-browser --port 8000"),
    "experiment": ("relaxnet experiment table2 --preset smoke --out results/",),
    "bids": (
        "relaxnet bids BIDS_DIR OUT_DIR participant --jobs 2",
        "relaxnet bids BIDS_DIR OUT_DIR participant --participant-label 01 02 --session-label pre",
    ),
    "info": ("relaxnet info --json",),
}
"""Lines by the name of the command."""


def examples(command: str) -> str:
    """Write the examples of a command for the end of its help; the mark keeps their lines from being joined."""
    lines = EXAMPLES[command]
    return "\b\n" + "\n".join(["Examples:" if len(lines) > 1 else "Example:", *(f"  {line}" for line in lines)])
