import numpy as np

HYPER = {"temperature": 1.7}


def reference(student, teacher, modifier, progress):
    return student, teacher / 1.7, np.ones(len(student))
