import numpy as np
from numpy_maths import softmax


def attend(q, k, v):
    out = np.zeros((len(q), v.shape[1]))
    for i in range(len(q)):
        weights = softmax(np.array([q[i] @ k[j] for j in range(len(k))]) / np.sqrt(q.shape[1]))
        for j in range(len(k)):
            out[i] += weights[j] * v[j]
    return out


def reference(student, teacher, labels, heads=1, kept=None):
    batch, _, channels = student[0].shape
    width = channels // heads
    rows = []
    for b in range(batch):
        attention, values = [], []
        for h in range(heads):
            part = slice(h * width, (h + 1) * width)
            mine, yours = [x[b, :, part] for x in student], [x[b, :, part] for x in teacher]
            mixed = mine
            if kept is not None:
                mixed = [np.where(m[b, :, part], x, y) for m, x, y in zip(kept, mine, yours, strict=True)]
            attention.append(np.mean((attend(*mixed) - attend(*yours)) ** 2))
            values.append(np.mean(((mine[2] @ mine[2].T - yours[2] @ yours[2].T) / np.sqrt(width)) ** 2))
        rows.append(np.mean(attention) + np.mean(values))
    return np.array(rows)


def make_inputs(rng):
    for shape, heads in (((3, 5, 6), 1), ((2, 4, 6), 3)):
        student, teacher = (tuple(rng.normal(size=shape) for _ in range(3)) for _ in range(2))
        yield student, teacher, None, {"heads": heads}
        yield student, teacher, None, {"heads": heads, "kept": tuple(rng.random(shape) < 0.5 for _ in range(3))}
