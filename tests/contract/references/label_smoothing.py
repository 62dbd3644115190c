import numpy as np
from numpy_maths import log_softmax

MIXED = True


def reference(student, teacher, labels, epsilon):
    rows = []
    for b in range(len(student)):
        log_p, classes = log_softmax(student[b]), student.shape[1]
        if labels.ndim == 1 and labels[b] < 0:
            rows.append(0.0)
            continue
        hard = labels[b] if labels.ndim == 2 else np.eye(classes)[labels[b]]
        smooth = (1 - epsilon) * hard + epsilon / classes
        rows.append(-(smooth * log_p).sum() + (hard * log_p).sum())
    return np.array(rows)


def reference_parts(method, s, t, batch, progress):
    return {"smoothing": reference(s.logits.double().numpy(), None, batch.labels.numpy(), 0.1)}
