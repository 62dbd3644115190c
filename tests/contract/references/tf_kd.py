import numpy as np
from numpy_maths import kl, softmax

MIXED = True
HYPER = [{"correct": 0.99, "temperature": 20.0}, {"correct": 0.8, "temperature": 2.0}]


def reference(student, teacher, labels, correct, temperature):
    rows = []
    for b, z in enumerate(student):
        classes, value = len(z), 0.0
        for y in range(classes):
            share = labels[b, y] if labels.ndim == 2 else float(labels[b] == y)
            u = np.full(classes, (1 - correct) / (classes - 1))
            u[y] = correct
            value += share * kl(softmax(u / temperature), softmax(z)) / classes
        rows.append(value)
    return np.array(rows)


def reference_parts(method, s, t, batch, progress):
    return {"tf_kd": 0.1 * 100 * reference(s.logits.double().numpy(), None, batch.labels.numpy(), 0.99, 20.0)}
