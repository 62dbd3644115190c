"""What this repository names itself reads as French in a French report; its authors' names stay as they are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from alambic.methods import all_methods
from alambic.report.words.french_names import (
    ARMS,
    IDEAS,
    WAYS,
    join_settings,
    tell_arm,
    tell_class,
    tell_idea,
    tell_setting,
    tell_treatment,
)

STUDIES = Path(__file__).parents[2] / "studies"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("none", "l’élève seul"),
        ("none, labelled only", "l’élève seul (images étiquetées seules)"),
        ("vkd, a teacher made for the sensor", "vkd (enseignant fait pour le capteur)"),
        ("kd, a teacher made for the sensor, other settings", "kd (enseignant fait pour le capteur, autres réglages)"),
        ("kd x10, shuffled teacher", "kd x10 (enseignant mélangé)"),
        ("kd, qat, twice as long", "kd (QAT, deux fois plus longtemps)"),
        ("kd, my own trick", "kd, my own trick"),
        ("label_smoothing", "label_smoothing"),
    ],
)
def test_an_arm_reads_as_french_and_a_strange_name_stays(name: str, told: str) -> None:
    assert tell_arm(name, "fr") == told
    assert tell_arm(name, "en") == name


def test_no_two_arms_share_a_french_name() -> None:
    assert len(set(ARMS.values())) == len(ARMS)
    assert len(set(WAYS.values())) == len(WAYS)
    assert len(set(IDEAS.values())) == len(IDEAS)


def test_the_names_of_the_studies_in_this_repository_are_all_known() -> None:
    """An idea or arm that a study of ours adds needs its French name here."""
    strange, known = set(), set(all_methods())
    for path in sorted(STUDIES.rglob("*.toml")):
        document = tomllib.loads(path.read_text("utf-8"))
        arms = [arm["name"] for arm in document.get("arms", []) if isinstance(arm, dict) and "name" in arm]
        for name in arms:
            first, *parts = name.split(", ")
            if re.sub(r"(\+\w+)? x\d+$", "", first) not in known | set(ARMS):
                strange.add(name)
            strange |= {name for part in parts if part not in WAYS}
        ideas = (one["idea"] for one in document.get("falsifiers", []))
        strange |= {idea for idea in ideas if idea not in IDEAS}
    assert not strange


def test_ideas_classes_and_treatments() -> None:
    assert tell_idea("pair order", "fr") == "ordre des paires"
    assert tell_idea("mine", "fr") == "mine"
    assert tell_class("person", "fr") == "personne"
    assert (tell_class("person", "en"), tell_class("moth", "fr")) == ("person", "moth")
    assert tell_treatment("same_sensor", "fr") == "même capteur"
    assert tell_treatment("dot", "fr") == "dot"


def test_settings_have_decimals_of_their_language() -> None:
    assert tell_setting("lr", 0.154, "en") == "learning rate 0.154"
    assert tell_setting("lr", 0.154, "fr") == "taux d’apprentissage 0,154"
    assert tell_setting("balance", 73.8, "fr") == "équilibre 73,8"
    assert tell_setting("epochs", 80, "fr") == "80 époques"
    assert tell_setting("epochs", 80, "en") == "epochs 80"
    assert tell_setting("weights", [1.0, 0.5], "fr") == "poids 1 / 0,5"
    assert tell_setting("shuffle", True, "fr") == "shuffle oui"
    assert tell_setting("temperature", 0.9772372209558107, "fr") == "température 0,977237"
    assert join_settings(["a", "b"], "fr") == "a\u202f; b"
    assert join_settings(["a", "b"], "en") == "a, b"
