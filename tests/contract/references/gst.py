import numpy as np
from numpy_maths import kl, softmax

HYPER = [{"delta": 0.5}, {"delta": 0.05}]


def reference(student, teacher, labels, delta):
    rows = []
    for index, (z_s, z_t) in enumerate(zip(student, teacher, strict=True)):
        label = -1 if labels is None else int(labels[index])
        keep = [c for c in range(len(z_t)) if label < 0 or z_t[c] <= z_t[label]]
        p_s, p_t = softmax(z_s[keep]), softmax(z_t[keep])
        share = 1.0
        if kl(p_t, p_s) > delta:
            low, high = 0.0, 1.0
            for _ in range(60):
                share = (low + high) / 2
                low, high = (share, high) if kl(between(p_s, p_t, share), p_s) <= delta else (low, share)
        rows.append(kl(between(p_s, p_t, share), p_s))
    return np.array(rows)


def between(p_s, p_t, share):
    q = p_t**share * p_s ** (1 - share)
    return q / q.sum()


def reference_parts(method, s, t, batch, progress):
    logits = s.logits.double().numpy(), t.logits.double().numpy()
    return {"gst": reference(*logits, batch.labels.numpy(), 0.5)}
