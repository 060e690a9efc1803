"""A person at a browser: Chromium without a window."""

import shutil

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

import servers

SECONDS = 60

# Nothing but what a test asks for: no sandbox, which root cannot have, no updates and no calls home.
ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def program(name, package):
    path = shutil.which(name)
    assert path, f"{name} is missing: apt-get install --yes {package}"
    return path


class Browser:
    """One device of a person: a browser with a profile of its own, and nothing in it."""

    def __init__(self, url, directory):
        self.url = url
        options = webdriver.ChromeOptions()
        # Named here, so that selenium does not look for them elsewhere.
        options.binary_location = program("chromium", "chromium")
        # For the certificate that nginx has signed itself.
        options.accept_insecure_certs = True
        for argument in [*ARGUMENTS, f"--user-data-dir={directory}"]:
            options.add_argument(argument)
        service = Service(
            program("chromedriver", "chromium-driver"),
            log_output=str(directory.with_suffix(".log")),
            popen_kw={"preexec_fn": servers.die_with_parent},
        )
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.set_page_load_timeout(SECONDS)

    def close(self):
        self.driver.quit()

    def visit(self, path):
        self.driver.get(self.url + path)

    @property
    def path(self):
        return self.driver.current_url.removeprefix(self.url)

    @property
    def text(self):
        return self.driver.find_element(By.TAG_NAME, "body").text

    @property
    def title(self):
        return self.driver.title.removesuffix(" · Five Leaves")

    @property
    def messages(self):
        return [message.text for message in self.driver.find_elements(By.CSS_SELECTOR, ".messages li")]

    @property
    def cookies(self):
        """All of this site's by their names, those too that scripts do not see."""
        return {cookie["name"]: cookie for cookie in self.driver.get_cookies()}

    @property
    def session(self):
        """The key of the session, or None."""
        return self.cookies.get("sessionid", {}).get("value")

    def fill(self, **fields):
        for name, value in fields.items():
            field = self.driver.find_element(By.ID, name)
            field.clear()
            field.send_keys(value)

    def tick(self, name):
        self.driver.find_element(By.ID, name).click()

    def press(self, text, within="main"):
        """The button or the link of this text, and waits for the page that it leads to."""
        here = self.driver.find_element(By.TAG_NAME, "html")
        self.find(text, within).click()
        WebDriverWait(self.driver, SECONDS).until(lambda _: is_gone(here))
        WebDriverWait(self.driver, SECONDS).until(
            lambda driver: driver.execute_script("return document.readyState") == "complete"
        )

    def find(self, text, within="main"):
        shown = f"//{within}//*[self::a or self::button][normalize-space()='{text}']"
        return self.driver.find_element(By.XPATH, shown)

    def new_tab(self):
        """Opens one, and goes there."""
        self.driver.switch_to.new_window("tab")

    def switch_to_tab(self, number):
        self.driver.switch_to.window(self.driver.window_handles[number])


def is_gone(element):
    """Whether the page that the element was in has made way for another."""
    try:
        element.is_enabled()
        return False
    except StaleElementReferenceException:
        return True
    except WebDriverException as error:
        # In the middle of the change, the driver knows neither page.
        return "does not belong to the document" in str(error) or "no such" in str(error).lower()
