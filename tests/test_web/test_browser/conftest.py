"""A browser without a window, and the page in it.

``MMPS_SCREENSHOTS=FOLDER pytest tests/test_web/test_browser`` keeps pictures
of the page.
"""

import contextlib
import os
import shutil
import socket
import threading
import time
from pathlib import Path

import pytest
import uvicorn

from mmps.web import create_app

FLAGS = (
    '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic',
    '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--disable-extensions',
    '--disable-dev-shm-usage', '--window-size=1280,900', '--lang=en-GB',
)  # fmt: skip
TAB = '\ue004'  # selenium may not be there


@pytest.fixture(scope='session')
def driver(tmp_path_factory):
    """Debian's Chromium."""
    webdriver = pytest.importorskip('selenium.webdriver')
    browser, driver = shutil.which('chromium'), shutil.which('chromedriver')
    if not (browser and driver):
        pytest.skip("needs Debian's chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in FLAGS:
        options.add_argument(flag)
    profile = tmp_path_factory.mktemp('profile')
    options.add_argument(f'--user-data-dir={profile}')
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
    service = webdriver.ChromeService(executable_path=driver)
    driver = webdriver.Chrome(options, service)
    driver.set_script_timeout(20)
    yield driver
    driver.quit()


@contextlib.contextmanager
def served(world, **options):
    """The address of a server in a thread."""
    app = create_app(world.searcher, world.gallery, **options)
    # Its settings of logs would close the log files of this process.
    config = uvicorn.Config(
        app, log_level='warning', log_config=None, ws='none'
    )
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        port = listener.getsockname()[1]
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield f'http://127.0.0.1:{port}'
        finally:
            server.should_exit = True
            thread.join()


class Page:
    """What a user does and sees."""

    def __init__(self, driver, url: str) -> None:
        self.driver = driver
        self.url = url

    def open(self) -> None:
        self.driver.get(self.url)
        self.wait(lambda: self.text('#gallery-info'))

    def wait(self, condition, seconds: float = 15):
        end = time.monotonic() + seconds
        while not (result := condition()):
            assert time.monotonic() < end, 'it did not come'
            time.sleep(0.03)
        return result

    def all(self, selector: str):
        return self.driver.find_elements('css selector', selector)

    def one(self, selector: str):
        return self.driver.find_element('css selector', selector)

    def text(self, selector: str) -> str:
        return self.one(selector).text

    def js(self, code: str, *args):
        return self.driver.execute_script(code, *args)

    def cdp(self, command: str, **args) -> None:
        self.driver.execute_cdp_cmd(command, args)

    def upload(self, path: Path) -> None:
        self.one('#file').send_keys(str(path))

    def boxes(self):
        return self.all('#stage .box')

    def ids(self) -> list[str]:
        return self.js(
            "return [...document.querySelectorAll('.card')].map(c => "
            'c.dataset.id)'
        )

    def cards(self) -> list[str]:
        """Ids of the answers, once they are there."""
        self.wait(lambda: self.text('#status').endswith('best first.'))
        return self.ids()

    def after(self, action) -> list[str]:
        """Ids of the answers to a search that ``action`` starts."""
        self.js("document.getElementById('status').textContent = ''")
        action()
        return self.cards()

    def cameras(self) -> set[str]:
        spans = self.all('.card-text > span:nth-of-type(1)')
        return {span.text for span in spans}

    def press(self, *keys: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def focused(self):
        return self.driver.switch_to.active_element

    def tab_to(self, selector: str) -> None:
        for _ in range(80):
            if self.js(
                'return document.activeElement.matches(arguments[0])', selector
            ):
                return
            self.press(TAB)
        raise AssertionError(f'Tab does not reach {selector}')

    def pictures_are_there(self, selector: str) -> None:
        self.wait(
            lambda: self.js(
                'const all = [...document.querySelectorAll(arguments[0])];'
                'return all.length && all.every(i => i.naturalWidth > 0)',
                selector,
            )
        )

    def emulate(self, width: int = 0, height: int = 900, dark=False) -> None:
        theme = {'name': 'prefers-color-scheme',
                 'value': 'dark' if dark else 'light'}  # fmt: skip
        still = {'name': 'prefers-reduced-motion', 'value': 'reduce'}
        self.cdp('Emulation.setEmulatedMedia', features=[theme, still])
        self.cdp('Emulation.clearDeviceMetricsOverride')
        if width:
            self.cdp(
                'Emulation.setDeviceMetricsOverride', width=width,
                height=height, deviceScaleFactor=2, mobile=width < 600,
            )  # fmt: skip
        self.cdp('Emulation.setTouchEmulationEnabled', enabled=0 < width < 600)

    def shoot(self, name: str) -> None:
        """Keep a picture of the page if somebody wants to see it."""
        folder = os.environ.get('MMPS_SCREENSHOTS')
        if not folder:
            return
        Path(folder).mkdir(parents=True, exist_ok=True)
        time.sleep(0.4)  # pictures are being fetched
        self.driver.save_screenshot(str(Path(folder) / f'{name}.png'))

    def complaints(self) -> list[str]:
        return [entry['message'] for entry in self.driver.get_log('browser')]


@pytest.fixture
def visit(driver):
    """A page of a server of its own."""

    @contextlib.contextmanager
    def visit(world, **options):
        with served(world, **options) as url:
            page = Page(driver, url)
            page.emulate()
            yield page

    return visit


@pytest.fixture(scope='session')
def url(world):
    with served(world) as url:
        yield url


@pytest.fixture
def page(driver, url):
    """The page, just loaded; it must not complain in the console."""
    page = Page(driver, url)
    page.emulate()
    page.complaints()
    page.open()
    yield page
    assert page.complaints() == []
    names = page.js(
        "return performance.getEntriesByType('resource').map(e => e.name)"
    )
    assert all(name.startswith((url, f'blob:{url}')) for name in names)
    assert names


@pytest.fixture(scope='session')
def file(tmp_path_factory, picture) -> Path:
    path = tmp_path_factory.mktemp('upload') / 'street.jpg'
    path.write_bytes(picture)
    return path


@pytest.fixture
def searched(page, file):
    """The page after a click on the second of three people."""
    page.upload(file)
    page.wait(lambda: len(page.boxes()) == 3)
    page.pictures_are_there('#picture')
    page.boxes()[1].click()
    page.cards()
    return page
