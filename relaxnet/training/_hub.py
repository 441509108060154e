"""Trained networks on the Hugging Face Hub, by its own mixin. Importing this module needs the extra ``hub``."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huggingface_hub import ModelHubMixin, hf_hub_download

from relaxnet._version import __version__
from relaxnet.nets import RelaxationNet

FILE = "model.safetensors"

CARD = """---
{{ card_data }}
---

# Relaxation-time maps: {{ contrasts }}

A network of [relaxnet](https://pypi.org/project/relaxnet/) that maps {{ contrasts }} from {{ n_inputs }} weighted MR
images. It was trained without labels, unless stated otherwise below. **For research, not for clinical use.**

```python
import relaxnet as rx

trained = rx.training.Trained.from_pretrained("{{ repo_id | default("this/repository", true) }}")
maps = trained.predict(images)  # (slice, image, height, width), magnitudes in any unit
```

| | |
| --- | --- |
| protocol | {{ protocol }} |
| input images | {{ inputs }} (channel numbers of the protocol) |
| range of its maps | {{ bounds }} |
| relaxnet | {{ version }} |
| training data | {{ training_data | default("not stated", true) }} |
| field strength, spin-lock frequency | {{ scanner | default("not stated", true) }} |

Pass the protocol of your images, `trained.predict(images, protocol=...)`, and it refuses those of another. Standard
deviations, where it has any, are calibrated on the liver of simulated subjects, or on validation subjects.
"""


class ToHub(ModelHubMixin, library_name="relaxnet", tags=["mri", "relaxometry"], model_card_template=CARD):
    """The files of a trained network, in the shape that the mixin wants.

    Parameters
    ----------
    save
        Writes the network to a path.
    config
        Describes the network.
    path
        Where the network was found, once it has been.
    """

    def __init__(
        self, save: Callable[[Path], None] | None = None, config: dict[str, Any] | None = None, path: Path | None = None
    ) -> None:
        self.save = save
        self.net_config = config
        self.path = path

    def _save_pretrained(self, save_directory: Path) -> None:
        assert self.save is not None  # noqa: S101 (only what was found cannot be saved)
        self.save(save_directory / FILE)
        (save_directory / "config.json").write_text(json.dumps(self.net_config, indent=2), encoding="utf-8")

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **options: Any) -> "ToHub":
        path = Path(model_id) / FILE
        if not path.is_file():
            known = ("revision", "cache_dir", "force_download", "local_files_only", "token")
            path = Path(hf_hub_download(model_id, FILE, **{name: options[name] for name in known if name in options}))
        return cls(path=path)


def describe(net: RelaxationNet, **told: str | None) -> dict[str, Any]:
    """Describe a network in the words of a model card.

    Parameters
    ----------
    net
        The network.
    **told
        What the network does not know; None where it is not known either.

    Returns
    -------
    dict
        Fields of the card.
    """
    protocol = net.protocol
    acquired = (
        f"{c.name} ({c.model!r}) at {', '.join(f'{t:g}' for t in c.times_ms)} {c.model.axis.unit}"
        for c in protocol.contrasts
    )
    return {
        "contrasts": " and ".join(protocol.names),
        "n_inputs": len(net.input_channels),
        "protocol": "; ".join(acquired) + (", the first image shared" if protocol.shared_first else ""),
        "inputs": ", ".join(map(str, net.input_channels)),
        "bounds": ", ".join(
            f"{c.name} {' to '.join(f'{bound:g}' for bound in net.bounds_ms[c.name])} {c.model.parameter.unit}"
            for c in protocol.contrasts
        ),
        "version": __version__,
        **told,
    }
