"""Writes a dscnn student's twin that is equal in float and breaks in int8: a stem channel reaches FACTOR times as far,
and the depthwise layer behind it takes that back. What `alambic deploy --equalise` mends, for docs/deploy.md.

    python scripts/make_outlier.py student.safetensors outlier.safetensors --factor 130
"""

from __future__ import annotations

import argparse
from pathlib import Path

from safetensors.torch import load_file, save_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("student", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--factor", type=float, default=130.0, help="above 0")
    parser.add_argument("--channel", type=int, default=3)
    options = parser.parse_args()
    if not options.factor > 0:
        parser.error(f"expected a factor above 0, got {options.factor:g}: ReLU commutes with no other")
    state = load_file(options.student)
    for name in ("stem.norm.weight", "stem.norm.bias"):
        state[name][options.channel] *= options.factor
    state["blocks.0.depthwise.conv.weight"][options.channel] /= options.factor
    save_file(state, options.out)


if __name__ == "__main__":
    main()
