import numpy as np
from numpy_maths import softmax


def reference(student, teacher, labels):
    return np.array([(softmax(z) * np.log(softmax(z))).sum() for z in student])


def reference_parts(method, s, t, batch, progress):
    return {"confidence_penalty": 0.1 * reference(s.logits.double().numpy(), None, None)}
