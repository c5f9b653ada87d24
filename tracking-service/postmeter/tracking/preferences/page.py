"""The preferences page: a form that works without script and without cookies (WCAG AA)."""

from __future__ import annotations

from html import escape

from postmeter.shared.links import hits
from postmeter.shared.links.hits import Page
from postmeter.shared.privacy.levels import Choice, Choices
from postmeter.tracking.preferences.texts import TEXTS, Texts

_HTML = """<!doctype html><html lang="{language}"><head><meta charset="utf-8"><meta name="robots" content="noindex">
<meta name="viewport" content="width=device-width"><title>{title}</title><style>
:root{{color-scheme:light dark;background:Canvas;color:CanvasText}}
a{{color:inherit}}
body{{font:1rem/1.5 sans-serif;max-width:34rem;margin:2rem auto;padding:0 1rem}}
fieldset{{margin:1.5rem 0;padding:.75rem 1rem;border:1px solid;border-radius:.5rem}}
legend{{font-weight:bold;padding:0 .25rem}}
label{{display:block;padding:.5rem 0}}
input{{width:1.25rem;height:1.25rem;vertical-align:text-bottom;margin:0 .5rem 0 0}}
button{{font:inherit;min-height:2.75rem;padding:.5rem 1.5rem}}
nav ul{{list-style:none;display:flex;flex-wrap:wrap;gap:1rem;margin:2rem 0 0;padding:0}}
nav a{{display:inline-block;padding:.5rem 0}}
[role]{{border:2px solid;border-radius:.5rem;padding:.75rem 1rem}}
</style></head><body><main><h1>{title}</h1>{content}</main>{languages}</body></html>
"""
_CURRENT = ' aria-current="page"'


def asking(language: str, now: Choices, *, said: str = "", status: int = 200) -> Page:
    """The form. now: what is chosen already; what is not known is not chosen here either. said: HTML of ours, above."""
    texts = TEXTS[language]
    content = (
        f"{said}<p>{_text(texts.intro)}</p><p>{_text(texts.before)}</p>"
        f'<form method="post">{_question(texts, "opens", texts.opens, texts.opens_hint, now.opens)}'
        f"{_question(texts, 'clicks', texts.clicks, texts.clicks_hint, now.clicks)}"
        f"<button>{_text(texts.save)}</button></form>"
    )
    return _page(status, language, texts.title, content, forms=True)


def saved(language: str, chosen: Choices, now: Choices) -> Page:
    """What was saved just now, and the form. chosen: UNKNOWN of what was not."""
    texts = TEXTS[language]
    outcome = {Choice.GRANTED: texts.allowed, Choice.DENIED: texts.refused}
    lines = [
        f"{texts.opens}: {outcome[chosen.opens]}." if chosen.opens else "",
        f"{texts.clicks}: {outcome[chosen.clicks]}." if chosen.clicks else "",
    ]
    told = "<br>".join(_text(line) for line in (texts.saved, *filter(None, lines), texts.forgotten))
    return asking(language, now, said=f'<p role="status">{told}</p>')


def nothing_chosen(language: str, now: Choices) -> Page:
    """The form was sent without a choice."""
    said = f'<p role="alert">{_text(TEXTS[language].nothing)}</p>'
    return asking(language, now, said=said, status=400)


def broken(language: str) -> Page:
    """The link is not one of ours."""
    texts = TEXTS[language]
    return _page(404, language, texts.broken, f"<p>{_text(texts.broken_hint)}</p>", forms=False)


def _question(texts: Texts, name: str, title: str, hint: str, now: Choice) -> str:
    options = ((Choice.GRANTED, texts.allow), (Choice.DENIED, texts.refuse))
    inputs = "".join(
        f'<label><input type="radio" name="{name}" value="{choice.text}"{" checked" if choice is now else ""}>'
        f"{_text(words)}</label>"
        for choice, words in options
    )
    return (
        f'<fieldset aria-describedby="{name}-hint"><legend>{_text(title)}</legend>'
        f'<p id="{name}-hint">{_text(hint)}</p>{inputs}</fieldset>'
    )


def _page(status: int, language: str, title: str, content: str, *, forms: bool) -> Page:
    links = "".join(
        f'<li><a href="?lang={code}" lang="{code}" hreflang="{code}"{_CURRENT if code == language else ""}>'
        f"{_text(texts.name)}</a></li>"
        for code, texts in TEXTS.items()
    )
    languages = f'<nav aria-label="{escape(TEXTS[language].languages)}"><ul>{links}</ul></nav>'
    html = _HTML.format(language=language, title=_text(title), content=content, languages=languages)
    headers = {**hits.page_headers(forms=forms), "Content-Language": language}
    return Page(status, headers, html.encode())


def _text(text: str) -> str:
    return escape(text, quote=False)
