"""Sentences of the chapters on teachers, classes, trust and declared contrasts, in English and French side by side."""

from __future__ import annotations

from alambic.report.wording import Lang

SECTION_SENTENCES: dict[str, dict[Lang, str]] = {
    "judged_on": {
        "en": "{teachers} were judged in {blocks} of student, data and method. With so many, a rank correlation under "
        "{visible} cannot be told from chance.",
        "fr": "{teachers} ont été jugés dans {blocks} d’élève, de données et de méthode. À ce nombre, une corrélation "
        "de rang sous {visible} ne se distingue pas du hasard.",
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
    "estimator_beats": {
        "en": "The estimator that ranks teachers best is {name}, with a rank correlation of {rho}: better than "
        "accuracy, beyond doubt.",
        "fr": "L’estimateur qui classe le mieux les enseignants est {name}, avec une corrélation de rang de {rho} : "
        "mieux que l’exactitude, sans doute possible.",
    },
    "estimator_ties": {
        "en": "The estimator that ranks teachers best is {name}, with a rank correlation of {rho}: it is not shown "
        "to beat accuracy.",
        "fr": "L’estimateur qui classe le mieux les enseignants est {name}, avec une corrélation de rang de {rho} : "
        "rien ne montre qu’il batte l’exactitude.",
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
        "en": "The bar, at most half the regret of picking by accuracy and no more than a pilot’s, is met by: "
        "{listing}.",
        "fr": "La barre, au plus la moitié du regret d’un choix par l’exactitude et pas plus que celui d’un essai, est "
        "atteinte par : {listing}.",
    },
    "bar_missed": {
        "en": "No estimator meets the bar: at most half the regret of picking by accuracy, and no more than a pilot’s.",
        "fr": "Aucun estimateur n’atteint la barre : au plus la moitié du regret d’un choix par l’exactitude, et pas "
        "plus que celui d’un essai.",
    },
    "control_permuted": {
        "en": "Control: with teachers permuted, the mean correlation nowhere leaves zero by more than {null} ({name}).",
        "fr": "Contrôle : enseignants permutés, la corrélation moyenne ne s’écarte nulle part de zéro de plus de "
        "{null} ({name}).",
    },
    "control_nasty": {
        "en": "Control: {nasty}, made to teach nothing, is put last every time by: {listing}.",
        "fr": "Contrôle : {nasty}, fait pour ne rien apprendre à personne, est mis chaque fois dernier par : "
        "{listing}.",
    },
    "control_nasty_missed": {
        "en": "Control failed: no estimator puts {nasty}, made to teach nothing, last every time.",
        "fr": "Contrôle manqué : aucun estimateur ne met chaque fois {nasty}, fait pour ne rien apprendre à "
        "personne, en dernier.",
    },
    "control_void": {
        "en": "Control void: {nasty}, made to teach nothing, gives {gain}, no less than some honest teacher, so to put "
        "it last would be wrong.",
        "fr": "Contrôle nul : {nasty}, fait pour ne rien apprendre à personne, apporte {gain}, pas moins qu’un "
        "enseignant honnête au moins ; le mettre dernier serait une erreur.",
    },
    "control_no_nasty": {
        "en": "No teacher made to teach nothing was named to the judge: that control is missing.",
        "fr": "Aucun enseignant fait pour ne rien apprendre n’a été nommé au juge : ce contrôle manque.",
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
    "family_no_answer": {
        "en": "No answer on families for: {listing}. The teachers are too few, or families coincide with what else "
        "differs between them.",
        "fr": "Pas de réponse sur les familles pour : {listing}. Les enseignants sont trop peu nombreux, ou les "
        "familles coïncident avec ce qui les distingue par ailleurs.",
    },
    "promised": {
        "en": "Before any distillation, the mean of all estimators puts {teacher} first for {student}: an estimate, "
        "not a result.",
        "fr": "Avant toute distillation, la moyenne des estimateurs met {teacher} en tête pour {student} : une "
        "estimation, pas un résultat.",
    },
    "not_judged": {
        "en": "These estimates were not judged yet: alambic teachers judge compares them with measured gains, from "
        "four "
        "teachers on.",
        "fr": "Ces estimations n’ont pas encore été jugées : alambic teachers judge les compare aux gains mesurés, à "
        "partir de quatre enseignants.",
    },
    "no_scorecards": {
        "en": "No suitability.json lies beside the ledger. alambic teachers rank writes it before any distillation; "
        "alambic teachers judge then compares it with the measured gains, from four teachers on.",
        "fr": "Aucun suitability.json ne se trouve à côté du registre. alambic teachers rank l’écrit avant toute "
        "distillation ; alambic teachers judge le compare ensuite aux gains mesurés, à partir de quatre enseignants.",
    },
    "conditions": {
        "en": "The same students behind sensors that they were not trained behind, and by further metrics. Nothing "
        "was chosen by these numbers.",
        "fr": "Les mêmes élèves derrière des capteurs autres que celui de leur apprentissage, et selon d’autres "
        "mesures. Rien n’a été choisi d’après ces nombres.",
    },
    "classes_clear": {
        "en": "With {arm}, the arm of {student} with the highest mean, the interval of {clear} of {count} leaves out "
        "zero; "
        "by chance alone one in twenty would.",
        "fr": "Avec {arm}, le bras de {student} à la plus haute moyenne, l’intervalle de {clear} sur {count} exclut "
        "zéro ; le hasard seul en donnerait une sur vingt.",
    },
    "classes_cut": {
        "en": "Of {count} classes the table lists the first {shown} and the last {shown}.",
        "fr": "Sur {count} classes, le tableau donne les {shown} premières et les {shown} dernières.",
    },
    "classes_ends": {
        "en": "Highest stands {best}, {most}; lowest {worst}, {least}.",
        "fr": "Au plus haut se trouve {best}, {most} ; au plus bas {worst}, {least}.",
    },
    "no_classes": {
        "en": "Gains by class take stored predictions, more than two classes and an arm beside the student alone.",
        "fr": "Les gains par classe demandent des prédictions enregistrées, plus de deux classes et un bras en plus de "
        "l’élève seul.",
    },
    "agreement": {
        "en": "{student}: int8 and fp32 give the same class on {least} ({arm}) to {most} of the images.",
        "fr": "{student} : l’int8 et le fp32 donnent la même classe sur {least} ({arm}) à {most} des images.",
    },
    "calibrated": {
        "en": "{student}: confidence is nearest to the truth with {best}, calibration error {least}, and farthest with "
        "{worst}, {most}.",
        "fr": "{student} : la confiance est au plus près de la vérité avec {best}, erreur de calibration {least}, et "
        "au "
        "plus loin avec {worst}, {most}.",
    },
    "copied": {
        "en": "{student} gives its teacher’s own answer most often with {arm}: on {most} of the images.",
        "fr": "{student} donne la réponse de son enseignant le plus souvent avec {arm} : sur {most} des images.",
    },
    "not_aligned": {
        "en": "CKA takes inner features of both networks: alambic examine reads them from the saved students.",
        "fr": "La CKA demande l’intérieur des deux réseaux : alambic examine le lit dans les élèves enregistrés.",
    },
    "not_examined": {
        "en": "Agreement with the teacher and calibration over more than two classes are not in a ledger: "
        "alambic "
        "examine computes them from the saved students and writes examination.json beside it.",
        "fr": "L’accord avec l’enseignant et la calibration à plus de deux classes ne sont pas dans un "
        "registre : alambic examine les calcule à partir des élèves enregistrés et écrit examination.json à côté.",
    },
    "examined_on": {
        "en": "Agreement with the teacher and calibration: on {images} {split}, from the saved students (alambic "
        "examine).",
        "fr": "Accord avec l’enseignant et calibration : sur {images} {split}, à partir des élèves enregistrés "
        "(alambic "
        "examine).",
    },
    "examined_without": {
        "en": "Saved students that could not be examined: {count}; examination.json says why.",
        "fr": "Élèves enregistrés qui n’ont pu être examinés : {count} ; examination.json dit pourquoi.",
    },
    "aligned": {
        "en": "{student} and {teacher}: mean CKA over stages {before} before training, {after} after {arm}.",
        "fr": "{student} et {teacher} : CKA moyenne sur les étages {before} avant l’entraînement, {after} après {arm}.",
    },
    "aligned_alone": {
        "en": "{student} and {teacher}: mean CKA over stages {before} before training, {alone} after training alone, "
        "{after} after {arm}.",
        "fr": "{student} et {teacher} : CKA moyenne sur les étages {before} avant l’entraînement, {alone} après un "
        "entraînement seul, {after} après {arm}.",
    },
    "nothing_declared": {
        "en": "Nothing was declared before the run: every comparison of this report explores. A study with purpose "
        "claim "
        "declares its contrasts in confirm.toml.",
        "fr": "Rien n’a été déclaré avant le lancement : toutes les comparaisons de ce rapport explorent. Une étude de "
        "but claim déclare ses contrastes dans confirm.toml.",
    },
    "declared_before": {
        "en": "These contrasts were declared in confirm.toml ({hash}) before the test images were looked at; Holm’s "
        "correction counts them and no others.",
        "fr": "Ces contrastes ont été déclarés dans confirm.toml ({hash}) avant de regarder les images de test ; la "
        "correction de Holm les compte, eux et nuls autres.",
    },
    "declared_gain": {
        "en": "Confirmed for {student}: {arm} beats {other} by {gain}, p {p}.",
        "fr": "Confirmé pour {student} : {arm} dépasse {other} de {gain}, p {p}.",
    },
    "declared_loss": {
        "en": "Refuted for {student}: {arm} against {other}: {gain}, p {p}.",
        "fr": "Réfuté pour {student} : {arm} face à {other} : {gain}, p {p}.",
    },
    "declared_open": {
        "en": "Not confirmed for {student}: {arm} against {other}: {gain}, p {p}.",
        "fr": "Non confirmé pour {student} : {arm} face à {other} : {gain}, p {p}.",
    },
    "declared_tie": {
        "en": "Not confirmed for {student}: {arm} against {other}: {gain}, p {p}, below {floor}, the least that this "
        "design could have seen.",
        "fr": "Non confirmé pour {student} : {arm} face à {other} : {gain}, p {p}, sous {floor}, le moins que ce plan "
        "pouvait voir.",
    },
    "declared_smallest": {
        "en": "A difference under {effect} was declared too small to matter.",
        "fr": "Une différence de moins de {effect} a été déclarée trop petite pour compter.",
    },
    "declared_small": {
        "en": "Too small to matter for {student}: {arm} against {other}: {gain}, p {p}; the whole interval lies under "
        "the declared effect.",
        "fr": "Trop petit pour compter, {student} : {arm} face à {other} : {gain}, p {p} ; tout l’intervalle est sous "
        "l’effet déclaré.",
    },
    "declared_missing": {
        "en": "Declared, but not in the ledger yet: {listing}.",
        "fr": "Déclarés, mais pas encore dans le registre : {listing}.",
    },
    "loses_more": {
        "en": "{student}, {where}: {arm} loses more than the student alone: {excess}.",
        "fr": "{student}, {where} : {arm} perd plus que l’élève seul : {excess}.",
    },
    "loses_less": {
        "en": "{student}, {where}: {arm} loses less than the student alone: {excess}.",
        "fr": "{student}, {where} : {arm} perd moins que l’élève seul : {excess}.",
    },
    "rest_explores": {
        "en": "All other comparisons of this report explore: what they find has to be confirmed elsewhere.",
        "fr": "Toutes les autres comparaisons de ce rapport explorent : ce qu’elles trouvent reste à confirmer "
        "ailleurs.",
    },
}

SCOPES: dict[str, dict[Lang, str]] = {
    "all": {"en": "All teachers", "fr": "Tous les enseignants"},
    "labels": {"en": "Teachers trained on labels", "fr": "Enseignants entraînés sur étiquettes"},
    "distilled": {"en": "Distilled teachers only", "fr": "Enseignants distillés seulement"},
    "matched": {"en": "Equally accurate teachers", "fr": "Enseignants également exacts"},
}
COVARIATES: dict[str, dict[Lang, str]] = {
    "accuracy": {"en": "accuracy", "fr": "exactitude"},
    "calibration_error": {"en": "calibration error", "fr": "erreur de calibration"},
    "size": {"en": "size", "fr": "taille"},
    "": {"en": "nothing else", "fr": "rien d’autre"},
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
    "pilot_gain": {"en": "gain of a pilot", "fr": "gain d’un essai court"},
    "ridge_new_student": {"en": "ridge, new student", "fr": "régression, élève nouveau"},
    "ridge_new_teacher": {"en": "ridge, new teacher", "fr": "régression, enseignant nouveau"},
    "same_family": {"en": "same family", "fr": "même famille"},
    "size": {"en": "size", "fr": "taille"},
    "smoothness": {"en": "input smoothness", "fr": "régularité à l’entrée"},
    "soft_labels": {"en": "soft-label information", "fr": "information des cibles douces"},
    "spectral_gap": {"en": "spectral gap", "fr": "écart spectral"},
}
