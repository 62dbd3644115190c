"""Modifiers of logit losses and treatments around the loss: one file each."""

from alambic.treatments.registry import all_modifiers, all_treatments, create_modifier, create_treatment

__all__ = ["all_modifiers", "all_treatments", "create_modifier", "create_treatment"]
