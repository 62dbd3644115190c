import numpy as np


def reference(student, teacher, labels, classifier=None, softmax_weight=1.0):
    rows = []
    for s, t in zip(student, teacher, strict=True):
        value = ((s - t) ** 2).mean()
        if classifier is not None:
            bias = np.arange(len(classifier))
            seen, wanted = classifier @ s + bias, classifier @ t + bias
            value += softmax_weight * ((seen - wanted) ** 2).mean()
        rows.append(value)
    return np.array(rows)


def make_inputs(rng):
    for shape in ((8, 5), (5, 12)):
        student, teacher = rng.normal(size=shape), rng.normal(size=shape)
        yield student, teacher, None, {}
        yield student, teacher, None, {"classifier": rng.normal(size=(7, shape[1])), "softmax_weight": 1.3}
