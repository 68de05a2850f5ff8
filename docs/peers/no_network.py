"""Does a report load anything? Asks a browser's own log of its requests.

    python no_network.py r.html [chromium]

The browser opens an empty page, a page that loads a picture, and the report. Requests of the empty
page are the browser's own. The picture has to be in the log, or the log says nothing. The report must
add no request. Needs Chromium; says so and ends with status 0 where there is none.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

BROWSERS = ["chromium", "chromium-browser", "google-chrome"]
LOADED = "http://127.0.0.1:9/loaded.png"


def requests(browser, page, log):
    """Addresses that the browser asks for while it shows a page, without their queries."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
             "--disable-background-networking", "--disable-component-update"]
    picture = log.with_suffix(".png")
    command = [browser, *flags, f"--log-net-log={log}", f"--screenshot={picture}", page.as_uri()]
    subprocess.run(command, check=True, timeout=300, capture_output=True)
    found = re.findall(r'"url":"([^"?]+)', log.read_text(errors="replace"))
    return {address for address in found if not address.startswith("file:")}


def main():
    page = pathlib.Path(sys.argv[1]).resolve()
    names = sys.argv[2:] or BROWSERS
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        print("skipped: no browser among " + ", ".join(names))
        return
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        empty, loads = place / "empty.html", place / "loads.html"
        empty.write_text("<!DOCTYPE html><title>empty</title><p>nothing")
        loads.write_text(f'<!DOCTYPE html><title>loads</title><img src="{LOADED}">')
        own = requests(browser, empty, place / "empty.json")
        control = requests(browser, loads, place / "loads.json")
        if LOADED not in control:
            sys.exit("the log does not show a picture that a page loads: it proves nothing")
        more = requests(browser, page, place / "page.json") - own - (control - {LOADED})
        if more:
            sys.exit(f"{page.name} loads " + ", ".join(sorted(more)))
        print(f"{page.name}: no request beyond the browser's own ({len(own)})")


main()
