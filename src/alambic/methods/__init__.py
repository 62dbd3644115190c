"""Distillation methods: one file = one published method."""

from alambic.methods.base import Batch, Method, Needs, Paper, Specs, all_methods, create_method

__all__ = ["Batch", "Method", "Needs", "Paper", "Specs", "all_methods", "create_method"]
