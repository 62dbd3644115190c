import numpy as np
from numpy_maths import kl, softmax
from numpy_relation import numbers


def make_inputs(rng):
    for shape in ((6, 5), (9, 3), (4, 2), (5, 1), (7, 40)):
        for temperature in (4.0, 1.3):
            yield rng.normal(size=shape) * 2, rng.normal(size=shape) * 2, None, {"temperature": temperature}


def log_odds(row):
    if len(row) == 1:
        return row
    p = softmax(row)
    return np.array([np.log(p[c] / sum(p[k] for k in range(len(p)) if k != c)) for c in range(len(p))])


def graded(difference):
    yes = 1 / (1 + np.exp(-difference))
    return np.array([yes, 1 - yes])


def reference(student, teacher, labels, temperature):
    rows, classes = student.shape
    o_s, o_t = (np.array([log_odds(row) for row in x]) for x in (student, teacher))
    values = []
    for b in range(rows):
        total = 0.0
        for j in range(rows):
            for c in range(classes):
                if j != b:
                    gaps = [(o[b, c] - o[j, c]) / temperature for o in (o_t, o_s)]
                    total += kl(*(graded(gap) for gap in gaps))
        values.append(temperature**2 * total / (classes * (rows - 1)))
    return np.array(values)


def reference_parts(method, s, t, batch, progress):
    return {"pair_order": reference(numbers(s.logits), numbers(t.logits), None, 4.0)}
