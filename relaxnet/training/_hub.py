"""Trained networks on the Hugging Face Hub, by its own mixin. Importing this module needs the extra ``hub``."""

import json
from pathlib import Path
from typing import Any

from huggingface_hub import ModelHubMixin, hf_hub_download

import relaxnet
from relaxnet.training._trained import Trained, load

FILE = "model.safetensors"

CARD = """---
{{ card_data }}
---

# Relaxation-time maps: {{ contrasts }}

A network of [relaxnet](https://pypi.org/project/relaxnet/) that maps {{ contrasts }} (in ms) from {{ n_inputs }}
weighted MR images. It was trained without labels, unless said otherwise below. **For research, not for clinical use.**

```python
import relaxnet as rx

trained = rx.training.Trained.from_pretrained("{{ repo_id | default("this/repository", true) }}")
maps = trained.predict(images)  # (slice, image, height, width), magnitudes in any unit
```

| | |
| --- | --- |
| protocol | {{ protocol }} |
| images that it sees | {{ inputs }} (channel numbers of the protocol) |
| relaxation times that it can answer with | {{ bounds }} ms |
| relaxnet | {{ version }} |
| training data | {{ training_data | default("not said", true) }} |
| field strength, spin-lock frequency | {{ scanner | default("not said", true) }} |

It refuses images of another protocol when it is told theirs: `trained.predict(images, protocol=...)`. Standard
deviations, where it gives any, are calibrated on the liver of simulated subjects, or on held-out patients.
"""


class HubTrained(ModelHubMixin, library_name="relaxnet", tags=["mri", "relaxometry"], model_card_template=CARD):
    """A trained network in the shape that the mixin wants.

    Parameters
    ----------
    trained
        The network.
    """

    def __init__(self, trained: Trained) -> None:
        self.trained = trained

    def _save_pretrained(self, save_directory: Path) -> None:
        self.trained.save(save_directory / FILE)
        (save_directory / "config.json").write_text(json.dumps(self.trained.net.config, indent=2), encoding="utf-8")

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **options: Any) -> "HubTrained":
        path = Path(model_id) / FILE
        if not path.is_file():
            known = ("revision", "cache_dir", "force_download", "local_files_only", "token")
            path = Path(hf_hub_download(model_id, FILE, **{name: options[name] for name in known if name in options}))
        return cls(load(path))


def describe(trained: Trained) -> dict[str, Any]:
    """Say in a model card's words what a network is.

    Parameters
    ----------
    trained
        The network.

    Returns
    -------
    dict
        Fields of the card.
    """
    protocol = trained.net.protocol
    return {
        "contrasts": " and ".join(protocol.names),
        "n_inputs": len(trained.net.input_channels),
        "protocol": "; ".join(
            f"{c.name} at {', '.join(f'{t:g}' for t in c.times_ms)} ms" for c in protocol.contrasts
        ) + (", the first image shared" if protocol.shared_first else ""),
        "inputs": ", ".join(map(str, trained.net.input_channels)),
        "bounds": " to ".join(f"{bound:g}" for bound in trained.net.bounds_ms),
        "version": relaxnet.__version__,
    }  # fmt: skip
