"""Headings and labels of the tables on the chip, the advice and the limits, in English and French side by side."""

from __future__ import annotations

from alambic.report.words.texts import Texts
from alambic.report.words.wording import Lang

ADVICE_TEXTS: dict[str, dict[Lang, str]] = {
    "arithmetic_table": {
        "en": "Points lost by the arithmetic of the chip: mean over the arms of a study (its worst arm)",
        "fr": "Points perdus selon l’arithmétique de la puce : moyenne sur les bras d’une étude (son pire bras)",
    },
    "left_table": {
        "en": "Points over the student alone that a confirmed gain keeps, both in the same arithmetic; mean over seeds",
        "fr": "Points sur l’élève seul que garde un gain confirmé, tous deux dans la même arithmétique ; moyenne sur "
        "les graines",
    },
    "per_channel": {"en": "int8, a scale per channel", "fr": "int8, une échelle par canal"},
    "per_tensor": {"en": "int8, one scale per tensor", "fr": "int8, une échelle par tenseur"},
    "power_of_two": {"en": "power-of-two scales", "fr": "échelles puissances de deux"},
    "4bit": {"en": "4-bit weights", "fr": "poids sur 4 bits"},
    "qat_int8": {"en": "int8 after QAT, all images", "fr": "int8 après QAT, toutes les images"},
    "tried_on": {"en": "Images", "fr": "Images"},
    "levels_table": {
        "en": "What the int8 students score: alone, and by the best arm of each confirmation",
        "fr": "Ce que les élèves int8 atteignent : seuls, et par le meilleur bras de chaque confirmation",
    },
    "alone_level": {"en": "Alone", "fr": "Seul"},
    "best_level": {"en": "Best arm", "fr": "Meilleur bras"},
    "its_level": {"en": "Its score", "fr": "Son score"},
    "recall_alone": {
        "en": "Recall at 1% false alarms, alone",
        "fr": "Rappel à 1 % de fausses alarmes, seul",
    },
    "recall_best": {"en": "Recall, best arm", "fr": "Rappel, meilleur bras"},
    "dark": {"en": "Its score, darker sensor", "fr": "Son score, capteur plus sombre"},
    "views_table": {
        "en": "Points over the student alone: with the bank’s views, and with fresh views each epoch",
        "fr": "Points sur l’élève seul : avec les vues de la banque, et avec des vues neuves à chaque époque",
    },
    "over_bank": {"en": "Over it on the bank’s views", "fr": "Sur lui, vues de la banque"},
    "over_fresh": {"en": "Over it on fresh views", "fr": "Sur lui, vues neuves"},
    "decisions_table": {
        "en": "By student and data: what to take. Confirmed is what a study declared and found; all else is a lead",
        "fr": "Par élève et données : que prendre. Confirmé : déclaré par une étude et trouvé ; le reste est une piste",
    },
    "student_data": {"en": "Student and data", "fr": "Élève et données"},
    "take_gain": {"en": "Take, gain to expect", "fr": "Prendre, gain à attendre"},
    "rivals": {"en": "Not shown to be worse", "fr": "Pas montrés moins bons"},
    "harmed": {"en": "Declared, and harmed", "fr": "Déclaré, et a nui"},
    "undeclared": {"en": "a lead: not declared", "fr": "une piste : non déclaré"},
    "not_over_alone": {
        "en": "over the student alone: not confirmed",
        "fr": "face à l’élève seul : non confirmé",
    },
    "stands_in": {
        "en": "{undeclared}, but simpler than {arm}, which is confirmed",
        "fr": "{undeclared}, mais plus simple que {arm}, qui est confirmé",
    },
    "none_confirmed": {"en": "nothing confirmed", "fr": "rien de confirmé"},
    "added": {"en": "seeds added after a look", "fr": "graines ajoutées après consultation des résultats"},
    "earlier": {
        "en": "{study}, {looked}: {arm} {gain}",
        "fr": "{study}, {looked} : {arm} {gain}",
    },
}


def read_advice_texts(lang: Lang) -> Texts:
    """All of one language."""
    return {key: by_lang[lang] for key, by_lang in ADVICE_TEXTS.items()}
