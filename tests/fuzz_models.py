"""Small sound model files, and mutations that know them; as in `fuzz_seeds`."""

import json

import fuzz_decoders as says
import numpy as np
import safetensors.numpy
from fuzz_mutations import Field, blindly

from minipixel import checkpoint

noise = np.random.default_rng(0)

TENSORS = {
    "stem.weight": noise.standard_normal((2, 3)).astype(np.float32),
    "stem.bias": noise.standard_normal(2),
    "count": np.array(7, np.int64),
    "blocks.0.mask": np.array([True, False]),
    "none": np.zeros((0, 4), np.float32),
    "half": np.ones(3, np.float16),
}
CONFIG = {"model": "pixelcnn", "image_shape": [2, 2, 1], "levels": 2, "dropout": 0.5, "head": None}


def model(config, tensors):
    """The file that `checkpoint.write` would write, in memory."""
    metadata = {"minipixel": checkpoint._canonical({"config": config, "sha256": says.model_digest(config, tensors)})}
    return safetensors.numpy.save(tensors, metadata)


MODEL_FIELDS = [Field(0, 8, "little"), Field(0, 4, "little")]
MODELS = [model(CONFIG, TENSORS), model({}, {"w": np.zeros((2, 2), np.float32)})]


class Pairs(list):
    """A JSON object that may have a key twice."""


def dump(value):
    if isinstance(value, Pairs):
        return "{" + ",".join(f"{json.dumps(key)}:{dump(item)}" for key, item in value) + "}"
    return "[" + ",".join(map(dump, value)) + "]" if isinstance(value, list) else json.dumps(value)


ITEMS = [
    None, True, 0, -1, 1.5, "", "F32", "F64", "BF16", "I64", "U8", "F8_E4M3", [], [0], [2, 3], [3, 2], [0, 24],
    [0, 2**63], [2**40, 2**40], [1] * 40, [-1, 1], [0.5], [True], Pairs(), float("nan"), 10**30, "\ud800", "a\nb",
]  # fmt: skip


def model_again(rng, content):
    """Another header, of the length that it says it has: keys twice, entries swapped, other dtypes, shapes, places."""
    length = int.from_bytes(content[:8], "little")
    header, body = json.loads(content[8 : 8 + length], object_pairs_hook=Pairs), content[8 + length :]
    for _ in range(rng.choice([1, 1, 2])):
        a, b = (rng.randrange(len(header)) for _ in range(2))
        name, entry = header[a]
        what = rng.randrange(9)
        if what == 0:
            header.append((name, rng.choice([entry, header[b][1]])))
        elif what == 1:
            header[a], header[b] = (name, header[b][1]), (header[b][0], entry)
        elif what == 2:
            header[a] = (rng.choice(["", "x", "__metadata__", header[b][0], "a\nb", "\ud800", "q" * 300]), entry)
        elif what == 3 and isinstance(entry, Pairs) and entry:
            i = rng.randrange(len(entry))
            header[a] = (name, Pairs([*entry[:i], (entry[i][0], rng.choice(ITEMS)), *entry[i + 1 :]]))
        elif what == 4 and isinstance(entry, Pairs) and entry:
            i = rng.randrange(len(entry))
            header[a] = (name, Pairs([*entry, (rng.choice(["x", entry[i][0]]), rng.choice([entry[i][1], *ITEMS]))]))
        elif what == 5 and len(header) > 1:
            del header[a]
        elif what == 6:
            header[a] = (name, rng.choice(ITEMS))
        elif what == 7 and isinstance(entry, Pairs):
            ends = [value for key, value in entry if key == "data_offsets" and isinstance(value, list)]
            shift = rng.choice([-8, -1, 1, 4, 8])
            moved = (
                [value + shift for value in ends[0]] if ends and all(type(v) is int for v in ends[0]) else [0, shift]
            )
            header[a] = (name, Pairs([(key, moved if key == "data_offsets" else value) for key, value in entry]))
        else:
            body = blindly(rng, body)
    text = dump(header).encode("utf-8", "surrogatepass")
    text += b" " * rng.choice([0, 0, -len(text) % 8, 3])
    if rng.random() < 0.05:
        text = rng.choice([b"[" * 2000, b'{"a":' * 990 + b"1" + b"}" * 990, b"{}", b"null", b"1" * 5000, b"\xff\xfe"])
    return len(text).to_bytes(8, "little") + text + body


def sign(content):
    """Sign a file again, if it can be read at all: whoever makes a file can do that. In the header as it stands."""
    try:
        _, config, digest = says.model_metadata(content)
        new = says.model_digest(config, says.model(content))
    except Exception:
        return content
    return content.replace(digest.encode(), new.encode()) if isinstance(digest, str) and len(digest) == 64 else content


def model_signed_again(rng, content):
    changed = model_again(rng, content) if rng.random() < 0.8 else blindly(rng, content, MODEL_FIELDS)
    return sign(changed)
