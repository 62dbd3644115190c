import numpy as np
from numpy_maths import softmax


def reference(student, teacher, modifier, progress):
    def entropy(z):
        p = softmax(z / 3.0)
        return -(p * np.log(p)).sum()

    top = np.log(student.shape[1])
    weights = [(entropy(t) + entropy(t) * entropy(s) / top) / 2 for s, t in zip(student, teacher, strict=True)]
    return student, teacher, np.array(weights)
