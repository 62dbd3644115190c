"""Sentences of the document and the talk over all studies, in English and French side by side."""

from __future__ import annotations

from alambic.report.words.overview_advice import ADVICE_SENTENCES
from alambic.report.words.overview_texts import TALK_SENTENCES
from alambic.report.words.wording import Lang

OVERVIEW_SENTENCES: dict[str, dict[Lang, str]] = {
    **TALK_SENTENCES,
    **ADVICE_SENTENCES,
    "all_question": {
        "en": "A tiny network must fit a tiny chip: here {least} to {most} parameters, each a byte in int8. Can a "
        "bigger network make it better without making it bigger? Which one, by which method, and what is left of that "
        "on the chip?",
        "fr": "Un réseau minuscule doit tenir sur une puce minuscule : ici de {least} à {most} paramètres, un octet "
        "chacun en int8. Un plus gros réseau peut-il l’améliorer sans le grossir ? Lequel, par quelle méthode, et "
        "qu’en reste-t-il sur la puce ?",
    },
    "all_distil": {
        "en": "To distil is to train the small network, the student, on what a bigger one, the teacher, says of each "
        "image, beside the labels. The teacher stays in the workshop: the chip runs the student alone, with the bytes, "
        "the operations and the time that it would have had without a teacher.",
        "fr": "Distiller, c’est entraîner le petit réseau, l’élève, sur ce qu’un plus gros, l’enseignant, dit de "
        "chaque image, en plus des étiquettes. L’enseignant reste à l’atelier : la puce n’exécute que l’élève, avec "
        "les octets, les opérations et le temps qu’il aurait eus sans enseignant.",
    },
    "all_survey": {
        "en": "{published} published losses and {own} of our own are implemented, controls apart. {tried} were tried "
        "in these studies, {tuned} had equal trials on tune images, {declared} stand in a declared test. With the "
        "controls, what was declared, and what each was checked against:",
        "fr": "{published} pertes publiées et {own} des nôtres sont implémentées, témoins à part. {tried} ont été "
        "essayées dans ces études, {tuned} ont eu des essais en nombre égal sur des images de réglage, {declared} "
        "figurent dans un test déclaré. Avec les témoins, ce qui a été déclaré, et à quoi chacune a été confrontée :",
    },
    "all_paired": {
        "en": "Within a study each arm of a student starts from the same weights and sees the same views of the same "
        "images in the same order, seed by seed; an arm named labelled only sees the labelled images alone.",
        "fr": "Dans une étude, chaque bras d’un élève part des mêmes poids et voit les mêmes vues des mêmes images "
        "dans le même ordre, graine par graine ; un bras dit « images étiquetées seules » ne voit que celles-là.",
    },
    "all_last_epoch": {
        "en": "Scores are those of the last epoch, never the best; an int8 score is computed by integers alone, image "
        "by image.",
        "fr": "Les scores sont ceux de la dernière époque, jamais de la meilleure ; un score int8 est calculé par des "
        "entiers seuls, image par image.",
    },
    "all_equal_trials": {
        "en": "Where settings were tuned, it was on tune images, with as many trials for the student alone as for any "
        "method; most other studies take those settings. Test images were left for what was declared before.",
        "fr": "Là où les réglages ont été ajustés, c’est sur des images de réglage, avec autant d’essais pour l’élève "
        "seul que pour toute méthode ; la plupart des autres études les reprennent. Les images de test ont été "
        "réservées à ce qui était déclaré d’avance.",
    },
    "all_evidence": {
        "en": "The answer rests on {studies} studies and {cells} finished trainings of students. {claims} of them "
        "declared before they ran what they would test on the test images; what else their trainings show there, and "
        "all that the other studies find, is exploration, and a lead.",
        "fr": "La réponse repose sur {studies} études et {cells} entraînements d’élèves menés à terme. {claims} ont "
        "déclaré avant d’être lancées ce qu’elles testeraient sur les images de test ; ce que leurs entraînements y "
        "montrent d’autre, et tout ce que trouvent les autres études, est exploration, et une piste.",
    },
    "all_read": {
        "en": "Confirmed means: declared beforehand, and found beyond chance with all declared contrasts of its study "
        "counted (Holm). A tie means not shown to differ: smaller than such a test shows four times in five, or than "
        "was declared to matter; it does not mean equal, so read the interval. Some ties have a corrected p "
        "under 0.05: such a difference is real, but too small to count on. Gains are in points over the same student "
        "without a teacher, paired by seed; brackets are 95% intervals.",
        "fr": "Confirmé veut dire : déclaré d’avance, et trouvé au-delà du hasard en comptant tous les contrastes "
        "déclarés de l’étude (Holm). Une égalité veut dire : différence non montrée, plus petite que ce qu’un tel test "
        "montre quatre fois sur cinq, ou que ce qui a été déclaré compter ; ce n’est pas l’égalité vraie, lire "
        "l’intervalle. Quelques égalités ont un p corrigé sous 0,05 : réelle, la différence est trop petite pour s’y "
        "fier. Les gains sont en "
        "points sur le même élève sans enseignant, appariés par graine ; entre crochets, les intervalles à 95 %.",
    },
    "all_unfinished": {
        "en": "Not finished, hence not told: {listing}.",
        "fr": "Inachevées, donc non racontées : {listing}.",
    },
    "all_accuracy_first": {
        "en": "Which teacher? No weak one: in each study of teachers, accuracy on the task tells the weak from the "
        "good. Rank correlation with what they give: {listing}. Among the more accurate half it tells less: {half}.",
        "fr": "Quel enseignant ? Pas un faible : dans chaque étude d’enseignants, l’exactitude sur la tâche distingue "
        "les faibles des bons. Corrélation de rang avec ce qu’ils donnent : {listing}. Dans la moitié la plus exacte "
        "elle en dit moins : {half}.",
    },
    "all_accuracy_ranks": {
        "en": "Which teacher? In each study of teachers, accuracy on the task ranks what they give. Rank correlation: "
        "{listing}.",
        "fr": "Quel enseignant ? Dans chaque étude d’enseignants, l’exactitude sur la tâche classe ce qu’ils donnent. "
        "Corrélation de rang : {listing}.",
    },
    "all_accuracy_some": {
        "en": "Which teacher? Accuracy was not shown to rank what teachers give in each study. Rank correlation: "
        "{listing}.",
        "fr": "Quel enseignant ? Rien ne montre que l’exactitude classe dans chaque étude ce qu’ils donnent. "
        "Corrélation de rang : {listing}.",
    },
    "all_accurate_gave": {
        "en": "What the most accurate teacher itself gave, mean over the blocks of student and method: {listing}.",
        "fr": "Ce que l’enseignant le plus exact a lui-même donné, en moyenne sur les blocs d’élève et de méthode : "
        "{listing}.",
    },
    "all_teachers_gain": {
        "en": "Teachers that gave their student more than nothing, as measured, from block to block: {listing}.",
        "fr": "Enseignants qui ont donné à leur élève plus que rien, tel que mesuré, d’un bloc à l’autre : {listing}.",
    },
    "all_teachers_few": {
        "en": "Most teachers gave nothing, or took away, in {listing}.",
        "fr": "La plupart des enseignants n’ont rien donné, ou ont fait perdre : {listing}.",
    },
    "all_pilot": {
        "en": "A short pilot distillation with each teacher ranks them with {listing}.",
        "fr": "Un court essai de distillation avec chaque enseignant les classe avec {listing}.",
    },
    "all_estimators": {
        "en": "In no study was an estimator shown to rank teachers better than their accuracy does; the best and the "
        "worst of each study stand in the table.",
        "fr": "Dans aucune étude un estimateur n’a montré qu’il classait mieux que l’exactitude ; le meilleur et le "
        "pire de chaque étude figurent au tableau.",
    },
    "all_families_none": {
        "en": "From which architecture? In none of {count} studies was a family of teachers told from the reference, "
        "once accuracy and what else differs are allowed for. Only large differences could have been seen, {least} to "
        "{most}.",
        "fr": "De quelle architecture ? Dans aucune des {count} études une famille d’enseignants ne s’est distinguée "
        "de la référence, une fois comptés l’exactitude et le reste. Seules de grandes différences pouvaient se voir, "
        "de {least} à {most}.",
    },
    "all_families_some": {
        "en": "From which architecture? Told from the reference beyond chance, accuracy and what else differs allowed "
        "for: {listing}.",
        "fr": "De quelle architecture ? Se distinguent de la référence au-delà du hasard, une fois comptés "
        "l’exactitude et le reste : {listing}.",
    },
    "all_families_part": {
        "en": "A lead, told apart among some of the teachers only (those trained on labels, or the distilled): "
        "{listing}.",
        "fr": "Une piste, distinguée parmi une partie des enseignants seulement (ceux entraînés sur étiquettes, ou les "
        "distillés) : {listing}.",
    },
    "all_brief_teachers": {
        "en": "Which of two teachers, by one method? {confirmed} of {count} declared contrasts are confirmed, the "
        "largest {arm} against {other}, {gain}.",
        "fr": "Lequel de deux enseignants, par une méthode ? {confirmed} contrastes déclarés sur {count} sont "
        "confirmés, le plus grand {arm} face à {other}, {gain}.",
    },
    "all_brief_methods": {
        "en": "Which method? Confirmed of declared gains over the student alone, by data: {listing}. Many share a "
        "teacher and a student, so these are no votes.",
        "fr": "Quelle méthode ? Gains confirmés sur gains déclarés face à l’élève seul, par données : {listing}. "
        "Beaucoup ont en commun un enseignant et un élève : ce ne sont pas des votes.",
    },
    "all_between_teachers": {
        "en": "Which teacher, declared: by one method with two teachers, {confirmed} of {count} contrasts are "
        "confirmed: {listing}.",
        "fr": "Quel enseignant, déclaré : par une méthode avec deux enseignants, {confirmed} contrastes sur {count} "
        "sont confirmés : {listing}.",
    },
    "all_methods": {
        "en": "Which method? {confirmed} of {count} declared contrasts with the student alone are confirmed. The "
        "largest gain for each data and metric: {listing}.",
        "fr": "Quelle méthode ? {confirmed} contrastes déclarés sur {count} face à l’élève seul sont confirmés. Le "
        "plus grand gain par données et mesure : {listing}.",
    },
    "all_clear_shown": {
        "en": "Not confirmed, though their corrected p is under 0.05: real, but smaller than such a test shows four "
        "times in five: {listing}.",
        "fr": "Non confirmés, bien que leur p corrigé soit sous 0,05 : réels, mais plus petits que ce qu’un tel test "
        "montre quatre fois sur cinq : {listing}.",
    },
    "all_none_shown": {
        "en": "Nothing was shown to help in {listing}.",
        "fr": "Rien n’y a montré d’aide : {listing}.",
    },
    "all_between": {
        "en": "Between taught arms that differ otherwise, {confirmed} of {count} declared contrasts are confirmed: "
        "{listing}.",
        "fr": "Entre bras enseignés qui diffèrent autrement, {confirmed} contrastes déclarés sur {count} sont "
        "confirmés : {listing}.",
    },
    "all_between_none": {
        "en": "Between taught arms that differ otherwise, none of {count} declared contrasts is confirmed.",
        "fr": "Entre bras enseignés qui diffèrent autrement, aucun des {count} contrastes déclarés n’est confirmé.",
    },
    "all_fading": {
        "en": "When does it pay, by {by}? Where there is little: with {least}, {first}; with {most} no arm is shown "
        "to gain, {last}.",
        "fr": "Quand est-ce rentable, selon {by} ? Quand il y a peu : avec {least}, {first} ; avec {most}, aucun bras "
        "ne montre de gain, {last}.",
    },
    "all_unlabelled": {
        "en": "When does it pay, by {by}? Most where the teacher speaks of images that nobody labelled: with {least}, "
        "{first}; with {most}, {last}. What it gives on the labelled images alone is not shown to shrink: "
        "{alone_first} with {least}, {alone_last} with {most}.",
        "fr": "Quand est-ce rentable, selon {by} ? Surtout quand l’enseignant parle d’images que personne n’a "
        "étiquetées : avec {least}, {first} ; avec {most}, {last}. Rien ne montre que son apport sur les seules "
        "images étiquetées diminue : {alone_first} avec {least}, {alone_last} avec {most}.",
    },
    "all_shrinking": {
        "en": "When does it pay, by {by}? Most where there is little: with {least}, {first}; with {most}, {last}.",
        "fr": "Quand est-ce rentable, selon {by} ? Surtout quand il y a peu : avec {least}, {first} ; avec {most}, "
        "{last}.",
    },
    "all_lasting": {
        "en": "When does it pay, by {by}? With {least}, {first}, and still with {most}, {last}.",
        "fr": "Quand est-ce rentable, selon {by} ? Avec {least}, {first}, et encore avec {most}, {last}.",
    },
    "all_amounts": {
        "en": "By {by}: with {least}, {first}; with {most}, {last}.",
        "fr": "Selon {by} : avec {least}, {first} ; avec {most}, {last}.",
    },
    "all_by_teacher": {
        "en": "Method by teacher, as explored: of {count} comparisons of two methods with the same teachers, these "
        "lean beyond the spread between teachers: {listing}.",
        "fr": "Méthode par enseignant, tel qu’exploré : sur {count} comparaisons de deux méthodes avec les mêmes "
        "enseignants, celles-ci penchent au-delà de la dispersion entre enseignants : {listing}.",
    },
    "all_by_teacher_none": {
        "en": "Method by teacher, as explored: in none of {count} comparisons of two methods with the same teachers "
        "does one give more beyond the spread between teachers.",
        "fr": "Méthode par enseignant, tel qu’exploré : dans aucune des {count} comparaisons de deux méthodes avec les "
        "mêmes enseignants l’une ne donne plus, au-delà de la dispersion entre enseignants.",
    },
    "all_alternatives": {
        "en": "Without a teacher, as explored: of {count} other ways, these are shown to help the student: {listing}.",
        "fr": "Sans enseignant, tel qu’exploré : sur {count} autres voies, celles-ci aident l’élève : {listing}.",
    },
    "all_alternatives_none": {
        "en": "Without a teacher, as explored: none of {count} other ways is shown to help the student.",
        "fr": "Sans enseignant, tel qu’exploré : rien ne montre qu’une des {count} autres voies aide l’élève.",
    },
    "all_teacher_saw": {
        "en": "The teachers of these curves had learnt from {images} with a label each, in {epochs} epochs or fewer, "
        "whatever the student was given: part of what a student with few images gains are the teacher’s labels.",
        "fr": "Les enseignants de ces courbes avaient appris de {images} toutes étiquetées, en {epochs} époques au "
        "plus, quoi que reçoive l’élève : une part du gain d’un élève à peu d’images sont les étiquettes de "
        "l’enseignant.",
    },
    "all_ideas": {
        "en": "Which new idea? {ideas} were put beside the controls that would refute them. Survived in at least one "
        "study: {survived}; refuted: {refuted}; undecided: {undecided}.",
        "fr": "Quelle idée nouvelle ? {ideas} ont été confrontées aux témoins qui les réfuteraient. Survivent dans une "
        "étude au moins : {survived} ; réfutées : {refuted} ; indécises : {undecided}.",
    },
    "all_survivor": {
        "en": "{idea} survived in {survives} of {studies} studies.",
        "fr": "L’idée « {idea} » a survécu dans {survives} études sur {studies}.",
    },
    "all_again_not": {
        "en": "{idea}, declared on {data} against the teacher that it began with: {gain} ({first}). Declared anew with "
        "other seeds ({last}) it was not shown to help: {again}.",
        "fr": "L’idée « {idea} », déclarée sur {data} face à l’enseignant de départ : {gain} ({first}). Déclarée à "
        "nouveau avec d’autres graines ({last}), rien ne montre qu’elle aide : {again}.",
    },
    "all_again": {
        "en": "{idea}, declared on {data} against the teacher that it began with: {gain} ({first}); declared anew with "
        "other seeds ({last}): {again}, confirmed.",
        "fr": "L’idée « {idea} », déclarée sur {data} face à l’enseignant de départ : {gain} ({first}) ; déclarée à "
        "nouveau avec d’autres graines ({last}) : {again}, confirmé.",
    },
    "all_no_winner": {
        "en": "No new idea has won: none is confirmed against the teacher or method that it was to improve in each "
        "study that declared it.",
        "fr": "Aucune idée nouvelle n’a gagné : aucune n’est confirmée face à ce qu’elle devait améliorer dans chaque "
        "étude qui l’a déclarée.",
    },
}
