import numpy as np
from numpy_maths import kl, softmax


def reference(student, teacher, labels, temperature):
    pairs = zip(student, teacher, strict=True)
    return temperature**2 * np.array([kl(softmax(z_t / temperature), softmax(z_s / temperature)) for z_s, z_t in pairs])


def reference_parts(method, s, t, batch, progress):
    return {"funmatch": reference(s.logits.double().numpy(), t.logits.double().numpy(), None, 1.0)}
