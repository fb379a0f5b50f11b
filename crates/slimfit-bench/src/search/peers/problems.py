"""What the optimisers minimise: a table of evaluated points, or the formula of `formula.rs`."""

import numpy as np


def make(description):
    return {"table": Table, "formula": Formula}[description["kind"]](description)


class Table:
    """Points that slimfit evaluated, found by the places of their axes' values.

    Which values an axis offers depends on the axes before it, so a gene says which share of what is left is taken: every
    genome is a point, and no evaluation is lost on combinations that are none.
    """

    def __init__(self, description):
        codes = np.fromfile(description["codes"], dtype="<u4").reshape(-1, description["axes"])
        self.objectives = np.fromfile(description["values"]).reshape(len(codes), -1)
        self.dimensions = self.objectives.shape[1]
        # Rows in the order of their axes; each level of the tree below holds where its nodes begin among the rows.
        self.order = np.lexsort(codes.T[::-1])
        codes = codes[self.order]
        starts = np.zeros(1, dtype=np.int64)
        self.levels, counts = [], []
        new = np.zeros(len(codes), dtype=bool)
        new[0] = True
        for axis in range(codes.shape[1]):
            new[1:] |= codes[1:, axis] != codes[:-1, axis]
            children = np.flatnonzero(new)
            first = np.searchsorted(children, starts)
            offered = np.diff(np.append(first, len(children)))
            if offered.max() > 1:
                self.levels.append((first, offered))
                counts.append(offered.max())
                starts = children
        if len(starts) != len(codes):
            raise ValueError("two rows of the table have the same axes")
        self.counts = np.array(counts)

    def places(self, genomes):
        node = np.zeros(len(genomes), dtype=np.int64)
        for gene, ((first, offered), count) in enumerate(zip(self.levels, self.counts)):
            node = first[node] + genomes[:, gene] * offered[node] // count
        return self.order[node]

    def evaluate(self, genomes):
        return self.objectives[self.places(genomes)]

    def evaluate_one(self, genome):
        node = 0
        for value, (first, offered), count in zip(genome, self.levels, self.counts):
            node = first[node] + value * offered[node] // count
        return self.objectives[self.order[node]].tolist()


class Formula:
    """The made-up objectives of `formula.rs`; that file compares what this one returns with its own."""

    def __init__(self, description):
        self.counts = np.array(description["counts"])
        self.dimensions = 3

    def places(self, genomes):
        place = np.zeros(len(genomes), dtype=np.int64)
        for gene, count in enumerate(self.counts):
            place = place * count + genomes[:, gene]
        return place

    def evaluate(self, genomes):
        return np.column_stack(self.values(*genomes.T))

    def evaluate_one(self, genome):
        return [float(value) for value in self.values(*genome)]

    @staticmethod
    def values(hidden, kv_heads, ffn, gated, window, weights, kv, untied, layers):
        hidden = 256.0 + 128.0 * hidden
        layers = 4.0 + layers
        kv_share = 1.0 / (1.0 + kv_heads)
        inner = hidden * (1.0 + 0.25 * ffn)
        matrices = 3.0 - gated
        layer = 2.0 * hidden * hidden * (1.0 + kv_share) + matrices * hidden * inner
        body = layers * layer
        tables = 32768.0 * hidden * (1.0 + untied)
        bytes_per_weight = np.array([4.0, 2.0, 1.0625, 0.5625])[weights]
        bytes_per_kv = np.array([4.0, 2.0, 1.0625])[kv]
        seen = np.array([1024.0, 512.0, 256.0, 128.0])[window]
        cache = 2.0 * layers * hidden * kv_share * bytes_per_kv * seen
        stored = (body + tables) * bytes_per_weight
        shape = np.log(hidden / layers / 64.0)
        loss = (
            1.7
            + 410.0 / (body + 0.3 * tables) ** 0.34
            + 0.004 * shape * shape
            + np.array([0.0, 0.0005, 0.004, 0.03])[weights]
            + np.array([0.0, 0.0002, 0.003])[kv]
            + 0.01 * kv_heads
            + 0.004 * window
            + 0.012 * gated
            + 0.003 * (1 - untied)
            + 0.002 * (inner / hidden - 3.0) ** 2
        )
        seconds = (stored + cache) / 2e10 + layers * 4e-6 + hidden * 1e-9
        memory = stored + cache + 64.0 * (hidden + inner)
        return loss, seconds, memory
