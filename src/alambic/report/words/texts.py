"""Headings, captions and labels of a report, in English and French side by side."""

from __future__ import annotations

from alambic.report.words.slides import SLIDE_TEXTS
from alambic.report.words.wording import Lang

Texts = dict[str, str]

TEXTS: dict[str, dict[Lang, str]] = {
    **SLIDE_TEXTS,
    "report": {"en": "distillation report", "fr": "rapport de distillation"},
    "theme": {"en": "Light or dark", "fr": "Clair ou sombre"},
    "sight_title": {"en": "What this study could have seen", "fr": "Ce que cette étude pouvait voir"},
    "answer_title": {"en": "The answer", "fr": "La réponse"},
    "differences_title": {"en": "Against the student alone", "fr": "Face à l’élève seul"},
    "differences": {"en": "Paired differences to the student alone", "fr": "Différences appariées à l’élève seul"},
    "differences_caption": {
        "en": "Each row: an arm minus none, trained with the same seeds. Small dots are the seeds, the diamond is "
        "their "
        "mean, the bar its 95% interval over seeds and images. Differences inside the shaded band are too small for "
        "this design.",
        "fr": "Chaque ligne : un bras moins l’élève seul, entraînés avec les mêmes graines. Les petits points sont les "
        "graines, "
        "le losange leur moyenne, la barre son intervalle à 95 % sur graines et images. Les différences dans la bande "
        "grisée sont trop petites pour ce plan.",
    },
    "heat_title": {"en": "Method and teacher", "fr": "Méthode et enseignant"},
    "heat": {"en": "Gain over the student alone, in points", "fr": "Gain sur l’élève seul, en points"},
    "heat_caption": {
        "en": "Mean gain in points. Framed: told apart from none. Pale and dashed: a tie, or undecided, whatever its "
        "colour.",
        "fr": "Gain moyen en points. Encadré : se distingue de l’élève seul. Pâle et en tirets : égalité ou indécis, "
        "quelle que soit la couleur.",
    },
    "sizes_title": {"en": "Score against size", "fr": "Score et taille"},
    "sizes": {"en": "Score against bytes of int8 weights", "fr": "Score en fonction des octets de poids int8"},
    "sizes_axis": {"en": "{precision} {metric}, %", "fr": "{metric} {precision}, %"},
    "sizes_caption": {
        "en": "Below each student, the bytes of its int8 weights. Colour is the arm, shape the teacher; bars are 95% "
        "intervals of each mean (they do not show paired differences, which are narrower).",
        "fr": "Sous chaque élève, les octets de ses poids int8. La couleur est le bras, la forme l’enseignant ; les "
        "barres sont les intervalles à 95 % de chaque moyenne (pas des différences appariées, plus étroites).",
    },
    "curves_title": {"en": "Learning curves", "fr": "Courbes d’apprentissage"},
    "curves": {"en": "Tune score by epoch", "fr": "Score de réglage par époque"},
    "curves_caption": {
        "en": "Score on the tune images by epoch: mean line, range of the seeds. The first epochs may lie below the "
        "frame. The last epoch is what is reported, never the best.",
        "fr": "Score sur les images de réglage par époque : moyenne et étendue des graines. Les premières "
        "époques peuvent sortir du cadre. C’est la dernière époque qui compte, jamais la meilleure.",
    },
    "falls_title": {"en": "What int8 costs", "fr": "Ce que coûte l’int8"},
    "falls": {"en": "Points that int8 costs", "fr": "Points que coûte l’int8"},
    "falls_caption": {
        "en": "fp32 minus int8 on the same images, in points; dots are seeds, the bar is the 95% interval over seeds. "
        "Right of zero: int8 is worse.",
        "fr": "fp32 moins int8 sur les mêmes images, en points ; les points sont les graines, la barre l’intervalle à "
        "95 % sur les graines. À droite de zéro : l’int8 est moins bon.",
    },
    "costs_title": {"en": "What it costs", "fr": "Ce que cela coûte"},
    "measured_title": {"en": "How it was measured", "fr": "Comment c’est mesuré"},
    "cells_title": {"en": "Every cell", "fr": "Toutes les cellules"},
    "cells_caption": {
        "en": "One line a training. A column’s number is json_extract(numbers, '$.NAME') of the row with that id, NAME "
        "being given under the heading.",
        "fr": "Une ligne par entraînement. Un nombre est json_extract(numbers, '$.NOM') de la ligne de cet "
        "identifiant, "
        "NOM étant donné sous l’intitulé.",
    },
    "facts_title": {"en": "Every number and its query", "fr": "Chaque nombre et sa requête"},
    "facts_caption": {
        "en": "Each number above links here. Run a query on the ledger with any SQLite; values are in the ledger’s "
        "unit.",
        "fr": "Chaque nombre ci-dessus renvoie ici. Une requête se lance sur le registre avec SQLite ; les valeurs "
        "sont "
        "dans l’unité du registre.",
    },
    "study_file": {"en": "The study file", "fr": "Le fichier de l’étude"},
    "skipped_title": {"en": "Skipped and failed cells", "fr": "Cellules sautées et échouées"},
    "teachers_title": {"en": "Teachers", "fr": "Enseignants"},
    "banks_title": {"en": "Banks", "fr": "Banques"},
    "sources_title": {"en": "Where teacher outputs came from", "fr": "D’où viennent les sorties d’enseignant"},
    "setting_title": {"en": "Setting", "fr": "Configuration"},
    "alone": {"en": "the student alone", "fr": "l’élève seul"},
    "axis_points": {"en": "points over the student alone", "fr": "points de plus que l’élève seul"},
    "axis_falls": {"en": "points lost", "fr": "points perdus"},
    "no_teacher": {"en": "no teacher", "fr": "sans enseignant"},
    "gain": {"en": "better", "fr": "mieux"},
    "loss": {"en": "worse", "fr": "moins bien"},
    "refuted": {"en": "refuted", "fr": "réfutée"},
    "survives": {"en": "survives", "fr": "survit"},
    "undecided": {"en": "undecided", "fr": "indécise"},
    "idea": {"en": "Idea", "fr": "Idée"},
    "tie": {"en": "tie", "fr": "égalité"},
    "clear_tie": {"en": "tie, not zero", "fr": "égalité, non nulle"},
    "open": {"en": "undecided", "fr": "indécis"},
    "none": {"en": "none", "fr": "aucun"},
    "student": {"en": "Student", "fr": "Élève"},
    "teacher": {"en": "Teacher", "fr": "Enseignant"},
    "arm": {"en": "Arm", "fr": "Bras"},
    "seed": {"en": "Seed", "fr": "Graine"},
    "seeds": {"en": "Seeds", "fr": "Graines"},
    "state": {"en": "State", "fr": "État"},
    "reason": {"en": "Reason", "fr": "Raison"},
    "done": {"en": "done", "fr": "fini"},
    "skipped": {"en": "skipped", "fr": "sautée"},
    "failed": {"en": "failed", "fr": "échouée"},
    "cell": {"en": "Cell", "fr": "Cellule"},
    "cells": {"en": "Cells", "fr": "Cellules"},
    "score": {"en": "Score", "fr": "Score"},
    "gain_column": {"en": "Gain, points", "fr": "Gain, points"},
    "verdict": {"en": "Verdict", "fr": "Verdict"},
    "p": {"en": "p", "fr": "p"},
    "p_holm": {"en": "p, Holm", "fr": "p, Holm"},
    "p_flip": {"en": "p, sign flip", "fr": "p, signes"},
    "tune": {"en": "Tune", "fr": "Réglage"},
    "test": {"en": "Test", "fr": "Test"},
    "test_int8": {"en": "Test, int8", "fr": "Test, int8"},
    "tune_int8": {"en": "Tune, int8", "fr": "Réglage, int8"},
    "fall": {"en": "int8 loss, points", "fr": "Perte int8, points"},
    "agreement_int8": {"en": "Agreement", "fr": "Accord"},
    "seconds": {"en": "Training, under that day’s load", "fr": "Entraînement, sous la charge du jour"},
    "filling": {"en": "Filling took", "fr": "Remplissage"},
    "weight_bytes": {"en": "int8 weights", "fr": "Poids int8"},
    "arena_bytes": {"en": "Arena", "fr": "Arène"},
    "peak_activation_bytes": {"en": "Peak activations", "fr": "Pic d’activations"},
    "macs": {"en": "MACs", "fr": "MAC"},
    "parameters": {"en": "Parameters", "fr": "Paramètres"},
    "family": {"en": "Family", "fr": "Famille"},
    "provenance": {"en": "Learnt from", "fr": "Appris de"},
    "teacher_data": {"en": "Data", "fr": "Données"},
    "highest_gain": {"en": "Highest gain, points", "fr": "Plus haut gain, points"},
    "teacher_score": {"en": "Tune score", "fr": "Score de réglage"},
    "views": {"en": "Views", "fr": "Vues"},
    "images": {"en": "Images", "fr": "Images"},
    "quantities": {"en": "Quantities", "fr": "Grandeurs"},
    "bank": {"en": "Bank", "fr": "Banque"},
    "quantity": {"en": "Quantity", "fr": "Grandeur"},
    "source": {"en": "Source", "fr": "Source"},
    "value": {"en": "Value", "fr": "Valeur"},
    "query": {"en": "Query, and what was computed from it", "fr": "Requête, et ce qui en est calculé"},
    "rows": {"en": "Rows", "fr": "Lignes"},
    "fact": {"en": "Fact", "fr": "Fait"},
    "purpose_demo": {"en": "demonstration", "fr": "démonstration"},
    "purpose_explore": {"en": "exploration", "fr": "exploration"},
    "purpose_claim": {"en": "confirmation", "fr": "confirmation"},
    "started": {"en": "started", "fr": "début"},
    "finished": {"en": "finished", "fr": "fin"},
    "training_total": {"en": "of training in all", "fr": "d’entraînement en tout"},
    "classes": {"en": "Gain by class", "fr": "Gain par classe"},
    "classes_caption": {
        "en": "Points that the arm adds to the student alone on the images of one class, paired by seed; bars are 95% "
        "intervals over seeds and images, not corrected for the number of classes. Of many classes the two ends are "
        "drawn.",
        "fr": "Points que le bras ajoute à l’élève seul sur les images d’une classe, appariés par graine ; les barres "
        "sont les intervalles à 95 % sur graines et images, sans correction pour le nombre de classes. De nombreuses "
        "classes, seuls les deux bouts sont dessinés.",
    },
    "class": {"en": "Class", "fr": "Classe"},
    "alone_column": {"en": "Alone", "fr": "Seul"},
    "against": {"en": "Against", "fr": "Face à"},
    "cka": {"en": "CKA of stages", "fr": "CKA des étages"},
    "cka_caption": {
        "en": "Debiased linear CKA of stages (rows: the student’s, columns: the teacher’s), 0 for unrelated "
        "features, 1 "
        "for equal ones; one seed. Features that grow alike are no proof that the likeness helps.",
        "fr": "CKA linéaire débiaisée des étages (lignes : ceux de l’élève, colonnes : ceux de l’enseignant), 0 sans "
        "rapport, 1 à l’identique ; une graine. Se ressembler davantage ne prouve pas que cela aide.",
    },
    "cka_before": {"en": "before training", "fr": "avant l’entraînement"},
    "cka_alone": {"en": "trained alone", "fr": "entraîné seul"},
    "cka_after": {"en": "distilled", "fr": "distillé"},
    "cka_ends": {
        "en": "Of many teachers two are drawn: those to which distillation made the student most and least alike.",
        "fr": "Sur les nombreux enseignants, deux sont dessinés : ceux dont la distillation a le plus et le moins "
        "rapproché l’élève.",
    },
    "stage": {"en": "stage", "fr": "étage"},
    "on_tune": {"en": "images of the tune split", "fr": "images du lot de réglage"},
    "trust_agreement_int8": {"en": "int8 as fp32", "fr": "int8 comme fp32"},
    "trust_agreement": {"en": "As its teacher", "fr": "Comme l’enseignant"},
    "behind": {"en": "Behind", "fr": "Derrière"},
    "own_sensor": {"en": "its own sensor", "fr": "son propre capteur"},
    "trust_ece": {"en": "Calibration error", "fr": "Erreur de calibration"},
    "trust_ece_int8": {"en": "Calibration error, int8", "fr": "Erreur de calibration, int8"},
    "trust_nll": {"en": "NLL, nats", "fr": "NLL, nats"},
    "trust_nll_int8": {"en": "NLL, int8", "fr": "NLL, int8"},
    "verdicts": {
        "en": "Rank correlation of each estimator with measured gain",
        "fr": "Corrélation de rang de chaque estimateur avec le gain mesuré",
    },
    "verdicts_caption": {
        "en": "Mean Spearman correlation over students, data and methods; bars are 95% intervals by bootstrap over "
        "teachers, never over cells. An interval that holds zero ranks nothing for sure.",
        "fr": "Corrélation de Spearman moyenne sur élèves, données et méthodes ; les barres sont les intervalles à "
        "95 % "
        "par rééchantillonnage des enseignants, jamais des cellules. Un intervalle qui contient zéro ne classe rien de "
        "sûr.",
    },
    "teachers_figure": {"en": "Gain by teacher", "fr": "Gain par enseignant"},
    "teachers_axis": {
        "en": "the teacher's own tune score; upwards: points its student gains",
        "fr": "score de réglage de l’enseignant ; vers le haut : points gagnés par l’élève",
    },
    "taught_labels": {"en": "trained on labels", "fr": "entraîné sur étiquettes"},
    "taught_other": {"en": "distilled from another teacher", "fr": "distillé d’un autre enseignant"},
    "teachers_caption": {
        "en": "What each teacher gave over the student alone, against its own score; bars are 95% intervals. The key "
        "names the numbers. Colour is the family; triangles are teachers distilled from another one, circles were "
        "trained on labels.",
        "fr": "Ce que chaque enseignant apporte à l’élève seul, selon son propre score ; les barres sont les "
        "intervalles à 95 %. La légende nomme les numéros. La couleur dit la famille ; les triangles sont des "
        "enseignants distillés d’un autre, les cercles ont été entraînés sur étiquettes.",
    },
    "axis_rho": {"en": "rank correlation with gain", "fr": "corrélation de rang avec le gain"},
    "estimator": {"en": "Estimator", "fr": "Estimateur"},
    "judge_spearman": {"en": "Spearman", "fr": "Spearman"},
    "judge_p": {"en": "p", "fr": "p"},
    "judge_p_holm": {"en": "p, Holm", "fr": "p, Holm"},
    "judge_partial": {"en": "Cleared of accuracy and size", "fr": "Hors exactitude et taille"},
    "judge_regret": {"en": "Regret, points", "fr": "Regret, points"},
    "judge_top3": {"en": "Best in its top 3", "fr": "Meilleur dans ses 3 premiers"},
    "judge_nasty_last": {"en": "Nasty last", "fr": "Nuisible dernier"},
    "bar": {"en": "Bar", "fr": "Seuil"},
    "yes": {"en": "met", "fr": "atteint"},
    "no": {"en": "missed", "fr": "manqué"},
    "families_title": {"en": "From which architectures", "fr": "De quelles architectures"},
    "scope": {"en": "Among", "fr": "Parmi"},
    "teachers_count": {"en": "Teachers", "fr": "Enseignants"},
    "beside": {"en": "for comparison", "fr": "pour comparaison"},
    "allowed": {"en": "Allowing for", "fr": "À égalité de"},
    "promises_title": {"en": "Before any distillation", "fr": "Avant toute distillation"},
    "held_accuracy": {"en": "Accuracy, some tune images", "fr": "Exactitude, quelques images de réglage"},
    "composite": {"en": "Mean z", "fr": "z moyen"},
    "pilot": {"en": "Pilot, points", "fr": "Essai, points"},
    "temperature": {"en": "Temperature", "fr": "Température"},
    "suits": {"en": "Methods that suit it", "fr": "Méthodes qui lui vont"},
    "made_by": {
        "en": "Made by alambic from a ledger; no number was typed.",
        "fr": "Fait par alambic à partir d’un registre ; aucun nombre n’a été saisi.",
    },
}


# what a ledger says of a teacher, in words; every other value is a name and stands as it is
KNOWN: dict[str, dict[Lang, str]] = {
    "labels": {"en": "labels", "fr": "étiquettes"},
    "untrained": {"en": "untrained", "fr": "non entraîné"},
    "same": {"en": "same images", "fr": "mêmes images"},
    "superset": {"en": "more images", "fr": "plus d’images"},
    "external": {"en": "other images", "fr": "autres images"},
}
DISTILLED, AND = "distilled from ", " and "
LINKS: dict[str, dict[Lang, str]] = {
    DISTILLED: {"en": DISTILLED, "fr": "distillé de "},
    AND: {"en": AND, "fr": " et "},
}


def tell_teacher(value: str, lang: Lang) -> str:
    """What a ledger says of where a teacher, or each of a team, learnt, or of its data, in words."""
    told = []
    for part in value.split(AND):
        name = part.removeprefix(DISTILLED)
        told.append(KNOWN[part][lang] if part in KNOWN else (LINKS[DISTILLED][lang] if name != part else "") + name)
    return LINKS[AND][lang].join(told)


def read_texts(lang: Lang) -> Texts:
    """All texts of one language."""
    return {key: by_lang[lang] for key, by_lang in TEXTS.items()}
