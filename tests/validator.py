"""The validator of BIDS."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

VALIDATOR = Path(sys.executable).with_name("bids-validator-deno")


def issues(folder):
    """Return the errors that it finds in a data set."""
    if not VALIDATOR.exists():
        pytest.skip("bids-validator-deno is not installed")
    told = subprocess.run([VALIDATOR, folder, "--ignoreWarnings", "--format", "json"], capture_output=True, check=False)
    found = json.loads(told.stdout)["issues"]["issues"]
    return [(issue["code"], issue.get("subCode"), issue.get("location")) for issue in found]
