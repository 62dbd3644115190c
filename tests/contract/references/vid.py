import numpy as np
from map_maths import conv1x1, pool, stage_map


def reference(student, teacher, labels, variance):
    rows = []
    for a, b in zip(student, teacher, strict=True):
        total = 0.0
        for c in range(len(a)):
            v = variance if np.isscalar(variance) else variance[c]
            # -log N(teacher; student, v) without the constant
            total += np.sum(0.5 * ((a[c] - b[c]) ** 2 / v + np.log(v)))
        rows.append(total / a.size)
    return np.array(rows)


def make_inputs(rng):
    for shape in ((4, 6, 5, 5), (3, 4, 4, 6)):
        student, teacher = rng.normal(size=shape), rng.normal(size=shape)
        yield student, teacher, None, {"variance": 5.0}
        yield student, teacher, None, {"variance": rng.uniform(0.2, 3.0, shape[1])}


def reference_parts(method, s, t, batch, progress):
    parts = {}
    count = min(len(s.stages), len(t.stages))
    for i in range(count):
        a, b = stage_map(s.stages[len(s.stages) - count + i]), stage_map(t.stages[len(t.stages) - count + i])
        size = tuple(min(p, q) for p, q in zip(a.shape[2:], b.shape[2:], strict=True))
        a, b = (np.stack([pool(image, size) for image in x]) for x in (a, b))
        layers = [layer for layer in method.regressors[i] if hasattr(layer, "weight")]
        for k, layer in enumerate(layers):
            a = conv1x1(a, layer)
            a = np.maximum(a, 0) if k < 2 else a
        variance = np.log1p(np.exp(method.log_scales[i].detach().numpy().astype(np.float64))) + 1e-5
        np.testing.assert_allclose(variance, 5.0, rtol=1e-5)
        parts[f"vid{i + 1}"] = reference(a, b, None, variance)
    return parts
