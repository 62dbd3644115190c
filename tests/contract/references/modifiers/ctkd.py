import numpy as np


def reference(student, teacher, modifier, progress):
    theta = float(modifier.theta)
    temperature = 1 + 20 / (1 + np.exp(-theta))
    return student / temperature, teacher / temperature, np.full(len(student), temperature**2)
