import numpy as np
from numpy_relation import cosine


def reference(student, teacher, labels, temperature):
    count = len(student)
    total = np.zeros(count)
    for anchors, bank in ((student, teacher), (teacher, student)):
        p = np.array([[np.exp(cosine(a, b) / temperature) for b in bank] for a in anchors])
        p /= p.mean() * count
        for b in range(count):
            noise = (count - 1) / count
            others = [j for j in range(count) if j != b and (labels is None or labels[b] < 0 or labels[j] != labels[b])]
            total[b] -= np.log(p[b, b] / (p[b, b] + noise + 1e-7))
            if others:
                sums = sum(np.log(noise / (p[b, j] + noise + 1e-7)) for j in others)
                total[b] -= sums * (count - 1) / len(others)
    return total
