"""What the names mean: methods with their papers, students, teachers, and the words that are not everyday ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

from alambic.deploy.chips import load_chips
from alambic.report.chapters.blocks import Block
from alambic.report.chapters.tables import Entry, Table
from alambic.report.facts.fact import Fact
from alambic.report.facts.gather import Group
from alambic.report.overview.gather import Overview
from alambic.report.words.french_names import WAYS
from alambic.report.words.overview_texts import read_overview_texts
from alambic.report.words.texts import read_texts, tell_teacher
from alambic.report.words.wording import Lang, show_number

# term -> what it means, in everyday words
TERMS: dict[str, dict[Lang, tuple[str, str]]] = {
    "alone": {
        "en": ("none, the student alone", "trained on the labels, without a teacher"),
        "fr": ("none, l’élève seul", "entraîné sur les étiquettes, sans enseignant"),
    },
    "arm": {
        "en": ("arm", "one way to train a student: a method with its settings, or none"),
        "fr": ("bras", "une façon d’entraîner un élève : une méthode et ses réglages, ou none"),
    },
    "cell": {
        "en": ("cell", "one training: a student, an arm, its teacher and a seed"),
        "fr": ("cellule", "un entraînement : un élève, un bras, son enseignant et une graine"),
    },
    "seed": {
        "en": ("seed", "one draw of what chance decides in a training; the arms of a seed share it"),
        "fr": ("graine", "un tirage de ce que le hasard décide ; les bras d’une même graine le partagent"),
    },
    "block": {
        "en": ("block", "one student on its data with one method: the same teachers, compared within it"),
        "fr": ("bloc", "un élève sur ses données avec une méthode : les mêmes enseignants y sont comparés"),
    },
    "tune": {
        "en": ("tune and test images", "settings were chosen on the first; the second were kept for confirmations"),
        "fr": (
            "images de réglage et de test",
            "les réglages viennent des premières ; les secondes sont réservées aux confirmations",
        ),
    },
    "balance": {
        "en": ("balance", "how strongly the teacher pulls when training starts, as a multiple of the labels’ pull"),
        "fr": ("équilibre", "la force de l’enseignant au début, en multiple de celle des étiquettes"),
    },
    "superset": {
        "en": ("more images", "the teacher saw more images, or more of their labels, than the student was given"),
        "fr": ("plus d’images", "l’enseignant a vu plus d’images, ou plus de leurs étiquettes, que n’en a l’élève"),
    },
    "external": {
        "en": ("other images", "the teacher comes from elsewhere, trained on other images"),
        "fr": ("autres images", "l’enseignant vient d’ailleurs, entraîné sur d’autres images"),
    },
    "labelled": {
        "en": (
            "labelled only",
            "the arm sees no image without a label; the others learn from all by the teacher’s word",
        ),
        "fr": (WAYS["labelled only"], "le bras ne voit aucune image sans étiquette ; les autres apprennent de toutes"),
    },
    "sensor": {
        "en": ("behind the sensor", "the student sees small, grey, noisy images; the teacher, as a rule, clean ones"),
        "fr": ("derrière le capteur", "l’élève voit des images petites, grises, bruitées ; l’enseignant, des nettes"),
    },
    "same": {
        "en": ("same sensor", "the teacher too sees what the sensor gives"),
        "fr": (WAYS["same sensor"], "l’enseignant aussi voit ce que donne le capteur"),
    },
    "made": {
        "en": ("made for the sensor", "the teacher was trained on the labels behind the student’s sensor"),
        "fr": (
            "fait pour le capteur",
            "l’enseignant a été entraîné sur les étiquettes, derrière le capteur de l’élève",
        ),
    },
    "adapted": {
        "en": (
            "adapted to the sensor",
            "a copy of the teacher, taught behind the sensor by the clean one, without a label",
        ),
        "fr": (
            "adapté au capteur",
            "une copie de l’enseignant, instruite derrière le capteur par l’original, sans étiquette",
        ),
    },
    "assistant": {
        "en": ("assistant", "another network, taught by the teacher, that then teaches the student"),
        "fr": ("assistant", "un autre réseau, instruit par l’enseignant, qui instruit ensuite l’élève"),
    },
    "pilot": {
        "en": ("pilot", "a short distillation with each teacher, to choose among them"),
        "fr": ("essai", "une courte distillation avec chaque enseignant, pour choisir entre eux"),
    },
    "estimator": {
        "en": ("estimator", "a number computed before any distillation, meant to say which teacher suits"),
        "fr": ("estimateur", "un nombre calculé avant toute distillation, censé dire quel enseignant convient"),
    },
    "rank": {
        "en": ("rank correlation", "1: the same order; 0: no relation; −1: the opposite order (Spearman)"),
        "fr": ("corrélation de rang", "1 : le même ordre ; 0 : aucun rapport ; −1 : l’ordre inverse (Spearman)"),
    },
    "precision": {
        "en": ("average precision", "how well the rare class is found, over all thresholds; for two unequal classes"),
        "fr": ("précision moyenne", "à quel point la classe rare est trouvée, tous seuils confondus"),
    },
    "holm": {
        "en": ("p, Holm", "how often chance alone would do as much, all contrasts of the study counted"),
        "fr": ("p, Holm", "combien de fois le hasard seul ferait autant, tous les contrastes de l’étude comptés"),
    },
    "int8": {
        "en": ("int8, fp32", "whole numbers of eight bits, as the chip computes; the numbers of training, of 32 bits"),
        "fr": (
            "int8, fp32",
            "entiers de huit bits, comme calcule la puce ; nombres de 32 bits, ceux de l’entraînement",
        ),
    },
    "channel": {
        "en": (
            "per-channel scales",
            "each output channel of a layer has its own step in int8; per tensor, all share one",
        ),
        "fr": (
            "échelles par canal",
            "chaque canal de sortie a son propre pas en int8 ; par tenseur, un seul pour tous",
        ),
    },
    "arena": {
        "en": ("arena", "the working memory for what flows between the layers"),
        "fr": ("arène", "la mémoire de travail pour ce qui passe d’une couche à l’autre"),
    },
    "mac": {
        "en": ("MAC", "one multiplication and addition; their number tells the work for one image"),
        "fr": ("MAC", "une multiplication et une addition ; leur nombre dit le travail pour une image"),
    },
}
# how a family of students is built
FAMILIES: dict[str, dict[Lang, str]] = {
    "dscnn": {
        "en": "depthwise separable convolutions: channels × blocks",
        "fr": "convolutions séparables en profondeur : canaux × blocs",
    },
    "resnet": {
        "en": "residual network: layers, width of its first stage",
        "fr": "réseau résiduel : couches, largeur du premier étage",
    },
}


def describe_words(overview: Overview, lang: Lang) -> list[Block]:
    """Tables of what the confirmations use, then of words; nothing without confirmations."""
    groups = [group for study in overview.claims for group in study.findings.groups]
    if not groups:
        return []
    words = read_overview_texts(lang)
    return [
        words["students_used"],
        _tabulate_students(groups, lang),
        words["teachers_used"],
        _tabulate_teachers(groups, lang),
        words["words_used"],
        _tabulate_terms(groups, lang),
    ]


def _tabulate_students(groups: Sequence[Group], lang: Lang) -> Table:
    """A row a student: what its family is, its parameters, which differ with the classes."""
    texts = read_texts(lang)
    table = Table(((texts["student"], "", False), (texts["family"], "", False), (texts["parameters"], "", True)))
    for name in sorted({group.student for group in groups}):
        family = next((told[lang] for key, told in FAMILIES.items() if name.startswith(key)), "–")
        sizes = [g.numbers["parameters"] for g in groups if g.student == name and "parameters" in g.numbers]
        table.rows.append([Entry(name), Entry(family, class_="wide"), Entry(_range(sizes, lang))])
    return table


def _range(facts: Sequence[Fact], lang: Lang) -> str:
    told = [show_number(pick(fact.value for fact in facts), "number", lang) for pick in (min, max)] if facts else ["–"]
    return told[0] if told[0] == told[-1] else f"{told[0]} {read_overview_texts(lang)['to']} {told[-1]}"


def _tabulate_teachers(groups: Sequence[Group], lang: Lang) -> Table:
    """A row a teacher: its family, what it learnt from, whose images."""
    texts = read_texts(lang)
    heads = ("teacher", "family", "provenance", "teacher_data")
    table = Table(tuple((texts[name], "", False) for name in heads))
    found: dict[str, list[set[str]]] = {}
    for group in groups:
        content = group.rows[0].content
        if group.teacher is not None:
            told = found.setdefault(group.teacher, [set(), set(), set()])
            for names, key in zip(told, ("teacher_family", "teacher_provenance", "teacher_data"), strict=True):
                names.add(tell_teacher(str(content.get(key) or "–"), lang))
    for name, told in sorted(found.items()):
        table.rows.append([Entry(name), *(Entry(", ".join(sorted(names))) for names in told)])
    return table


def _tabulate_terms(groups: Sequence[Group], lang: Lang) -> Table:
    """A row a word, then one a chip that students were fitted to."""
    words, chips = read_overview_texts(lang), load_chips()
    named = {str(row.numbers["chip"]) for group in groups for row in group.rows if "chip" in row.numbers}
    told = [terms[lang] for terms in TERMS.values()]
    for chip in (chips[name] for name in sorted(named & chips.keys())):
        sizes = [show_number(size or math.inf, "number", lang) for size in (chip.flash_kib, chip.ram_kib)]
        told.append((chip.name, words["chip_means"].format(flash=sizes[0], ram=sizes[1])))
    table = Table(((words["word"], "", False), (words["meaning"], "", False)))
    table.rows.extend([Entry(word), Entry(meaning, class_="wide")] for word, meaning in told)
    return table
