"""Tests of the page: light and dark, narrow and wide, names of controls."""

import pytest

pytestmark = pytest.mark.slow

pytest.importorskip('selenium')

from selenium.webdriver.common.keys import Keys  # noqa: E402

CONTRAST = """
const parse = (text) => text.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
  .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const behind = (node) => {
  for (let n = node; n; n = n.parentElement) {
    const colour = parse(getComputedStyle(n).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour;
  }
  return [255, 255, 255];
};
const bad = [];
let seen = 0;
for (const node of document.querySelectorAll('body *')) {
  const own = [...node.childNodes].some((child) => child.nodeType === 3
    && child.textContent.trim());
  const field = node.matches('input, select');
  if (!(own || field) || !node.checkVisibility() || node.disabled) continue;
  seen += 1;
  const [a, b] = [parse(getComputedStyle(node).color), behind(node)]
    .map(light).sort((x, y) => y - x);
  const ratio = (a + 0.05) / (b + 0.05);
  if (ratio < 4.5) bad.push(`${node.outerHTML.slice(0, 80)}: ${ratio}`);
}
return [seen, bad];
"""


@pytest.mark.parametrize('dark', [False, True], ids=['light', 'dark'])
@pytest.mark.parametrize('width', [360, 1280])
def test_themes_and_widths(searched, dark, width):
    page = searched
    page.emulate(width, 844, dark)
    page.all('.pick input')[0].click()
    if not page.one('#filters').get_attribute('open'):
        page.one('summary').click()
    seen, bad = page.js(CONTRAST)
    assert seen > 60
    assert bad == []
    background = page.js('return getComputedStyle(document.body).background')
    assert ('rgb(17, 21, 27)' in background) is dark
    # Nothing has to be scrolled sideways.
    assert page.js('return document.scrollingElement.scrollWidth') <= width
    columns = page.js(
        "return getComputedStyle(document.querySelector('main'))"
        '.gridTemplateColumns'
    )
    assert len(columns.split()) == (1 if width < 900 else 2)
    page.shoot(f'{width}-{"dark" if dark else "light"}')
    page.one('.shot').click()
    page.pictures_are_there('#detail-picture')
    _, bad = page.js(CONTRAST)
    assert bad == []
    assert page.js('return document.scrollingElement.scrollWidth') <= width
    page.shoot(f'{width}-{"dark" if dark else "light"}-detail')
    page.press(Keys.ESCAPE)
    page.js('scrollTo(0, 0)')
    page.shoot(f'{width}-{"dark" if dark else "light"}-top')


def test_everything_has_a_name(searched):
    page = searched
    page.one('.options summary').click()
    page.one('#choose').click()
    page.wait(lambda: len(page.all('#frame-list li')) == 12)
    assert nameless(page, 80) == []
    page.one('.shot').click()
    assert nameless(page, 5) == []
    ids = page.js("return [...document.querySelectorAll('[id]')].map(n=>n.id)")
    assert len(ids) == len(set(ids))


def nameless(page, least: int) -> list[str]:
    """Controls that a screen reader could only call a button or a field."""
    top = '#detail ' if page.one('#detail').is_displayed() else 'body '
    kinds = 'button', 'input', 'select', 'summary', '[tabindex="0"]', 'img'
    nodes = page.all(', '.join(top + kind for kind in kinds))
    shown = [node for node in nodes if node.is_displayed()]
    assert len(shown) >= least
    return [
        node.get_attribute('outerHTML')
        for node in shown
        if not node.accessible_name and node.get_attribute('alt') != ''
    ]
