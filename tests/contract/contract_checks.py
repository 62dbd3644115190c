"""The checks that every method must pass, by name; each raises AssertionError.

``test_suite_catches.py`` proves that each can fail.
"""

from __future__ import annotations

from collections.abc import Callable

from contract_gradients import check_parameter_gradient, check_student_gradient, check_teacher_untouched
from contract_needs import check_labels, check_needs, check_unlabelled_pure
from contract_pairs import check_class_counts, check_other_classes
from contract_tools import MethodClass
from contract_values import (
    check_autocast,
    check_device,
    check_finite,
    check_permutation,
    check_random_numbers,
    check_shapes,
    check_state,
)

Check = Callable[[MethodClass], None]
CHECKS: dict[str, Check] = {
    "student_gradient": check_student_gradient,
    "parameter_gradient": check_parameter_gradient,
    "teacher_untouched": check_teacher_untouched,
    "needs": check_needs,
    "shapes": check_shapes,
    "finite": check_finite,
    "autocast": check_autocast,
    "permutation": check_permutation,
    "random_numbers": check_random_numbers,
    "state": check_state,
    "device": check_device,
    "labels": check_labels,
    "unlabelled_pure": check_unlabelled_pure,
    "class_counts": check_class_counts,
    "other_classes": check_other_classes,
}
