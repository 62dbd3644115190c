import numpy as np


def reference(student, teacher, labels):
    rows = []
    for a, b in zip(student, teacher, strict=True):
        x, y = a.ravel() / np.sqrt((a**2).sum()), b.ravel() / np.sqrt((b**2).sum())
        rows.append(sum(abs(p - q) for p, q in zip(x, y, strict=True)) / a.size)
    return np.array(rows)
