import numpy as np
from numpy_relation import huber


def reference(student, teacher, labels):
    rows = []
    for s, t in zip(student, teacher, strict=True):
        normal = (t - t.mean()) / np.sqrt(t.var() + 1e-5)
        rows.append(np.mean([huber(a - b) for a, b in zip(s, normal, strict=True)]))
    return np.array(rows)
