import numpy as np


def reference(student, teacher, labels):
    return np.array(
        [np.mean([(a - b) ** 2 for a, b in zip(s, t, strict=True)]) for s, t in zip(student, teacher, strict=True)]
    )
