import numpy as np


def reference(student, teacher, labels):
    rows, width = student.shape
    total = 0.0
    for i in range(width):
        for j in range(width):
            if i != j:
                a, b = student[:, i] - student[:, i].mean(), student[:, j] - student[:, j].mean()
                total += ((a * b).sum() / rows / (a.std() + 1e-5) / (b.std() + 1e-5)) ** 2
    return np.array(total)


def reference_parts(method, s, t, batch, progress):
    return {"decorrelation": 0.1 * 0.01 * reference(s.embedding.double().numpy(), None, None)}
