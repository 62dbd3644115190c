import numpy as np
from numpy_relation import cosine


def reference(student, teacher, labels):
    return np.array([1 - cosine(a, b) for a, b in zip(student, teacher, strict=True)])
