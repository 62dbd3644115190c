import numpy as np


def reference(student, teacher, labels):
    return np.array([((a - b) ** 2).mean() for a, b in zip(student, teacher, strict=True)])
