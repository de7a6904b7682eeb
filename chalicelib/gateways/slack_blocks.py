"""A notice in Slack's Block Kit, with plain text for where blocks are not shown.

Owners, projects and names come from tags that strangers write: what they could call a channel, hide a link or break a
block with is written out. Moments are shown in each reader's own time zone. Limits: https://docs.slack.dev, "Blocks".
"""

import re
from datetime import UTC, datetime
from typing import Any

from chalicelib.domain.notices import Kind, Notice

HEADER_LIMIT = 150
SECTION_LIMIT = 3000
MOMENT = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d) UTC")
"""How Curfew writes a time for people."""


def to_message(notice: Notice) -> dict[str, Any]:
    """What is posted. Whatever the notice says, Slack can take it: no text is empty or longer than it may be."""
    is_cut = len(_escaped(notice.title)) > HEADER_LIMIT
    own = "\n".join([notice.title, *notice.lines] if is_cut else notice.lines)
    context = [notice.kind.value, f"{notice.at:%Y-%m-%d %H:%M} UTC"]
    context += [f"lease {notice.lease_id}"] if notice.lease_id else []
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _fit(notice.title, HEADER_LIMIT)}},
        *_section(own, is_code=notice.kind is Kind.DIGEST),
        *_links(notice),
    ]
    for part in notice.parts:
        blocks += [{"type": "divider"}, *_section("\n".join([part.title, *part.lines])), *_links(part)]
    blocks.append(
        {
            "type": "context",
            "elements": [_mrkdwn(_fit(" · ".join(context), SECTION_LIMIT, shows_moments=True))],
        }
    )
    return {"text": _plain(notice), "blocks": blocks, "unfurl_links": False, "unfurl_media": False}


def to_text(notice: Notice) -> dict[str, Any]:
    """The same without blocks, within the 40,000 characters of a text, for where Slack can't read the blocks."""
    told = []
    for one in (notice, *notice.parts):
        own = _fit("\n".join([one.title, *one.lines]), SECTION_LIMIT, shows_moments=True)
        told.append("\n".join(filter(None, [own, _shown_links(one)])))
    return {"text": "\n\n".join(told), "unfurl_links": False, "unfurl_media": False}


def _plain(notice: Notice) -> str:
    parts = [part.title for part in notice.parts]
    return _fit("\n".join([notice.title, *parts]), SECTION_LIMIT)


def _section(text: str, *, is_code: bool = False) -> list[dict[str, Any]]:
    if not text.strip():
        return []
    if is_code:  # columns stand below each other
        return [
            {
                "type": "section",
                "text": _mrkdwn(f"```{_fit(text.replace('`', chr(39)), SECTION_LIMIT - 6)}```"),
            }
        ]
    return [{"type": "section", "text": _mrkdwn(_fit(text, SECTION_LIMIT, shows_moments=True))}]


def _links(notice: Notice) -> list[dict[str, Any]]:
    """Plain links: a button would ask this webhook's app for an answer that it can't give."""
    shown = _shown_links(notice)
    return [{"type": "section", "text": _mrkdwn(shown)}] if shown else []


def _shown_links(notice: Notice) -> str:
    return " · ".join(f"<{_escaped(link.url)}|{_escaped(link.label)}>" for link in notice.links)


def _mrkdwn(text: str) -> dict[str, Any]:
    """`verbatim`: nothing in it becomes a link or a mention by itself."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _escaped(text: str) -> str:
    """Slack's three control characters, so that a tag's value can't mention a channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _fit(text: str, limit: int, *, shows_moments: bool = False) -> str:
    """Escaped, its moments as Slack's where asked; cut where it would not fit, never inside an escape or a moment."""
    atoms = _atoms(text) if shows_moments else list(map(_escaped, text))
    if sum(map(len, atoms)) <= limit:
        return "".join(atoms)
    used, kept = 1, []
    for atom in atoms:
        used += len(atom)
        if used > limit:
            break
        kept.append(atom)
    return "".join(kept) + "…"


def _atoms(text: str) -> list[str]:
    """What may not be cut any further."""
    atoms: list[str] = []
    at = 0
    for found in MOMENT.finditer(text):
        shown = _moment(found)
        if shown:
            atoms += [*map(_escaped, text[at : found.start()]), shown]
            at = found.end()
    return [*atoms, *map(_escaped, text[at:])]


def _moment(found: re.Match[str]) -> str | None:
    """`<!date^…>`, which every reader sees in their own time zone; None for what only looks like a time."""
    try:
        at = datetime.strptime(found[1], "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
    except ValueError:
        return None
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time}}|{found[0]}>"
