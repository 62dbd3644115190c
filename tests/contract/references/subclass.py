import numpy as np
from numpy_maths import kl, softmax


def reference(student, teacher, labels, temperature):
    rows = zip(student, teacher, strict=True)
    return np.array([temperature**2 * kl(softmax(t / temperature), softmax(s / temperature)) for s, t in rows])


def reference_parts(method, s, t, batch, progress):
    weight, bias = (x.detach().double().numpy() for x in (method.within.weight, method.within.bias))
    joint = []
    for z, f in zip(s.logits.double().numpy(), s.embedding.double().numpy(), strict=True):
        scores = (weight @ f + bias).reshape(len(z), -1)
        joint.append(np.concatenate([np.log(softmax(z)[c] * softmax(scores[c])) for c in range(len(z))]))
    return {"subclass": 0.5 * reference(joint, t.logits.double().numpy(), None, 4.0)}
