import itertools

import numpy as np


def singular(sample, count):
    """Leading right singular vectors (as rows) of positions x channels, by the eigenvectors of channels x channels."""
    x = sample.reshape(len(sample), -1).T
    values, vectors = np.linalg.eigh(x.T @ x)
    order = np.argsort(values)[::-1][: min(count, *x.shape)]
    return np.sqrt(np.maximum(values[order], 0)), vectors[:, order].T


def align(m_s, m_t, vectors):
    strength, v_t = singular(m_t, vectors)
    strength = strength / np.linalg.norm(strength)
    _, candidates = singular(m_s, vectors + 3)
    pairs = []
    for weight, v in zip(strength, v_t, strict=True):
        v = v * np.sign(v[np.argmax(abs(v))])
        cosines = [(v * u).sum() for u in candidates]
        best = int(np.argmax(np.abs(cosines)))
        pairs.append((weight * candidates[best] * np.sign(cosines[best]), weight * v))
    return pairs


def reference(student, teacher, labels, vectors):
    rows = []
    for b in range(len(student[0])):
        stages = [align(m_s[b], m_t[b], vectors) for m_s, m_t in zip(student, teacher, strict=True)]
        value = 0.0
        for below, above in itertools.pairwise(stages):
            for (w_s, w_t), (v_s, v_t) in zip(below, above, strict=True):
                for c in range(len(v_s)):
                    for d in range(len(w_s)):
                        of_student = np.exp(-((v_s[c] - w_s[d]) ** 2) / 8)
                        value += (of_student - np.exp(-((v_t[c] - w_t[d]) ** 2) / 8)) ** 2
        rows.append(value)
    return np.array(rows)


def make_inputs(rng):
    for channels, sizes, vectors in (((4, 6), (5, 4), 1), ((3, 5, 8), (6, 3, 2), 2)):
        student, teacher = (
            tuple(rng.normal(size=(3, c, n, n)) + 0.5 for c, n in zip(channels, sizes, strict=True)) for _ in range(2)
        )
        yield student, teacher, None, {"vectors": vectors}
