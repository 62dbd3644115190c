import numpy as np
from numpy_maths import kl, softmax

HYPER = [{"temperatures": (2.0, 3.0, 4.0, 5.0, 6.0)}, {"temperatures": (1.0,)}]


def terms(student, teacher, temperatures):
    rows, classes = student.shape
    instance, batch, across = np.zeros(rows), np.zeros(rows), 0.0
    for temperature in temperatures:
        p_s = np.array([softmax(z / temperature) for z in student])
        p_t = np.array([softmax(z / temperature) for z in teacher])
        for i in range(rows):
            instance[i] += temperature**2 * kl(p_t[i], p_s[i])
            for j in range(rows):
                batch[i] += ((p_t[i] * p_t[j]).sum() - (p_s[i] * p_s[j]).sum()) ** 2
        for a in range(classes):
            for b in range(classes):
                across += ((p_t[:, a] * p_t[:, b]).sum() - (p_s[:, a] * p_s[:, b]).sum()) ** 2 / classes
    return instance, batch, across


def reference(student, teacher, labels, temperatures):
    instance, batch, across = terms(student, teacher, temperatures)
    return np.array(instance.mean() + batch.sum() / len(batch) + across)


def reference_parts(method, s, t, batch, progress):
    weak = terms(s.logits.double().numpy(), t.logits.double().numpy(), (2, 3, 4, 5, 6))
    strong = terms(*(o.logits.double().numpy() for o in batch.second), (2, 3, 4, 5, 6))
    return {"instance": 0.9 * (0.5 * weak[0] + strong[0]), "batch": 0.45 * weak[1], "class": 0.45 * weak[2]}
