import numpy as np
from numpy_relation import cosine


def reference(student, teacher, labels, correlation_weight, mutual_weight, alpha):
    count, width = student.shape
    total = 0.0
    for d in range(width):
        a, b = student[:, d], teacher[:, d]
        a, b = (a - a.mean()) / (a.std(ddof=1) + 1e-6), (b - b.mean()) / (b.std(ddof=1) + 1e-6)
        total += abs((a * b).sum() / count - 1) ** (2 * alpha)
    own = np.array([[cosine(x, y) for y in student] for x in student])
    joint = own * np.array([[cosine(x, y) for y in teacher] for x in teacher])
    mutual = ((own / np.trace(own)) ** 2).sum() - ((joint / np.trace(joint)) ** 2).sum()
    return np.array(correlation_weight * np.log2(total) + mutual_weight * mutual)
