"""The report page in headless Chromium; skipped where there is none."""

import base64
import io
import json
import shutil
import time

import numpy as np
import PIL.Image
import pytest
from reports import HOSTILE, sample_report

from keras_basisprune.report import write_report
from keras_basisprune.report.charts import DARK, LIGHT

webdriver = pytest.importorskip("selenium.webdriver")
BROWSER = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="chromium and chromedriver are not installed"
)

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1200,900",
)


def start(folder, javascript=True):
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (*FLAGS, f"--user-data-dir={folder}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if not javascript:
        setting = {"profile.managed_default_content_settings.javascript": 2}
        options.add_experimental_option("prefs", setting)
    service = webdriver.ChromeService(DRIVER)
    return webdriver.Chrome(options=options, service=service)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    driver = start(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture
def show(browser, tmp_path):
    """Writes a report, opens it, and takes care that nothing went wrong in it."""
    emulate(browser)
    browser.get_log("browser")

    def open_report(report=None, **changes):
        report = report or sample_report(**changes)
        (tmp_path / "report.json").write_text(json.dumps(report), encoding="utf-8")
        browser.get(write_report(tmp_path).as_uri())
        for _ in range(200):  # until the library is unpacked
            script = "return document.documentElement.dataset.charts"
            if browser.execute_script(script) == "drawn":
                return report
            time.sleep(0.05)
        raise AssertionError("no charts")

    yield open_report
    assert browser.get_log("browser") == []
    script = "return performance.getEntriesByType('resource').map(e => e.name)"
    assert browser.execute_script(script) == []


def emulate(browser, width=1200, height=900, scheme="light"):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
    )
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    # Two frames, so that the page has heard of it and has drawn.
    browser.execute_async_script(
        "requestAnimationFrame(() => requestAnimationFrame(arguments[0]))"
    )


def traces(browser, chart):
    """What Plotly holds of a chart: `[meta or name, x, y]` of each trace."""
    return browser.execute_script(
        "return document.querySelector(`[data-figure=${arguments[0]}]`).data"
        ".map(trace => [trace.meta || trace.name, trace.x, trace.y])",
        chart,
    )


def count(browser, selector):
    return browser.execute_script(
        "return document.querySelectorAll(arguments[0]).length", selector
    )


def background(browser, selector):
    return browser.execute_script(
        "return getComputedStyle(document.querySelector(arguments[0]))"
        ".backgroundColor.match(/\\d+/g).map(Number)",
        selector,
    )


def rgb(color):
    return [int(color[i : i + 2], 16) for i in (1, 3, 5)]


def screenshot(browser):
    shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    return base64.b64decode(shot["data"])


def test_charts_are_drawn(show, browser):
    report = show()
    scored = [trial for trial in report["trials"] if trial["score"] is not None]
    points = [
        point
        for meta, x, y in traces(browser, "trade_off")
        if meta == "trials"
        for point in zip(x, y, strict=True)
    ]
    assert len(points) == len(scored)
    expected = sorted([100 * trial["kept"], 100 * trial["score"]] for trial in scored)
    np.testing.assert_allclose(sorted(points), expected)
    # The symbols on the screen: one per trial, and the ring of the chosen one.
    assert count(browser, "[data-figure=trade_off] path.point") == len(scored) + 1
    keys = ("rank", "channels")
    bars = sum(bool(layer[key]) for layer in report["layers"] for key in keys)
    assert count(browser, "[data-figure=layers] .point path") == 2 * bars
    assert count(browser, "[data-figure=history_1] .trace.scatter") == 2
    label = browser.execute_script(
        "return document.querySelector('[data-figure=layers] .ytick').textContent"
    )
    assert label == HOSTILE


def test_choosing_a_layer_shows_its_spectrum(show, browser):
    report = show()
    select = browser.find_element("id", "spectrum")
    caption = browser.find_element("id", "spectrum-caption")
    for place, spectrum in [(0, report["spectra"][0]), (2, report["spectra"][2])]:
        select.find_elements("tag name", "option")[place].click()
        values, rank = spectrum["singular_values"], spectrum["rank"]
        assert select.get_property("selectedOptions")[0].text == spectrum["name"]
        kept, removed = traces(browser, "spectrum")
        assert (kept[0], removed[0]) == ("kept", "removed")
        np.testing.assert_allclose(kept[2], values[:rank], rtol=1e-3)
        np.testing.assert_allclose(removed[2], values[rank:], rtol=1e-3)
        assert removed[1] == list(range(rank + 1, len(values) + 1))
        assert caption.text.startswith(f"{rank} of {len(values)} kept.")
        assert count(browser, "[data-figure=spectrum] path.point") == len(values)


def test_a_click_opens_the_table_of_a_chart(show, browser):
    report = show()
    details = browser.find_element("css selector", "#layers details.numbers")
    row = details.find_elements("css selector", "tbody tr")[1]
    assert not row.is_displayed()
    details.find_element("tag name", "summary").click()
    layer = report["layers"][1]
    assert row.is_displayed() and row.text.startswith(layer["name"])
    for pair in (layer["rank"], layer["channels"]):
        assert "{} of {}".format(*pair) in row.text


def test_zoom_goes_to_the_budget_and_back(show, browser):
    report = show()
    assert count(browser, "#zoom") == 0
    report["trials"][0]["score"] = 0.2
    show(report)
    ranges = [shown_range(browser)]
    for _ in range(2):
        browser.find_element("id", "zoom").click()
        ranges.append(shown_range(browser))
    assert ranges[0][0] < 20 and ranges[0][1] > 95.1
    np.testing.assert_allclose(ranges[1], [90.1, 96.6])
    np.testing.assert_allclose(ranges[2], ranges[0])


def shown_range(browser):
    return browser.execute_script(
        "return document.querySelector('[data-figure=trade_off]')"
        "._fullLayout.yaxis.range"
    )


def test_fits_a_phone(show, browser):
    report = show(layers=100, trials=40)
    emulate(browser, width=375, height=800)
    for name in ("scrollWidth", "clientWidth"):
        width = browser.execute_script(f"return document.documentElement.{name}")
        assert width == 375
    for details in browser.find_elements("css selector", "details.numbers"):
        browser.execute_script("arguments[0].open = true", details)
    assert browser.execute_script("return document.documentElement.scrollWidth") == 375
    names = traces(browser, "layers")[-1]
    assert len(names[1]) == len(report["layers"])  # above the bars, not beside them
    widths = browser.execute_script(
        "return [...document.querySelectorAll('.chart .main-svg')]"
        ".map(drawing => drawing.getBoundingClientRect().right)"
    )
    assert 0 < min(widths) and max(widths) <= 375


def test_follows_the_dark_mode(show, browser):
    show()
    for scheme, colors in (("light", LIGHT), ("dark", DARK), ("light", LIGHT)):
        emulate(browser, scheme=scheme)
        assert background(browser, "body") == rgb(colors["page"])
        for chart in ("trade_off", "layers", "spectrum", "history_0"):
            shade = background(browser, f"[data-figure={chart}] .main-svg")
            assert shade == rgb(colors["panel"])


def test_prints_in_light_colours(show, browser):
    show()
    emulate(browser, scheme="dark")
    for event, colors in (("beforeprint", LIGHT), ("afterprint", DARK)):
        browser.execute_script(f"dispatchEvent(new Event('{event}'))")
        shade = background(browser, "[data-figure=spectrum] .main-svg")
        assert shade == rgb(colors["panel"])


def colors_of(picture):
    """Maps colors to their shares of a picture."""
    pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    colors, counts = np.unique(pixels, axis=0, return_counts=True)
    return dict(zip(map(tuple, colors.tolist()), counts / len(pixels), strict=True))


def test_screenshot_shows_the_page(show, browser, tmp_path):
    show()
    path, wanted = tmp_path / "report.png", ("page", "panel", "text", "first", "second")
    for _ in range(40):  # on a busy machine, charts are painted later
        path.write_bytes(screenshot(browser))
        with PIL.Image.open(path) as picture:
            assert picture.size == (1200, 900)
            shares = colors_of(picture)
        found = [shares.get(tuple(rgb(LIGHT[name])), 0) for name in wanted]
        if min(found) > 0.0001:
            break
        time.sleep(0.25)
    assert len(shares) > 50
    assert all(0.0001 < share < 0.9 for share in found)


def test_an_empty_report_has_no_charts(show, browser):
    show(trials=0, layers=0, chosen=None, met_budget=False, history={})
    assert count(browser, ".chart") == count(browser, ".main-svg") == 0
    assert "Nothing was removed" in browser.find_element("tag name", "h1").text


def test_without_javascript_the_tables_are_there(tmp_path):
    report = sample_report()
    (tmp_path / "report.json").write_text(json.dumps(report), encoding="utf-8")
    page = write_report(tmp_path)
    driver = start(tmp_path / "profile", javascript=False)
    try:
        driver.get(page.as_uri())
        shown = driver.find_element("tag name", "main").text
        for chart in driver.find_elements("css selector", ".chart, .needs-script"):
            assert not chart.is_displayed()
        picture = PIL.Image.open(io.BytesIO(screenshot(driver)))
    finally:
        driver.quit()
    shown = shown.replace("\xa0", " ")
    assert "92,528,640 9,160,335 90.1 %" in shown
    for layer in report["layers"]:
        assert f"{layer['name']} {layer['kind']}" in shown
        assert "{} of {}".format(*layer["channels"]) in shown
    for trial in report["trials"]:
        if trial["score"] is not None:
            assert f"{100 * trial['score']:.1f} %" in shown
    assert "0.31 0.9 0.925 0.001" in shown
    assert len(picture.getcolors(1 << 20)) > 20
