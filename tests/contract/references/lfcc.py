import numpy as np
from numpy_relation import contrast, pool

HYPER = [{"sizes": (1, 2, 4), "temperature": 0.07}, {"sizes": (1, 3), "temperature": 0.5}]


def reference(student, teacher, labels, sizes, temperature):
    terms = []
    for size in sizes:
        a, b = (np.array([pool(m, (size, size)).ravel() for m in maps]) for maps in (student, teacher))
        terms.append(contrast(a, b, temperature))
    return np.mean(terms, axis=0)
