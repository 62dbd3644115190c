"""Words of slides: titles, each a message with its number, and what stands beside charts, in both languages."""

from __future__ import annotations

from alambic.report.words.wording import Lang

# under a chart and beside its axes
SLIDE_TEXTS: dict[str, dict[Lang, str]] = {
    "key_gains": {
        "en": "Green: better than the student alone, red: worse, grey: a tie, brown: undecided. Lines: 95% intervals.",
        "fr": "Vert : mieux que l’élève seul ; rouge : moins bien ; gris : égalité ; brun : indécis. Traits : "
        "intervalles à 95 %.",
    },
    "key_scores": {
        "en": "Lines: 95% intervals of each mean; paired differences are narrower.",
        "fr": "Traits : intervalles à 95 % de chaque moyenne ; les différences appariées sont plus étroites.",
    },
    "key_falls": {"en": "Lines: 95% intervals over seeds.", "fr": "Traits : intervalles à 95 % sur les graines."},
    "key_classes": {
        "en": "Green: above zero, red: below, grey: not told apart. Lines: 95% intervals, not corrected for the number "
        "of classes. Of many classes those at both ends.",
        "fr": "Vert : au-dessus de zéro ; rouge : au-dessous ; gris : ne s’en distingue pas. Traits : intervalles à "
        "95 %, sans correction pour le nombre de classes. De nombreuses classes, les deux bouts.",
    },
    "key_families": {
        "en": "Lines: 95% intervals. Green: gives more, red: gives less, grey: not told apart, brown: undecided.",
        "fr": "Traits : intervalles à 95 %. Vert : apporte plus ; rouge : moins ; gris : ne s’en distingue pas ; "
        "brun : indécis.",
    },
    "key_accuracy": {
        "en": "{panel} on {data}, one of {count} pairs of student and method: a point a teacher, coloured by family. "
        "Lines: 95% intervals.",
        "fr": "{panel} sur {data}, une des {count} paires d’élève et de méthode : un point par enseignant, la couleur "
        "dit la famille. Traits : intervalles à 95 %.",
    },
    "key_shown": {
        "en": "{shown} of {count} are shown; the notes hold all.",
        "fr": "{shown} sur {count} sont montrés ; les notes les contiennent tous.",
    },
    "rows_shown": {
        "en": "{shown} of {count} rows are shown, each verdict by its share; the notes hold all.",
        "fr": "{shown} lignes sur {count} sont montrées, chaque verdict selon sa part ; toutes dans les notes.",
    },
    "columns_shown": {
        "en": "{shown} of {count} columns are shown; the notes hold all.",
        "fr": "{shown} colonnes sur {count} sont montrées ; toutes dans les notes.",
    },
    "lines_more": {"en": "In the notes: {count} more.", "fr": "Dans les notes : {count} de plus."},
    "chart_told": {"en": "Chart", "fr": "Graphique"},
    "table_told": {"en": "Table", "fr": "Tableau"},
    "declared_column": {"en": "Declared", "fr": "Déclarés"},
    "confirmed_column": {"en": "Confirmed", "fr": "Confirmés"},
    "survives_column": {"en": "Survives", "fr": "Survit"},
    "refuted_column": {"en": "Refuted", "fr": "Réfutée"},
    "undecided_column": {"en": "Undecided", "fr": "Indécise"},
    "points_column": {"en": "{metric}, points", "fr": "{metric}, points"},
    "families_axis": {
        "en": "points that the first family gives over the second",
        "fr": "points que la première famille apporte de plus que la seconde",
    },
    "teachers_score_axis": {
        "en": "the teacher’s own tune score, %",
        "fr": "score de réglage de l’enseignant, %",
    },
}

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
    "take_confirmed_simpler": {
        "en": "Take {simpler} for {student}: {arm} ({gain}, confirmed) was not shown to be better",
        "fr": "Prendre {simpler} pour {student} : rien ne montre que {arm} ({gain}, confirmé) fasse mieux",
    },
    "take_confirmed_against_simpler": {
        "en": "Take {simpler} for {student}: {arm} ({gain} over {other}, confirmed) was not shown to be better",
        "fr": "Prendre {simpler} pour {student} : rien ne montre que {arm} ({gain} de plus que {other}, confirmé) "
        "fasse mieux",
    },
    "take_lead_simpler": {
        "en": "Try {simpler} for {student}: {arm} ({gain}, a lead to confirm) was not shown to be better",
        "fr": "Essayer {simpler} pour {student} : rien ne montre que {arm} ({gain}, une piste à confirmer) fasse mieux",
    },
    "not_worse": {
        "en": "Not shown to be worse than {arm} for {student}: {listing}.",
        "fr": "Rien ne montre que ces bras fassent moins bien que {arm} pour {student} : {listing}.",
    },
    "shown_none": {
        "en": "No method was shown to help {student}; effects under {effect} could not be seen",
        "fr": "Rien ne montre qu’une méthode aide {student} ; sous {effect}, un effet ne pouvait être vu",
    },
    "shown_none_blind": {
        "en": "No method was shown to help {student}; with one seed no effect could be seen",
        "fr": "Rien ne montre qu’une méthode aide {student} ; avec une graine, aucun effet ne pouvait être vu",
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
    "headline_simpler": {
        "en": "{simpler} gives {student} {own}; {arm}, {gain}, was not shown to be better",
        "fr": "{simpler} apporte à {student} {own} ; rien ne montre que {arm}, {gain}, fasse mieux",
    },
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
    "slides_answer": {
        "en": "These slides answer from {done} on {data}.",
        "fr": "Ces diapositives répondent à partir de {done} sur {data}.",
    },
    "slides_answer_float": {
        "en": "These slides answer from {done} on {data}; int8 was not measured.",
        "fr": "Ces diapositives répondent à partir de {done} sur {data} ; l’int8 n’a pas été mesuré.",
    },
    "slide_compared": {
        "en": "Methods compared with the student alone: {count}.",
        "fr": "Méthodes comparées à l’élève seul : {count}.",
    },
    "slide_compared_arms": {
        "en": "Methods whose arms are compared with each other: {count}.",
        "fr": "Méthodes dont les bras sont comparés entre eux : {count}.",
    },
    "slide_protocol_same": {
        "en": "Same weights, same images, paired seeds",
        "fr": "Mêmes poids, mêmes images, graines appariées",
    },
    "slide_protocol_tuned": {
        "en": "Same weights, same images, paired seeds; some arms by a recipe of their own",
        "fr": "Mêmes poids, mêmes images, graines appariées ; certains bras ont leur propre recette",
    },
    "slide_protocol_labelled": {
        "en": "Same weights, paired seeds: some arms see the labelled images alone",
        "fr": "Mêmes poids, graines appariées : certains bras ne voient que les images étiquetées",
    },
    "slide_sight": {
        "en": "Gains below {effect} were not sure to show: they are called ties",
        "fr": "Sous {effect}, un gain pouvait rester caché : on parle alors d’égalité",
    },
    "slide_sight_between": {
        "en": "Differences between arms below {effect} were not sure to show",
        "fr": "Sous {effect}, une différence entre bras pouvait rester cachée",
    },
    "slide_sights": {
        "en": "By student, gains below {least} to {most} were not sure to show: they are called ties",
        "fr": "Selon l’élève, sous {least} à {most}, un gain pouvait rester caché : on parle alors d’égalité",
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
    "slide_students": {
        "en": "Students that a method was shown to help: {helped} of {count}",
        "fr": "Élèves qu’une méthode aide, preuve à l’appui : {helped} sur {count}",
    },
    "slide_families": {
        "en": "Differences between families of teachers that are beyond chance: {clear} of {count}",
        "fr": "Différences entre familles d’enseignants que le hasard n’explique pas : {clear} sur {count}",
    },
    "slide_accuracy_half": {
        "en": "{panel} on {data}: a teacher’s own {metric} ranks what it gives with {rho}; among the more accurate "
        "half with {half}",
        "fr": "{panel} sur {data} : la force d’un enseignant ({metric}) classe ce qu’il apporte avec {rho} ; dans la "
        "moitié la plus exacte avec {half}",
    },
    "slide_accuracy_own": {
        "en": "{panel} on {data}: a teacher’s own {metric} ranks what it gives with {rho}",
        "fr": "{panel} sur {data} : la force d’un enseignant ({metric}) classe ce qu’il apporte avec {rho}",
    },
    "note_gains": {
        "en": "Over the student alone: {listing}.",
        "fr": "De plus que l’élève seul : {listing}.",
    },
    "note_teachers": {
        "en": "The highest gain with each teacher: {listing}.",
        "fr": "Le plus haut gain avec chaque enseignant : {listing}.",
    },
    "note_accuracy": {
        "en": "From the teacher with the highest score to that with the lowest: {listing}.",
        "fr": "De l’enseignant au plus haut score à celui au plus bas : {listing}.",
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
