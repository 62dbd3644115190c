import numpy as np
from numpy_relation import numbers, pool, smaller, unit


def reference(student, teacher, labels):
    def kernel(a, b):
        return np.mean((np.array(a) @ np.array(b).T) ** 2)

    rows = []
    for m_s, m_t in zip(student, teacher, strict=True):
        size = smaller(m_s, m_t)
        a = [unit(channel.ravel()) for channel in pool(m_s, size)]
        b = [unit(channel.ravel()) for channel in pool(m_t, size)]
        rows.append(kernel(b, b) + kernel(a, a) - 2 * kernel(a, b))
    return np.array(rows)


def reference_parts(method, s, t, batch, progress):
    return {
        f"nst{k}": 50 * reference(numbers(a.tensor), numbers(b.tensor), None)
        for k, (a, b) in enumerate(zip(s.stages, t.stages, strict=True), start=1)
    }


def make_inputs(rng):
    for shape in ((4, 6, 5, 5), (3, 4, 4, 6)):
        yield rng.normal(size=shape), rng.normal(size=shape), None, {}
    yield rng.normal(size=(3, 9, 2, 3)), rng.normal(size=(3, 9, 2, 3)), None, {}  # more channels than positions
