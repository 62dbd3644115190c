"""Networks: taps, projectors, the student zoo and teachers."""
