import numpy as np


def reference(student, teacher, labels):
    return np.array([np.mean((z_s - z_t) ** 2) for z_s, z_t in zip(student, teacher, strict=True)])


def reference_parts(method, s, t, batch, progress):
    return {"logit_mse": reference(s.logits.double().numpy(), t.logits.double().numpy(), None)}
