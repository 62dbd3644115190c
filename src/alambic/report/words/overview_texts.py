"""Headings, labels and titles of the document and the talk over all studies, in English and French side by side."""

from __future__ import annotations

from alambic.report.words.texts import Texts
from alambic.report.words.wording import Lang

OVERVIEW_TEXTS: dict[str, dict[Lang, str]] = {
    "title": {"en": "Which teacher, which method?", "fr": "Qui enseigne, et comment ?"},
    "subtitle": {
        "en": "What distillation gives a tiny network on a chip: the answer over all studies",
        "fr": "Ce que la distillation apporte à un réseau minuscule sur puce : la réponse de toutes les études",
    },
    "question": {"en": "The question", "fr": "La question"},
    "short": {"en": "The answer in short", "fr": "La réponse en bref"},
    "studies": {"en": "The studies", "fr": "Les études"},
    "survey": {"en": "The methods", "fr": "Les méthodes"},
    "protocol": {"en": "How it was measured", "fr": "Comment c’est mesuré"},
    "teacher": {"en": "Which teacher?", "fr": "Quel enseignant ?"},
    "method": {"en": "Which method?", "fr": "Quelle méthode ?"},
    "when": {"en": "When does it pay?", "fr": "Quand est-ce rentable ?"},
    "ideas": {"en": "Which new idea?", "fr": "Quelle idée nouvelle ?"},
    "chip": {"en": "On the chip", "fr": "Sur la puce"},
    "do": {"en": "What to do, and what not", "fr": "Que faire, que ne pas faire"},
    "limits": {"en": "Limits", "fr": "Limites"},
    "references": {"en": "References", "fr": "Références"},
    "study": {"en": "Study", "fr": "Étude"},
    "task": {"en": "Data and task", "fr": "Données et tâche"},
    "students": {"en": "Students", "fr": "Élèves"},
    "teachers": {"en": "Teachers", "fr": "Enseignants"},
    "arms": {"en": "Arms", "fr": "Bras"},
    "purpose": {"en": "Purpose", "fr": "But"},
    "number": {"en": "Studies", "fr": "Études"},
    "times_judged": {"en": "Judged", "fr": "Jugée"},
    "claims": {"en": "Confirmations", "fr": "Confirmations"},
    "rank_accuracy": {"en": "Rank correlation: accuracy with gain", "fr": "Corrélation exactitude–gain"},
    "rank_pilot": {"en": "A short pilot", "fr": "Un essai court"},
    "rank_best": {"en": "Best estimator", "fr": "Meilleur estimateur"},
    "rank_worst": {"en": "Worst estimator", "fr": "Pire estimateur"},
    "lost_accuracy": {"en": "Lost by the most accurate", "fr": "Perdus par le plus exact"},
    "lost_pilot": {"en": "Lost by the pilot", "fr": "Perdus par l’essai"},
    "judged_table": {
        "en": "Rank correlation with the gain that each teacher gave; points lost by taking the first of each list",
        "fr": "Corrélation de rang avec le gain que chaque enseignant a donné ensuite ; points perdus à prendre le "
        "premier de chaque liste",
    },
    "family_table": {
        "en": "Points that a family of teachers gives more than another, with what the study could have seen",
        "fr": "Points qu’une famille d’enseignants donne de plus qu’une autre, et ce que l’étude pouvait voir",
    },
    "mean_gain": {"en": "Over the student alone, as measured", "fr": "Sur l’élève seul, tel que mesuré"},
    "against_reference": {"en": "Against the reference, allowing for", "fr": "Face à la référence, à égalité de"},
    "could_see": {"en": "Could have seen", "fr": "Pouvait voir"},
    "reference": {"en": "reference", "fr": "référence"},
    "teacher_table": {"en": "Two teachers, one method: declared", "fr": "Deux enseignants, une méthode : déclaré"},
    "alone_figure": {"en": "Declared: against the student alone", "fr": "Déclaré : face à l’élève seul"},
    "alone_caption": {
        "en": "Every contrast of a taught student with the student alone that a study declared before it ran; points "
        "of its metric on the test images, 95% intervals over seeds and images. Green is confirmed, grey a tie.",
        "fr": "Chaque contraste d’un élève instruit avec l’élève seul déclaré par une étude avant d’être lancée ; en "
        "points de sa mesure sur les images de test, intervalles à 95 % sur graines et images. Vert : confirmé, gris : "
        "égalité.",
    },
    "rest_table": {"en": "Declared: the other contrasts", "fr": "Déclaré : les autres contrastes"},
    "between_table": {"en": "Declared: between two arms", "fr": "Déclaré : entre deux bras"},
    "looked": {"en": "seeds added after a look", "fr": "graines ajoutées après consultation des résultats"},
    "formerly": {"en": "{was} by the rule until 29 November 2026", "fr": "{was} selon la règle avant le 29 nov. 2026"},
    "curve_epochs": {"en": "With more epochs", "fr": "Avec plus d’époques"},
    "curve_images": {"en": "With more training images", "fr": "Avec plus d’images d’entraînement"},
    "curve_labels": {"en": "With more labels", "fr": "Avec plus d’étiquettes"},
    "epochs": {"en": "epochs", "fr": "époques"},
    "labels": {"en": "labels", "fr": "étiquettes"},
    "over_curve": {
        "en": "{data}, {student}: {metric} on {where}",
        "fr": "{data}, {student} : {metric} sur {where}",
    },
    "alone_share": {"en": "the student alone", "fr": "l’élève seul"},
    "images_seen": {"en": "Images", "fr": "Images"},
    "epochs_seen": {"en": "Epochs", "fr": "Époques"},
    "own_score": {"en": "Own score", "fr": "Son score"},
    "trained_table": {
        "en": "What the teachers of these curves were trained on",
        "fr": "Sur quoi les enseignants de ces courbes ont été entraînés",
    },
    "fate": {"en": "Fate", "fr": "Sort"},
    "hardest": {"en": "Against its hardest control", "fr": "Face au témoin le plus exigeant"},
    "again_table": {"en": "The idea that survived, declared and tested", "fr": "L’idée survivante, déclarée et testée"},
    "loses": {"en": "int8 loses, points", "fr": "L’int8 perd, points"},
    "to": {"en": "to", "fr": "à"},
    "agrees": {"en": "int8 as fp32", "fr": "int8 comme fp32"},
    "kernels": {"en": "Device’s kernels as int8", "fr": "Noyaux de la puce comme int8"},
    "fits": {"en": "Fits", "fr": "Tient"},
    "yes": {"en": "yes", "fr": "oui"},
    "no": {"en": "no", "fr": "non"},
    "what_chip": {"en": "What the students of the confirmations cost", "fr": "Ce que coûtent ces élèves"},
    "take": {"en": "Take", "fr": "Prendre"},
    "gain_of": {"en": "Gain to expect", "fr": "Gain à attendre"},
    "key_verdict": {
        "en": "Green: confirmed; grey: a tie; red: worse. Lines: 95% intervals.",
        "fr": "Vert : confirmé ; gris : égalité ; rouge : moins bien. Traits : intervalles à 95 %.",
    },
    "key_sign": {
        "en": "Points over the student alone. Green: the interval leaves out zero. Lines: 95% intervals.",
        "fr": "Points de plus que l’élève seul. Vert : l’intervalle exclut zéro. Traits : intervalles à 95 %.",
    },
    "rank_half": {"en": "Among the more accurate half", "fr": "Moitié la plus exacte"},
    "first_gave": {"en": "The most accurate gave", "fr": "Le plus exact a donné"},
    "best_in": {"en": "(best in {best} of {blocks})", "fr": "(1er : {best} sur {blocks})"},
    "gaining": {"en": "Gave more than nothing", "fr": "Ont donné plus que rien"},
    "verdict_tie": {"en": "not shown to differ", "fr": "différence non montrée"},
    "verdict_clear": {
        "en": "differs by its p, but too small to count on",
        "fr": "diffère selon son p, mais trop peu pour s’y fier",
    },
    "verdict_small": {"en": "too small to matter", "fr": "trop petit pour compter"},
    "of": {"en": "{part} of {whole}", "fr": "{part} sur {whole}"},
    "accuracy_table": {
        "en": "Rank correlation of accuracy with the gain that each teacher gave, also among the more accurate half; "
        "points that the most accurate gave, as measured, and that taking it loses",
        "fr": "Corrélation de rang de l’exactitude avec le gain que chaque enseignant a donné, aussi dans la moitié la "
        "plus exacte ; points que le plus exact a donnés, tels que mesurés, et perdus à le prendre",
    },
    "by_teacher_table": {
        "en": "Method by teacher: points that one gives more than another, interval over teachers",
        "fr": "Méthode par enseignant : points que l’une donne de plus que l’autre, intervalle sur les enseignants",
    },
    "more_with": {"en": "More with", "fr": "Plus avec"},
    "least_with": {"en": "Least with", "fr": "Le moins avec"},
    "most_with": {"en": "Most with", "fr": "Le plus avec"},
    "wider": {"en": "{student} in its place", "fr": "{student} à sa place"},
    "way": {"en": "The student alone, but", "fr": "L’élève seul, mais"},
    "alternatives_table": {
        "en": "What helps without a teacher, as explored",
        "fr": "Ce qui aide sans enseignant, tel qu’exploré",
    },
    "own_ranges": {
        "en": "Each panel has a vertical range of its own.",
        "fr": "Chaque panneau a sa propre étendue verticale.",
    },
    "glossary": {"en": "Names and words", "fr": "Noms et mots"},
    "students_used": {"en": "Students of the confirmations", "fr": "Élèves des confirmations"},
    "teachers_used": {"en": "Their teachers", "fr": "Leurs enseignants"},
    "words_used": {"en": "Words", "fr": "Mots"},
    "method_name": {"en": "Method", "fr": "Méthode"},
    "paper_title": {"en": "Paper", "fr": "Article"},
    "published": {"en": "Published", "fr": "Publié"},
    "chip_means": {
        "en": "a chip that leaves the network {flash} KiB for its weights and {ram} KiB for its activations",
        "fr": "une puce qui laisse au réseau {flash} Kio pour ses poids et {ram} Kio pour ses activations",
    },
    "word": {"en": "Word", "fr": "Mot"},
    "meaning": {"en": "Meaning", "fr": "Sens"},
}


def read_overview_texts(lang: Lang) -> Texts:
    """All of one language."""
    return {key: by_lang[lang] for key, by_lang in OVERVIEW_TEXTS.items()}


TALK_SENTENCES: dict[str, dict[Lang, str]] = {
    "talk_short": {
        "en": "In short: {confirmed} of {count} declared gains over the student alone are confirmed",
        "fr": "En bref : {confirmed} gains déclarés sur {count} face à l’élève seul sont confirmés",
    },
    "talk_short_bare": {"en": "The answer in short", "fr": "La réponse en bref"},
    "talk_studies": {
        "en": "{studies} studies, {claims} of them confirmations declared beforehand",
        "fr": "{studies} études, dont {claims} confirmations déclarées d’avance",
    },
    "talk_ranked": {
        "en": "Which teacher: over all of them, accuracy ranks what they give in {clear} of {count} studies; no "
        "estimator is shown to do better",
        "fr": "Quel enseignant : pris tous ensemble, l’exactitude classe ce qu’ils apportent dans {clear} études sur "
        "{count} ; aucun estimateur ne s’avère meilleur",
    },
    "talk_ranked_some": {
        "en": "Which teacher: over all of them, accuracy ranks what they give in {clear} of {count} studies",
        "fr": "Quel enseignant : pris tous ensemble, l’exactitude classe ce qu’ils apportent dans {clear} études sur "
        "{count}",
    },
    "talk_families_none": {
        "en": "From which architecture: no family is told from another",
        "fr": "De quelle architecture : aucune famille ne se distingue",
    },
    "talk_families_some": {
        "en": "From which architecture: some families are told apart",
        "fr": "De quelle architecture : certaines familles se distinguent",
    },
    "talk_alone": {
        "en": "Which method, by {metric}: {confirmed} of {count} declared gains are confirmed, {most} at most",
        "fr": "Quelle méthode, {metric} : {confirmed} gains déclarés sur {count} sont confirmés, {most} au plus",
    },
    "talk_alone_none": {
        "en": "Which method, by {metric}: none of {count} declared gains is confirmed",
        "fr": "Quelle méthode, {metric} : aucun des {count} gains déclarés n’est confirmé",
    },
    "talk_between": {
        "en": "Between two arms with a teacher: {confirmed} of {count} declared contrasts are confirmed",
        "fr": "Entre deux bras avec enseignant : {confirmed} contrastes déclarés sur {count} sont confirmés",
    },
    "talk_when": {
        "en": "When it pays: with more images or labels the gain surely shrinks in {shrinking} of {count} arms",
        "fr": "Quand est-ce rentable ? Avec plus d’images ou d’étiquettes, le gain diminue sûrement pour {shrinking} "
        "bras sur {count}",
    },
    "talk_when_less": {
        "en": "When it pays: with more labels, or more images seen less often, the gain surely shrinks in {shrinking} "
        "of {count} arms",
        "fr": "Quand est-ce rentable ? Avec plus d’étiquettes, ou plus d’images vues moins souvent, le gain diminue "
        "sûrement pour {shrinking} bras sur {count}",
    },
    "talk_ideas": {
        "en": "New ideas: {ideas} put to the test, {survived} survived in at least one study",
        "fr": "Idées nouvelles mises à l’épreuve : {ideas} ; survivantes dans une étude au moins : {survived}",
    },
    "talk_ideas_none": {
        "en": "New ideas: {ideas} put to the test, {survived} survived in at least one study, none has won",
        "fr": "Idées nouvelles mises à l’épreuve : {ideas} ; survivantes dans une étude au moins : {survived} ; "
        "aucune ne l’emporte",
    },
    "talk_superset": {
        "en": "In {count} of {studies} studies teachers had learnt from more labelled images than their students.",
        "fr": "Dans {count} études sur {studies}, l’enseignant avait appris de plus d’images étiquetées que l’élève.",
    },
    "talk_chip": {
        "en": "On the chip: int8 with a scale for each channel costs an arm {most} at most, on average{more}",
        "fr": "Sur la puce : l’int8, une échelle par canal, coûte à un bras {most} au plus, en moyenne{more}",
    },
    "talk_do": {
        "en": "Distil, and measure: {sure} of {count} confirmations showed a gain over the student alone",
        "fr": "Distiller, et mesurer : {sure} confirmations sur {count} ont montré un gain sur l’élève seul",
    },
    "talk_decide": {
        "en": "What to take: {confirmed} of {count} decisions rest on a confirmed gain",
        "fr": "Que prendre : {confirmed} décisions sur {count} reposent sur un gain confirmé",
    },
    "talk_limits": {
        "en": "What holds for {students} students of at most {most} parameters on {data} kinds of data may not hold "
        "elsewhere",
        "fr": "Ce qui vaut pour {students} élèves d’au plus {most} paramètres sur {data} sortes de données peut ne pas "
        "valoir ailleurs",
    },
    "all_listed": {"en": "All of them: {listing}.", "fr": "Tous : {listing}."},
    "all_looked_star": {
        "en": "* with seeds added after a look at the results.",
        "fr": "* avec des graines ajoutées après consultation des résultats.",
    },
}
