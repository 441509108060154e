"""Damage to files: blind, or as the kind of the file suggests."""

import copy
import gzip
import io
import json
import math
import random
from collections.abc import Iterator
from typing import Any

import nibabel
import numpy as np
import torch

INTEGERS = (-(2**63), -(2**31), -(2**15), -1, 0, 1, 2, 7, 8, 16, 64, 255, 348, 540, 2**15 - 1, 2**31 - 1, 2**63 - 1)
FLOATS = (math.nan, math.inf, -math.inf, 0.0, -1.0, 1e-38, 1e38, 0.5, 352.0, 1e9)
ODD: tuple[Any, ...] = (
    None, True, False, *INTEGERS, *FLOATS, 1e308, 10**400, "", "x", "x" * 100_000, "\x1b[2J\n\u202e", "\ud800", "nan",
    "../x", [], {}, [[]], [0] * 100_000, {"name": []}, ["t2", "t2"], [1, 2, 3],
)  # fmt: skip
DEEP = "very deep"  # stands for more brackets than Python writes


def blindly(content: bytes, chance: random.Random) -> bytes:
    """Change, lose, double or cut off some bytes."""
    content = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 8))):
        at, n = chance.randrange(len(content) or 1), chance.choice((1, 2, 4, 64))
        part = content[at : at + n]
        new = chance.choice(
            (
                b"",
                part * 2,
                chance.randbytes(n),
                bytes(n),
                b"\xff" * n,
                bytes(x ^ 1 << chance.randrange(8) for x in part),
            )
        )
        content[at : at + n] = new
    return bytes(content[: chance.randrange(len(content) + 1)] if chance.random() < 0.2 else content)


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """List the places of a tree of dictionaries and lists, as container and key."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in [*items]:
        yield tree, key
        yield from places(value)


def tree(content: Any, chance: random.Random) -> Any:
    """Delete, replace, rename or repeat a value somewhere in a tree."""
    root = {"": content}
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        container, key = chance.choice([*places(root)][:5000])
        match chance.randrange(6):
            case 0 if container is not root:
                del container[key]
            case 1 if isinstance(container, dict) and container is not root:
                container[chance.choice([str(x)[:9] for x in ODD])] = container.pop(key)
            case 2 if isinstance(container[key], list):
                container[key] = container[key] * chance.choice((2, 1000))
            case 3:
                container[key] = DEEP
            case _:
                container[key] = copy.deepcopy(chance.choice(ODD))
    return root[""]


def dumped(content: Any) -> str:
    """Write a tree as JSON, now and then with more brackets than Python writes."""
    return json.dumps(content).replace(f'"{DEEP}"', "[" * 100_000 + "]" * 100_000)


def nifti(content: bytes, chance: random.Random) -> bytes:
    """Give fields of a header odd values."""
    header = np.frombuffer(content[:348], nibabel.Nifti1Header.template_dtype).copy()
    for _ in range(chance.choice((1, 1, 2, 3))):
        field = header[chance.choice(header.dtype.names)].reshape(-1)
        at, kind = chance.randrange(field.size), field.dtype.kind
        with np.errstate(all="ignore"):
            odd = chance.choice(FLOATS if kind == "f" else INTEGERS)
            field[at] = chance.randbytes(4) if kind == "S" else np.array(odd).astype(field.dtype)
    return header.tobytes() + content[348:]


def network(content: bytes, chance: random.Random) -> bytes:
    """Change what a network says of itself, the table of its tensors, or the tensors."""
    n = 8 + int.from_bytes(content[:8], "little")
    head, tensors = json.loads(content[8:n]), content[n:]
    match chance.randrange(4):
        case 0:
            head = tree(head, chance)
        case 1:
            tensors = blindly(tensors, chance)
        case _:
            said = tree(json.loads(head["__metadata__"]["relaxnet"]), chance)
            head["__metadata__"]["relaxnet"] = dumped(said)
    text = dumped(head).encode()
    return len(text).to_bytes(8, "little") + text + tensors


def saved_run(content: bytes, chance: random.Random) -> bytes:
    """Change the content of a saved run."""
    stream = io.BytesIO()
    torch.save(tree(torch.load(io.BytesIO(content), weights_only=True), chance), stream)
    return stream.getvalue()


def cells(content: bytes, chance: random.Random) -> bytes:
    """Change cells of a table."""
    rows = tree([line.split("\t") for line in content.decode().splitlines()], chance)
    rows = rows if isinstance(rows, list) else [rows]
    lines = ("\t".join(map(repr, row)).replace("'", "") if isinstance(row, list) else str(row)[:9] for row in rows)
    return "\n".join(lines).encode(errors="replace")


def knowingly(name: str, content: bytes, chance: random.Random) -> bytes:
    """Change a file as its kind suggests."""
    if name.endswith(".gz"):
        return gzip.compress(knowingly(name[:-3], gzip.decompress(content), chance), 1)
    kinds = {".nii": nifti, ".tsv": cells, ".safetensors": network, ".ckpt": saved_run}
    if name.endswith(".json"):
        return dumped(tree(json.loads(content), chance)).encode()
    return next((change for ending, change in kinds.items() if name.endswith(ending)), blindly)(content, chance)
