"""Titles of slides: each a message with its number, in English and French side by side."""

from __future__ import annotations

from alambic.report.wording import Lang

SLIDE_SENTENCES: dict[str, dict[Lang, str]] = {
    "take_confirmed": {
        "en": "Take {arm} for {student}: {gain}, confirmed",
        "fr": "Prendre {arm} pour {student} : {gain}, confirmé",
    },
    "take_confirmed_against": {
        "en": "Take {arm} for {student}: {gain} over {other}, confirmed",
        "fr": "Prendre {arm} pour {student} : {gain} de plus que {other}, confirmé",
    },
    "take_lead": {
        "en": "Try {arm} for {student}: {gain}, a lead to confirm",
        "fr": "Essayer {arm} pour {student} : {gain}, une piste à confirmer",
    },
    "take_none": {
        "en": "Train {student} alone: no method was shown to help",
        "fr": "Entraîner {student} seul : rien ne montre qu’une méthode aide",
    },
    "take_unseen": {
        "en": "Nothing is proved for {student}: {arm} came highest, {gain}; ask again with more, fresh seeds",
        "fr": "Rien n’est prouvé pour {student} : en tête, {arm}, {gain} ; redemander avec des graines neuves, plus "
        "nombreuses",
    },
    "avoid": {
        "en": "Do not use for {student}: {listing}.",
        "fr": "À ne pas employer pour {student} : {listing}.",
    },
    "headline_gain": {"en": "{arm} gives {student} {gain}", "fr": "{arm} apporte à {student} {gain}"},
    "headline_none": {
        "en": "No method was shown to help {student}",
        "fr": "Rien ne montre qu’une méthode aide {student}",
    },
    "slide_asked": {
        "en": "Which teacher and which method give {students} the most in int8?",
        "fr": "Quel enseignant et quelle méthode apportent le plus à {students} en int8 ?",
    },
    "slide_asked_float": {
        "en": "Which teacher and which method give {students} the most?",
        "fr": "Quel enseignant et quelle méthode apportent le plus à {students} ?",
    },
    "slide_compared": {
        "en": "Methods beside the student alone on {data}: {count}",
        "fr": "Méthodes face à l’élève seul sur {data} : {count}",
    },
    "slide_protocol_same": {
        "en": "Same weights, same images, paired seeds",
        "fr": "Mêmes poids, mêmes images, graines appariées",
    },
    "slide_protocol_tuned": {
        "en": "Same weights, same images, paired seeds; each arm by its own recipe",
        "fr": "Mêmes poids, mêmes images, graines appariées ; à chaque bras sa recette",
    },
    "slide_protocol_labelled": {
        "en": "Same weights, paired seeds: some arms see the labelled images alone",
        "fr": "Mêmes poids, graines appariées : certains bras ne voient que les images étiquetées",
    },
    "slide_sight": {
        "en": "Gains below {effect} were not sure to show: they are called ties",
        "fr": "Sous {effect}, un gain pouvait rester caché : il est dit à égalité",
    },
    "slide_sights": {
        "en": "By student, gains below {least} to {most} were not sure to show: they are called ties",
        "fr": "Selon l’élève, sous {least} à {most}, un gain pouvait rester caché : il est dit à égalité",
    },
    "slide_blind": {
        "en": "This study could not have told any effect from chance",
        "fr": "Cette étude ne pouvait distinguer aucun effet du hasard",
    },
    "slide_gains": {
        "en": "{student}, {count} arms: {better} better, {worse} worse, {tied} tied",
        "fr": "{student}, {count} bras : {better} en gain, {worse} en perte, {tied} à égalité",
    },
    "slide_gains_open": {
        "en": "{student}, {count} arms: {better} better, {worse} worse, {tied} tied, {open} undecided",
        "fr": "{student}, {count} bras : {better} en gain, {worse} en perte, {tied} à égalité, {open} indécis",
    },
    "slide_best_apart": {
        "en": "{best} scores highest, {score}, above all others",
        "fr": "{best} a le meilleur score, {score}, devant tous les autres",
    },
    "slide_best_tied": {
        "en": "{best} scores highest, {score}, but {count} more cannot be told from it",
        "fr": "{best} a le meilleur score, {score} ; ne s’en distinguent pas : {count}",
    },
    "slide_falls": {
        "en": "int8 costs {student} at most {most} ({worst})",
        "fr": "L’int8 coûte au plus {most} à {student} ({worst})",
    },
    "slide_sizes": {
        "en": "{student} takes {weights} of weights and {arena} of memory",
        "fr": "{student} prend {weights} de poids et {arena} de mémoire",
    },
    "slide_weights": {"en": "{student} takes {weights} of weights", "fr": "{student} prend {weights} de poids"},
    "slide_teachers": {
        "en": "{teacher} is the teacher with the highest gain, {gain} with {arm}",
        "fr": "{teacher} est l’enseignant au plus haut gain, {gain} avec {arm}",
    },
    "slide_teachers_open": {
        "en": "No teacher is shown to help; {teacher} comes nearest, {gain} with {arm}",
        "fr": "Rien ne montre qu’un enseignant aide ; au plus près, {teacher}, {gain} avec {arm}",
    },
    "slide_teachers_one": {
        "en": "The one teacher, {teacher}, gives {gain} at most, with {arm}",
        "fr": "Le seul enseignant, {teacher}, apporte au plus {gain}, avec {arm}",
    },
    "slide_teachers_open_one": {
        "en": "The one teacher, {teacher}, is not shown to help; most came with {arm}, {gain}",
        "fr": "Rien ne montre que le seul enseignant, {teacher}, aide ; au mieux avec {arm}, {gain}",
    },
    "slide_judged_before": {
        "en": "Teachers were judged by another version: judge again",
        "fr": "Les enseignants ont été jugés par une autre version : juger à nouveau",
    },
    "slide_not_judged": {
        "en": "Which teacher suits was estimated, and not judged yet",
        "fr": "Quel enseignant convient : estimé, pas encore jugé",
    },
    "slide_no_scorecards": {
        "en": "Which teacher suits was not estimated beforehand",
        "fr": "Quel enseignant convient n’a pas été estimé d’avance",
    },
    "slide_estimator_beats": {
        "en": "{name} foretells the best teachers, better than accuracy (rank correlation {rho})",
        "fr": "{name} prédit les meilleurs enseignants, mieux que l’exactitude (corrélation de rang {rho})",
    },
    "slide_estimator_worse": {
        "en": "No estimator ranks teachers better than accuracy; {name}, nearest, is surely worse (rank correlation "
        "{rho})",
        "fr": "Rien ne classe mieux les enseignants que l’exactitude ; au plus près, {name}, fait moins bien "
        "(corrélation de rang {rho})",
    },
    "slide_estimator_ties": {
        "en": "No estimator is shown to beat accuracy; {name} comes nearest (rank correlation {rho})",
        "fr": "Rien ne montre qu’un estimateur batte l’exactitude ; au plus près, {name} (corrélation de rang {rho})",
    },
    "slide_classes": {
        "en": "{arm} lifts {best} most, {most}; last comes {worst}, {least}",
        "fr": "{arm} relève surtout {best}, {most} ; en dernier vient {worst}, {least}",
    },
    "slide_trust": {
        "en": "int8 answers as fp32 does on {least} of the images or more",
        "fr": "L’int8 répond comme le fp32 sur au moins {least} des images",
    },
    "slide_ideas": {
        "en": "New ideas: {survives} surviving, {refuted} refuted, {undecided} undecided of {ideas} put to the test",
        "fr": "Idées nouvelles à l’épreuve : {ideas} (survivent : {survives}, réfutées : {refuted}, indécises : "
        "{undecided})",
    },
    "slide_confirmed": {
        "en": "Contrasts declared beforehand: {declared}, confirmed: {confirmed}",
        "fr": "Contrastes déclarés d’avance : {declared}, confirmés : {confirmed}",
    },
    "slide_limits": {
        "en": "What holds on {data} with {seeds} may not hold elsewhere",
        "fr": "Ce qui vaut sur {data} avec {seeds} peut ne pas valoir ailleurs",
    },
}
