"""The page in a real browser: no error, no outside request, tables sort, filters filter, the slider moves."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from vocctl.plots.report_page import format_cell

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--force-device-scale-factor=1",
)  # fmt: skip


def test_format_cell() -> None:
    assert [format_cell(value) for value in (None, 3, 2.25, "dog")] == ["-", "3", "2.2", "dog"]


@pytest.fixture(scope="module")
def page(trained_once, attacked, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both runs, one of them attacked."""
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
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", reduced)  # a click finds its target where it was
        driver.get(page.as_uri())
        yield driver
    finally:
        driver.quit()


def column(browser, table, place: int) -> list[str]:
    return browser.execute_script(
        "return [...arguments[0].tBodies[0].rows].map(row => row.cells[arguments[1]].textContent)", table, place
    )


def visible(browser) -> list:
    return [card for card in browser.find_elements("css selector", ".cards li") if card.is_displayed()]


def test_no_error_and_no_outside_request(browser, page: Path) -> None:
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    said = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requests = [one["params"] for one in said if one["method"] == "Network.requestWillBeSent"]
    asked = [one["request"]["url"] for one in requests if one["documentURL"].startswith(page.as_uri())]
    assert page.as_uri() in asked
    assert [url for url in asked if not url.startswith(("data:", page.as_uri()))] == []
    sizes = browser.execute_script(
        "return [...document.images].filter(i => i.src).map(i => i.complete && i.naturalWidth)"
    )
    assert sizes
    assert all(size > 0 for size in sizes)


def test_nothing_is_wider_than_the_page(browser) -> None:
    width, scrolled = browser.execute_script("return [innerWidth, document.documentElement.scrollWidth]")
    assert scrolled <= width


def test_a_table_sorts_both_ways_and_by_keyboard(browser) -> None:
    table = browser.find_element("css selector", "#run-1 table.sortable")
    heads = table.find_elements("css selector", "th button")
    place = [head.text.strip() for head in heads].index("IoU, %")
    before = column(browser, table, place)
    numbers = sorted((float(value) for value in before if value != "-"), reverse=True)
    heads[place].click()
    undefined = ["-"] * before.count("-")
    assert column(browser, table, place) == [f"{value:.1f}" for value in numbers] + undefined
    heads[place].send_keys("\ue007")  # Enter
    assert column(browser, table, place) == [f"{value:.1f}" for value in numbers[::-1]] + undefined
    assert table.find_elements("css selector", "th")[place].get_attribute("aria-sort") == "ascending"
    heads[0].click()
    names = column(browser, table, 0)
    assert names == sorted(names)


def choose(browser, name: str, value: str) -> None:
    browser.execute_script(
        "const s = document.querySelector(`select[name=${arguments[0]}]`); s.value = arguments[1];"
        "s.dispatchEvent(new Event('change', {bubbles: true}))", name, value,
    )  # fmt: skip


def test_filters(browser) -> None:
    every = browser.find_elements("css selector", ".cards li")
    assert len(every) == len(visible(browser)) == 8 + 2 + 8
    choose(browser, "kind", "adversarial")
    assert [card.get_attribute("data-kind") for card in visible(browser)] == ["adversarial"] * 2
    choose(browser, "kind", "")
    for name in ("classes", "errors"):
        value = every[0].get_attribute(f"data-{name}").split("|")[0]
        choose(browser, name, value)
        expected = [card for card in every if value in card.get_attribute(f"data-{name}").split("|")]
        assert visible(browser) == expected
        choose(browser, name, "")
    choose(browser, "run", "cls")
    assert len(visible(browser)) == 8
    assert browser.find_element("css selector", ".filters output").text == "8 of 18"
    browser.find_element("css selector", ".filters button[type=reset]").click()
    browser.execute_async_script("setTimeout(arguments[0], 50)")
    assert len(visible(browser)) == 18


def test_the_slider_moves_and_arrows_turn_over(browser) -> None:
    card = browser.find_elements("css selector", ".cards li button")[0]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", card)
    card.send_keys("\ue007")
    viewer = browser.find_element("css selector", "#viewer")
    assert viewer.is_displayed()
    top, slider = (viewer.find_element("css selector", chosen) for chosen in (".top", "input[type=range]"))
    clip = lambda: browser.execute_script("return getComputedStyle(arguments[0]).clipPath", top)  # noqa: E731
    half = clip()
    slider.send_keys("\ue011")  # Home
    assert slider.get_attribute("value") == "0"
    none = clip()
    slider.send_keys("\ue010")  # End
    assert slider.get_attribute("value") == "100"
    assert len({half, none, clip()}) == 3
    first = top.get_attribute("src")
    viewer.find_elements("css selector", ".choices button")[1].click()
    assert top.get_attribute("src") != first
    place = viewer.find_element("css selector", ".position")
    assert place.text == "1 of 18"
    viewer.find_element("css selector", ".next").click()
    assert place.text == "2 of 18"
    viewer.find_element("css selector", ".next").send_keys("\ue012")  # left arrow
    assert place.text == "1 of 18"
    viewer.find_element("css selector", ".close").send_keys("\ue00c")  # Escape
    assert not viewer.is_displayed()
