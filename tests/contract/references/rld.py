import numpy as np
from numpy_maths import kl, softmax


def reference(student, teacher, labels, alpha, beta, temperature, confidence_temperature):
    rows = []
    for z_s, z_t, y in zip(student, teacher, labels, strict=True):
        if y < 0:
            rows.append(0.0)
            continue
        p_s, p_t = softmax(z_s / confidence_temperature), softmax(z_t / confidence_temperature)
        believed = p_t.max()
        confidence = kl(np.array([believed, 1 - believed]), np.array([p_s[y], 1 - p_s[y]]))
        below = [c for c in range(len(z_t)) if z_t[c] < z_t[y]]
        kept = kl(softmax(z_t[below] / temperature), softmax(z_s[below] / temperature)) if below else 0.0
        rows.append(alpha * confidence_temperature**2 * confidence + beta * temperature**2 * kept)
    return np.array(rows)


def reference_parts(method, s, t, batch, progress):
    value = reference(s.logits.double().numpy(), t.logits.double().numpy(), batch.labels.numpy(), 1.0, 8.0, 4.0, 4.0)
    return {"rld": min(progress * 240 / 20, 1.0) * value}
