"""Takes the picture of a report for the documentation.

    python -m tools.report_picture out/report.html docs/report.png --height=1300

Needs Chromium and its driver (`make browser`), and selenium (extra `dev`).
"""

import argparse
import pathlib
import shutil
import tempfile
import time

QUIET = (
    "--headless=new",
    "--no-sandbox",
    "--hide-scrollbars",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", type=pathlib.Path)
    parser.add_argument("picture", type=pathlib.Path)
    parser.add_argument("--width", type=int, default=1100)
    parser.add_argument("--height", type=int, default=0, help="0 for the whole page")
    given = parser.parse_args(argv)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    with tempfile.TemporaryDirectory() as profile:
        for argument in (*QUIET, f"--user-data-dir={profile}"):
            options.add_argument(argument)
        service = Service(shutil.which("chromedriver"))
        driver = webdriver.Chrome(options=options, service=service)
        try:
            driver.set_window_size(given.width, 900)
            driver.get(given.report.resolve().as_uri())
            time.sleep(2)  # until charts are drawn
            whole = "return document.documentElement.scrollHeight"
            size = {
                "width": given.width,
                "height": given.height or driver.execute_script(whole),
                "deviceScaleFactor": 1,
                "mobile": False,
            }
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            time.sleep(1)
            driver.save_screenshot(str(given.picture))
        finally:
            driver.quit()
    print(f"{given.picture}: {given.picture.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
