"""Runs over every estimator by itself: declarations, refusals, invariances, NumPy loops, the direction that it reads.

A new file of ``suitability/estimators/`` fails here until it has a reference and a worse teacher to tell apart.
"""

import dataclasses
import math

import numpy as np
import pytest
import torch

from alambic.errors import Skip
from alambic.suitability import Evidence, Pilot, StudentEvidence, TeacherEvidence, all_estimators, create_estimator
from alambic.suitability.base import sign_of
from alambic.suitability.composite import orient
from alambic.suitability.estimators import absorbable as absorbable_file
from alambic.suitability.estimators import margin as margin_file
from alambic.suitability.evidence import QUANTITIES

NAMES = list(all_estimators())
N, C, D = 60, 5, 6


def make_evidence(seed=0, **teacher):
    """A teacher and a student that agree in part, every quantity there; all images serve for everything."""
    rng = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=rng)

    labels = torch.randperm(N, generator=rng) % C
    truth = torch.nn.functional.one_hot(labels, C).float()
    logits = 2 * (2 * truth + normal(N, C))  # calibrated: the log odds of unit Gaussians two apart
    features = normal(N, D) + truth @ normal(C, D)
    given = TeacherEvidence(
        "brook",
        "vit",
        "labels",
        "abc",
        12_345,
        logits,
        embedding=features @ normal(D, 4) + normal(N, 4),
        stages=(normal(N, 8), features @ normal(D, 7) + normal(N, 7)),
        spectra=(torch.tensor([0.4, 0.3, 0.2, 0.1, 0.0]), torch.tensor([0.7, 0.1, 0.1, 0.1, 0.0])),
        altered={
            "noise": (logits + 0.1 * normal(N, C), logits + 0.3 * normal(N, C)),
            "augmented": (logits + 0.5 * normal(N, C),),
            "crops 9": tuple(logits + normal(N, C) for _ in range(5)),
            "small": (logits + 0.7 * normal(N, C),),
            "shuffled": (logits + 2 * normal(N, C),),
            "low": (*(logits + (4 - k) * normal(N, C) for k in range(3)), logits),
        },
    )
    student = StudentEvidence(
        "drop",
        "resnet",
        features @ normal(D, C) + 2 * truth,
        features,
        (normal(N, 5), features.clone()),
        (torch.tensor([0.5, 0.3, 0.1, 0.1, 0.0]),),
        9,
        tuple(2 * truth + (4 - k) * normal(N, C) for k in range(4)),
        torch.cat([features, normal(N, 12)], 1),
        normal(N, 9),
    )
    pilot = Pilot((0.0, 0.25, 1.0), (1.6, 1.0, 0.5), 0.6, 0.55, 0.03)
    return Evidence(dataclasses.replace(given, **teacher), student, labels, pilot)


def with_teacher(evidence, **changes):
    return dataclasses.replace(evidence, teacher=dataclasses.replace(evidence.teacher, **changes))


def with_student(evidence, **changes):
    return dataclasses.replace(evidence, student=dataclasses.replace(evidence.student, **changes))


def every_number(name, evidence):
    """The headline under "" and the variants."""
    estimator = create_estimator(name)
    return {"": estimator.measure(evidence), **estimator.measure_variants(evidence)}


# -- naive references ------------------------------------------------------------------------------------------------


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def arrays(evidence):
    return evidence.teacher.logits.double().numpy(), evidence.labels.numpy()


def accuracy(z, y):
    return sum(int(np.argmax(row) == label) for row, label in zip(z, y, strict=True)) / len(y)


def kl(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def mean_kl(z, w):
    return np.mean([kl(p, q) for p, q in zip(softmax(z), softmax(w), strict=True)])


def bins_of(conf, bins):
    return [[i for i in range(len(conf)) if min(int(conf[i] * bins), bins - 1) == b] for b in range(bins)]


def ece(z, y, over=False):
    p = softmax(z)
    conf, right = p.max(1), p.argmax(1) == y
    total = 0.0
    for rows in bins_of(conf, 15):
        if rows:
            gap = np.mean([conf[i] for i in rows]) - np.mean([right[i] for i in rows])
            total += len(rows) / len(y) * (max(gap, 0) if over else abs(gap))
    return total


def nll_temperature(z, y):
    grid = [10 ** (-1 + 2 * k / 200) for k in range(201)]
    losses = [-np.mean([math.log(p[label]) for p, label in zip(softmax(z / t), y, strict=True)]) for t in grid]
    return grid[int(np.argmin(losses))]


def refer_headroom(e):
    z, y = arrays(e)
    return {"": max(0.0, accuracy(z, y) - accuracy(e.student.logits.numpy(), y))}


def refer_calibration(e):
    z, y = arrays(e)
    p = softmax(z)
    order = np.argsort(p.max(1), kind="stable")
    gaps = []
    for rows in np.array_split(order, 15):
        gaps.append(abs(np.mean(p.max(1)[rows]) - np.mean((p.argmax(1) == y)[rows])))
    return {
        "": np.mean(gaps),
        "overconfidence": ece(z, y, over=True),
        "log_temperature": abs(math.log(nll_temperature(z, y))),
    }


def refer_margin(e):
    z, _ = arrays(e)
    best = [sorted(row, reverse=True) for row in z]
    p = [sorted(row, reverse=True) for row in softmax(z)]
    return {
        "": np.mean(
            [(b[0] - b[1]) / math.sqrt(np.mean((row - row.mean()) ** 2)) for b, row in zip(best, z, strict=True)]
        ),
        "raw_ratio": np.mean([b[0] / b[1] for b in best]),
        "secondary_spread": np.mean([np.std(row[1:4]) for row in p]),
    }


def refer_soft_labels(e):
    z, y = arrays(e)
    p = softmax(z)
    q = [p[y == c].mean(0) for c in range(C)]
    within = np.mean([kl(p[i], q[y[i]]) for i in range(len(y))])
    between = np.mean([kl(q[y[i]], p[j]) for i in range(len(y)) for j in range(len(y)) if y[j] != y[i]])
    soft = softmax(z / nll_temperature(z, y))
    return {"": within / between, "perplexity": math.exp(np.mean([-sum(a * math.log(a) for a in row) for row in soft]))}


def refer_smoothness(e):
    z, _ = arrays(e)
    noise = np.mean([mean_kl(z, w.double().numpy()) for w in e.teacher.altered["noise"]])
    moved = mean_kl(z, e.teacher.altered["augmented"][0].double().numpy())
    return {"": noise + moved, "noise": noise, "augmented": moved}


def refer_locality(e):
    z, y = arrays(e)
    mean = sum(softmax(w.double().numpy()) for w in e.teacher.altered["crops 9"]) / 5
    return {
        "": np.mean([kl(p, q) for p, q in zip(softmax(z), mean, strict=True)]),
        "accuracy_small": accuracy(e.teacher.altered["small"][0].numpy(), y),
        "shuffle_drop": accuracy(z, y) - accuracy(e.teacher.altered["shuffled"][0].numpy(), y),
    }


def refer_spectral_gap(e):
    _, y = arrays(e)
    t = [accuracy(w.numpy(), y) for w in e.teacher.altered["low"]]
    s = [accuracy(w.numpy(), y) for w in e.student.low]
    deepest = (e.student.spectra[-1] - e.teacher.spectra[-1]).numpy()
    return {
        "": np.mean([abs(a - b) for a, b in zip(t, s, strict=True)]),
        "shape": np.mean([abs(a / t[-1] - b / s[-1]) for a, b in zip(t, s, strict=True)]),
        "energy": np.abs(deepest).sum(),
    }


def unbiased_hsic(x, y):
    """As the sum over all quadruples of different images would give it (Song et al., 2012, equation 5, spelt out)."""
    k, m = x @ x.T, y @ y.T
    n = len(k)
    np.fill_diagonal(k, 0)
    np.fill_diagonal(m, 0)
    one = np.ones(n)
    return (
        np.trace(k @ m) + (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * (one @ k @ m @ one)
    ) / (n * (n - 3))


def plain_cka(x, y):
    x, y = x.double().numpy(), y.double().numpy()
    return unbiased_hsic(x, y) / math.sqrt(unbiased_hsic(x, x) * unbiased_hsic(y, y))


def refer_cka(e):
    matrix = [[plain_cka(s, t) for t in e.teacher.stages] for s in e.student.stages]
    return {
        "": np.mean(matrix),
        "max": np.max(matrix),
        "embedding": plain_cka(e.student.embedding, e.teacher.embedding),
    }


def ridge(features, targets):
    """Augmented least squares instead of normal equations; the folds are the library's, from N alone."""
    folds = absorbable_file.divide(len(features)).numpy()
    out = np.empty_like(targets)
    for fold in range(5):
        held = folds == fold
        x, y = features[~held], targets[~held]
        mx, my = x.mean(0), y.mean(0)
        penalty = 1e-3 * ((x - mx) ** 2).sum(0).mean()
        d = x.shape[1]
        stacked = np.vstack([x - mx, math.sqrt(penalty) * np.eye(d)])
        w = np.linalg.lstsq(stacked, np.vstack([y - my, np.zeros((d, y.shape[1]))]), rcond=None)[0]
        out[held] = (features[held] - mx) @ w + my
    return out


def r2(y, predicted):
    return 1 - ((y - predicted) ** 2).sum() / ((y - y.mean(0)) ** 2).sum()


def refer_absorbable(e):
    x, f = e.student.embedding.double().numpy(), e.teacher.embedding.double().numpy()
    z = e.teacher.logits.double().numpy()
    z = z - z.mean(1, keepdims=True)
    predicted = ridge(x, f)
    share = np.linalg.eigvalsh(np.cov(predicted.T))
    share = share / share.sum()
    rank = math.exp(-sum(s * math.log(s) for s in share if s > 0))
    return {"": r2(f, predicted), "logits": r2(z, ridge(x, z)), "rank": rank}


def refer_kernel(e):
    g = e.student.gradients.double().numpy()
    h = np.eye(N) - 1 / N
    k = h @ g @ g.T @ h
    k /= np.trace(k) / N
    z = h @ e.teacher.logits.double().numpy() @ (np.eye(C) - 1 / C)
    zz = z @ z.T
    grams = []
    for m in (e.teacher.stages[-1], e.student.untrained_map):
        gram = m.double().numpy() @ m.double().numpy().T
        grams.append(gram / np.sqrt((gram**2).sum(1, keepdims=True)))
    return {
        "": (k * zz).sum() / math.sqrt((k**2).sum() * (zz**2).sum()),
        "complexity": np.trace(z.T @ np.linalg.inv(k + 0.1 * np.eye(N)) @ z) / (z**2).sum(),
        "diswot": -((grams[0] - grams[1]) ** 2).sum() / N**2,
    }


def refer_logme(e):
    """The largest log density of each target under N(0, I / beta + X X^T / alpha), on a grid, not by a fixed point."""
    x = e.student.embedding.double().numpy()
    x = x - x.mean(0)
    z = e.teacher.logits.double().numpy()
    z = z - z.mean(1, keepdims=True)
    z = (z - z.mean(0)) / z.std(0)
    values, vectors = np.linalg.eigh(x @ x.T)
    best = []
    for column in z.T:
        turned = (vectors.T @ column) ** 2
        found = -math.inf
        for alpha in np.logspace(-3, 6, 181):
            for beta in np.logspace(-1, 3, 161):
                spread = 1 / beta + np.clip(values, 0, None) / alpha
                found = max(found, -0.5 * (np.log(2 * math.pi * spread) + turned / spread).sum())
        best.append(found / N)
    p, top = softmax(e.student.logits.double().numpy()), e.teacher.logits.numpy().argmax(1)
    joint = np.array([[np.mean(p[:, c] * (top == y)) for c in range(C)] for y in range(C)])
    leep = np.mean([math.log(sum(joint[top[i], c] / joint[:, c].sum() * p[i, c] for c in range(C))) for i in range(N)])
    return {"": np.mean(best), "leep": leep}


REFERENCES = {
    "headroom": refer_headroom,
    "calibration": refer_calibration,
    "margin": refer_margin,
    "soft_labels": refer_soft_labels,
    "smoothness": refer_smoothness,
    "locality": refer_locality,
    "spectral_gap": refer_spectral_gap,
    "cka": refer_cka,
    "absorbable": refer_absorbable,
    "kernel": refer_kernel,
    "logme": refer_logme,
    # drops 0, .375, .6875 at 0, .25, 1
    "fidelity_slope": lambda e: {"": 0.25 * 0.375 / 2 + 0.75 * (0.375 + 0.6875) / 2},
    "pilot_gain": lambda e: {"": 0.05},
    "accuracy": lambda e: {"": accuracy(*arrays(e))},
    "calibration_error": lambda e: {"": ece(*arrays(e))},
    "same_family": lambda e: {"": 0.0},
    "size": lambda e: {"": math.log10(12_345)},
}

# -- a worse teacher for each estimator ------------------------------------------------------------------------------


def roll(evidence):
    """Its answers belong to other images."""
    return with_teacher(evidence, logits=evidence.teacher.logits.roll(7, 0))


def sharpen(evidence):
    return with_teacher(evidence, logits=6 * evidence.teacher.logits)


def shake(evidence, name):
    moved = tuple(logits.roll(11, 0) for logits in evidence.teacher.altered[name])
    return with_teacher(evidence, altered={**evidence.teacher.altered, name: moved})


def scramble(evidence):
    """Its features belong to other images."""
    teacher = evidence.teacher
    stages = tuple(stage.roll(7, 0) for stage in teacher.stages)
    return with_teacher(evidence, stages=stages, embedding=teacher.embedding.roll(7, 0))


WORSE = {
    "headroom": roll,
    "calibration": sharpen,
    "margin": lambda e: with_teacher(e, logits=9 * torch.nn.functional.one_hot(e.labels, C) + e.teacher.logits),
    "smoothness": lambda e: shake(e, "noise"),
    "locality": lambda e: shake(e, "crops 9"),
    "spectral_gap": lambda e: with_teacher(e, altered={**e.teacher.altered, "low": (e.teacher.logits,) * 4}),
    "cka": scramble,
    "absorbable": scramble,
    "kernel": roll,
    "logme": roll,
    "fidelity_slope": lambda e: dataclasses.replace(e, pilot=dataclasses.replace(e.pilot, divergence=(1.6, 1.5, 1.2))),
    "pilot_gain": lambda e: dataclasses.replace(e, pilot=dataclasses.replace(e.pilot, accuracy=0.5)),
    "accuracy": roll,
    "calibration_error": sharpen,
    "size": lambda e: with_teacher(e, parameters=99),
}


def test_every_estimator_has_its_references():
    assert set(REFERENCES) == set(NAMES)
    peaks = {name for name in NAMES if all_estimators()[name].sign == "peak"}
    assert set(WORSE) == set(NAMES) - peaks - {"same_family"}


@pytest.mark.parametrize("name", NAMES)
def test_declarations(name):
    cls = all_estimators()[name]
    assert cls.__doc__
    for text in (cls.title, cls.source, cls.formula):
        assert text
    assert cls.cost in ("free", "teacher forward", "both forwards", "gradients", "pilot")
    assert cls.sign in ("+", "-", "peak")
    assert cls.needs <= set(QUANTITIES)
    assert set(cls.variants.values()) <= {"+", "-", "peak"}
    assert cls.min_classes == 2 or cls.degenerate
    assert sign_of(name) == cls.sign
    assert set(create_estimator(name).measure_variants(make_evidence())) == set(cls.variants)


def test_the_twelve_are_there_in_their_order():
    codes = [all_estimators()[name].code for name in NAMES]
    assert codes == [f"E{k}" for k in range(1, 13)] + [""] * (len(NAMES) - 12)


@pytest.mark.parametrize("name", NAMES)
def test_equals_the_naive_reference(name):
    evidence = make_evidence()
    found = every_number(name, evidence)
    for key, value in REFERENCES[name](evidence).items():
        # the reference of LogME looks on a grid: it can only be a little below
        close = 1e-3 if (name, key) == ("logme", "") else 2e-6
        assert found[key] == pytest.approx(float(value), rel=close, abs=1e-9), key


def test_a_wrong_formula_would_be_seen(monkeypatch):
    monkeypatch.setattr(
        margin_file, "centred_margin", lambda z: float((z.topk(2).values @ torch.tensor([1.0, -1])).mean())
    )
    with pytest.raises(AssertionError):
        test_equals_the_naive_reference("margin")


@pytest.mark.parametrize("name", sorted(WORSE))
def test_reads_in_the_right_direction(name):
    good = make_evidence()
    values = np.array([create_estimator(name).measure(evidence) for evidence in (good, WORSE[name](good))])
    oriented = orient(values, sign_of(name))
    assert oriented[0] > oriented[1]


@pytest.mark.parametrize("name", NAMES)
def test_same_evidence_gives_the_same_number_and_stays_as_it_was(name):
    evidence = make_evidence()
    first = every_number(name, evidence)
    assert first == every_number(name, evidence)
    again = make_evidence()
    assert torch.equal(evidence.teacher.logits, again.teacher.logits)
    assert torch.equal(evidence.teacher.embedding, again.teacher.embedding)
    assert torch.equal(evidence.student.embedding, again.student.embedding)
    assert all(torch.equal(a, b) for a, b in zip(evidence.teacher.stages, again.teacher.stages, strict=True))


def reorder(evidence, order):
    def moved(value):
        if isinstance(value, torch.Tensor) and len(value) == N:
            return value[order]
        if isinstance(value, tuple):
            return tuple(moved(item) for item in value)
        if isinstance(value, dict):
            return {key: moved(item) for key, item in value.items()}
        return value

    teacher, student = (
        dataclasses.replace(side, **{f.name: moved(getattr(side, f.name)) for f in dataclasses.fields(side)})
        for side in (evidence.teacher, evidence.student)
    )
    return dataclasses.replace(evidence, teacher=teacher, student=student, labels=evidence.labels[order])


@pytest.mark.parametrize("name", NAMES)
def test_order_of_images_does_not_matter(name):
    evidence = make_evidence()
    other = every_number(name, reorder(evidence, torch.randperm(N, generator=torch.Generator().manual_seed(3))))
    tolerance = (
        {"rel": 0.2, "abs": 0.1} if name == "absorbable" else {"rel": 1e-6, "abs": 1e-9}
    )  # its folds are made by order
    for key, value in every_number(name, evidence).items():
        assert other[key] == pytest.approx(value, **tolerance), key


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_on_all_logits_of_an_image_does_not_matter(name):
    """Architectures have any offset: a number that moves with it compares offsets, not teachers."""
    evidence = make_evidence()
    shift = 5 + torch.rand(N, 1, generator=torch.Generator().manual_seed(1))
    altered = {key: tuple(item + shift for item in value) for key, value in evidence.teacher.altered.items()}
    other = with_teacher(evidence, logits=evidence.teacher.logits + shift, altered=altered)
    numbers = every_number(name, other)
    for key, value in every_number(name, evidence).items():
        if (name, key) == ("margin", "raw_ratio"):
            assert numbers[key] != pytest.approx(value, rel=0.01)  # the known flaw, shown
        else:
            assert numbers[key] == pytest.approx(value, rel=1e-4, abs=1e-6), key


REMOVE = {
    "logits": None,
    "scores": lambda e: with_teacher(e, labelled=False),
    "embedding": lambda e: with_teacher(e, embedding=None, absent={"embedding": "it is a box"}),
    "stages": lambda e: with_teacher(e, stages=()),
    "parameters": lambda e: with_teacher(e, parameters=0),
    "gradients": lambda e: with_student(e, gradients=None),
    "low": lambda e: with_student(e, low=()),
    "pilot": lambda e: dataclasses.replace(e, pilot=None),
    "crops": lambda e: with_student(e, window=7),
}


@pytest.mark.parametrize("name", NAMES)
def test_refuses_what_is_not_there_and_names_the_teacher(name):
    for need in sorted(all_estimators()[name].needs - {"logits"}):
        evidence = make_evidence()
        if need in REMOVE:
            poor = REMOVE[need](evidence)
        else:
            poor = with_teacher(evidence, altered={k: v for k, v in evidence.teacher.altered.items() if k != need})
        with pytest.raises(Skip, match=rf"{name} expected .* 'brook', got none, because"):
            create_estimator(name).measure(poor)
        create_estimator(name).measure_variants(poor)  # gives what it still can, and does not break


@pytest.mark.parametrize("name", NAMES)
def test_two_classes_and_one_label_unknown(name):
    evidence = make_evidence()
    two = Evidence(
        dataclasses.replace(
            evidence.teacher,
            logits=evidence.teacher.logits[:, :2],
            altered={k: tuple(z[:, :2] for z in v) for k, v in evidence.teacher.altered.items()},
        ),
        dataclasses.replace(
            evidence.student,
            logits=evidence.student.logits[:, :2],
            low=tuple(z[:, :2] for z in evidence.student.low),
        ),
        torch.where(torch.arange(N) == 4, -1, torch.arange(N) % 2),
        evidence.pilot,
    )
    if all_estimators()[name].min_classes > 2:
        with pytest.raises(Skip, match="at least 3 classes"):
            create_estimator(name).measure(two)
    else:
        assert all(math.isfinite(value) for value in every_number(name, two).values())


@pytest.mark.parametrize("name", NAMES)
def test_a_teacher_with_other_classes(name):
    """Logit methods need a head; what asks nothing of labels goes on."""
    evidence = make_evidence()
    wide = with_teacher(
        evidence,
        logits=torch.cat([evidence.teacher.logits, evidence.teacher.logits[:, :2]], 1),
        altered={k: tuple(torch.cat([z, z[:, :2]], 1) for z in v) for k, v in evidence.teacher.altered.items()},
        labelled=False,
    )
    if "scores" in all_estimators()[name].needs:
        with pytest.raises(Skip, match="are not the task's 5"):
            create_estimator(name).measure(wide)
    else:
        assert math.isfinite(create_estimator(name).measure(wide))
    of_labels = {"calibration", "soft_labels", "locality"}  # their variants, too, read the task's own classes
    few = with_teacher(evidence, logits=evidence.teacher.logits[:, :2], altered={}, labelled=False)
    for other in (wide, few):
        found = create_estimator(name).measure_variants(other)
        assert not (found and name in of_labels)


def test_a_number_that_is_not_finite_is_a_refusal():
    flat = make_evidence(embedding=torch.ones(N, 4))
    with pytest.raises(Skip, match="finite"):
        create_estimator("absorbable").measure(flat)


def test_where_one_class_is_rare_accuracy_is_the_tasks_metric():
    """Whoever never sees a person is right on nineteen images of twenty."""
    labels = (torch.arange(200) % 20 == 0).long()
    rng = torch.Generator().manual_seed(3)
    blind = torch.stack([torch.ones(200), -torch.rand(200, generator=rng)], 1)
    seeing = torch.stack([torch.zeros(200), labels * 2 + 0.8 * torch.randn(200, generator=rng)], 1)
    evidence = dataclasses.replace(make_evidence(logits=seeing), labels=labels, metric="average_precision")
    hits, precisions = 0, []
    for rank, image in enumerate((seeing[:, 1] - seeing[:, 0]).argsort(descending=True).tolist(), start=1):
        if labels[image]:
            hits += 1
            precisions.append(hits / rank)
    assert evidence.accuracy(seeing) == pytest.approx(sum(precisions) / hits)
    assert all_estimators()["accuracy"]().estimate(evidence) == evidence.accuracy(seeing) > 0.5
    assert evidence.accuracy(blind) < 0.2
    assert dataclasses.replace(evidence, metric="accuracy").accuracy(blind) == 0.95
