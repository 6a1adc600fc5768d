"""Tests of the page's usual path: pictures, people, answers."""

import pytest

pytestmark = pytest.mark.slow

pytest.importorskip('selenium')

from selenium.webdriver.common.keys import Keys  # noqa: E402

TOLD = '3 people found. Choose one.'


def test_upload_click_and_see(page, file, world):
    assert f'{len(world.who)} people' in page.text('#gallery-info')
    # Frames of no camera are no third one.
    assert '30 frames · 2 cameras' in page.text('#gallery-info')
    page.shoot('start')
    page.upload(file)
    page.wait(lambda: len(page.boxes()) == 3)
    page.pictures_are_there('#picture')
    page.wait(lambda: page.text('#source-status') == TOLD)
    for number, box in enumerate(page.boxes()):
        assert f'Person {number + 1} of 3' in box.accessible_name
        found = page.after(box.click)
        assert len(found) == 20
        assert [world.who[row] for row in found[:5]] == [number] * 5
        pressed = [b.get_attribute('aria-pressed') for b in page.boxes()]
        assert pressed.index('true') == number
        assert pressed.count('true') == 1
    figures = [float(node.text) for node in page.all('.figure strong')]
    assert figures == sorted(figures, reverse=True)
    assert figures[0] > 0.9
    page.pictures_are_there('.card:nth-child(-n+4) .shot img')
    assert len(page.all('#looking-list canvas')) == 1
    page.shoot('results')


def test_boxes_lie_on_the_people(page, file):
    page.upload(file)
    page.wait(lambda: len(page.boxes()) == 3)
    page.pictures_are_there('#picture')
    image = page.one('#picture').rect
    for x, box in zip((120, 320, 520), page.boxes()):
        middle = box.rect['x'] + box.rect['width'] / 2 - image['x']
        assert middle / image['width'] == pytest.approx(x / 640, abs=0.01)
        share = box.rect['height'] / image['height']
        assert 150 / 360 - 0.02 < share < 180 / 360 + 0.04


def test_filters(searched):
    page = searched
    hall = page.one('#cameras input[value=hall]')
    page.after(hall.click)
    assert page.cameras() == {'hall'}
    assert page.text('#filters-active') == '1 in use'
    page.after(page.one("#cameras input[value='']").click)
    assert page.cameras() == {'hall', 'unknown camera'}

    time_from = page.one('#after')
    assert time_from.get_attribute('placeholder') == 'h:mm:ss'
    page.after(lambda: time_from.send_keys('0:01:30', Keys.TAB))
    assert page.cameras() == {'hall'}
    times = [span.text for span in page.all('.card-text > .muted')]
    shown = [text for text in times if text.startswith('0:')]
    assert shown
    assert all('0:01:30' <= text < '0:04' for text in shown)
    page.shoot('filters')

    time_from.clear()
    time_from.send_keys('soon', Keys.TAB)
    page.wait(lambda: 'expected a time such as' in page.text('#error'))
    assert time_from.get_attribute('aria-invalid') == 'true'

    page.after(page.one('#reset').click)
    assert page.cameras() == {'entrance', 'hall', 'unknown camera'}
    assert not page.one('#filters-active').is_displayed()
    assert not page.one('#reset').is_displayed()
    assert not page.text('#error')


def test_score_and_number(searched):
    page = searched
    page.after(lambda: page.js(
        "const s = document.getElementById('min-score'); s.value = 0.8;"
        "for (const name of ['input', 'change'])"
        ' s.dispatchEvent(new Event(name, { bubbles: true }))'
    ))  # fmt: skip
    assert page.text('#min-score-text') == '0.80'
    scores = [
        int(span.text.split()[1])
        for span in page.all('.card-text > span:last-child')
    ]
    assert min(scores) >= 80
    page.js("document.getElementById('min-score').value = 0")
    page.one('.options summary').click()
    found = page.after(lambda: page.one('#k').send_keys('50'))
    assert len(found) == 50


def test_open_a_result(searched, world):
    page = searched
    first = page.one('.shot')
    page.pictures_are_there('.card:first-child img')
    first.click()
    dialog = page.one('#detail')
    assert dialog.is_displayed()
    page.pictures_are_there('#detail-picture')
    row = int(page.ids()[0])
    rows, frames = world.gallery.get([row])
    assert page.text('#detail-title') == 'Result 1 of 20'
    assert frames[0].name.rsplit('/')[-1] in page.text('#detail-text')
    picture = page.one('#detail-picture').rect
    mark = page.one('#detail .mark').rect
    scale = picture['width'] / 640
    for value, wanted in zip(
        (mark['x'] - picture['x'], mark['y'] - picture['y']), rows.bboxes[0]
    ):
        assert value == pytest.approx(scale * wanted, abs=2)
    page.shoot('detail')
    # Everything fits: picture, text and buttons.
    assert page.js(
        "const d = document.getElementById('detail');"
        'return d.scrollHeight <= d.clientHeight + 1'
    )
    assert not page.one('#detail-previous').is_enabled()
    page.press(Keys.ARROW_RIGHT)
    assert page.text('#detail-title') == 'Result 2 of 20'
    page.press(Keys.ESCAPE)
    assert not dialog.is_displayed()
    assert page.focused() == first


def test_search_on_from_a_result(searched, world):
    page = searched
    row = page.ids()[2]
    page.all('.shot')[2].click()
    found = page.after(page.one('#detail-search').click)
    assert not page.one('#detail').is_displayed()
    assert world.who[found[0]] == world.who[row]
    assert row not in found

    page.one('.shot').click()
    _, frames = world.gallery.get([int(found[0])])
    page.one('#detail-use').click()
    page.wait(lambda: frames[0].name[-10:] in page.text('#picture-name'))
    people = world.gallery.people_in(frames[0].name)
    page.wait(lambda: len(page.boxes()) == len(people))


def test_more_like_these(searched, world):
    page = searched
    before = page.ids()
    assert not page.one('#selection').is_displayed()
    for number in (1, 3):
        page.all('.pick input')[number].click()
    assert page.text('#selection-text') == '2 selected'
    page.shoot('selection')
    found = page.after(page.one('#more').click)
    assert len(page.all('#looking-list img')) == 2
    page.pictures_are_there('#looking-list img')
    assert not {before[1], before[3]} & set(found)
    assert [world.who[row] for row in found[:3]] == [1] * 3
    assert not page.one('#selection').is_displayed()
    assert page.after(page.one('#back').click) == before
    assert not page.one('#back').is_displayed()

    page.all('.pick input')[0].click()
    page.one('#clear').click()
    assert not page.one('#selection').is_displayed()
    assert not page.all('.card.selected')


def test_choose_a_frame(page, world):
    page.one('#choose').click()
    page.wait(lambda: len(page.all('#frame-list li')) == 12)
    assert page.text('#frames-page') == 'Page 1 of 3'
    assert not page.one('#frames-back').is_enabled()
    page.pictures_are_there('#frame-list li:nth-child(-n+6) img')
    page.shoot('frames')
    page.one('#frames-on').click()
    page.wait(lambda: page.text('#frames-page') == 'Page 2 of 3')
    frame = world.gallery.list_frames(12, 1)[0]
    page.one('#frame-list button').click()
    people = world.gallery.people_in(frame.name)
    page.wait(lambda: len(page.boxes()) == len(people))
    page.pictures_are_there('#picture')
    assert not page.one('#frames').is_displayed()
    page.one('.options summary').click()
    order = people.bboxes[:, 0].argsort()
    for box, place in zip(range(len(order)), order):
        found = page.after(page.boxes()[box].click)
        own = str(people.ids[place])
        assert world.who[found[0]] == world.who[own]
        assert own not in found
        page.after(page.one('#keep-own').click)
        assert page.ids()[0] == own
        page.after(page.one('#keep-own').click)


def test_keyboard_alone(page, world):
    page.tab_to('.skip')
    page.tab_to('#choose')
    page.press(Keys.ENTER)
    page.wait(lambda: len(page.all('#frame-list li')) == 12)
    page.tab_to('#frame-list li:nth-child(2) button')
    page.press(Keys.ENTER)
    frame = world.gallery.list_frames(1, 1)[0]
    people = world.gallery.people_in(frame.name)
    page.wait(lambda: len(page.boxes()) == len(people))
    page.pictures_are_there('#picture')
    page.wait(lambda: page.focused().get_attribute('id') == 'stage')
    page.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
    assert page.focused() == page.boxes()[0]
    page.press(Keys.TAB)
    assert page.focused() == page.boxes()[1]
    found = page.after(lambda: page.press(Keys.ENTER))
    assert page.focused() == page.boxes()[1]
    own = people.ids[people.bboxes[:, 0].argsort()[1]]
    assert world.who[found[0]] == world.who[str(own)]

    page.tab_to('.shot')
    page.press(Keys.ENTER)
    assert page.one('#detail').is_displayed()
    page.press(Keys.ARROW_RIGHT, Keys.ESCAPE)
    assert page.focused() == page.one('.shot')
    page.tab_to('.pick input')
    page.press(Keys.SPACE)
    page.tab_to('.card:nth-child(3) .pick input')
    page.press(Keys.SPACE)
    page.tab_to('#more')
    again = page.after(lambda: page.press(Keys.ENTER))
    assert not {found[0], found[2]} & set(again)
    assert page.focused().get_attribute('id') == 'results'
