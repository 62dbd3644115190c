"""Sentences of the document and the talk over all studies on the chip, the advice and the limits, in both languages."""

from __future__ import annotations

from alambic.report.wording import Lang

ADVICE_SENTENCES: dict[str, dict[Lang, str]] = {
    "all_plateau": {
        "en": "The student alone was not trained to its plateau: from {less} to {more} it still changes by {gain}.",
        "fr": "L’élève seul n’a pas atteint son plateau : de {less} à {more} il change encore de {gain}.",
    },
    "all_int8": {
        "en": "On the chip? int8 costs the students of the confirmations {least} ({mildest}) to {most} ({worst}); the "
        "gains told above are those of the int8 network.",
        "fr": "Sur la puce ? L’int8 coûte aux élèves des confirmations de {least} ({mildest}) à {most} ({worst}) ; les "
        "gains donnés plus haut sont ceux du réseau int8.",
    },
    "all_bytes": {
        "en": "Their int8 weights take {least} to {most}, the arena of their activations {small} to {large}.",
        "fr": "Leurs poids int8 prennent de {least} à {most}, l’arène de leurs activations de {small} à {large}.",
    },
    "all_kernels": {
        "en": "The device’s own kernels, run on some of the images, answer as the int8 network does on {least} of them "
        "or more.",
        "fr": "Les noyaux de la puce, lancés sur une partie des images, répondent comme le réseau int8 sur {least} "
        "d’entre elles ou plus.",
    },
    "all_do_teacher": {
        "en": "Take the most accurate teacher at hand, measured on the task itself; leave its architecture and the "
        "estimators aside.",
        "fr": "Prendre l’enseignant le plus exact à disposition, mesuré sur la tâche même ; laisser de côté son "
        "architecture et les estimateurs.",
    },
    "all_do_made": {
        "en": "Where two teachers were compared as declared, take the one that won: {listing}.",
        "fr": "Là où deux enseignants ont été comparés comme déclaré, prendre celui qui a gagné : {listing}.",
    },
    "all_do_few": {
        "en": "Distil where there is little to learn from; with as much as {most}, train the student alone first and "
        "see whether a teacher adds anything.",
        "fr": "Distiller là où il y a peu à apprendre ; avec autant que {most}, entraîner d’abord l’élève seul et voir "
        "si un enseignant ajoute quelque chose.",
    },
    "all_dont_claims": {
        "en": "Do not expect help where none was shown: {listing}.",
        "fr": "N’attendre aucune aide là où rien n’en montre : {listing}.",
    },
    "all_dont_harm": {
        "en": "Do not use what was shown to harm in a confirmation: {listing}.",
        "fr": "Ne pas employer ce qui a nui dans une confirmation : {listing}.",
    },
    "all_dont_explored": {
        "en": "Nor what harmed most in explorations: {listing}.",
        "fr": "Ni ce qui a le plus nui dans les explorations : {listing}.",
    },
    "all_small_teachers": {
        "en": "The teachers are small: those whose card lies in the repository have at most {parameters} parameters "
        "and were trained for {seconds} at most. What large pretrained teachers give is not answered here.",
        "fr": "Les enseignants sont petits : ceux dont la fiche est dans le dépôt ont au plus {parameters} paramètres "
        "et ont été entraînés {seconds} au plus. Ce que donnent de grands enseignants préentraînés n’a pas de réponse "
        "ici.",
    },
    "all_superset": {
        "en": "In {count} of {studies} studies teachers saw more images with a label than their students did "
        "(superset).",
        "fr": "Dans {count} études sur {studies} les enseignants ont vu plus d’images étiquetées que leurs élèves "
        "(sur-ensemble).",
    },
    "all_external": {
        "en": "Teachers that had learnt from other images were tried in {listing} alone.",
        "fr": "Des enseignants instruits d’autres images n’ont été essayés que dans {listing}.",
    },
    "all_seeds": {
        "en": "Confirmations have {least} to {most} seeds, explorations as few as {fewest}: a small effect is beyond "
        "them.",
        "fr": "Les confirmations ont de {least} à {most} graines, les explorations parfois {fewest} seulement : un "
        "petit effet leur échappe.",
    },
    "all_tuned": {
        "en": "{tuned} of {losses} losses that take a teacher were tuned ({listing}); of the others one can say no "
        "more than an untuned sweep does.",
        "fr": "{tuned} pertes avec enseignant sur {losses} ont été réglées ({listing}) ; des autres on ne sait que ce "
        "qu’en dit un balayage sans réglage.",
    },
    "all_corrected": {
        "en": "The rule for comparing two arms with a teacher was corrected on 29 November 2026, results known. Told "
        "otherwise before: {listing}.",
        "fr": "La règle qui compare deux bras avec enseignant a été corrigée le 29 novembre 2026, résultats connus. "
        "Dit autrement avant : {listing}.",
    },
    "all_looked": {
        "en": "Seeds were added after a look in {listing}: that test errs more often than its p tells.",
        "fr": "Des graines ont été ajoutées après un regard dans {listing} : ce test se trompe plus souvent que son p "
        "ne le dit.",
    },
    "all_void": {
        "en": "The control is void in {listing}: a teacher made to teach nothing taught no less than some honest one.",
        "fr": "Le témoin est nul dans {listing} : un enseignant fait pour ne rien apprendre n’a pas moins apporté "
        "qu’un honnête.",
    },
    "all_checkable": {
        "en": "Each number comes from a ledger that the repository keeps with the predictions of every image; alambic "
        "report STUDY/ledger --check STUDY/report.html computes those of one study again.",
        "fr": "Chaque nombre vient d’un registre que le dépôt garde avec les prédictions de chaque image ; alambic "
        "report ÉTUDE/ledger --check ÉTUDE/report.html recalcule ceux d’une étude.",
    },
}
