import numpy as np


def reference(student, teacher, labels, kappa):
    rows, width = student.shape
    total = 0.0
    for i in range(width):
        for j in range(width):
            a, b = teacher[:, i], student[:, j]
            a = (a - a.mean()) / (a.std() + 1e-5)
            b = (b - b.mean()) / (b.std() + 1e-5)
            r = (a * b).sum() / rows
            total += (r - 1) ** 2 if i == j else kappa * r**2
    return np.array(total)
