"""The page of `akin serve` and the file of `akin map`, in a real browser.

    server/tests/page/page.py AKIN TOOLS FOLDER [MAP.html]

AKIN is the binary, TOOLS what `setup` made, FOLDER gets the screenshots. With MAP.html, a map of many points, its first
paint and its frames a second are measured too. Every check prints a line; the exit status is 1 if one failed.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

AKIN, TOOLS, SHOTS = Path(sys.argv[1]).resolve(), Path(sys.argv[2]), Path(sys.argv[3])
LARGE = Path(sys.argv[4]).resolve() if len(sys.argv) > 4 else None
AXE = (TOOLS / "node_modules/axe-core/axe.min.js").read_text()
HOSTILE = '</script><script>window.hacked=1</script><img src=x onerror="window.hacked=1">'
failed = []


def check(name, holds, seen=""):
    print(("ok      " if holds else "FAILED  ") + name + (f": {seen}" if seen != "" and not holds else ""), flush=True)
    if not holds:
        failed.append(name)


def corpus():
    """Documents of four kinds, two hostile ones, and a long one whose answer is far down."""
    subjects = {
        "music": ["a violin plays a slow melody", "the choir sings in the old hall", "a drummer keeps the rhythm", "the piano needs tuning"],
        "sea": ["waves break on the cold shore", "a ship sails into the harbour", "fish swim below the reef", "the tide carries the boat away"],
        "kitchen": ["the soup needs more salt", "bread rises in a warm oven", "she slices onions for dinner", "a pot of rice boils over"],
        "code": ["the compiler reports a type error", "a test fails on the server", "the function returns a list", "memory is freed twice"],
    }
    when = ["at dawn", "before noon", "in the evening", "on a rainy day", "last winter", "every summer", "once a week", "after the holiday"]
    for at in range(160):
        kind = list(subjects)[at % 4]
        text = f"{subjects[kind][at // 4 % 4]} {when[at // 16 % 8]}"
        yield {"id": f"{kind}/{at}", "text": text, "kind": kind, "year": 1990 + at % 30}
    yield {"id": "hostile/" + HOSTILE, "text": HOSTILE + " a violin for sale", "kind": HOSTILE, "year": 2000}
    filler = " ".join(f"Paragraph {n} speaks of schedules, meetings and the weather in town." for n in range(120))
    yield {"id": "long", "text": filler + " The volcano erupted and lava buried the village. " + filler, "kind": "sea", "year": 2001}


def run(*arguments):
    return subprocess.run([AKIN, *map(str, arguments)], check=True, capture_output=True, text=True)


def until(page, holds, seconds=30):
    """Waits until an expression holds. The policy of the page allows no `eval`, which Playwright's own waiting takes."""
    end = time.monotonic() + seconds
    while not page.evaluate(holds):
        if time.monotonic() > end:
            raise SystemExit(f"not within {seconds} seconds: {holds}")
        page.wait_for_timeout(30)


class Watched:
    """A page whose console, errors and requests are watched."""

    def __init__(self, browser, origin, scheme="light", **options):
        self.context = browser.new_context(color_scheme=scheme, **options)
        self.page = self.context.new_page()
        self.wrong, self.origin = [], origin
        # Chromium reports each answer of 4xx, such as that to a filter that is half typed.
        self.page.on("console", lambda line: self.wrong.append(line.text) if line.type in ("error", "warning") and not any(known in line.text for known in ("GPU stall", "status of 400")) else None)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda request: None if request.url.startswith(origin) else self.wrong.append("request " + request.url))

    def axe(self):
        # The policy of the page lets no other script in: axe runs in a world of its own.
        session = self.context.new_cdp_session(self.page)
        frame = session.send("Page.getFrameTree")["frameTree"]["frame"]["id"]
        world = session.send("Page.createIsolatedWorld", {"frameId": frame, "worldName": "axe"})["executionContextId"]
        ask = "axe.run().then((r) => JSON.stringify(r.violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.target).join(' | '))))"
        result = session.send("Runtime.evaluate", {"expression": AXE + ";" + ask, "contextId": world, "awaitPromise": True, "returnByValue": True})
        session.detach()
        return json.loads(result["result"]["value"])

    def shot(self, name):
        self.page.screenshot(path=SHOTS / f"{name}.png")

    def close(self, name):
        check(f"{name}: no error, no warning, no foreign request", not self.wrong, self.wrong)
        check(f"{name}: no text became markup", self.page.evaluate("window.hacked") is None)
        self.context.close()


def serve(folder, *options):
    process = subprocess.Popen([AKIN, "serve", folder / "notes", "--listen", "127.0.0.1:0", *options], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for stream in (process.stderr,):
        for line in stream:
            if found := re.search(r"http://[\d.:]+", line):
                return process, found[0]
    raise SystemExit("the server did not start")


def search(browser, origin):
    watched = Watched(browser, origin, viewport={"width": 1280, "height": 820})
    page = watched.page
    page.goto(origin)
    until(page, "document.querySelectorAll('#index option').length > 0")
    watched.shot("begin-light")
    check("begin: axe finds nothing", not (found := watched.axe()), found)
    page.keyboard.type("somebody makes music")
    page.wait_for_selector("#hits .hit")
    until(page, "document.querySelectorAll('#hits .id').length === 20")
    check("typing searches", page.locator("#hits .id").first.inner_text().startswith("music/"))
    fields = page.locator(".facet b").all_inner_texts()
    check("facets are counted", fields == ["kind", "year"], fields)
    page.locator(".facet button", has_text="code").click()
    until(page, "[...document.querySelectorAll('#hits .id')].every((id) => id.textContent.startsWith('code/'))")
    check("a facet filters", page.input_value("#filter") == "kind = code")
    page.fill("#filter", "kind = ")
    page.wait_for_selector("#status.wrong")
    check("a wrong filter says so", "filter" in page.locator("#status").inner_text().lower())
    page.fill("#filter", "")
    page.focus("#text")
    until(page, "document.querySelectorAll('#hits .id').length === 20 && document.querySelector('#hits .id').textContent.startsWith('music/')")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    check("arrows go through the hits", page.locator("[aria-current]").count() == 1 and page.locator("#document").is_visible())
    watched.shot("search-light")
    check("search: axe finds nothing", not (found := watched.axe()), found)
    page.keyboard.press("Escape")
    check("Escape closes the document", page.locator("#document").is_hidden())
    page.fill("#text", "violin for sale")
    until(page, "document.querySelector('#hits .id')?.textContent.startsWith('hostile/')")
    page.locator("#hits .hit").first.click()
    check("hostile texts are shown as they are", HOSTILE in page.locator("#document pre").inner_text())
    page.fill("#text", "lava destroyed a village")
    until(page, "document.querySelector('#hits .id')?.textContent === 'long'")
    page.locator("#hits .hit").first.click()
    page.wait_for_selector("#document .sentence")
    check("the sentence that answers is marked", "volcano" in page.locator("#document .sentence").inner_text())
    place = page.evaluate("(() => { const s = document.querySelector('#document .sentence').getBoundingClientRect(), d = document.getElementById('document').getBoundingClientRect(); return [s.top, s.bottom, d.top, d.bottom]; })()")
    check("the document is scrolled to it", place[2] <= place[0] and place[1] <= place[3], place)
    watched.shot("passage-light")
    page.locator("#hits li", has=page.locator("text=kitchen/")).first.locator("text=Not like this").click()
    page.wait_for_selector("#chips button")
    check("an example is a chip", "not like kitchen/" in page.locator("#chips").inner_text())
    page.locator("#chips button").first.click()
    check("a chip goes away", page.locator("#chips button").count() == 0)
    watched.close("search")


def tabs(browser, origin):
    watched = Watched(browser, origin, scheme="dark", viewport={"width": 1280, "height": 820})
    page = watched.page
    page.goto(origin)
    until(page, "document.querySelectorAll('#index option').length > 0")
    page.fill("#text", "food on the stove")
    page.wait_for_selector("#hits .hit")
    watched.shot("search-dark")
    check("search in the dark: axe finds nothing", not (found := watched.axe()), found)
    page.click("#tab-corpus")
    page.wait_for_selector("#map canvas", timeout=60000)
    page.wait_for_timeout(400)
    watched.shot("map-dark")
    check("map: axe finds nothing", not (found := watched.axe()), found)
    check("regions are named", page.locator("#legend button").count() > 1)
    page.select_option("#colour", "kind")
    check("colours by a field", "kitchen" in page.locator("#legend").inner_text())
    box = page.locator("#map").bounding_box()
    page.click("#lasso")
    left, top, wide, tall = box["x"] + 2, box["y"] + 2, box["width"] - 4, box["height"] - 4
    page.mouse.move(left, top)
    page.mouse.down()
    for x, y in [(0.5, 0), (1, 0), (1, 1), (0.5, 1), (0, 1)]:
        page.mouse.move(left + x * wide, top + y * tall, steps=3)
    page.mouse.up()
    page.wait_for_selector("#chips button")
    check("a lasso narrows the search", "within the lasso" in page.locator("#chips").inner_text())
    until(page, "document.getElementById('status').textContent.includes('hits within the lasso')")
    page.locator("#chips button").first.click()
    page.focus("#map .map-hand")
    page.keyboard.press("+")
    check("the keyboard shows the document in the middle", page.locator(".map-tip").is_visible())
    until(page, "document.querySelector('.map-tip span:nth-child(2)').textContent !== '…'")
    page.keyboard.press("Enter")
    page.wait_for_selector("#document h2")
    check("and opens it", page.locator("#search").is_visible())
    page.click("#tab-state")
    page.wait_for_selector("#figures dl")
    check("the state of the index is told", "162" in page.locator("#figures dl").inner_text())
    until(page, "document.getElementById('noted').textContent.includes('slowest queries')")
    check("slow queries are told without their texts", "not kept" in page.locator("#noted table").last.inner_text())
    page.click("#look-duplicates")
    until(page, "document.getElementById('looked').textContent.includes('near duplicates')")
    check("near duplicates are found", "music/" in page.locator("#looked-at").inner_text(), page.locator("#looked").inner_text())
    page.click("#look-truncated")
    until(page, "document.getElementById('looked').textContent.includes('every text')")
    watched.shot("state-dark")
    check("state: axe finds nothing", not (found := watched.axe()), found)
    page.set_input_files("#files", files=[{"name": "new.txt", "mimeType": "text/plain", "buffer": b"A comet crosses the night sky."}])
    until(page, "document.getElementById('added').textContent.startsWith('1 added')")
    page.click("#tab-search")
    page.fill("#text", "a comet at night")
    until(page, "document.querySelector('#hits .id')?.textContent === 'new.txt'")
    check("a file that was added is found", True)
    watched.close("tabs")


def phone(browser, origin):
    watched = Watched(browser, origin, viewport={"width": 390, "height": 780}, device_scale_factor=2, has_touch=True, is_mobile=True)
    page = watched.page
    page.goto(origin)
    until(page, "document.querySelectorAll('#index option').length > 0")
    page.fill("#text", "a boat on the water")
    page.wait_for_selector("#hits .hit")
    watched.shot("search-phone")
    wide = page.evaluate("document.documentElement.scrollWidth")
    check("nothing is wider than a phone", wide <= 390, wide)
    page.locator("#hits .hit").first.tap()
    watched.shot("document-phone")
    page.locator("#document .close").tap()
    page.locator("#tab-corpus").tap()
    page.wait_for_selector("#map canvas", timeout=60000)
    page.wait_for_timeout(400)
    watched.shot("map-phone")
    check("phone: axe finds nothing", not (found := watched.axe()), found)
    watched.close("phone")


def map_file(browser, path, scheme, paint=""):
    origin = path.as_uri()
    watched = Watched(browser, origin, scheme=scheme, viewport={"width": 1280, "height": 820})
    page = watched.page
    page.goto(origin + paint)
    until(page, "document.getElementById('status').textContent.includes('documents')")
    page.fill("#text", "violin")
    page.wait_for_selector("#hits button")
    check("the file finds texts", "11 texts" in page.locator("#status").inner_text(), page.locator("#status").inner_text())
    page.locator("#hits button").last.click()
    check("and shows them", page.locator(".map-tip").is_visible())
    check("hostile texts stay texts", HOSTILE in page.locator("#hits").inner_text())
    page.wait_for_timeout(300)
    watched.shot(f"file-{scheme}{'-canvas' if paint else ''}")
    check(f"file in {scheme}: axe finds nothing", not (found := watched.axe()), found)
    watched.close(f"file in {scheme}{paint}")


PAN = """() => new Promise((done) => {
  const over = document.querySelector('#map .map-hand'), began = performance.now();
  const send = (type, x) => over.dispatchEvent(new PointerEvent(type, { pointerId: 1, clientX: x, clientY: 400, bubbles: true, pointerType: 'mouse' }));
  over.setPointerCapture = () => {};
  send('pointerdown', 600);
  const first = map.frames();
  let last = began;
  const gaps = [];
  const step = (now) => {
    gaps.push(now - last);
    last = now;
    if (now - began > 3000) { send('pointerup', 600); done([(map.frames() - first) / ((now - began) / 1000), Math.max(...gaps.slice(1))]); return; }
    send('pointermove', 600 + 180 * Math.sin((now - began) / 400));
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})"""


def measure(browser, path):
    for paint in ("", "?paint=canvas"):
        context = browser.new_context(viewport={"width": 1280, "height": 820})
        page = context.new_page()
        page.goto(path.as_uri() + paint, wait_until="load")
        page.wait_for_timeout(500)
        entry = page.evaluate("performance.getEntriesByType('paint').map((p) => p.startTime)")
        load = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
        drawn = page.evaluate("performance.getEntriesByName('map')[0]?.startTime")
        rate, gap = page.evaluate(PAN)
        kind = "canvas" if paint else page.evaluate("(() => { const g = document.createElement('canvas').getContext('webgl2'); const i = g?.getExtension('WEBGL_debug_renderer_info'); return i ? g.getParameter(i.UNMASKED_RENDERER_WEBGL) : String(g); })()")
        print(f"measured {kind}: first paint {min(entry, default=0):.0f} ms, map drawn {drawn or 0:.0f} ms, loaded {load:.0f} ms; panning {rate:.1f} frames a second, longest {gap:.0f} ms", flush=True)
        page.screenshot(path=SHOTS / f"large{'-canvas' if paint else ''}.png")
        for _ in range(4):
            page.click("#in")
            page.wait_for_timeout(350)
        rate, gap = page.evaluate(PAN)
        print(f"measured {kind}, zoomed 10 times: panning {rate:.1f} frames a second, longest {gap:.0f} ms", flush=True)
        page.screenshot(path=SHOTS / f"large-zoomed{'-canvas' if paint else ''}.png")
        context.close()


def main():
    SHOTS.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="akin-page-"))
    try:
        (folder / "notes.jsonl").write_text("".join(json.dumps(document) + "\n" for document in corpus()))
        run("index", folder / "notes", folder / "notes.jsonl", "--quiet")
        run("map", folder / "notes", "--output", folder / "map.html", "--quiet")
        process, origin = serve(folder, "--writable")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--enable-unsafe-swiftshader"])
            try:
                if LARGE:
                    measure(browser, LARGE)
                search(browser, origin + "/")
                tabs(browser, origin + "/")
                phone(browser, origin + "/")
                map_file(browser, folder / "map.html", "light")
                map_file(browser, folder / "map.html", "dark", "?paint=canvas")
            finally:
                browser.close()
                process.terminate()
                process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{len(failed)} failed" if failed else "all hold")
    sys.exit(bool(failed))


main()
