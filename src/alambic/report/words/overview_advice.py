"""Sentences of the document and the talk over all studies on the chip, the advice and the limits, in both languages."""

from __future__ import annotations

from alambic.report.words.wording import Lang

ADVICE_SENTENCES: dict[str, dict[Lang, str]] = {
    "all_plateau": {
        "en": "The student alone is not shown to be at its plateau: from {less} to {more} it changes by {gain}.",
        "fr": "Rien ne montre que l’élève seul ait atteint son plateau : de {less} à {more} il change de {gain}.",
    },
    "all_int8": {
        "en": "On the chip? With a scale per channel, int8 costs the students of the confirmations {least} ({mildest}) "
        "to {most} ({worst}), each the mean of an arm{more}; the gains told above are those of the int8 network.",
        "fr": "Sur la puce ? Avec une échelle par canal, l’int8 coûte aux élèves des confirmations de {least} "
        "({mildest}) à {most} ({worst}), chaque fois la moyenne d’un bras{more} ; les gains donnés plus haut sont"
        " ceux du réseau int8.",
    },
    "all_arithmetic": {
        "en": "Other arithmetic may cost far more. With one scale per tensor the students lose, by study and on average"
        " over its arms: {listing}; the worst arm loses {worst} ({arm}, {study}), the worst single training "
        "{single}. With scales that are powers of two they lose {power_least} to {power_most}, with 4-bit weights"
        " {four_least} to {four_most}.",
        "fr": "Une autre arithmétique peut coûter bien plus. Avec une seule échelle par tenseur les élèves perdent, par"
        " étude et en moyenne sur ses bras : {listing} ; le pire bras perd {worst} ({arm}, {study}), le pire "
        "entraînement {single}. Avec des échelles puissances de deux ils perdent de {power_least} à {power_most},"
        " avec des poids sur 4 bits de {four_least} à {four_most}.",
    },
    "all_left": {
        "en": "What is left of a gain there? Arms with a confirmed gain that score below the student alone once both "
        "run in another arithmetic, on the same images: {listing}.",
        "fr": "Qu’y reste-t-il d’un gain ? Bras au gain confirmé qui passent sous l’élève seul quand tous deux "
        "tournent dans une autre arithmétique, sur les mêmes images : {listing}.",
    },
    "all_qat": {
        "en": "Points lost to int8 without quantisation-aware training and with it, where it was run: {listing}.",
        "fr": "Points perdus en int8 sans entraînement qui arrondit (QAT) et avec lui, là où il a été lancé : "
        "{listing}.",
    },
    "all_bytes": {
        "en": "Their int8 weights take {least} to {most}, the arena of their activations {small} to {large}.",
        "fr": "Leurs poids int8 prennent de {least} à {most}, l’arène de leurs activations de {small} à {large}.",
    },
    "all_kernels": {
        "en": "The device’s own kernels, run on some of the images, answer as the int8 network does on {least} of them "
        "or more; a rare class is left out of this, since nearly every answer is the other class.",
        "fr": "Les noyaux de la puce, lancés sur une partie des images, répondent comme le réseau int8 sur {least} "
        "d’entre elles ou plus ; les classes rares n’y comptent pas, presque chaque réponse étant l’autre classe.",
    },
    "all_do_teacher": {
        "en": "Avoid weak teachers: accuracy on the task itself tells them. Among the good ones it tells less, so try "
        "two or three; leave their architecture and the estimators aside.",
        "fr": "Éviter les enseignants faibles : l’exactitude sur la tâche même les désigne. Parmi les bons elle en dit "
        "moins, en essayer deux ou trois ; laisser de côté leur architecture et les estimateurs.",
    },
    "all_do_longer": {
        "en": "Before any teacher, train the student alone for longer: from {less} to {more} it gains {gain} on the "
        "tune images. A teacher comes on top of that: with {longest} the gains over the student alone are {listing}.",
        "fr": "Avant tout enseignant, entraîner plus longtemps l’élève seul : de {less} à {more} il gagne {gain} sur "
        "les images de réglage. Un enseignant s’y ajoute : avec {longest}, les gains sur l’élève seul sont {listing}.",
    },
    "all_do_views": {
        "en": "Give the student alone fresh views each epoch before it is compared with a taught one: no bank "
        "limits it. That helped surely in {places} of {tried} trials on tune images: {listing}.",
        "fr": "Donner à l’élève seul des vues neuves à chaque époque avant de le comparer à un élève instruit : aucune "
        "banque ne le limite. Cela a sûrement aidé dans {places} des {tried} essais sur images de réglage : "
        "{listing}.",
    },
    "all_do_unlabelled": {
        "en": "Train on images without a label too, by the teacher’s answers: over the same teacher on labelled images "
        "alone this "
        "gives {least} to {most} where it is confirmed, in {confirmed} of {count} declared contrasts.",
        "fr": "Entraîner aussi sur des images sans étiquette, d’après les réponses de l’enseignant : face au même "
        "enseignant sur les seules images "
        "étiquetées cela donne de {least} à {most} là où c’est confirmé, dans {confirmed} contrastes déclarés sur"
        " {count}.",
    },
    "all_do_made": {
        "en": "Where two teachers were compared as declared, take the one that won: {listing}.",
        "fr": "Là où deux enseignants ont été comparés comme déclaré, prendre celui qui a gagné : {listing}.",
    },
    "all_not_advised": {
        "en": "Confirmed once, and still not advised, since seeds were added after a look, the same declared again was "
        "not confirmed, or the arm was no better than the plain teacher: {listing}.",
        "fr": "Confirmés une fois, et pourtant non conseillés, car des graines ont été ajoutées après consultation des "
        "résultats, la même déclaration refaite n’a pas été confirmée, ou le bras ne dépasse pas l’enseignant "
        "ordinaire : {listing}.",
    },
    "all_dont_weak": {
        "en": "Do not distil from a teacher that is not ahead of the student alone on the task: of {behind} such pairs "
        "of teacher and arm in the studies of teachers, {behind_gained} had a mean gain above zero, where noise alone "
        "gives about half; of {ahead} whose teacher is ahead, {ahead_gained}.",
        "fr": "Ne pas distiller depuis un enseignant qui n’est pas devant l’élève seul sur la tâche : sur {behind} "
        "paires de ce genre (enseignant et bras) dans les études d’enseignants, {behind_gained} ont un gain moyen "
        "positif, quand le seul hasard en donne environ la moitié ; sur {ahead} dont l’enseignant est devant, "
        "{ahead_gained}.",
    },
    "all_dont_trust": {
        "en": "Being ahead is not enough everywhere. Pairs with a mean gain above zero, of those whose teacher is "
        "ahead: {listing}. So keep the student alone unless a trial of your own gains.",
        "fr": "Être devant ne suffit pas partout. Paires au gain moyen positif, parmi celles dont l’enseignant "
        "est devant : {listing}. Garder donc l’élève seul, sauf si votre propre essai montre un gain.",
    },
    "all_do_few": {
        "en": "Where there is much to learn from, train the student alone first and see whether a teacher adds "
        "anything; no gain was shown by {listing}.",
        "fr": "Là où il y a beaucoup de données, entraîner d’abord l’élève seul et voir si un enseignant ajoute quelque"
        " chose ; aucun gain n’a été montré par {listing}.",
    },
    "all_do_few_still": {
        "en": "With as much, a lead: the intervals of {listing} leave out zero.",
        "fr": "Avec autant, une piste : les intervalles de {listing} excluent zéro.",
    },
    "all_dont_claims": {
        "en": "Do not expect help where none was shown: {listing}.",
        "fr": "N’attendre aucune aide là où rien n’en montre : {listing}.",
    },
    "all_dont_any": {
        "en": "Do not use with an untested teacher what gave less than no teacher on average over all that were tried: "
        "{listing}. Each teacher counts there, also those behind the student alone.",
        "fr": "Ne pas employer avec un enseignant non essayé ce qui, en moyenne sur tous ceux essayés, a donné moins "
        "que sans enseignant : {listing}. Chaque enseignant y compte, aussi ceux que l’élève seul dépasse.",
    },
    "all_dont_harm": {
        "en": "Do not use what was declared and shown to harm: {listing}.",
        "fr": "Ne pas employer ce qui, déclaré, a été montré nuisible : {listing}.",
    },
    "all_dont_arithmetic": {
        "en": "Do not take a chip or a toolchain with one scale per tensor, power-of-two scales or 4-bit weights "
        "without trying this very network on it: up to {most} were lost ({arm}, {study}).",
        "fr": "Ne pas prendre une puce ou un outil à échelle unique par tenseur, à échelles puissances de deux ou à "
        "poids sur 4 bits sans y essayer ce réseau même : jusqu’à {most} ont été perdus ({arm}, {study}).",
    },
    "all_dont_explored": {
        "en": "Leads from explorations: these harmed most although their teacher is ahead of the student alone: "
        "{listing}.",
        "fr": "Pistes d’explorations : voici ce qui a le plus nui, bien que l’enseignant soit devant l’élève seul : "
        "{listing}.",
    },
    "all_small_teachers": {
        "en": "The teachers are small: those whose card lies in the repository have at most {parameters} parameters "
        "and were trained for {seconds} at most. What large pretrained teachers give is not answered here.",
        "fr": "Les enseignants sont petits : ceux dont la fiche est dans le dépôt ont au plus {parameters} paramètres "
        "et ont été entraînés {seconds} au plus. Ce que donnent de grands enseignants préentraînés n’a pas de réponse "
        "ici.",
    },
    "all_superset": {
        "en": "In {count} of {studies} studies the teachers had learnt from more labelled images than their students "
        "were given, so that part of a gain may be those labels; a teacher that knows no more images may give less.",
        "fr": "Dans {count} études sur {studies} les enseignants avaient appris de plus d’images étiquetées que n’en "
        "recevaient leurs élèves : une part du gain peut être ces étiquettes ; un enseignant qui ne connaît pas plus "
        "d’images peut donner moins.",
    },
    "all_external": {
        "en": "Teachers that had learnt from other images were tried in {listing} alone.",
        "fr": "Des enseignants instruits d’autres images n’ont été essayés que dans {listing}.",
    },
    "all_seeds": {
        "en": "Confirmations have {least} to {most} seeds, {few} of {claims} fewer than ten; explorations have as few "
        "as {fewest}: a small effect is beyond them.",
        "fr": "Les confirmations ont de {least} à {most} graines, {few} sur {claims} moins de dix ; les explorations "
        "parfois {fewest} seulement : un petit effet leur échappe.",
    },
    "all_recovered": {
        "en": "The declarations of {listing} stand in the history of this repository only since a lost session was "
        "recovered, after their results; that they came first rests on the hash of the file that the ledger took "
        "at its first run.",
        "fr": "Les déclarations de {listing} ne figurent dans l’historique du dépôt que depuis la récupération d’une "
        "session perdue, après leurs résultats ; qu’elles les aient précédés repose sur l’empreinte du fichier "
        "que le registre a prise au premier lancement.",
    },
    "all_controls": {
        "en": "Most of the controls that the design asks of a confirmation are missing. Held by how many of {claims}: "
        "{listing}.",
        "fr": "La plupart des témoins que le plan demande à une confirmation manquent. Combien les ont, sur {claims} : "
        "{listing}.",
    },
    "all_controls_explored": {
        "en": "Such controls were explored in {listing}.",
        "fr": "De tels témoins ont été explorés dans {listing}.",
    },
    "all_views": {
        "en": "Gains are over the student alone on the views of the bank. In {places} of {tried} trials, on the tune "
        "images, fresh views each epoch make it better by more than zero, interval and all; over that better "
        "student alone the gains are {listing}.",
        "fr": "Les gains sont sur l’élève seul avec les vues de la banque. Dans {places} des {tried} essais, sur les "
        "images de réglage, des vues neuves à chaque époque l’améliorent, intervalle compris ; sur ce meilleur "
        "élève seul les gains sont {listing}.",
    },
    "all_recall": {
        "en": "Gains are not levels. Found by the best int8 arm at one false alarm in a hundred: {listing}.",
        "fr": "Un gain n’est pas un niveau. Trouvé par le meilleur bras int8 à une fausse alarme sur cent : {listing}.",
    },
    "all_recall_low": {
        "en": "Gains are not levels: at one false alarm in a hundred even the best int8 arm misses more than half of "
        "what it should find, so that none is a detector to rely on. Found: {listing}.",
        "fr": "Un gain n’est pas un niveau : à une fausse alarme sur cent, même le meilleur bras int8 manque plus de la"
        " moitié de ce qu’il doit trouver ; aucun n’est un détecteur sur lequel compter. Trouvé : {listing}.",
    },
    "all_dark": {
        "en": "Behind a sensor darker than in training the score of the best arm goes: {listing}.",
        "fr": "Derrière un capteur plus sombre qu’à l’entraînement le score du meilleur bras passe : {listing}.",
    },
    "all_time": {
        "en": "Time is hardly known: trainings shared their machine. With one teacher in one study, vkd took {least} to"
        " {most} times the seconds of kd, {middle} in the middle of {count} such pairs.",
        "fr": "Le temps n’est guère connu : les entraînements partageaient leur machine. Avec un même enseignant dans "
        "une même étude, vkd a pris de {least} à {most} fois les secondes de kd, {middle} au milieu de {count} "
        "paires de ce genre.",
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
        "fr": "Des graines ont été ajoutées après consultation des résultats dans {listing} : ce test se trompe plus "
        "souvent que son p ne le dit.",
    },
    "all_void": {
        "en": "The control is void in {listing}: a teacher made to teach nothing taught no less than some honest one.",
        "fr": "Le contrôle n’est pas concluant dans {listing} : un enseignant fait pour ne rien transmettre n’a pas "
        "moins apporté qu’un enseignant ordinaire.",
    },
    "all_checkable": {
        "en": "Each number comes from a ledger that the repository keeps with the predictions of every image; alambic "
        "report STUDY/ledger --check STUDY/report.html computes those of one study again.",
        "fr": "Chaque nombre vient d’un registre que le dépôt garde avec les prédictions de chaque image ; alambic "
        "report ÉTUDE/ledger --check ÉTUDE/report.html recalcule ceux d’une étude.",
    },
}
