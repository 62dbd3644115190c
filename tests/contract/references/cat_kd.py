import numpy as np
from numpy_relation import numbers, pool, unit

HYPER = [{"size": 2}, {"size": 3}]


def reference(student, teacher, labels, size):
    rows = []
    for m_s, m_t in zip(student, teacher, strict=True):
        pairs = zip(pool(m_s, (size, size)), pool(m_t, (size, size)), strict=True)
        rows.append(np.mean([((unit(a.ravel()) - unit(b.ravel())) ** 2).mean() for a, b in pairs]))
    return np.array(rows)


def class_maps(outputs):
    features, weight = numbers(outputs.stages[-1].tensor), numbers(outputs.head.weight)
    return np.array([[sum(w * f for w, f in zip(row, sample, strict=True)) for row in weight] for sample in features])


def reference_parts(method, s, t, batch, progress):
    return {"cat": 400 * reference(class_maps(s), class_maps(t), None, 2)}
