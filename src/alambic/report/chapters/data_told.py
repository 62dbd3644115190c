"""The task of a study in words: its images, classes and labels, the metric, how long its students train."""

from __future__ import annotations

from alambic.report.chapters.claims import name_metric
from alambic.report.facts.gather import Group
from alambic.report.words.document import HEADINGS
from alambic.report.words.french_names import tell_class
from alambic.report.words.wording import Lang, show_number
from alambic.suitability.gains import describe_setting


def tell_task(group: Group, metric: str, lang: Lang) -> str:
    """The data with its details, the metric where it is not accuracy, the study's epochs."""
    content = group.rows[0].content
    told = detail_data(group, lang)
    told += [name_metric(metric, lang)] * (metric != "accuracy")
    told.append(f"{describe_setting(content)['recipe']['epochs']} {HEADINGS['epochs'][lang]}")
    return f"{content['data']['source']}, {', '.join(told)}"


def tell_brief(group: Group, lang: Lang) -> str:
    """The data, the two classes where there are two, how many images have a label: for a line on a slide."""
    data = describe_setting(group.rows[0].content)["data"]
    words = {key: by_lang[lang] for key, by_lang in HEADINGS.items()}
    first, *rest = [group.rows[0].content["data"]["source"], *_tell_classes(group, lang)]
    images, unlabelled = data["train_images"], data.get("unlabelled", 0)
    told = show_number(images, "images", lang)
    if unlabelled:
        told = words["labelled_of"].format(labelled=show_number(images - unlabelled, "number", lang), images=told)
    return ", ".join([first, *rest, told])


def _tell_classes(group: Group, lang: Lang) -> list[str]:
    """The two classes, the rare one first; nothing where there are more."""
    names = group.rows[0].content.get("class_names", ())
    return [HEADINGS["or"][lang].join(tell_class(name, lang) for name in reversed(names))] if len(names) == 2 else []


def detail_data(group: Group, lang: Lang) -> list[str]:
    """The two classes where there are two, what the student sees, training images, those with a label if not all."""
    content = group.rows[0].content
    data, words = describe_setting(content)["data"], {key: by_lang[lang] for key, by_lang in HEADINGS.items()}
    shape, told = content.get("input"), _tell_classes(group, lang)
    if shape is not None:
        told.append(f"{shape[2]} × {shape[1]} {words['grey' if shape[0] == 1 else 'colour']}")
    told.append(show_number(data["train_images"], "images", lang))
    unlabelled = data.get("unlabelled", 0)
    told += [f"{show_number(data['train_images'] - unlabelled, 'number', lang)} {words['labelled']}"] * bool(unlabelled)
    return told
