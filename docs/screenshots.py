"""The pictures of the README and the documentation, taken anew from the sample reports: `make screenshots`.

Needs chromium and chromedriver.
"""

from __future__ import annotations

import base64
import csv
import json
import shutil
import tempfile
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

HERE = Path(__file__).parents[1]
IMAGES = HERE / "docs" / "images"
REPORT = HERE / "sample_reports" / "shapes"
PLANTED = HERE / "sample_reports" / "shapes-planted.csv"
WIDTH, HEIGHT = 1400, 1000
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-prefers-reduced-motion")


def browser(profile: str) -> webdriver.Chrome:
    """A window of fixed size, so that two takes differ only where the page does."""
    options = webdriver.ChromeOptions()
    names = ("chromium", "chromium-browser", "google-chrome")
    options.binary_location = next(filter(None, map(shutil.which, names)), "")
    for flag in (*FLAGS, f"--window-size={WIDTH},{HEIGHT}", f"--user-data-dir={profile}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    return driver


def shoot(driver: webdriver.Chrome, name: str) -> None:
    """What the window shows."""
    taken = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    (IMAGES / name).write_bytes(base64.b64decode(taken["data"]))


def doubtful(driver: webdriver.Chrome) -> WebElement:
    """The first picture of the contact sheet whose label was planted wrong and that is named for it, else the first."""
    tiles = driver.find_elements(By.CSS_SELECTOR, "#tiles .pic[data-row]")
    with PLANTED.open(encoding="utf-8", newline="") as file:
        wrong = {row["id"] for row in csv.DictReader(file) if row["kind"] == "wrong label"}
    findings = json.loads((REPORT / "findings.json").read_text(encoding="utf-8"))["findings"]
    named = [finding["samples"][0] for finding in findings if finding["rule"] == "CA201"]
    rows = {str(sample["index"]) for sample in named if sample["id"] in wrong}
    return next((tile for tile in tiles if tile.get_attribute("data-row") in rows), tiles[0])


def main() -> None:
    with tempfile.TemporaryDirectory() as profile:
        driver = browser(profile)
        try:
            driver.get((REPORT / "index.html").as_uri())
            ready = "return document.documentElement.dataset.ready === 'yes'"
            WebDriverWait(driver, 20).until(lambda _: driver.execute_script(ready))
            shoot(driver, "report.png")
            driver.execute_script("arguments[0].focus()", doubtful(driver))
            ActionChains(driver).send_keys(Keys.ENTER).perform()
            WebDriverWait(driver, 20).until(
                lambda _: driver.execute_script("return !!document.querySelector('dialog[open]')")
            )
            shoot(driver, "detail.png")
        finally:
            driver.quit()


if __name__ == "__main__":
    main()
