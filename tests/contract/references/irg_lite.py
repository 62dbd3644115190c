import numpy as np
from numpy_relation import distance_matrix, numbers


def reference(student, teacher, labels):
    e_s, e_t = distance_matrix(student) ** 2, distance_matrix(teacher) ** 2
    e_s, e_t = e_s / e_s.max(), e_t / e_t.max()
    return np.array([((a - b) ** 2).sum() / 2 for a, b in zip(e_s, e_t, strict=True)])


def reference_parts(method, s, t, batch, progress):
    return {"edges": 0.005 * reference(numbers(s.embedding), numbers(t.embedding), None)}
