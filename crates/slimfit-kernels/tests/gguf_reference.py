"""Prints what `k_codecs.rs` expects: decoded blocks of q4_k and q6_k, by the `gguf` package (pip install gguf)."""

import gguf
import numpy as np
from gguf.quants import dequantize

for kind, size, factors in (
    (gguf.GGMLQuantizationType.Q4_K, 144, (0, 2)),
    (gguf.GGMLQuantizationType.Q6_K, 210, (208,)),
):
    state, data = 7, []
    for _ in range(16 * size):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        data.append(state >> 24)
    blocks = np.array(data, np.uint8).reshape(16, size)
    for index, block in enumerate(blocks):
        for factor in factors:
            block[factor] = (37 * index + factor) & 255
            block[factor + 1] = 0x20 + index % 8
    values = dequantize(blocks, kind).astype(np.float32).reshape(-1)
    digest = 0xCBF29CE484222325
    for bits in values.view(np.uint32):
        digest = ((digest ^ int(bits)) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    print(kind.name, hex(digest), values[:3], values[-3:])
