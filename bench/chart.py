"""Draws the chart of the README from the table in docs/benchmark.md: `python -m bench.chart`."""

import re
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs/benchmark.md"
CHART = ROOT / "docs/images/benchmark.svg"
SCENARIO = "50 sessions"
WIDTH, LABELS, ROW, TOP = 800, 350, 30, 56

STYLE = """
  text { font: 14px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600 }
  .note { font-size: 12px; fill: #59636e }
  .bar { fill: #afb8c1 }
  .ours { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .note { fill: #9198a1 } .bar { fill: #59636e } .ours { fill: #4493f8 }
  }
"""


def measured(markdown: str, scenario: str = SCENARIO) -> list[tuple[str, bool, float]]:
    """The servers of a scenario on PostgreSQL: name, whether responses are validated, CPU ms of server and PostgreSQL."""
    rows, current = [], ""
    for line in re.findall(r"^\| .* \|$", markdown, re.MULTILINE):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        current = cells[0] or current
        if current == scenario and "+" in cells[6]:
            rows.append((cells[1].strip("*"), cells[2] == "yes", sum(map(float, cells[6].split(" + ")))))
    return sorted(rows, key=lambda row: row[2])


def chart(rows: list[tuple[str, bool, float]]) -> str:
    """A bar for each server, as SVG."""
    longest = max(value for _, _, value in rows)
    bars = []
    for number, (name, validates, value) in enumerate(rows):
        y = TOP + number * ROW
        length = (WIDTH - LABELS - 60) * value / longest
        kind = "bar ours" if name == "sessions-api" else "bar"
        label = escape(name) + (" ✓" if validates else "")
        bars.append(
            f'  <text x="{LABELS - 10}" y="{y + 15}" text-anchor="end">{label}</text>\n'
            f'  <rect class="{kind}" x="{LABELS}" y="{y}" width="{length:.0f}" height="20" rx="3"/>\n'
            f'  <text x="{LABELS + length + 8:.0f}" y="{y + 15}">{value:.2f}</text>'
        )
    height = TOP + len(rows) * ROW + 8
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"',
            f'     aria-label="CPU time per request of {SCENARIO}">',
            f"<style>{STYLE}</style>",
            f'  <text class="title" x="0" y="18">CPU ms per request, {SCENARIO}, server + PostgreSQL</text>',
            '  <text class="note" x="0" y="38">less is better; ✓ validates every response against the contract</text>',
            *bars,
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    CHART.parent.mkdir(exist_ok=True)
    CHART.write_text(chart(measured(TABLE.read_text(encoding="utf-8"))), encoding="utf-8")
