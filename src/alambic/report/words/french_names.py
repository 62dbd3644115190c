"""French display names for what this repository names itself: arms, ideas, classes, settings of a recipe.

A ledger holds names as a study file writes them, and the page must show every arm under one name in each language. So
names that this library or its own studies give are read here by a table; any other is its author's and stays as it is.
``wording`` reads this file, so that it imports nothing of the report.
"""

from __future__ import annotations

from typing import Literal

Lang = Literal["en", "fr"]

ARMS: dict[str, str] = {
    "none": "l’élève seul",
    "kd and a wide student": "kd et un élève large",
    "kd by an assistant": "kd par un assistant",
    "kd over a bridge": "kd par un pont",
    "kd under rounding noise": "kd sous bruit d’arrondi",
    "consensus of one architecture": "consensus d’une architecture",
    "consensus of three architectures": "consensus de trois architectures",
}
# what stands behind the comma of an arm's name: how its teacher, its images or its method were changed
WAYS: dict[str, str] = {
    "a teacher made for the sensor": "enseignant fait pour le capteur",
    "the teacher adapted to the sensor": "enseignant adapté au capteur",
    "an assistant behind the sensor": "assistant derrière le capteur",
    "same sensor": "même capteur",
    "labelled only": "images étiquetées seules",
    "random teacher": "enseignant aléatoire",
    "shuffled teacher": "enseignant mélangé",
    "self-distillation": "autodistillation",
    "the student itself": "par l’élève lui-même",
    "qat": "QAT",
    "longer": "plus longtemps",
    "twice as long": "deux fois plus longtemps",
    "other settings": "autres réglages",
    "the best of them alone": "le meilleur d’entre eux seul",
    "principal directions": "directions principales",
    "random directions": "directions aléatoires",
    "plain distillation": "distillation simple",
    "the table alone": "la table seule",
    "each view's own": "à chaque vue la sienne",
    "clipped at one weight": "bornée, à poids constant",
    "half of the way": "à mi-chemin",
    "shuffled positions": "positions mélangées",
    "the mean alone": "la moyenne seule",
    "not rotated": "sans rotation",
}
IDEAS: dict[str, str] = {
    "I1 geodesic step": "I1 pas géodésique",
    "I2 absorbable subspace": "I2 sous-espace absorbable",
    "I4 low-frequency class maps": "I4 cartes de classe à basse fréquence",
    "I5 rounding-noise consistency": "I5 cohérence sous bruit d’arrondi",
    "I6 outlier-safe targets": "I6 cibles sans valeurs aberrantes",
    "I6 outlier-safe targets, what int8 costs": "I6 cibles sans valeurs aberrantes, ce que coûte l’int8",
    "I7 consensus of architectures": "I7 consensus d’architectures",
    "I8 NetAug bridge": "I8 pont NetAug",
    "adapted teacher": "enseignant adapté",
    "coarse to fine": "du grossier au fin",
    "common views": "vues communes",
    "pair order": "ordre des paires",
    "privileged views": "vues privilégiées",
}
CLASSES: dict[str, str] = {
    "rest": "reste",
    "person": "personne",
    "fish": "poisson",
    "insect": "insecte",
    "tree": "arbre",
    "vehicle": "véhicule",
}
# of recipes, arms and their methods; a key that is missing here is shown as it is typed
KEYS: dict[str, dict[Lang, str]] = {
    "lr": {"en": "learning rate", "fr": "taux d’apprentissage"},
    "epochs": {"en": "epochs", "fr": "époques"},
    "batch": {"en": "batch", "fr": "lot"},
    "optimizer": {"en": "optimiser", "fr": "optimiseur"},
    "schedule": {"en": "schedule", "fr": "calendrier"},
    "warmup": {"en": "warm-up", "fr": "échauffement"},
    "weight_decay": {"en": "weight decay", "fr": "décroissance des poids"},
    "momentum": {"en": "momentum", "fr": "inertie"},
    "clip": {"en": "gradient clipped at", "fr": "gradient borné à"},
    "precision": {"en": "precision", "fr": "précision"},
    "eval_every": {"en": "scored every", "fr": "évalué toutes les"},
    "balance": {"en": "balance", "fr": "équilibre"},
    "weight": {"en": "weight", "fr": "poids"},
    "weights": {"en": "weights", "fr": "poids"},
    "temperature": {"en": "temperature", "fr": "température"},
    "ce_weight": {"en": "cross-entropy", "fr": "entropie croisée"},
    "share": {"en": "share", "fr": "part"},
    "order": {"en": "order", "fr": "ordre"},
}
TREATMENTS: dict[str, dict[Lang, str]] = {
    "labelled_only": {"en": "labelled only", "fr": "images étiquetées seules"},
    "same_sensor": {"en": "same sensor", "fr": "même capteur"},
    "shuffled_teacher": {"en": "shuffled teacher", "fr": "enseignant mélangé"},
    "random_teacher": {"en": "random teacher", "fr": "enseignant aléatoire"},
    "self_distillation": {"en": "self-distillation", "fr": "autodistillation"},
    "longer_schedule": {"en": "longer schedule", "fr": "entraînement plus long"},
    "wide_student": {"en": "wide student", "fr": "élève large"},
    "joint_teacher": {"en": "joint teacher", "fr": "enseignant conjoint"},
    "bridge": {"en": "bridge", "fr": "pont"},
    "quant_noise": {"en": "rounding noise", "fr": "bruit d’arrondi"},
}


def tell_arm(name: str, lang: Lang) -> str:
    """An arm's name as a reader sees it: in French "kd, labelled only" is "kd (images étiquetées seules)".

    What stands behind a comma is translated part by part; from the first part that is not in the table on, the name
    stays as its author wrote it.
    """
    if lang == "en":
        return name
    first, *parts = name.split(", ")
    known: list[str] = []
    while parts and parts[0] in WAYS:
        known.append(WAYS[parts.pop(0)])
    told = ARMS.get(first, first) + (f" ({', '.join(known)})" if known else "")
    return ", ".join([told, *parts])


def tell_idea(name: str, lang: Lang) -> str:
    """An idea's name; one that is not of this repository stays as it is."""
    return name if lang == "en" else IDEAS.get(name, name)


def tell_class(name: str, lang: Lang) -> str:
    """A class of the tasks that this repository makes itself; any other name belongs to its data."""
    return name if lang == "en" else CLASSES.get(name, name)


def tell_treatment(name: str, lang: Lang) -> str:
    """A treatment of an arm in words; methods and modifiers keep the names of their papers."""
    return TREATMENTS[name][lang] if name in TREATMENTS else name


def tell_setting(key: str, value: object, lang: Lang) -> str:
    """One setting: "learning rate 0.114", in French "taux d’apprentissage 0,114"; "epochs 8", "8 époques"."""
    shown = _tell_value(value, lang)
    name = KEYS[key][lang] if key in KEYS else key
    if lang == "fr" and key == "epochs":
        return f"{shown} {name if value not in (0, 1) else 'époque'}"
    return f"{name} {shown}"


def join_settings(told: list[str], lang: Lang) -> str:
    """Settings in one phrase: where the comma is the decimal sign, it parts nothing."""
    return ("\u202f; " if lang == "fr" else ", ").join(told)


def _tell_value(value: object, lang: Lang) -> str:
    """A number in few digits with the sign of its language; a truth value in words; lists piece by piece."""
    if isinstance(value, bool):
        return {"en": ("no", "yes"), "fr": ("non", "oui")}[lang][value]
    if isinstance(value, int | float):
        text = f"{value:.6g}".replace("-", "−")
        return text.replace(".", ",") if lang == "fr" else text
    if isinstance(value, list | tuple):
        return " / ".join(_tell_value(one, lang) for one in value)
    return str(value)
