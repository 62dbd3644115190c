"""The students of one family from narrow to wide, one number each: the axis along which a chip decides."""

from __future__ import annotations

from alambic.errors import AlambicError
from alambic.models.student_table import DSCNN_NAME, RESNET_NAME, SCALED_NAME, plan_student

WIDEST = 4  # times the student asked about


def list_widths(name: str) -> list[str]:
    """Names from the narrowest the rules allow up to four times the student's width, its own among them where it is
    one number (``resnet8_w16``, not ``resnet8_w16-32-72``).

    Raises AlambicError for what is no zoo student.
    """
    plan_student(name)
    if match := DSCNN_NAME.fullmatch(name):
        return [f"dscnn_{width}x{match['count']}" for width in range(4, WIDEST * int(match["width"]) + 1, 4)]
    if match := RESNET_NAME.fullmatch(name):
        return [f"resnet{match['depth']}_w{width}" for width in range(4, WIDEST * int(match["width"]) + 1, 4)]
    if match := SCALED_NAME.fullmatch(name):
        digits = match["alpha"] or "100"
        alpha = float(f"{digits[0]}.{digits[1:]}")
        steps = range(5, min(round(WIDEST * alpha * 100), 400) + 1)  # hundredths
        names = [f"{match['family']}_{step:03d}_{match['side']}{match['grey']}" for step in steps]
        if len(digits) > 3:  # between two hundredths
            names.insert(sum(step < alpha * 100 for step in steps), name)
        return names
    raise AlambicError(f"student {name!r}: expected a family with widths, got one without")
