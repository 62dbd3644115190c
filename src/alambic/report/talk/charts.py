"""Native charts of the slides: bars and points with their intervals, which an office program can edit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alambic.report.facts.fact import Fact
from alambic.report.print.svg import print_palette
from alambic.report.svg import round_ticks
from alambic.report.talk.parts import Bars, Scatter
from alambic.report.words.slides import SLIDE_TEXTS
from alambic.report.words.wording import NO_BREAK, Lang, hold, show_bounds, show_number

Place = tuple[float, float, float, float]
PLACE: Place = (0.7, 1.42, 11.9, 4.95)  # inches: left, top, width, height
HEAD = 0.35  # inches above each of several charts
LINE = 19050  # EMU: of an interval's line
LOCALES: dict[Lang, str] = {"en": "[$-409]", "fr": "[$-40C]"}  # of a number's format: which decimal sign it has
ROOMY = 9  # bars that leave large letters room


def share_place(count: int) -> list[Place]:
    """Where each of some charts stands on a slide; one of several leaves its head room above it."""
    left, top, width, height = PLACE
    each, head = height / count, HEAD * (count > 1)
    return [(left, top + each * place + head, width, each - head) for place in range(count)]


def draw_chart(page: Any, shown: Bars | Scatter, title: str, lang: Lang, place: Place = PLACE) -> None:
    """Draws a chart; its axes hold all intervals. For who cannot see it, its title and values are told in words."""
    from pptx.enum.chart import XL_CHART_TYPE, XL_LEGEND_POSITION
    from pptx.util import Inches, Pt

    data, kind = _fill_bars(shown) if isinstance(shown, Bars) else _fill_scatter(shown)
    frame = page.shapes.add_chart(getattr(XL_CHART_TYPE, kind), *map(Inches, place), data)
    head = shown.head if isinstance(shown, Bars) else ""
    told = [SLIDE_TEXTS["chart_told"][lang], title, *([head] if head else []), _tell_values(shown, lang)]
    describe(frame, "".join(f"{one}. " for one in told).rstrip())
    chart = frame.chart
    chart.has_title, chart.has_legend = False, isinstance(shown, Scatter)
    chart.font.size = Pt(14 if isinstance(shown, Scatter) or place != PLACE or len(shown.labels) > ROOMY else 16)
    for axis in (chart.category_axis, chart.value_axis):
        axis.has_major_gridlines = False
    if isinstance(shown, Bars):
        _colour_bars(chart, shown, lang)
        return
    chart.legend.position, chart.legend.include_in_layout = XL_LEGEND_POSITION.RIGHT, False
    _colour_points(chart, shown, lang)


def describe(frame: Any, text: str) -> None:
    """Gives a chart or a table its alternative text."""
    frame._element.nvGraphicFramePr.cNvPr.set("descr", hold(text))


def _tell_values(shown: Bars | Scatter, lang: Lang) -> str:
    """Each bar or point with its number and interval."""
    apart = "; " if lang == "en" else f"{NO_BREAK}; "
    if isinstance(shown, Bars):
        bars = zip(shown.labels, shown.facts, strict=True)
        return apart.join(f"{label} {show_bounds(fact, lang)}".strip() for label, fact in bars)
    points = [
        f"{one.name}, {show_number(across / 100, 'share', lang)}{NO_BREAK if lang == 'fr' else ''}: "
        f"{show_number(fact.value, fact.unit, lang, noun=False)} {show_bounds(fact, lang)}".strip()
        for one in shown.series
        for across, fact in zip(one.across, one.facts, strict=True)
    ]
    if shown.upright is not None:
        points.append(f"{shown.upright[0]}, {show_number(shown.upright[1].value, 'share', lang)}")
    return apart.join(points)


def _fill_bars(bars: Bars) -> tuple[Any, str]:
    from pptx.chart.data import CategoryChartData

    data = CategoryChartData(number_format="0.00")
    data.categories = list(bars.labels)
    data.add_series(bars.axis, [round(100 * fact.value, 2) for fact in bars.facts])
    return data, "BAR_CLUSTERED"


def _fill_scatter(scatter: Scatter) -> tuple[Any, str]:
    from pptx.chart.data import XyChartData

    data = XyChartData(number_format="0.00")
    drawn = [
        (one.name, [(x, 100 * fact.value) for x, fact in zip(one.across, one.facts, strict=True)])
        for one in scatter.series
    ]
    if scatter.upright is not None:
        name, where = scatter.upright
        ends = [(100 * where.value, end) for end in _span(_ends_up(scatter))[:2]]
        drawn.insert(_place_upright(scatter), (name, ends))
    for name, points in drawn:
        series = data.add_series(name)
        for x, y in points:
            series.add_data_point(round(x, 2), round(y, 2))
    return data, "XY_SCATTER"


def _place_upright(scatter: Scatter) -> int:
    """Behind what has as many points as its two or more: LibreOffice leaves out what stands before a longer series."""
    return sum(len(one.facts) > 1 for one in scatter.series)


def _ends_up(scatter: Scatter) -> list[float]:
    return _ends([fact for one in scatter.series for fact in one.facts], 0.0)


def _colour_bars(chart: Any, bars: Bars, lang: Lang) -> None:
    from pptx.enum.chart import XL_TICK_LABEL_POSITION
    from pptx.oxml.ns import qn

    chart.category_axis.reverse_order = True
    chart.category_axis.tick_label_position = XL_TICK_LABEL_POSITION.LOW
    chart.category_axis.tick_labels.font.bold = False  # makes the element that holds how they are set
    for name, value in (("rot", "0"), ("vert", "horz")):  # of those that it may turn LibreOffice leaves out half
        chart.category_axis._element.find(qn("c:txPr")).find(qn("a:bodyPr")).set(name, value)
    skip = chart.category_axis._element.makeelement(qn("c:tickLblSkip"), {"val": "1"})  # each bar has its name
    chart.category_axis._element.find(qn("c:noMultiLvlLbl")).addprevious(skip)
    plot = chart.plots[0]
    plot.gap_width = 60
    series = plot.series[0]
    series.invert_if_negative = False
    for index, name in enumerate(bars.colours):
        fill = series.points[index].format.fill
        fill.solid()
        fill.fore_color.rgb = _colour(name)
    _add_intervals(series, bars.facts)
    _fit_axis(chart.value_axis, "" if bars.head else bars.axis, _ends(bars.facts, 0.0), lang)
    chart.value_axis.tick_label_position = XL_TICK_LABEL_POSITION.HIGH  # at the bottom, since the order is reversed


def _colour_points(chart: Any, scatter: Scatter, lang: Lang) -> None:
    from pptx.enum.chart import XL_MARKER_STYLE, XL_TICK_LABEL_POSITION
    from pptx.enum.dml import MSO_LINE

    drawn = list(chart.plots[0].series)
    if scatter.upright is not None:
        upright = drawn.pop(_place_upright(scatter))
        upright.marker.style = XL_MARKER_STYLE.NONE
        upright.format.line.width, upright.format.line.dash_style = LINE, MSO_LINE.DASH
        upright.format.line.color.rgb = _colour("quiet")
    for series, one in zip(drawn, scatter.series, strict=True):
        series.format.line.fill.background()  # points alone, no line from one to the next
        series.marker.style, series.marker.size = XL_MARKER_STYLE.CIRCLE, 9
        series.marker.format.fill.solid()
        series.marker.format.fill.fore_color.rgb = _colour(one.colour)
        series.marker.format.line.fill.background()
        _add_intervals(series, one.facts, _colour(one.colour))
    across = [value for one in scatter.series for value in one.across]
    across += [100 * scatter.upright[1].value] if scatter.upright is not None else []
    _fit_axis(chart.value_axis, scatter.axes[1], _ends_up(scatter), lang)
    _fit_axis(chart.category_axis, scatter.axes[0], across, lang)
    for axis in (chart.category_axis, chart.value_axis):
        axis.tick_label_position = XL_TICK_LABEL_POSITION.LOW


def _colour(name: str) -> Any:
    from pptx.dml.color import RGBColor

    return RGBColor.from_string(print_palette()[name].removeprefix("#").upper())


def _ends(facts: Sequence[Fact], *more: float) -> list[float]:
    known = [end for fact in facts for end in (fact.value, fact.low, fact.high) if end is not None]
    return [*(100 * end for end in known), *more]


def _span(values: Sequence[float]) -> tuple[float, float, float]:
    """Both ends of an axis that holds all values, and the step of its ticks, whole steps in all."""
    least, most = min(values), max(values)
    room = 0.04 * (most - least) or 1.0
    least, most = (least - room if least < 0 or least > room else 0.0), most + room
    ticks = round_ticks(least, most)
    step = ticks[1] - ticks[0]
    return step * (least // step), -step * (-most // step), step


def _fit_axis(axis: Any, title: str, values: Sequence[float], lang: Lang) -> None:
    """Title and whole ticks around all values, their numbers in the signs of the language."""
    axis.minimum_scale, axis.maximum_scale, step = _span(values)
    axis.major_unit = step
    axis.has_title = bool(title)
    if title:
        axis.axis_title.text_frame.text = title
    digits = next(count for count in range(4) if abs(round(step, count) - step) < 1e-9)
    local, number = LOCALES[lang], "0." + digits * "0" if digits else "0"
    axis.tick_labels.number_format = f"{local}{number};{local}−{number};0"
    axis.tick_labels.number_format_is_linked = False


def _add_intervals(series: Any, facts: Sequence[Fact], colour: str = "1D2125") -> None:
    """The facts' bounds as error bars with values of their own, which python-pptx has no call for."""
    from pptx.oxml import parse_xml
    from pptx.oxml.ns import nsdecls, qn

    bounds = [(f.value if f.low is None else f.low, f.value if f.high is None else f.high) for f in facts]
    plus = [100 * (high - fact.value) for fact, (_, high) in zip(facts, bounds, strict=True)]
    minus = [100 * (fact.value - low) for fact, (low, _) in zip(facts, bounds, strict=True)]
    sides = "".join(
        f"<c:{side}><c:numLit><c:formatCode>0.00</c:formatCode><c:ptCount val='{len(values)}'/>"
        + "".join(f"<c:pt idx='{index}'><c:v>{value:.4f}</c:v></c:pt>" for index, value in enumerate(values))
        + f"</c:numLit></c:{side}>"
        for side, values in (("plus", plus), ("minus", minus))
    )
    points = series._element.find(qn("c:xVal"))
    direction = "<c:errDir val='y'/>" if points is not None else ""
    bars = parse_xml(
        f"<c:errBars {nsdecls('c', 'a')}>{direction}<c:errBarType val='both'/><c:errValType val='cust'/>"
        f"<c:noEndCap val='0'/>{sides}<c:spPr><a:ln w='{LINE}'><a:solidFill><a:srgbClr val='{colour}'/></a:solidFill>"
        "</a:ln></c:spPr></c:errBars>"
    )
    (points if points is not None else series._element.find(qn("c:cat"))).addprevious(bars)


def read_chart(chart: Any) -> list[str]:
    """Every name and number of a chart, its intervals too; a line each."""
    found = []
    for series in chart.plots[0].series:
        found += [str(node.text) for node in series._element.iter("{*}v")]
    return found
