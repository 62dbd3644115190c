import numpy as np
from numpy_maths import kl, softmax


def reference(student, teacher, labels, temperature):
    rows = []
    for z_s, z_t in zip(student, teacher, strict=True):
        divergence = kl(softmax(z_t / temperature), softmax(z_s / temperature))
        rows.append(temperature**2 * divergence / len(z_s))
    return np.array(rows)


def reference_parts(method, s, t, batch, progress):
    return {"deit_soft": 0.1 * reference(s.logits.double().numpy(), t.logits.double().numpy(), None, 3.0)}
