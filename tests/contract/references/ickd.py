import numpy as np


def reference(student, teacher, labels):
    channels = student.shape[1]
    rows = []
    for a, b in zip(student, teacher, strict=True):
        total = 0.0
        for c in range(channels):
            x = np.array([(a[c] * a[d]).sum() for d in range(channels)])
            y = np.array([(b[c] * b[d]).sum() for d in range(channels)])
            total += ((x / np.linalg.norm(x) - y / np.linalg.norm(y)) ** 2).sum()
        rows.append(total / channels)
    return np.array(rows)


def make_inputs(rng):
    for sizes in (((5, 5), (5, 5)), ((4, 6), (3, 2))):
        yield rng.normal(size=(3, 6, *sizes[0])), rng.normal(size=(3, 6, *sizes[1])), None, {}
