import numpy as np
from numpy_maths import kl, softmax


def reference(student, teacher, labels, gamma):
    rows = []
    for z_s, z_t in zip(student, teacher, strict=True):
        powered = softmax(z_t) ** gamma
        rows.append(kl(powered / powered.sum(), softmax(z_s)))
    return np.array(rows)


def reference_parts(method, s, t, batch, progress):
    return {"ttm": 45 * reference(s.logits.double().numpy(), t.logits.double().numpy(), None, 0.1)}
