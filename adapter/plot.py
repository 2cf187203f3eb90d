"""The timeline of a case as a picture, SVG or PNG (extra ``plot``: matplotlib).

`adapter.timeline` says what there is to see; this draws it, in inches from the upper left, with
no pyplot and no display. The same case gives the same SVG. Its texts are text, to be searched and
read aloud; the group of an item has the id ``item-KEY`` and a title, which browsers show on hovering.
"""

from __future__ import annotations

import io
import re
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from textwrap import wrap
from typing import Any, Literal
from xml.sax.saxutils import escape

import matplotlib
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from adapter.axis import Where, nice
from adapter.timeline import Mark, Row, Timeline, timeline
from mappings import Case, MappingError
from mappings.check import problems

WIDTH, EDGE, AXIS, ASIDE, STRIP = 13.0, 0.3, 3.6, 9.75, 0.8  # inches
LINE, PAD, HEADING, PANEL = 0.172, 0.12, 0.34, 1.3
LEFT_CHARS, ASIDE_CHARS = 44, 43
BACK = 0.5  # behind everything (zorder)
INK, SOFT, PALE, SHADE = "#1a1a1a", "#595959", "#d4d4d4", "#e9f1f7"
GOOD, BAD, BLUE, BROWN = "#007a5a", "#b3261e", "#0072b2", "#b35a00"
#: A course is of a colour and paler if its length is not stated. All stay apart for the colour-blind.
KINDS = {"drug": (BLUE, "#a9d2ec"), "procedure": (BROWN, "#efcba0")}
SERIES = (BLUE, BROWN, GOOD, "#8f4a78", INK)
#: The sign of each word: matplotlib's marker, how it is filled, its colour, what the key says of it.
SIGNS: dict[str, tuple[str, Any, str, str]] = {
    "given": ("o", "full", INK, "cycle given"),
    "partial": ("o", "left", INK, "given in part"),
    "not-given": ("X", "full", BAD, "not given"),
    "in-progress": ("D", "none", INK, "in progress"),
    "on-hold": ("s", "none", INK, "on hold"),
    "unknown": ("p", "none", INK, "cycle; whether given is not stated"),
    "infusion": ("|", "full", INK, "infusion"),
    "value": ("o", "full", INK, ""),
    "not-stated": ("o", "none", INK, "measured, number not stated"),
    "better": ("^", "full", GOOD, "better"),
    "worse": ("v", "full", BAD, "worse"),
    "same": ("s", "full", SOFT, "stable, no response, not evaluable"),
    "event": ("P", "full", BAD, "adverse event"),
    "told": ("D", "full", BLUE, "told in words or as a score"),
}
NOTHING = "Nothing to draw: the case states no therapy, skin measurement or response."
_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "fhir-adapter",
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
}
#: Matplotlib's settings belong to the whole process, so one picture is drawn at a time.
_LOCK = threading.Lock()


def figure(case: Case, format: Literal["svg", "png"] = "svg") -> bytes:
    """The timeline of a case: an SVG document (UTF-8), or a PNG image of 200 dots an inch.

    Every case has one; where it states no therapy, measurement or response, the picture says so.
    No number is drawn that the case does not state, but for the ticks of an axis. Threads may call it.

    Raises `MappingError` that lists everything wrong with a case that was made in Python.
    """
    if issues := list(problems(case)):
        raise MappingError(issues)
    with _LOCK, matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # who shows the SVG has more fonts
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        return _Page(timeline(case)).drawn(format)


class _Page:
    """One picture; every place is in inches from its upper left."""

    def __init__(self, content: Timeline) -> None:
        self.content, self.words, self.ticks = content, dict[str, str](), 0
        self.rows = [row for _, rows in content.groups for row in rows]
        self.bars = [row.bar for row in self.rows if row.bar]
        self.marks = [mark for row in self.rows for mark in row.marks]
        self.marks += [mark for _, marks in content.panels for mark in marks]
        apart = any(mark.where is None for mark in (*self.bars, *self.marks))
        self.right = ASIDE - 0.25 - (STRIP + 0.12) * apart
        self.about = wrap(content.about, 150, max_lines=3, placeholder=" ...")
        self.top = 0.85 + LINE * len(self.about)
        heights = [HEADING + sum(map(self._height, rows)) for _, rows in content.groups]
        self.bottom = self.top + sum(heights) + (PANEL + 0.4) * len(content.panels)
        self.key = list(self._key())
        below = 0.95 + 0.24 * ((len(self.key) + 3) // 4) + LINE * len(content.notes)
        self.figure = Figure((WIDTH, self.bottom + (below if heights or content.panels else 0.6)), facecolor="white")
        self.axes = self.figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(self.figure.get_figheight(), 0))
        self.axes.set_axis_off()

    def drawn(self, format: str) -> bytes:
        """The bytes of the picture."""
        content, out = self.content, io.BytesIO()
        self.text(EDGE, 0.35, content.title, size=15, weight="bold")
        for index, line in enumerate(self.about):
            self.text(EDGE, 0.66 + index * LINE, line, size=9.5, color=SOFT)
        if content.panels or content.groups:
            self._frame()
            y = self.top
            for name, marks in content.panels:
                y = self._panel(y, name, marks)
            for heading, rows in content.groups:
                y = self._group(y, heading, rows)
            self._legend(y + 0.75)
        else:
            self.text(EDGE, self.top, NOTHING, size=11)
        if format == "png":
            FigureCanvasAgg(self.figure)
            dots = min(200, 60000 / self.figure.get_figheight())  # an image has at most 2**16 rows
            self.figure.savefig(out, format="png", dpi=dots, metadata={"Software": None})
            return out.getvalue()
        FigureCanvasSVG(self.figure)
        nothing: Any = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        self.figure.savefig(out, format="svg", metadata=nothing)
        return self._accessible(out.getvalue().decode()).encode()

    # the parts

    def _frame(self) -> None:
        """The axis and its ticks, the encounter that is time zero, the strip for what has no place."""
        content, middle = self.content, (AXIS + self.right) / 2
        self.line((AXIS, self.right), (self.bottom, self.bottom), INK)
        for at, said in content.ticks:
            if not (content.ordered and said):
                self.line((self.x(at),) * 2, (self.top, self.bottom), PALE, linewidth=0.6, zorder=BACK)
            self.tick(self.x(at), self.bottom + 0.14, said, ha="center")
        self.text(middle, self.bottom + 0.36, content.axis, color=SOFT, ha="center", style="italic")
        if content.zero and content.zero.where:
            low, high = self.x(content.zero.where.low), self.x(content.zero.where.high)
            self.box(low, self.top, high - low, self.bottom - self.top, "#fff3cf", zorder=BACK)
            wide = high - low > 0.1
            if not wide:
                self.line((low, low), (self.top - 0.06, self.bottom), "#8a6d00", linestyle=(0, (4, 3)), zorder=BACK)
            within = " (somewhere in this band)" if wide else ""
            self.text((low + high) / 2, self.top - 0.13, content.zero.words + within, 8.5, "#6b5400", ha="center")
        if self.right < ASIDE - STRIP:
            left = self.right + 0.12
            self.box(left, self.top, STRIP, self.bottom - self.top, "#f0f0f0", zorder=BACK)
            for index, line in enumerate(("no place", "on this axis")):
                self.text(left + STRIP / 2, self.bottom + 0.16 + index * LINE, line, 8.5, SOFT, ha="center")

    def _panel(self, y: float, name: str, marks: tuple[Mark, ...]) -> float:
        """Values on a y axis; those of one site and layer are joined in the order of time."""
        self._heading(y, name)
        top, bottom = y + 0.5, y + PANEL + 0.25
        low, high = min(0.0, *(mark.value for mark in marks)), max(0.0, *(mark.value for mark in marks))
        high = high if high > low else low + 1

        def place(value: float) -> float:
            return bottom - (value - low) / (high - low) * (bottom - top)

        for bar in self.bars:
            if bar.where and not bar.where.lean:
                self._band(bar.where, y + 0.3, bottom)
        for at in nice(low, high, 4):
            self.line((AXIS, self.right), (place(at),) * 2, PALE, linewidth=0.6, zorder=BACK)
            self.tick(AXIS - 0.08, place(at), f"{at:g}", ha="right")
        self.line((AXIS, AXIS), (y + 0.3, bottom), INK)
        names = list(dict.fromkeys(mark.series for mark in marks))
        sides = (("right", -0.06, 0.14), ("left", 0.06, -0.14)) if len(names) > 1 else (("center", 0.0, 0.16),)
        for index, series in enumerate(names):
            side, beside, above = sides[index % len(sides)]
            own, color = [mark for mark in marks if mark.series == series], SERIES[index % len(SERIES)]
            known = sorted((self._middle(one.where), one.value) for one in own if one.where and not one.where.lean)
            self.line([x for x, _ in known], [place(value) for _, value in known], color, linewidth=1.2)
            self.text(EDGE + 0.2, y + 0.5 + index * LINE, series, color=color)
            for mark, x in self._placed(own):
                self._sign(mark, x, place(mark.value), color)
                self.text(x + beside, place(mark.value) - above, mark.text, 8.5, color, ha=side, **_NUMBER)
        return y + PANEL + 0.4

    def _group(self, y: float, heading: str, rows: tuple[Row, ...]) -> float:
        self._heading(y, heading)
        y += HEADING
        for row in rows:
            bottom, at, starts = y + self._height(row), y + PAD / 2 + LINE / 2, list[float]()
            self.line((EDGE, WIDTH - EDGE), (y, y), PALE, linewidth=0.5)
            for index, label in enumerate(row.label):
                starts.append(at)
                main = index == 0 or not row.bar
                for line in _wrapped(label, LEFT_CHARS):
                    weight = "bold" if row.bar and main else "normal"
                    self.text(EDGE + (0 if main else 0.2), at, line, color=INK if main else SOFT, weight=weight)
                    at += LINE
            for index, line in enumerate(self._aside(row)):
                color = INK if row.bar and not index else SOFT
                self.text(ASIDE, starts[0] + index * LINE, line, color=color)
            if row.about:
                self._band(row.about, y + 0.02, bottom - 0.02)
            if row.bar:
                self._bar(row.bar, starts[0])
            last = 0.0
            for mark, x in self._placed(row.marks):
                self._sign(mark, x, starts[mark.line] - (0.14 if mark.sign == "infusion" else 0))
                if not row.bar or x - last >= 0.08 + 0.08 * len(mark.text):  # not all numbers, if they are too close
                    side = "center" if row.bar else "left"
                    self.text(x if row.bar else x - 0.06, starts[mark.line] + 0.17, mark.text, 8.5, ha=side)
                    last = x if mark.text else last
            y = bottom
        return y

    def _bar(self, bar: Mark, y: float) -> None:
        """A course: dashed towards an end that is not stated, apart where it has no place."""
        (color, pale), where = KINDS[bar.series], bar.where
        if where is None:
            return self.box(self.right + 0.22, y - 0.07, STRIP - 0.2, 0.14, edgecolor=color, linestyle="--", item=bar)
        low, high, said = self.x(where.low), self.x(where.high), bar.text
        if where.lean:
            far = self.right if where.lean > 0 else AXIS
            left, right = min(low, far), max(high, far)
            self.box(left, y - 0.07, right - left, 0.14, edgecolor=color, linestyle="--", item=bar)
            self.box(low, y - 0.07, max(high - low, 0.06), 0.14, color)
        else:
            fill = "none" if bar.sign in ("planned", "not-given") else color if self._measured(bar) else pale
            self.box(low, y - 0.07, max(high - low, 0.04), 0.14, fill, edgecolor=color, item=bar)
            said = said or ("length not stated" if self.content.ordered else "")
        if bar.sign == "stopped" and where.lean <= 0:
            self.line((high, high), (y - 0.13, y + 0.13), INK, linewidth=2.4)
        leftwards = low - AXIS > self.right - high
        self.text(low - 0.1 if leftwards else high + 0.1, y, said, 8.5, SOFT, ha="right" if leftwards else "left")

    def _sign(self, mark: Mark, x: float, y: float, color: str = "") -> None:
        """A sign: hollow with an arrow where only the side is known, on a line where it was in between."""
        marker, fill, ink, _ = SIGNS[mark.sign]
        ink, where = color or ink, mark.where
        if where and where.lean:
            self._arrow(x, y, where.lean, ink)
            fill = "none" if fill == "full" else fill
        elif where and self._wide(mark):
            self.line((self.x(where.low), self.x(where.high)), (y, y), ink)
        style: dict[str, Any] = {"marker": marker, "markersize": 9 if marker == "|" else 7.5, "color": ink, "zorder": 6}
        if fill == "none":
            style |= {"markerfacecolor": "white", "markeredgewidth": 1.3}
        elif fill == "left" or marker == "|":
            style |= {"fillstyle": fill, "markerfacecoloralt": "white", "markeredgewidth": 1.3}
        else:
            style |= {"markeredgecolor": "white", "markeredgewidth": 0.7}
        self._add(Line2D([x], [y], linestyle="none", **style), mark)

    def _legend(self, y: float) -> None:
        for index, (draw, said) in enumerate(self.key):
            x, at = EDGE + 0.15 + index % 4 * 3.1, y + index // 4 * 0.24
            draw(x, at)
            self.text(x + 0.3, at, said, 8.5, SOFT)
        y += 0.24 * ((len(self.key) + 3) // 4)
        for index, note in enumerate(self.content.notes):
            self.text(EDGE, y + index * LINE, note, 8.5, SOFT)

    def _key(self) -> Iterator[tuple[Callable[[float, float], None], str]]:
        """How to draw each sign that occurs, and what it means."""
        ordered, bars = self.content.ordered, [bar for bar in self.bars if bar.where]

        def box(*style: Any, **more: Any) -> Callable[[float, float], None]:
            return lambda x, y: self.box(x - 0.15, y - 0.06, 0.3, 0.12, *style, **more)

        def sign(word: str) -> Callable[[float, float], None]:
            return lambda x, y: self._sign(Mark("", word, None, ""), x, y)

        for kind, (color, pale) in KINDS.items():
            if any(bar.series == kind for bar in self.bars):
                yield box(color), kind
            if ordered and any(bar.series == kind and not self._measured(bar) for bar in bars):
                yield box(pale, edgecolor=color), f"{kind}, length not stated"
        if any(bar.where.lean for bar in bars if bar.where):
            yield box(edgecolor=INK, linestyle="--"), "start or end not stated exactly"
        if any(bar.sign == "stopped" for bar in bars):
            yield (lambda x, y: self.line((x, x), (y - 0.1, y + 0.1), INK, linewidth=2.4)), "stopped"
        words = {mark.sign for mark in self.marks}
        yield from ((sign(word), said) for word, (*_, said) in SIGNS.items() if word in words and said)
        if any(mark.where.lean for mark in self.marks if mark.where):
            yield (lambda x, y: self._arrow(x - 0.14, y, 1, INK)), "after or before this, not stated how far"
        if any(self._wide(mark) for mark in self.marks):
            yield (lambda x, y: self.line((x - 0.15, x + 0.15), (y, y), INK)), "at some time along the line"
        if any(row.about for row in self.rows) or (self.content.panels and bars):
            yield box(SHADE), "extent of a course"

    # places

    def x(self, at: float) -> float:
        """The inches of a place on the axis."""
        low, high = self.content.extent
        return AXIS + (at - low) / (high - low) * (self.right - AXIS)

    def _middle(self, where: Where) -> float:
        return self.x(where.low if where.lean > 0 else where.high if where.lean < 0 else (where.low + where.high) / 2)

    def _placed(self, marks: Sequence[Mark]) -> Iterator[tuple[Mark, float]]:
        """The marks and where they go: what has no place stands in the strip, side by side."""
        apart = [index for index, mark in enumerate(marks) if mark.where is None]
        for index, mark in enumerate(marks):
            share = (apart.index(index) + 1) / (len(apart) + 1) if mark.where is None else 0
            yield mark, self._middle(mark.where) if mark.where else self.right + 0.12 + STRIP * share

    def _wide(self, mark: Mark) -> bool:
        where = mark.where
        return where is not None and not where.lean and self.x(where.high) - self.x(where.low) > 0.16

    def _measured(self, bar: Mark) -> bool:
        return bar.known or not self.content.ordered

    def _aside(self, row: Row) -> list[str]:
        return [line for said in row.aside for line in _wrapped(said, ASIDE_CHARS)]

    def _height(self, row: Row) -> float:
        lines = sum(len(_wrapped(label, LEFT_CHARS)) for label in row.label)
        return max(lines, len(self._aside(row)), 2 if any(mark.text for mark in row.marks) else 1) * LINE + PAD

    # primitives

    def _heading(self, y: float, said: str) -> None:
        self.text(EDGE, y + 0.19, said, 10.5, "#00446b", weight="bold")

    def text(self, x: float, y: float, said: str, size: float = 9, color: str = INK, **more: Any) -> None:
        """A line of text as it is, with no markup in it."""
        if said:
            look: Any = {"fontsize": size, "color": color, "va": "center", "parse_math": False, "zorder": 7} | more
            self.axes.text(x, y, said, **look)

    def tick(self, x: float, y: float, said: str, ha: str) -> None:
        """What is written at a place of an axis: the only numbers that the case need not state."""
        self.ticks += 1
        self.text(x, y, said, 8.5, SOFT, ha=ha, gid=f"tick-{self.ticks}")

    def line(self, x: Iterable[float], y: Iterable[float], color: str, **style: Any) -> None:
        """A line through the points."""
        self._add(Line2D([*x], [*y], color=color, **({"linewidth": 1, "zorder": 2} | style)))

    def box(self, x: float, y: float, width: float, height: float, fill: str = "none", **style: Any) -> None:
        """A rectangle, filled or with an edge."""
        item = style.pop("item", None)
        look: Any = {"edgecolor": "none", "linewidth": 1.1, "zorder": 3} | style
        self._add(Rectangle((x, y), width, height, facecolor=fill, **look), item)

    def _band(self, where: Where, top: float, bottom: float) -> None:
        left = AXIS if where.lean < 0 else self.x(where.low)
        right = self.right if where.lean > 0 else self.x(where.high)
        self.box(left, top, right - left, bottom - top, SHADE, zorder=BACK)

    def _arrow(self, x: float, y: float, side: int, color: str) -> None:
        arrow = {"arrowstyle": "->", "color": color, "lw": 1, "shrinkA": 0, "shrinkB": 0}
        self.axes.annotate("", (x + side * 0.28, y), (x, y), arrowprops=arrow)

    def _add(self, artist: Artist, item: Mark | None = None) -> None:
        if item is not None and item.key:
            artist.set_gid(f"item-{item.key}")
            self.words[f"item-{item.key}"] = item.words
        artist.set_clip_on(False)
        self.axes.add_artist(artist)

    def _accessible(self, svg: str) -> str:
        """The document without a DTD, with a title, all of it in words, and a title of each item."""
        told = [mark.words for _, marks in self.content.panels for mark in marks]
        told += ["; ".join((*row.label, *row.aside)) for row in self.rows]
        told = [f"Axis: {self.content.axis}", *told] if told else [NOTHING]
        words = escape(". ".join(filter(None, [self.content.about, *told])))
        head = f'<title id="timeline-title">{escape(self.content.title)}</title><desc id="timeline-desc">{words}</desc>'
        start, _, rest = re.sub(r"<!DOCTYPE[^>]*>\s*", "", svg).partition("<svg ")
        attributes, _, body = rest.partition(">")
        body = re.sub(r'<g id="(item-[a-z0-9-]+)">', lambda m: f"{m[0]}<title>{escape(self.words[m[1]])}</title>", body)
        return f'{start}<svg role="img" aria-labelledby="timeline-title timeline-desc" {attributes}>\n{head}{body}'


#: A number at its point: on white, and behind the points of others.
_NUMBER: dict[str, Any] = {
    "weight": "bold",
    "zorder": 5,
    "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 0.5},
}


def _wrapped(said: str, width: int) -> list[str]:
    """The lines of a text; what is longer than six is cut, and stands whole in the item's title."""
    return wrap(" ".join(said.split()), width, max_lines=6, placeholder=" ...") or [""]
