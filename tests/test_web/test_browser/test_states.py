"""Tests of the page's states: errors, tokens, empty galleries."""

import pytest

pytestmark = pytest.mark.slow

pytest.importorskip('selenium')

from selenium.webdriver.common.keys import Keys  # noqa: E402

TOKEN = 'correct-horse-battery'


def test_errors_are_told(world, visit, tmp_path, file):
    files = {
        'notes.txt': (b'no picture', 'expected a JPEG, PNG or WebP'),
        'broken.jpg': (file.read_bytes()[:2000], 'is broken'),
        'large.jpg': (bytes(21 * 2**20), 'larger than 20 MB'),
    }
    with visit(world) as page:
        page.open()
        for name, (content, message) in files.items():
            (tmp_path / name).write_bytes(content)
            page.upload(tmp_path / name)
            page.wait(lambda text=message: text in page.text('#error'))
            assert page.one('#error').get_attribute('role') == 'alert'
        page.shoot('error')
        page.upload(file)
        page.wait(lambda: len(page.boxes()) == 3)
        assert not page.text('#error')


def test_busy_server_is_asked_once_more(page, file):
    page.upload(file)
    page.wait(lambda: len(page.boxes()) == 3)
    page.js(
        'const real = window.fetch;'
        'window.asked = 0;'
        'window.fetch = (path, ...rest) => {'
        "  if (!path.endsWith('/search')) return real(path, ...rest);"
        '  window.asked += 1;'
        """  const body = JSON.stringify({ error: 'busy, try again' });"""
        "  const headers = { 'Retry-After': '0.1' };"
        '  return Promise.resolve(new Response(body,'
        '    { status: 503, headers }));'
        '};'
    )
    page.boxes()[0].click()
    page.wait(lambda: page.text('#error') == 'busy, try again.')
    assert page.js('return window.asked') == 2


def test_token(world, visit, file):
    with visit(world, token=TOKEN) as page:
        page.driver.get(page.url)
        page.wait(lambda: page.one('#token').is_displayed())
        page.shoot('token')
        page.one('#token-input').send_keys('wrong', Keys.ENTER)
        page.wait(lambda: 'not the right token' in page.text('#token-text'))
        page.one('#token-input').send_keys(TOKEN, Keys.ENTER)
        page.wait(lambda: page.text('#gallery-info'))
        page.upload(file)
        page.wait(lambda: len(page.boxes()) == 3)
        page.pictures_are_there('#picture')
        page.boxes()[0].click()
        page.cards()
        page.pictures_are_there('.card:first-child img')
        names = page.js(
            "return performance.getEntriesByType('resource').map(e => e.name)"
        )
        assert names
        assert TOKEN not in ' '.join([*names, page.driver.current_url])
        assert page.js('return localStorage.length') == 0
        page.driver.refresh()
        page.wait(lambda: page.text('#gallery-info'))
        assert not page.one('#token').is_displayed()


def test_empty_gallery(visit, painted):
    with visit(painted(0)) as page:
        page.open()
        page.wait(lambda: 'The gallery is empty' in page.text('#status'))
        assert not page.one('#choose').is_enabled()
        assert not page.one('#filters').is_displayed()
        page.shoot('empty')


def test_nobody(visit, painted, file):
    world = painted(3, threshold=0.999999)
    with visit(world) as page:
        page.open()
        page.upload(file)
        page.wait(lambda: len(page.boxes()) == 3)
        page.pictures_are_there('#picture')
        page.boxes()[0].click()
        page.wait(lambda: page.one('#nobody').is_displayed())
        assert 'does not seem to be in the gallery' in page.text('#nobody')
        assert page.ids() == []
        page.shoot('nobody')
        found = page.after(page.one('#anyway').click)
        assert len(found) == len(world.who)
        assert not page.one('#nobody').is_displayed()
        assert len(page.all('.card.unsure')) == len(found)
        assert 'below the threshold' in page.text('.card')


def test_dates(visit, painted, file):
    start = 1_700_000_000.0
    world = painted(9, unix=start)
    with visit(world) as page:
        page.open()
        page.wait(
            lambda: (
                page.one('#after').get_attribute('type') == 'datetime-local'
            )
        )
        page.upload(file)
        page.wait(lambda: len(page.boxes()) == 3)
        page.boxes()[0].click()
        page.cards()
        assert '2023' in page.text('#grid')
        # Of 9 frames at 7.5 s, those from the fourth on.
        page.after(lambda: page.js(
            "const i = document.getElementById('after');"
            'const d = new Date((arguments[0] - new Date(arguments[0] * 1000)'
            '.getTimezoneOffset() * 60) * 1000);'
            'i.value = d.toISOString().slice(0, 19);'
            "i.dispatchEvent(new Event('change', { bubbles: true }))",
            start + 22,
        ))  # fmt: skip
        rows, frames = world.gallery.get([int(row) for row in page.ids()])
        assert len(rows)
        assert min(f.time for f in frames) == start + 22.5


def test_names_are_only_text(visit, painted):
    from mmps.gallery import Frame

    evil = '<img src=x onerror="document.title=1">'
    world = painted(3)
    for frame in world.gallery.list_frames():
        rows = world.gallery.people_in(frame.name, embeddings=True)
        name = f'{evil}{frame.index}{frame.camera}.jpg'
        frame = Frame(name, frame.source, -1, evil, 1.0, 640, 360)
        world.gallery.add([frame], rows)
    with visit(world) as page:
        page.open()
        page.one('#choose').click()
        page.wait(lambda: page.all('#frame-list li'))
        assert evil in page.text('#frame-list')
        page.one('#frame-list button').click()
        page.wait(page.boxes)
        page.boxes()[0].click()
        page.cards()
        assert evil in page.text('#grid')
        assert page.driver.title == 'Person search'
        assert not page.all('img[src=x]')
