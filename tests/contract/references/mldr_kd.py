import numpy as np
from numpy_maths import kl, softmax


def reference(student, teacher, labels, alpha, temperature):
    s, t = student / temperature, teacher / temperature
    rows, classes = s.shape
    out = np.zeros(rows)
    for b in range(rows):
        for c in range(classes):
            # column c of the class relation of sample b, column b of the sample relation of class c
            of_class = [softmax(z[b] * z[b, c] / np.sqrt(classes)) for z in (t, s)]
            of_sample = [softmax(z[:, c] * z[b, c] / np.sqrt(classes)) for z in (t, s)]
            out[b] += (kl(*of_class) + kl(*of_sample)) / classes
        out[b] += alpha * kl(softmax(t[b]), softmax(s[b]))
    return out
