import numpy as np
from numpy_maths import softmax


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def reference(student, teacher, labels):
    rows = []
    for z_s, z_t in zip(student, teacher, strict=True):
        target = softmax(z_t) if len(z_t) > 1 else sigmoid(z_t)
        terms = [-p * np.log(sigmoid(z)) - (1 - p) * np.log(1 - sigmoid(z)) for p, z in zip(target, z_s, strict=True)]
        rows.append(np.mean(terms))
    return np.array(rows)


def make_inputs(rng):
    for shape in ((6, 5), (5, 1), (4, 2)):
        yield rng.normal(size=shape) * 2, rng.normal(size=shape) * 2, None, {}


def reference_parts(method, s, t, batch, progress):
    return {"bkd": reference(s.logits.double().numpy(), t.logits.double().numpy(), None)}
