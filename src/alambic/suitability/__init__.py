"""Suitability: estimates, before any distillation, of how easily a student learns from a teacher, and their judge."""

from alambic.suitability.base import Estimator, all_estimators, create_estimator
from alambic.suitability.evidence import Evidence, Pilot, StudentEvidence, TeacherEvidence

__all__ = [
    "Estimator",
    "Evidence",
    "Pilot",
    "StudentEvidence",
    "TeacherEvidence",
    "all_estimators",
    "create_estimator",
]
