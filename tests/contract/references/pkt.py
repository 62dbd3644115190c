import numpy as np
from numpy_relation import numbers


def reference(student, teacher, labels, eps):
    def probabilities(rows):
        out = np.empty((len(rows), len(rows)))
        for i, a in enumerate(rows):
            for j, b in enumerate(rows):
                cos = (a * b).sum() / ((np.linalg.norm(a) + eps) * (np.linalg.norm(b) + eps))
                out[i, j] = (cos + 1) / 2
            out[i] /= out[i].sum()
        return out

    p, q = probabilities(teacher), probabilities(student)
    count = len(p)
    return np.array(
        [sum(p[b, j] * np.log((p[b, j] + eps) / (q[b, j] + eps)) for j in range(count)) / count for b in range(count)]
    )


def reference_parts(method, s, t, batch, progress):
    return {"pkt": 30000 * reference(numbers(s.embedding), numbers(t.embedding), None, 1e-7)}
