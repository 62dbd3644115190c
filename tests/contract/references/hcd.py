import numpy as np
from numpy_maths import kl, log_softmax, softmax


def reference(student, teacher, labels, shared, kl_weight, orthogonal_weight, threshold, temperature):
    rows = []
    for b, y in enumerate(labels):
        count = shared.shape[1]
        ce = teaching = overlap = 0.0
        for k in range(count):
            u = shared[b, k] + teacher[b]
            ce += 0.0 if y < 0 else -log_softmax(u)[y] / count
            teaching += temperature**2 * kl(softmax(u / temperature), softmax(student[b] / temperature)) / count
            for j in range(count):
                if j == k or y < 0:
                    continue
                v, w = shared[b, k].copy(), shared[b, j].copy()
                v[y] = w[y] = 0
                cosine = v @ w / np.linalg.norm(v) / np.linalg.norm(w)
                overlap += max(cosine - threshold, 0) ** 2 / (count * (count - 1))
        rows.append(ce + kl_weight * teaching + orthogonal_weight * overlap)
    return np.array(rows)


def make_inputs(rng):
    for (rows, classes, count), temperature in (((6, 5, 4), 1.0), ((5, 3, 2), 2.0)):
        labels = rng.integers(-1, classes, rows)
        hyper = {"kl_weight": 6.0, "orthogonal_weight": 1.5, "threshold": 0.1, "temperature": temperature}
        student, teacher = rng.normal(size=(rows, classes)) * 2, rng.normal(size=(rows, classes)) * 2
        yield student, teacher, labels, {"shared": rng.normal(size=(rows, count, classes)), **hyper}
