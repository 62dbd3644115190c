"""Modifiers of logit losses and treatments around the loss: one file each."""

from alambic.treatments.registry import all_modifiers, create_modifier

__all__ = ["all_modifiers", "create_modifier"]
