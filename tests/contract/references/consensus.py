import numpy as np
from numpy_maths import kl, softmax
from numpy_relation import numbers


def make_inputs(rng):
    for rows, classes, teachers in ((6, 5, 3), (4, 2, 2), (5, 10, 1)):
        for temperature, eta, gamma in ((4.0, 1.0, 1.0), (1.5, 2.0, 0.3)):
            hyper = {"teachers": teachers, "temperature": temperature, "eta": eta, "gamma": gamma}
            student, teacher = rng.normal(size=(rows, classes)) * 2, rng.normal(size=(rows, teachers * classes)) * 3
            yield student, teacher, None, hyper


def reference(student, teacher, labels, teachers, temperature, eta, gamma):
    values = []
    classes = student.shape[1]
    for z_s, row in zip(student, teacher, strict=True):
        each = [row[k * classes : (k + 1) * classes] for k in range(teachers)]
        unit = [(z - z.mean()) / z.std() for z in each]
        scale = np.mean([z.std() for z in each])
        target = np.mean(unit, axis=0) * scale / (1 + eta * np.var(unit, axis=0))
        p = [softmax(z) for z in each]
        apart = np.mean([kl(one, np.mean(p, axis=0)) for one in p])
        divergence = kl(softmax(target / temperature), softmax(z_s / temperature))
        values.append(np.exp(-gamma * apart) * temperature**2 * divergence)
    return np.array(values)


def reference_parts(method, s, t, batch, progress):
    return {"consensus": reference(numbers(s.logits), numbers(t.logits), None, 3, 4.0, 1.0, 1.0)}
