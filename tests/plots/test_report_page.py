"""The report page in a browser: no errors, no outside requests; tables sort, filters filter, the divider moves."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from vocctl.plots.report_page import TEMPLATES, format_cell

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--force-device-scale-factor=1",
)  # fmt: skip


def test_format_cell() -> None:
    assert [format_cell(value) for value in (None, 3, 2.25, "dog")] == ["-", "3", "2.2", "dog"]


def test_script_and_style_select_what_the_template_has() -> None:
    template, script, style = (
        (TEMPLATES / f"report.{suffix}").read_text(encoding="utf-8") for suffix in ("html.j2", "js", "css")
    )
    names = {name for text in re.findall(r'(?:class|id)="([^"]*)"', template) for name in re.findall(r"[\w-]+", text)}
    selectors = " ".join(re.findall(r"""querySelector(?:All)?\("([^"]+)""", script))
    selectors += " ".join(re.findall(r"(?m)(?:^|})([^{}@]+){", style))
    assert [name for name in re.findall(r"[.#]([A-Za-z][\w-]*)", selectors) if name not in names] == []


@pytest.fixture(scope="module")
def page(trained_once, attacked, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a segmenter that was attacked and a classifier."""
    from vocctl.tasks.report import report

    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(trained_once.seg, folder / "seg")
    attacked(folder / "seg")
    return report([str(folder / "seg"), str(trained_once.cls)], folder / "report.html")


@pytest.fixture(scope="module", params=[1280, 400])
def browser(request: pytest.FixtureRequest, page: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("chromium and its driver are not installed (Debian: chromium, chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium drives the browser, and is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER))
    try:
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": request.param, "height": 900, "deviceScaleFactor": 1, "mobile": request.param < 600},
        )
        reduced = {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
        driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", reduced
        )  # without smooth scrolling, a click hits its target
        driver.get(page.as_uri())
        yield driver
    finally:
        driver.quit()


def column_texts(browser, table, index: int) -> list[str]:
    return browser.execute_script(
        "return [...arguments[0].tBodies[0].rows].map(row => row.cells[arguments[1]].textContent)", table, index
    )


def visible_cards(browser) -> list:
    return [card for card in browser.find_elements("css selector", ".cards li") if card.is_displayed()]


def test_page_has_no_errors_and_no_outside_requests(browser, page: Path) -> None:
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requests = [message["params"] for message in messages if message["method"] == "Network.requestWillBeSent"]
    urls = [request["request"]["url"] for request in requests if request["documentURL"].startswith(page.as_uri())]
    assert page.as_uri() in urls
    assert [url for url in urls if not url.startswith(("data:", page.as_uri()))] == []
    sizes = browser.execute_script(
        "return [...document.images].filter(i => i.src).map(i => i.complete && i.naturalWidth)"
    )
    assert sizes
    assert all(size > 0 for size in sizes)


def test_content_fits_the_page_width(browser) -> None:
    width, content_width = browser.execute_script("return [innerWidth, document.documentElement.scrollWidth]")
    assert content_width <= width


def test_tables_sort_in_both_orders_and_by_keyboard(browser) -> None:
    table = browser.find_element("css selector", "#run-1 table.sortable")
    headers = table.find_elements("css selector", "th button")
    index = [header.text.strip() for header in headers].index("IoU, %")
    unsorted = column_texts(browser, table, index)
    numbers = sorted((float(value) for value in unsorted if value != "-"), reverse=True)
    headers[index].click()
    undefined = ["-"] * unsorted.count("-")
    assert column_texts(browser, table, index) == [f"{value:.1f}" for value in numbers] + undefined
    headers[index].send_keys("\ue007")  # Enter
    assert column_texts(browser, table, index) == [f"{value:.1f}" for value in numbers[::-1]] + undefined
    assert table.find_elements("css selector", "th")[index].get_attribute("aria-sort") == "ascending"
    headers[0].click()
    names = column_texts(browser, table, 0)
    assert names == sorted(names)


def select_filter(browser, name: str, value: str) -> None:
    browser.execute_script(
        "const s = document.querySelector(`select[name=${arguments[0]}]`); s.value = arguments[1];"
        "s.dispatchEvent(new Event('change', {bubbles: true}))", name, value,
    )  # fmt: skip


def test_filters(browser) -> None:
    cards = browser.find_elements("css selector", ".cards li")
    assert len(cards) == len(visible_cards(browser)) == 8 + 2 + 8
    select_filter(browser, "kind", "adversarial")
    assert [card.get_attribute("data-kind") for card in visible_cards(browser)] == ["adversarial"] * 2
    select_filter(browser, "kind", "")
    for name in ("classes", "errors"):
        value = cards[0].get_attribute(f"data-{name}").split("|")[0]
        select_filter(browser, name, value)
        expected = [card for card in cards if value in card.get_attribute(f"data-{name}").split("|")]
        assert visible_cards(browser) == expected
        select_filter(browser, name, "")
    select_filter(browser, "run", "cls")
    assert len(visible_cards(browser)) == 8
    assert browser.find_element("css selector", ".filters output").text == "8 of 18"
    browser.find_element("css selector", ".filters button[type=reset]").click()
    browser.execute_async_script("setTimeout(arguments[0], 50)")
    assert len(visible_cards(browser)) == 18


def test_divider_moves_and_arrow_keys_change_the_image(browser) -> None:
    card = browser.find_elements("css selector", ".cards li button")[0]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", card)
    card.send_keys("\ue007")
    viewer = browser.find_element("css selector", "#viewer")
    assert viewer.is_displayed()
    top_image, slider = (viewer.find_element("css selector", selector) for selector in (".top", "input[type=range]"))
    clip = lambda: browser.execute_script("return getComputedStyle(arguments[0]).clipPath", top_image)  # noqa: E731
    half = clip()
    slider.send_keys("\ue011")  # Home
    assert slider.get_attribute("value") == "0"
    none = clip()
    slider.send_keys("\ue010")  # End
    assert slider.get_attribute("value") == "100"
    assert len({half, none, clip()}) == 3
    first = top_image.get_attribute("src")
    viewer.find_elements("css selector", ".choices button")[1].click()
    assert top_image.get_attribute("src") != first
    position = viewer.find_element("css selector", ".position")
    assert position.text == "1 of 18"
    viewer.find_element("css selector", ".next").click()
    assert position.text == "2 of 18"
    viewer.find_element("css selector", ".next").send_keys("\ue012")  # left arrow
    assert position.text == "1 of 18"
    viewer.find_element("css selector", ".close").send_keys("\ue00c")  # Escape
    assert not viewer.is_displayed()
