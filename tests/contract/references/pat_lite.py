from map_maths import hierarchical


def reference(student, teacher, labels):
    return hierarchical(student, teacher)


def make_inputs(rng):
    for shape in ((3, 4, 8, 8), (2, 3, 5, 7), (3, 4, 4, 6), (2, 5, 1, 1)):
        yield rng.normal(size=shape), rng.normal(size=shape), None, {}
