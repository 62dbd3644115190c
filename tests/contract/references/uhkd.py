import numpy as np
from map_maths import amplitude, signed

HYPER = [{"keep": 4}, {"keep": 3}]


def inside(index, count, keep):
    """Whether a frequency lies in the central window: keep values from -(keep // 2) on, all where there are fewer."""
    return count <= keep or -(keep // 2) <= signed(index, count) < keep - keep // 2


def reference(student, teacher, labels, keep):
    rows = []
    for a, b in zip(student, teacher, strict=True):
        squares = []
        for c in range(len(a)):
            x, y = amplitude(a[c]), amplitude(b[c])
            for u in range(x.shape[0]):
                for v in range(x.shape[1]):
                    if inside(u, x.shape[0], keep) and inside(v, x.shape[1], keep):
                        squares.append((x[u, v] - y[u, v]) ** 2)
        rows.append(np.mean(squares))
    return np.array(rows)
