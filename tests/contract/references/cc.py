import math

import numpy as np

HYPER = [
    {"form": "released", "gamma": 0.4, "order": 2},
    {"form": "kernel", "gamma": 0.4, "order": 2},
    {"form": "kernel", "gamma": 0.7, "order": 3},
]


def reference(student, teacher, labels, form, gamma, order):
    count = len(student)
    if form == "released":
        gap = abs(student - teacher)
        return np.array(sum((gap[b] * gap[b + 1]).sum() for b in range(count - 1)) / (count - 1))

    def kernel(x, y):
        series = sum((2 * gamma * (x * y).sum()) ** p / math.factorial(p) for p in range(order + 1))
        return math.exp(-2 * gamma) * series

    total = 0.0
    for i in range(count):
        for j in range(count):
            total += (kernel(student[i], student[j]) - kernel(teacher[i], teacher[j])) ** 2
    return np.array(total / count**2)
