import numpy as np


def reference(student, teacher, modifier, progress):
    def score(logits):
        rows = []
        for z in logits:
            spread = np.sqrt(((z - z.mean()) ** 2).sum() / (len(z) - 1))
            rows.append((z - z.mean()) / (spread + 1e-7))
        return np.array(rows)

    return score(student), score(teacher), np.ones(len(student))
