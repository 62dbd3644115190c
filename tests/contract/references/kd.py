import numpy as np
from numpy_maths import kl, softmax


def reference(student, teacher, labels, temperature):
    rows = []
    for z_s, z_t in zip(student, teacher, strict=True):
        rows.append(temperature**2 * kl(softmax(z_t / temperature), softmax(z_s / temperature)))
    return np.array(rows)


def reference_parts(method, s, t, batch, progress):
    return {"kd": 0.9 * reference(s.logits.double().numpy(), t.logits.double().numpy(), None, 4.0)}
