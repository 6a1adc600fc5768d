"""Tests of drawn boxes, and of pictures dropped and pasted."""

import time

import pytest

pytestmark = pytest.mark.slow

pytest.importorskip('selenium')

from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402


def test_box_drawn_with_keys(page, file, world):
    page.upload(file)
    page.wait(lambda: len(page.boxes()) == 3)
    page.pictures_are_there('#picture')
    page.js("document.getElementById('stage').focus()")
    page.press('b')
    assert 'Arrow keys move the box' in page.text('#source-status')
    start = page.one('.draft').rect
    page.press(*[Keys.ARROW_LEFT] * 3, Keys.ARROW_UP)
    moved = page.one('.draft').rect
    assert moved['x'] < start['x'] - 5
    assert moved['y'] < start['y'] - 2
    assert moved['width'] == pytest.approx(start['width'], abs=1)
    ActionChains(page.driver).key_down(Keys.SHIFT).send_keys(
        Keys.ARROW_RIGHT, Keys.ARROW_DOWN
    ).key_up(Keys.SHIFT).perform()
    sized = page.one('.draft').rect
    assert sized['x'] == pytest.approx(moved['x'], abs=1)
    assert sized['width'] > moved['width'] + 2
    assert sized['height'] > moved['height'] + 2
    page.shoot('draft')
    page.press(Keys.ESCAPE)
    assert not page.all('.draft')
    assert len(page.boxes()) == 3

    # From a person's box; then the search, with the middle person in it.
    page.boxes()[1].send_keys('b')
    calls = world.searcher.model.num_images
    page.press(Keys.ARROW_UP)
    found = page.after(lambda: page.press(Keys.ENTER))
    assert world.searcher.model.num_images == calls + 1
    assert world.who[found[0]] == 1
    assert len(page.boxes()) == 4
    assert page.focused().accessible_name == 'Drawn box'
    page.shoot('drawn')


def drag(page, start, end) -> None:
    """Drag the mouse over the picture; shares of its size."""
    stage = page.one('#stage')
    width, height = stage.size['width'], stage.size['height']
    points = [
        (int((x - 0.5) * width), int((y - 0.5) * height))
        for x, y in (start, end)
    ]
    chain = ActionChains(page.driver, duration=50)
    chain.move_to_element_with_offset(stage, *points[0]).click_and_hold()
    chain.move_to_element_with_offset(stage, *points[1]).release().perform()


def test_box_drawn_with_the_mouse(page, file, world):
    page.upload(file)
    page.wait(lambda: len(page.boxes()) == 3)
    page.pictures_are_there('#picture')
    found = page.after(lambda: drag(page, (0.12, 0.15), (0.26, 0.8)))
    assert world.who[found[0]] == 0
    assert len(page.boxes()) == 4
    # It begins on a person's box and goes the other way; one is kept.
    found = page.after(lambda: drag(page, (0.82, 0.7), (0.75, 0.2)))
    assert world.who[found[0]] == 2
    assert len(page.boxes()) == 4
    drawn = page.boxes()[3].rect
    image = page.one('#picture').rect
    share = (drawn['x'] - image['x']) / image['width']
    assert share == pytest.approx(0.75, abs=0.01)
    drag(page, (0.4, 0.4), (0.43, 0.403))
    assert page.text('#source-status') == 'The box is too small.'
    # A click that shakes is a click.
    drag(page, (0.5, 0.5), (0.502, 0.502))
    page.wait(lambda: page.boxes()[1].get_attribute('aria-pressed') == 'true')


def test_box_drawn_with_a_finger(page, file, world):
    page.emulate(390, 844)
    page.upload(file)
    page.wait(lambda: len(page.boxes()) == 3)
    page.pictures_are_there('#picture')

    def swipe():
        page.js("document.getElementById('stage').scrollIntoView()")
        at = page.js(
            "const r = document.getElementById('stage')"
            '.getBoundingClientRect(); return [r.x, r.y, r.width, r.height]'
        )
        for kind, x, y in (
            ('touchStart', 0.43, 0.2), ('touchMove', 0.5, 0.5),
            ('touchMove', 0.57, 0.75), ('touchEnd', 0, 0),
        ):  # fmt: skip
            points = [{'x': at[0] + x * at[2], 'y': at[1] + y * at[3]}]
            page.cdp(
                'Input.dispatchTouchEvent', type=kind,
                touchPoints=[] if kind == 'touchEnd' else points,
            )  # fmt: skip

    swipe()  # this scrolls
    time.sleep(0.5)  # a tap while it rolls on would only stop it
    assert len(page.boxes()) == 3
    page.js("document.getElementById('draw').scrollIntoView()")
    page.one('#draw').click()
    assert page.one('#draw').get_attribute('aria-pressed') == 'true'
    found = page.after(swipe)
    assert world.who[found[0]] == 1
    assert len(page.boxes()) == 4
    assert page.one('#draw').get_attribute('aria-pressed') == 'false'


@pytest.mark.parametrize('way', ['drop', 'paste'])
def test_drop_and_paste(page, way):
    page.js(
        """
        const [way] = arguments;
        fetch('/static/icon.svg');
        const canvas = document.createElement('canvas');
        canvas.width = 300; canvas.height = 200;
        const context = canvas.getContext('2d');
        context.fillStyle = '#888'; context.fillRect(0, 0, 300, 200);
        context.fillStyle = '#d22'; context.fillRect(100, 40, 40, 120);
        canvas.toBlob((blob) => {
          const data = new DataTransfer();
          data.items.add(new File([blob], 'a.png', { type: 'image/png' }));
          const options = { bubbles: true, cancelable: true };
          document.body.dispatchEvent(way === 'drop'
            ? new DragEvent('drop', { ...options, dataTransfer: data })
            : new ClipboardEvent('paste', {
              ...options, clipboardData: data }));
        });
        """,
        way,
    )
    page.wait(lambda: len(page.boxes()) == 1)
    assert page.text('#picture-name') == 'a.png'
