import numpy as np


def reference(student, teacher, labels, margin):
    rows = []
    for a, b in zip(student, teacher, strict=True):
        total = 0.0
        for x, y in zip(a.ravel(), b.ravel(), strict=True):
            if y <= 0 and x > -margin:
                total += (x + margin) ** 2
            if y > 0 and x <= margin:
                total += (x - margin) ** 2
        rows.append(total)
    return np.array(rows)
