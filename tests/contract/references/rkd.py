import numpy as np
from numpy_relation import cosine, distance_matrix, huber, numbers


def halves(student, teacher):
    count = len(student)
    d_s, d_t = distance_matrix(student), distance_matrix(teacher)
    off = ~np.eye(count, dtype=bool)
    d_s, d_t = d_s / d_s[off].mean(), d_t / d_t[off].mean()
    near = np.array([np.mean([huber(d_s[i, j] - d_t[i, j]) for j in range(count)]) for i in range(count)])

    def angle(rows, i, j, k):
        return 0.0 if i in (j, k) else cosine(rows[j] - rows[i], rows[k] - rows[i])

    turned = np.zeros(count)
    for i in range(count):
        for j in range(count):
            for k in range(count):
                turned[i] += huber(angle(student, i, j, k) - angle(teacher, i, j, k)) / count**2
    return near, turned


def reference(student, teacher, labels, distance_weight, angle_weight):
    near, turned = halves(student, teacher)
    return distance_weight * near + angle_weight * turned


def reference_parts(method, s, t, batch, progress):
    near, turned = halves(numbers(s.embedding), numbers(t.embedding))
    return {"distance": 25 * near, "angle": 50 * turned}


def make_inputs(rng):
    for shape_s, shape_t in (((8, 5), (8, 5)), ((5, 12), (5, 12)), ((6, 3), (6, 9))):
        student, teacher = rng.normal(size=shape_s), rng.normal(size=shape_t)
        if shape_s != shape_t:
            teacher = rng.normal(size=shape_s)  # equality is asked of one width
        for hyper in ({"distance_weight": 25.0, "angle_weight": 50.0}, {"distance_weight": 1.0, "angle_weight": 3.0}):
            yield student, teacher, None, hyper
