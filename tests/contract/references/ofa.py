import numpy as np
from numpy_maths import log_softmax, softmax

MIXED = True
HYPER = [{"gamma": 1.0, "temperature": 1.0}, {"gamma": 1.4, "temperature": 2.0}]


def reference(student, teacher, labels, gamma, temperature):
    rows = []
    for b in range(len(student)):
        p_t, log_p = softmax(teacher[b] / temperature), log_softmax(student[b] / temperature)
        value = 0.0
        for c in range(len(p_t)):
            m = labels[b, c] if labels.ndim == 2 else float(labels[b] == c)
            value -= ((p_t[c] + m) ** gamma - m) * log_p[c]
        rows.append(value)
    return np.array(rows)
