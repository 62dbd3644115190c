"""Control: a teacher that knows nothing."""

from __future__ import annotations

import json
from dataclasses import replace

from alambic.files import hash_tensors
from alambic.methods.base import Paper
from alambic.models.teacher import Teacher
from alambic.treatments.base import Scene, Treatment, refuse_black_box
from alambic.treatments.teaching import fresh_net


class RandomTeacher(Treatment):
    """The teacher's architecture with new weights: what is left of a gain is not knowledge."""

    paper = Paper("none", "", "", 0)
    formula = "teacher = its architecture, untrained"
    fidelity = "A"
    kind = "control"
    needs_teacher = True

    def prepare_teacher(self, teacher: Teacher, scene: Scene) -> Teacher:
        refuse_black_box(self, teacher)
        net = fresh_net(teacher, scene).eval().requires_grad_(False)
        spec = replace(teacher.spec, weights=None, pretrained=False, provenance="untrained")
        card = json.loads(json.dumps({**teacher.card, "tune": None, "test": None}))
        return replace(teacher, net=net, spec=spec, hash=hash_tensors(net.state_dict()), card=card)
