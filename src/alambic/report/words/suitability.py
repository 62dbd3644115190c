"""Sentences of the chapter on teachers, in English and French side by side, and its names."""

from __future__ import annotations

from alambic.report.words.wording import Lang

SUITABILITY_SENTENCES: dict[str, dict[Lang, str]] = {
    "judged_on": {
        "en": "{teachers} were judged in {blocks} of student, data and method. With so many, a rank correlation under "
        "{visible} cannot be told from chance.",
        "fr": "{teachers} ont été jugés dans {blocks} d’élève, de données et de méthode. À ce nombre, une corrélation "
        "de rang sous {visible} ne se distingue pas du hasard.",
    },
    "judged_without": {
        "en": "Left out of it, because they were made to teach nothing: {listing}.",
        "fr": "Laissés de côté, car faits pour ne rien transmettre : {listing}.",
    },
    "ceiling": {
        "en": "The noise of the gains themselves allows {ceiling} at most.",
        "fr": "Le bruit des gains eux-mêmes permet au plus {ceiling}.",
    },
    "judged_elsewhere": {
        "en": "The judge saw other gains than those of this ledger: further ledgers, or cells that were not done yet.",
        "fr": "Le juge a vu d’autres gains que ceux de ce registre : d’autres registres, ou des cellules pas encore "
        "finies.",
    },
    "accuracy_ranks": {
        "en": "Plain accuracy ranks the teachers with a rank correlation of {rho}.",
        "fr": "L’exactitude seule classe les enseignants avec une corrélation de rang de {rho}.",
    },
    "accuracy_means": {
        "en": "Accuracy stands here for the metric of the task, {metric}.",
        "fr": "L’exactitude désigne ici la métrique de la tâche, {metric}.",
    },
    "pilot_ranks": {
        "en": "A short pilot with each of them ranks them with {rho}.",
        "fr": "Un essai court avec chacun les classe avec une corrélation de rang de {rho}.",
    },
    "same_as_accuracy": {
        "en": "One estimator, {name}, is accuracy under another name here: it ranks the teachers as accuracy does.",
        "fr": "Un estimateur, {name}, est ici l’exactitude sous un autre nom : il classe les enseignants comme elle.",
    },
    "estimator_beats": {
        "en": "The estimator that ranks teachers best is {name}, with a rank correlation of {rho}: better than "
        "accuracy, beyond doubt.",
        "fr": "L’estimateur qui classe le mieux les enseignants est {name}, avec une corrélation de rang de {rho} : "
        "mieux que l’exactitude, sans doute possible.",
    },
    "estimator_ties": {
        "en": "Of the other estimators the one that ranks teachers best is {name}, with a rank correlation of {rho}: "
        "it is not shown to beat accuracy.",
        "fr": "Des autres estimateurs, celui qui classe le mieux les enseignants est {name}, avec une corrélation de "
        "rang de {rho} : rien ne montre qu’il batte l’exactitude.",
    },
    "estimator_worse": {
        "en": "Of the other estimators the one that ranks teachers best is {name}, with a rank correlation of {rho}: "
        "worse than accuracy, beyond doubt.",
        "fr": "Des autres estimateurs, celui qui classe le mieux les enseignants est {name}, avec une corrélation de "
        "rang de {rho} : moins bien que l’exactitude, sans doute possible.",
    },
    "estimators_reversed": {
        "en": "Beyond doubt the wrong way round, the worst teachers first: {listing}.",
        "fr": "À l’envers, sans doute possible, les pires enseignants en tête : {listing}.",
    },
    "regret": {
        "en": "Taking the first teacher by {name} loses {regret} against the best one; taking the most accurate loses "
        "{accuracy}, taking the winner of a short pilot {pilot}.",
        "fr": "Prendre le premier enseignant selon {name} perd {regret} face au meilleur ; prendre le plus exact perd "
        "{accuracy}, prendre le vainqueur d’un court essai {pilot}.",
    },
    "regret_alone": {
        "en": "Taking the first teacher by {name} loses {regret} against the best one; taking the most accurate loses "
        "{accuracy}. No pilot was run with all of these teachers.",
        "fr": "Prendre le premier enseignant selon {name} perd {regret} face au meilleur ; prendre le plus exact perd "
        "{accuracy}. Aucun essai court n’a été lancé avec tous ces enseignants.",
    },
    "bar_met": {
        "en": "The bar (at most half the regret of picking by accuracy, no more than a pilot’s and, for a score fitted "
        "to gains, less than that of what other students gained) is met by: {listing}.",
        "fr": "Le seuil (au plus la moitié du regret d’un choix par l’exactitude, pas plus que celui d’un essai et, "
        "pour un score ajusté sur des gains, moins que celui de ce que d’autres élèves ont gagné) est atteint par : "
        "{listing}.",
    },
    "bar_empty": {
        "en": "The most accurate teacher was the best in each block: no estimator can lose less.",
        "fr": "L’enseignant le plus exact a été le meilleur de chaque bloc : aucun estimateur ne peut perdre moins.",
    },
    "bar_missed": {
        "en": "No estimator meets the bar: at most half the regret of picking by accuracy, no more than a pilot’s and, "
        "for a score fitted to gains, less than that of what other students gained.",
        "fr": "Aucun estimateur n’atteint le seuil : au plus la moitié du regret d’un choix par l’exactitude, pas plus "
        "que celui d’un essai et, pour un score ajusté sur des gains, moins que celui de ce que d’autres élèves ont "
        "gagné.",
    },
    "regret_others": {
        "en": "Without any estimator: taking the teacher that gave other students most, by whatever method, loses "
        "{regret}.",
        "fr": "Sans aucun estimateur : prendre l’enseignant qui a le plus apporté à d’autres élèves, toutes méthodes "
        "confondues, perd {regret}.",
    },
    "control_permuted": {
        "en": "Control: with teachers permuted, the mean correlation farthest from zero is {null} ({name}).",
        "fr": "Contrôle : enseignants permutés, la corrélation moyenne la plus éloignée de zéro est {null} ({name}).",
    },
    "control_refit": {
        "en": "Control: {name}, fitted anew with teachers permuted, correlates by {null} on average; under {visible} "
        "it cannot be told from chance. It reaches {rho}, p {p}.",
        "fr": "Contrôle : {name}, réajusté avec les enseignants permutés, corrèle en moyenne de {null} ; sous "
        "{visible}, rien ne le distingue du hasard. Il atteint {rho}, p {p}.",
    },
    "control_refit_fails": {
        "en": "The control fails for {name}: fitted anew with teachers permuted, it correlates by {null} on average "
        "instead of zero, since what it was fitted to is not apart from what it is judged by. Under {visible} it "
        "cannot be told from chance. It reaches {rho}, p {p}.",
        "fr": "Le contrôle échoue pour {name} : réajusté avec les enseignants permutés, ce score corrèle en moyenne de "
        "{null} au lieu de zéro, car ce à quoi il est ajusté n’est pas séparé de ce qui le juge. Sous {visible}, rien "
        "ne le distingue du hasard. Il atteint {rho}, p {p}.",
    },
    "control_nasty": {
        "en": "Control: {nasty}, made to teach nothing, is put last every time by: {listing}.",
        "fr": "Contrôle : {nasty}, fait pour ne rien transmettre, est mis chaque fois dernier par : {listing}.",
    },
    "control_nasty_missed": {
        "en": "Control failed: no estimator puts {nasty}, made to teach nothing, last every time.",
        "fr": "Contrôle échoué : aucun estimateur ne met chaque fois en dernier {nasty}, fait pour ne rien "
        "transmettre.",
    },
    "control_void": {
        "en": "Control void: {nasty}, made to teach nothing, gives {gain}, no less than some honest teacher, so to put "
        "it last would be wrong.",
        "fr": "Le contrôle n’est pas concluant : {nasty}, fait pour ne rien transmettre, apporte {gain}, pas moins "
        "qu’un des enseignants ordinaires ; le mettre dernier serait une erreur.",
    },
    "control_no_nasty": {
        "en": "No teacher made to teach nothing was named to the judge: that control is missing.",
        "fr": "Aucun enseignant fait pour ne rien transmettre n’a été nommé au juge : ce contrôle manque.",
    },
    "family_more": {
        "en": "{scope}: teachers of family {family} give more than {reference}: {gain} ({teachers}, allowing for "
        "{allowed}).",
        "fr": "{scope} : les enseignants de la famille {family} apportent plus que {reference} : {gain} ({teachers}, à "
        "égalité de : {allowed}).",
    },
    "family_less": {
        "en": "{scope}: teachers of family {family} give less than {reference}: {gain} ({teachers}, allowing for "
        "{allowed}).",
        "fr": "{scope} : les enseignants de la famille {family} apportent moins que {reference} : {gain} "
        "({teachers}, à égalité de : {allowed}).",
    },
    "family_tie": {
        "en": "{scope}: {family} against {reference} cannot be told apart: {gain} ({teachers}, allowing for "
        "{allowed}).",
        "fr": "{scope} : {family} et {reference} ne se distinguent pas : {gain} ({teachers}, à égalité de : "
        "{allowed}).",
    },
    "family_open": {
        "en": "{scope}: {family} against {reference} is undecided: {gain} ({teachers}, allowing for {allowed}), whose "
        "interval leaves out zero, but not beyond chance once all families are counted (Holm).",
        "fr": "{scope} : {family} face à {reference} reste indécis : {gain} ({teachers}, à égalité de : {allowed}), "
        "dont l’intervalle exclut zéro, mais pas au-delà du hasard une fois toutes les familles comptées (Holm).",
    },
    "family_no_answer": {
        "en": "No answer on families for: {listing}. The teachers are too few, or families coincide with what else "
        "differs between them.",
        "fr": "Pas de réponse sur les familles pour : {listing}. Les enseignants sont trop peu nombreux, ou les "
        "familles coïncident avec ce qui les distingue par ailleurs.",
    },
    "promised": {
        "en": "Before any distillation, {order} puts {teacher} first for {student}: an estimate, not a result.",
        "fr": "Avant toute distillation, {order} met {teacher} en tête pour {student} : une estimation, pas un "
        "résultat.",
    },
    "promised_composite": {
        "en": "The mean of all estimators puts {teacher} first for {student}. It was judged by measured gains, over "
        "all "
        "students: its rank correlation is {rho}, and taking its first teacher loses {regret}.",
        "fr": "La moyenne des estimateurs met {teacher} en tête pour {student}. Elle a été jugée sur les gains "
        "mesurés, pour tous les élèves : sa corrélation de rang est {rho}, et prendre son premier "
        "enseignant perd {regret}.",
    },
    "not_judged": {
        "en": "These estimates were not judged yet: alambic teachers judge compares them with measured gains, from "
        "four teachers on.",
        "fr": "Ces estimations n’ont pas encore été jugées : alambic teachers judge les compare aux gains mesurés, à "
        "partir de quatre enseignants.",
    },
    "judged_before": {
        "en": "These estimates were judged by another version of alambic, whose verdicts are not told: run alambic "
        "teachers judge again.",
        "fr": "Ces estimations ont été jugées par une autre version d’alambic, dont les verdicts ne sont pas donnés : "
        "relancer alambic teachers judge.",
    },
    "no_scorecards": {
        "en": "No suitability.json lies beside the ledger. alambic teachers rank writes it before any distillation; "
        "alambic teachers judge then compares it with the measured gains, from four teachers on.",
        "fr": "Aucun suitability.json ne se trouve à côté du registre. alambic teachers rank l’écrit avant toute "
        "distillation ; alambic teachers judge le compare ensuite aux gains mesurés, à partir de quatre enseignants.",
    },
}

SCOPES: dict[str, dict[Lang, str]] = {
    "all": {"en": "All teachers", "fr": "Tous les enseignants"},
    "labels": {"en": "Teachers trained on labels", "fr": "Enseignants entraînés sur étiquettes"},
    "pretrained": {"en": "Teachers pretrained elsewhere", "fr": "Enseignants préentraînés ailleurs"},
    "distilled": {"en": "Distilled teachers only", "fr": "Enseignants distillés seulement"},
    "matched": {"en": "Equally accurate teachers", "fr": "Enseignants également exacts"},
}
COVARIATES: dict[str, dict[Lang, str]] = {
    "accuracy": {"en": "accuracy", "fr": "exactitude"},
    "calibration_error": {"en": "calibration error", "fr": "erreur de calibration"},
    "size": {"en": "size", "fr": "taille"},
    "": {"en": "nothing else", "fr": "rien d’autre"},
    "matching": {"en": "accuracy, by the choice of teachers", "fr": "exactitude, par le choix des enseignants"},
}
ORDERS: dict[str, dict[Lang, str]] = {
    "pilot_gain": {"en": "the gain of a short pilot", "fr": "le gain d’un essai court"},
    "accuracy": {"en": "accuracy", "fr": "l’exactitude"},
}
ESTIMATORS: dict[str, dict[Lang, str]] = {
    "absorbable": {"en": "absorbable variance", "fr": "variance absorbable"},
    "accuracy": {"en": "accuracy", "fr": "exactitude"},
    "calibration": {"en": "calibrated confidence", "fr": "confiance calibrée"},
    "calibration_error": {"en": "calibration error", "fr": "erreur de calibration"},
    "cka": {"en": "debiased CKA", "fr": "CKA débiaisée"},
    "composite": {"en": "mean of all estimators", "fr": "moyenne des estimateurs"},
    "composite_cheap": {"en": "mean without pilot", "fr": "moyenne sans essai"},
    "fidelity_slope": {"en": "fidelity slope of a pilot", "fr": "pente de fidélité d’un essai"},
    "headroom": {"en": "headroom", "fr": "marge de progrès"},
    "kernel": {"en": "kernel alignment", "fr": "alignement des noyaux"},
    "locality": {"en": "resolution and locality gap", "fr": "écart de résolution et localité"},
    "logme": {"en": "LogME and LEEP", "fr": "LogME et LEEP"},
    "margin": {"en": "centred top-2 margin", "fr": "marge centrée des 2 premiers"},
    "other_students": {"en": "other students, any method", "fr": "autres élèves, toute méthode"},
    "other_students_method": {"en": "other students, same method", "fr": "autres élèves, même méthode"},
    "pilot_gain": {"en": "gain of a pilot", "fr": "gain d’un essai court"},
    "ridge_new_student": {"en": "ridge, new student", "fr": "régression, élève nouveau"},
    "ridge_new_teacher": {"en": "ridge, new teacher", "fr": "régression, enseignant nouveau"},
    "same_family": {"en": "same family", "fr": "même famille"},
    "size": {"en": "size", "fr": "taille"},
    "smoothness": {"en": "input smoothness", "fr": "régularité à l’entrée"},
    "soft_labels": {"en": "soft-label information", "fr": "information des cibles douces"},
    "spectral_gap": {"en": "spectral gap", "fr": "écart spectral"},
}
