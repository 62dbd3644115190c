import numpy as np
from numpy_maths import kl, softmax
from numpy_relation import numbers

HYPER = [{"detail": 0.5, "temperature": 4.0}, {"detail": 0.0, "temperature": 2.0}, {"detail": 1.0, "temperature": 1.0}]


def reference(student, teacher, labels, detail, temperature):
    values = []
    for z_s, z_t in zip(student, teacher, strict=True):
        alike = [row - row.mean() for row in teacher if row.argmax() == z_t.argmax()]
        target = (1 - detail) * np.mean(alike, axis=0) + detail * (z_t - z_t.mean())
        values.append(temperature**2 * kl(softmax(target / temperature), softmax(z_s / temperature)))
    return np.array(values)


def reference_parts(method, s, t, batch, progress):
    # no step was made: the table is empty, and each image is its own class's mean
    return {"coarse_to_fine": reference(numbers(s.logits), numbers(t.logits), None, 1.0, 4.0)}
