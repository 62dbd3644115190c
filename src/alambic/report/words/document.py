"""Sentences and headings of the printed document and of the slides, in English and French side by side."""

from __future__ import annotations

from alambic.report.words.wording import Lang

HEADINGS: dict[str, dict[Lang, str]] = {
    "question": {"en": "The question", "fr": "La question"},
    "survey": {"en": "What was compared", "fr": "Ce qui est comparé"},
    "protocol": {"en": "How it was measured", "fr": "Comment c’est mesuré"},
    "declared": {"en": "Declared beforehand, and the rest", "fr": "Déclaré d’avance, et le reste"},
    "results": {"en": "Results", "fr": "Résultats"},
    "across": {"en": "Beyond what was tried", "fr": "Au-delà de ce qui a été essayé"},
    "across_levels": {"en": "Data · teachers · students", "fr": "Données · enseignants · élèves"},
    "across_data": {"en": "Between data", "fr": "Entre données"},
    "across_teacher": {"en": "Between teachers", "fr": "Entre enseignants"},
    "across_student": {"en": "Between students", "fr": "Entre élèves"},
    "across_pair": {"en": "Teacher × student", "fr": "Enseignant × élève"},
    "across_seed": {"en": "Between seeds", "fr": "Entre graines"},
    "across_few_data": {"en": "{count} data sets: too few to say", "fr": "{count} données : trop peu pour le dire"},
    "across_few_teacher": {
        "en": "{count} teachers: too few to say",
        "fr": "{count} enseignants : trop peu pour le dire",
    },
    "across_few_student": {"en": "{count} students: too few to say", "fr": "{count} élèves : trop peu pour le dire"},
    "across_few_pair": {"en": "{count} pairs: too few to say", "fr": "{count} paires : trop peu pour le dire"},
    "across_few_seed": {"en": "{count} seeds: too few to say", "fr": "{count} graines : trop peu pour le dire"},
    "across_rest": {"en": "Rest", "fr": "Reste"},
    "ranks": {"en": "Mean ranks", "fr": "Rangs moyens"},
    "critical": {"en": "critical difference", "fr": "différence critique"},
    "ranks_caption": {
        "en": "Mean rank of each arm over teachers, students and data that all of them were tried with, 1 the best; a "
        "bar joins arms that are not told apart (Nemenyi’s critical difference). An illustration: what shares a "
        "teacher is not independent, as this test takes it to be.",
        "fr": "Rang moyen de chaque bras sur les enseignants, élèves et données avec lesquels tous ont été essayés, 1 "
        "pour le meilleur ; une barre relie les bras que rien ne distingue (différence critique de Nemenyi). Une "
        "illustration : ce qui partage un enseignant n’est pas indépendant, comme ce test le suppose.",
    },
    "classes": {"en": "Class by class", "fr": "Classe par classe"},
    "trust": {"en": "Agreement and calibration", "fr": "Accord et calibration"},
    "alignment": {
        "en": "How alike student and teacher become",
        "fr": "À quel point élève et enseignant se ressemblent",
    },
    "chip": {"en": "On the chip", "fr": "Sur la puce"},
    "suitability": {"en": "Which teacher suits", "fr": "Quel enseignant convient"},
    "ideas": {"en": "New ideas", "fr": "Idées nouvelles"},
    "recommendations": {"en": "What to do, and what not", "fr": "Que faire, que ne pas faire"},
    "limits": {"en": "Limits", "fr": "Limites"},
    "references": {"en": "References", "fr": "Références"},
    "method": {"en": "Method", "fr": "Méthode"},
    "paper": {"en": "Published in", "fr": "Publié dans"},
    "fidelity": {"en": "Checked", "fr": "Vérifiée"},
    "formula": {"en": "Formula, as published", "fr": "Formule publiée"},
    "used_for": {"en": "For", "fr": "Pour"},
    "on_data": {"en": "On", "fr": "Sur"},
    "best_arm": {"en": "Take", "fr": "Prendre"},
    "settings": {"en": "Settings", "fr": "Réglages"},
    "gain_int8": {"en": "Gain to expect", "fr": "Gain à attendre"},
    "confidence": {"en": "Confidence", "fr": "Confiance"},
    "avoid": {"en": "What not to do", "fr": "À éviter"},
    "labelled_of": {"en": "{labelled} of {images} with a label", "fr": "{labelled} étiquettes pour {images}"},
    "times": {"en": "its loss ×", "fr": "sa perte ×"},
    "confirmed": {"en": "confirmed", "fr": "confirmé"},
    "lead": {"en": "a lead, to confirm", "fr": "une piste, à confirmer"},
    "unproved": {"en": "not proved", "fr": "non prouvé"},
    "more_seeds": {
        "en": "undecided: ask again in a new study, its seeds fresh, more of them and declared first",
        "fr": "indécis : redemander par une nouvelle étude, aux graines neuves, plus nombreuses et déclarées d’avance",
    },
    "or": {"en": " or ", "fr": " ou "},
    "grey": {"en": "grey", "fr": "gris"},
    "presence": {"en": "presence of a class ({data})", "fr": "présence d’une classe ({data})"},
    "colour": {"en": "colour", "fr": "couleur"},
    "epochs": {"en": "epochs", "fr": "époques"},
    "labelled": {"en": "with a label", "fr": "étiquetées"},
    "alone": {"en": "train it alone", "fr": "l’entraîner seul"},
    "nothing": {"en": "nothing was shown to help", "fr": "rien ne montre qu’une méthode aide"},
    "not_better": {"en": "{arm}, was not shown to be better", "fr": "rien ne montre que {arm}, fasse mieux"},
}

FIDELITIES: dict[str, dict[Lang, str]] = {
    "A": {"en": "against the authors’ code", "fr": "sur le code des auteurs"},
    "B": {"en": "against the formula", "fr": "sur la formule"},
    "C": {"en": "rebuilt from an abstract", "fr": "refaite d’un résumé"},
    "O": {"en": "our own", "fr": "de notre cru"},
}

DOCUMENT_SENTENCES: dict[str, dict[Lang, str]] = {
    "asked": {
        "en": "A tiny network must fit a tiny chip. Which teacher and which method give {students} the most, and what "
        "is left of it in int8? This document answers from {done} on {data}.",
        "fr": "Un réseau minuscule doit tenir sur une puce minuscule. Quel enseignant et quelle méthode apportent le "
        "plus à {students}, et qu’en reste-t-il en int8 ? Ce document répond à partir de {done} sur {data}.",
    },
    "asked_float": {
        "en": "A tiny network must fit a tiny chip. Which teacher and which method give {students} the most? This "
        "document answers from {done} on {data}; int8 was not measured.",
        "fr": "Un réseau minuscule doit tenir sur une puce minuscule. Quel enseignant et quelle méthode apportent le "
        "plus à {students} ? Ce document répond à partir de {done} sur {data} ; l’int8 n’a pas été mesuré.",
    },
    "compared_one": {
        "en": "The study compares {methods} with the student alone.",
        "fr": "L’étude compare {methods} avec l’élève seul.",
    },
    "compared_arms": {
        "en": "The study compares arms with each other, not with the student alone. Methods: {methods}.",
        "fr": "L’étude compare des bras entre eux, et non avec l’élève seul. Méthodes : {methods}.",
    },
    "compared": {
        "en": "The study compares {methods} with each other and with the student alone.",
        "fr": "L’étude compare {methods} entre elles et avec l’élève seul.",
    },
    "measured_on": {
        "en": "Every arm of a student starts from the same weights and sees the same images in the same order; seeds "
        "are paired. Scores are those of the last epoch, never the best, on {images}.",
        "fr": "Chaque bras d’un élève part des mêmes poids et voit les mêmes images dans le même ordre ; les graines "
        "sont appariées. Les scores sont ceux de la dernière époque, jamais de la meilleure, sur {images}.",
    },
    "measured_on_labelled": {
        "en": "Every arm of a student starts from the same weights; seeds are paired. Arms on labelled images alone "
        "see these more often, all others see all images in the same order. "
        "Scores are those of the last epoch, never the best, on {images}.",
        "fr": "Chaque bras d’un élève part des mêmes poids ; les graines sont "
        "appariées. Les bras limités aux images étiquetées voient celles-ci plus souvent, tous les autres voient "
        "toutes les images dans le même ordre. Les scores sont ceux de la dernière époque, jamais de la meilleure, "
        "sur {images}.",
    },
    "same_recipe": {
        "en": "All arms are trained by one recipe, which takes the same steps.",
        "fr": "Tous les bras suivent une seule recette, aux mêmes pas.",
    },
    "own_recipes": {
        "en": "Arms differ in more than their method: the study gives some of them a recipe of their own. {listing}.",
        "fr": "Les bras ne diffèrent pas par leur seule méthode : l’étude donne à certains une recette propre. "
        "{listing}.",
    },
    "intervals": {
        "en": "Intervals are at 95%, by bootstrap over seeds and images; those of what int8 and other arithmetics "
        "cost are over seeds alone. Tests are paired t tests, corrected by Holm within each kind of comparison: with "
        "the baseline, of the highest mean with the others, declared beforehand, of ideas, of what arithmetics "
        "cost. What is smaller than the design shows four times in five is called a tie.",
        "fr": "Les intervalles sont à 95 %, par rééchantillonnage des graines et des images ; ceux de ce que coûtent "
        "l’int8 et les autres arithmétiques, des graines seules. Les tests sont des tests t appariés, corrigés par "
        "Holm au sein de chaque sorte de comparaison : avec la référence, de la plus haute moyenne avec les autres, "
        "déclarées d’avance, des idées, de ce que coûtent les arithmétiques. Ce qui est plus petit que ce que le plan "
        "montre quatre fois sur cinq est appelé égalité.",
    },
    "across_clear": {
        "en": "Of {count} comparisons of two arms over all their teachers, shown beyond those that were tried: "
        "{listing}.",
        "fr": "Sur {count} comparaisons de deux bras parmi tous leurs enseignants, établi au-delà de ceux essayés : "
        "{listing}.",
    },
    "across_none": {
        "en": "Of {count} comparisons of two arms over all their teachers, none is shown beyond those that were tried.",
        "fr": "Sur {count} comparaisons de deux bras parmi tous leurs enseignants, aucune n’est établie au-delà de "
        "ceux essayés.",
    },
    "across_what": {
        "en": "What would another teacher, another student, other data of these kinds give? Each that was tried is one "
        "draw of its kind, crossed with the others (a mixed model, by restricted maximum likelihood), and so are the "
        "seeds and the images; p is corrected by Holm over this table. The last columns are standard deviations in "
        "points: how far the difference moves from one data set, teacher, student or seed to the next, where several "
        "tell.",
        "fr": "Que donneraient un autre enseignant, un autre élève, d’autres données de ces sortes ? Chacun de ceux "
        "essayés est un tirage de sa sorte, croisé avec les autres (modèle mixte, par maximum de vraisemblance "
        "restreint), comme le sont les graines et les images ; p est corrigé par Holm sur ce tableau. Les dernières "
        "colonnes sont des écarts types en points : de combien la différence bouge d’un jeu de données, d’un "
        "enseignant, d’un élève ou d’une graine à l’autre, là où plusieurs le disent.",
    },
    "no_ideas": {
        "en": "No method of our own was run in this study.",
        "fr": "Aucune méthode de notre cru n’a été lancée dans cette étude.",
    },
    "own_ideas": {
        "en": "Our own, not published: {methods}. Their scores stand among the results; the page of each in "
        "docs/methods names the comparison that would refute it, and this report does not judge that comparison.",
        "fr": "De notre cru, non publié : {methods}. Les scores figurent parmi les résultats ; la page de "
        "chaque méthode dans docs/methods nomme la comparaison qui la réfuterait, sans que ce rapport en juge.",
    },
    "ideas_judged": {
        "en": "Each idea stands beside the controls that the study file names. A control that surely does as well, but "
        "for a difference too small to matter, refutes it; it survives where it surely beats all.",
        "fr": "Chaque idée est confrontée aux témoins que le fichier d’étude nomme. Un témoin qui fait sûrement aussi "
        "bien, à un écart trop petit pour compter, la réfute ; elle survit si elle les bat sûrement tous.",
    },
    "ideas_by_cost": {
        "en": "Judged by what int8 costs, where a gain is a smaller loss from fp32 to int8: {listing}.",
        "fr": "Jugé par ce que coûte l’int8, où un gain est une perte moindre de fp32 à int8 : {listing}.",
    },
    "ideas_changed": {
        "en": "The controls, or the effect that matters, were changed after this ledger’s first run.",
        "fr": "Les témoins, ou l’effet qui compte, ont été changés après le premier lancement de ce registre.",
    },
    "idea_refuted": {
        "en": "{idea}: refuted here. {arm} against {other}: {gain}, the whole interval under {effect}.",
        "fr": "{idea} : réfutée ici. {arm} face à {other} : {gain}, tout l’intervalle sous {effect}.",
    },
    "idea_survives": {
        "en": "{idea}: survives here; the control that comes nearest: {arm} against {other}: {gain} (effect that "
        "matters: {effect}).",
        "fr": "{idea} : survit ici ; le témoin le plus proche : {arm} face à {other} : {gain} (effet qui compte : "
        "{effect}).",
    },
    "idea_undecided": {
        "en": "{idea}: undecided. {arm} against {other}: {gain}; neither surely an advantage nor surely under "
        "{effect}.",
        "fr": "{idea} : indécise. {arm} face à {other} : {gain} ; ni sûrement un avantage, ni sûrement sous {effect}.",
    },
    "idea_not_run": {
        "en": "{idea}: declared, but neither it nor its controls are finished.",
        "fr": "{idea} : déclarée, mais ni elle ni ses témoins ne sont finis.",
    },
    "idea_unfinished": {
        "en": "{idea}: not compared yet with {listing}.",
        "fr": "{idea} : pas encore comparée à {listing}.",
    },
    "one_data": {
        "en": "One data set, one recipe an arm: what holds here may not hold elsewhere.",
        "fr": "Un seul jeu de données, une seule recette par bras : ce qui vaut ici peut ne pas valoir ailleurs.",
    },
    "checkable": {
        "en": "Each number is stored in this file with its name and its cells; alambic report --check computes again "
        "all that comes from the ledger.",
        "fr": "Chaque nombre est enregistré dans ce fichier avec son nom et ses cellules ; alambic report --check "
        "recalcule tout ce qui vient du registre.",
    },
}

# of what the report computes, beside the methods: what it is, where it is from
SOURCES: tuple[tuple[dict[Lang, str], str], ...] = (
    (
        {"en": "intervals", "fr": "intervalles"},
        "Hesterberg. What Teachers Should Know about the Bootstrap. The American Statistician 2015. arXiv 1411.5279.",
    ),
    (
        {"en": "images and seeds", "fr": "images et graines"},
        "Owen. The pigeonhole bootstrap. Annals of Applied Statistics 2007. arXiv 0712.1111.",
    ),
    (
        {"en": "correction", "fr": "correction"},
        "Holm. A Simple Sequentially Rejective Multiple Test Procedure. Scandinavian Journal of Statistics 1979.",
    ),
    (
        {"en": "over teachers", "fr": "entre enseignants"},
        "Kuznetsova, Brockhoff, Christensen. lmerTest Package: Tests in Linear Mixed Effects Models. Journal of "
        "Statistical Software 2017. Ranks: Demšar. Statistical Comparisons of Classifiers over Multiple Data Sets. "
        "JMLR 2006.",
    ),
    (
        {"en": "calibration", "fr": "calibration"},
        "Guo et al. On Calibration of Modern Neural Networks. ICML 2017. arXiv 1706.04599.",
    ),
    (
        {"en": "CKA", "fr": "CKA"},
        "Kornblith et al. Similarity of Neural Network Representations Revisited. ICML 2019. arXiv 1905.00414; "
        "debiased as in Nguyen et al. Do Wide and Deep Networks Learn the Same Things? ICLR 2021. arXiv 2010.15327.",
    ),
)
