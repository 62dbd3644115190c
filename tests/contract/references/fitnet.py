import numpy as np


def reference(student, teacher, labels):
    rows = []
    for a, b in zip(student, teacher, strict=True):
        total = 0.0
        for x, y in zip(a.ravel(), b.ravel(), strict=True):
            total += (x - y) ** 2
        rows.append(total / a.size)
    return np.array(rows)
