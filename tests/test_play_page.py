"""The page to play with (docs/play) in headless Chromium: drawn on with mouse, finger and keys, wide and narrow."""

import itertools

import headless
import numpy as np
import pytest
from test_play import CAUSAL, PLAY, reads

import minipixel as mp

pytestmark = pytest.mark.slow

PAST, THIS, FUTURE, LEAK = [47, 111, 159], [217, 130, 43], [241, 239, 233], [195, 39, 43]
INK, WHITE = [32, 38, 46], [255, 255, 255]

COLOURS = """
const [canvas, H, W] = arguments, { width, height } = canvas, cell = width / W;
const copy = Object.assign(document.createElement("canvas"), { width, height });
const pen = copy.getContext("2d", { willReadFrequently: true });  // else the console says that reading is slow
pen.drawImage(canvas, 0, 0);
const { data } = pen.getImageData(0, 0, width, height);
const middle = (p) => Math.floor((Math.floor(p / W) + 0.5) * cell) * width + Math.floor((p % W + 0.5) * cell);
return Array.from({ length: H * W }, (_, p) => Array.from(data.slice(4 * middle(p), 4 * middle(p) + 3)));
"""


@pytest.fixture(scope="module")
def driver():
    with headless.browser() as driver:
        yield driver


@pytest.fixture(scope="module")
def address():
    with headless.serving(PLAY) as address:
        yield address


@pytest.fixture(autouse=True)
def quiet(driver):
    """No test leaves a word in the console, and nothing is fetched from elsewhere."""
    yield
    assert driver.get_log("browser") == []
    fetched = driver.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    here = driver.current_url.rpartition("/")[0]
    assert all(url.startswith((here, "data:")) for url in fetched)


@pytest.fixture
def page(driver, address):
    """The page, opened afresh, wide, and its first picture drawn."""
    headless.resize(driver, 1280)
    driver.get(address)
    driver.execute_script("document.getElementById('speed').value = 5")
    until(driver, "return typeof page === 'object' && page.picture?.done")
    return driver


def until(driver, script):
    from selenium.webdriver.support.wait import WebDriverWait

    WebDriverWait(driver, 60, poll_frequency=0.1).until(lambda _: driver.execute_script(script))


def element(driver, selector):
    from selenium.webdriver.common.by import By

    return driver.find_element(By.CSS_SELECTOR, selector)


def choose(driver, selector, value):
    """Another value of a list or of a slider, as a user chooses it."""
    driver.execute_script(
        "arguments[0].value = arguments[1];"
        "for (const kind of ['input', 'change']) arguments[0].dispatchEvent(new Event(kind));",
        element(driver, selector),
        value,
    )


def drag(driver, canvas, *places):
    """Press the mouse at the first place of a canvas, (x, y) from 0 to 1, and go on to the others."""
    from selenium.webdriver import ActionChains

    driver.execute_script("arguments[0].scrollIntoView({ block: 'center' })", canvas)
    box = canvas.rect
    actions = ActionChains(driver, duration=20)
    for n, (x, y) in enumerate(places):
        offset = round((x - 0.5) * box["width"]), round((y - 0.5) * box["height"])
        actions.move_to_element_with_offset(canvas, *offset)
        if n == 0:
            actions.click_and_hold()
    actions.release().perform()


def picture(driver):
    """What the page has drawn: the levels (H, W), when it is done."""
    until(driver, "return page.picture.done && !page.running")
    H, W = driver.execute_script("return [page.model.H, page.model.W]")
    return np.array(driver.execute_script("return Array.from(page.picture.levels)")).reshape(H, W)


def own(driver):
    """What the user has drawn, (H, W)."""
    H, W = driver.execute_script("return [page.model.H, page.model.W]")
    return np.array(driver.execute_script("return page.own")).reshape(H, W)


@pytest.mark.parametrize("name", ["mnist", "digits-gated"])
def test_the_page_completes_a_picture_as_python_does(page, name):
    choose(page, "#model", name)
    model = mp.models.pretrained(name)
    H, W, _ = model.image_shape
    until(page, f"return page.model.H === {H} && page.picture.done")
    for seed, temperature in ((0, 1), (1, 1), (2, 0.6)):
        start = model.sample(1, rng=10 + seed)
        known = np.zeros((1, H, W), bool)
        known[:, : H // 2] = True
        page.execute_script(
            "[page.own, page.uniforms] = arguments;",
            np.where(known[..., None], start, 0).ravel().tolist(),
            np.random.default_rng(seed).random(H * W).tolist(),
        )
        choose(page, "#temperature", temperature)
        element(page, "#run").click()
        drawn = picture(page)
        assert (drawn == model.complete(start, known, rng=seed, temperature=temperature)[0, :, :, 0]).all()
    share = drawn.ravel()[:, None] / (model.levels - 1)
    wanted = np.rint(255 + share * (np.array(INK) - 255))
    assert np.abs(page.execute_script(COLOURS, element(page, "#picture"), H, W) - wanted)[: (H // 2 - 1) * W].max() <= 1
    assert element(page, "#status").text.startswith("Done.") and element(page, "#said").text


def test_a_mouse_draws_in_the_upper_half_alone(page):
    element(page, "#clear").click()
    assert not own(page).any()
    drag(page, element(page, "#picture"), (0.3, 0.2), (0.7, 0.2), (0.5, 0.9))
    ink = own(page)
    assert ink[5, 10:18].all() and ink[:14].sum() > 30 and not ink[14:].any()
    first = picture(page)
    assert (first[:14] == ink[:14]).all()
    assert any(not (again(page) == first).all() for _ in range(5))
    assert (picture(page)[:14] == ink[:14]).all()


def again(driver):
    element(driver, "#again").click()
    return picture(driver)


def test_the_buttons_and_sliders(page):
    element(page, "#example").click()
    shown = picture(page)
    element(page, "#example").click()
    assert not (picture(page)[:14] == shown[:14]).all()
    choose(page, "#rows", 0)
    assert element(page, "#rows + output").text == "0"
    choose(page, "#speed", 0)
    element(page, "#run").click()
    until(page, "return page.picture.place >= 2")
    element(page, "#run").click()  # pauses
    place = page.execute_script("return page.picture.place")
    assert element(page, "#run").text == "Draw" and 2 <= place < 10
    said = f"row {(place - 1) // 28 + 1}, column {(place - 1) % 28 + 1}. "
    assert said in element(page, "#said").text
    colours = page.execute_script(COLOURS, element(page, "#picture"), 28, 28)
    assert all(colour in (INK, WHITE) for colour in colours[:place]) and colours[place:] == [FUTURE] * (784 - place)
    choose(page, "#speed", 5)
    element(page, "#run").click()
    picture(page)
    said = element(page, "#said").text
    drag(page, element(page, "#picture"), (0.52, 0.77))
    assert "row 22, column 15" in element(page, "#said").text != said


def test_keys_do_what_a_mouse_does(page):
    from selenium.webdriver import ActionChains, Keys

    element(page, "#clear").click()
    canvas = element(page, "#picture")
    canvas.send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_RIGHT, " ")
    assert np.argwhere(own(page)).tolist() == [[2, 1]]
    canvas.send_keys(" ", Keys.ARROW_UP, Keys.ARROW_UP, Keys.ARROW_UP, " ")
    assert np.argwhere(own(page)).tolist() == [[0, 1]]
    element(page, "#again").send_keys(Keys.ENTER)
    assert picture(page)[0, 1] == 1
    element(page, "#fields canvas").send_keys(Keys.ARROW_DOWN, Keys.ARROW_RIGHT)
    assert "row 2, column 2 reads 6 of 12 earlier pixels" in element(page, "#fields figcaption").text
    reached = set()
    page.execute_script("document.activeElement.blur(); scrollTo(0, 0)")
    for _ in range(60):
        ActionChains(page).send_keys(Keys.TAB).perform()
        reached.add(page.execute_script("return document.activeElement.id || document.activeElement.tagName"))
    ids = {
        "model",
        "file",
        "picture",
        "example",
        "clear",
        "run",
        "again",
        "temperature",
        "speed",
        "rows",
        "depth",
        "data",
    }
    assert reached >= ids | {"further", "causal", "read", "CANVAS", "BUTTON"}


def test_a_finger_draws_on_a_telephone(driver, address):
    headless.resize(driver, 380, touch=True)
    driver.get(address)
    until(driver, "return typeof page === 'object' && page.picture?.done")
    element(driver, "#clear").click()
    canvas = element(driver, "#picture")
    driver.execute_script("arguments[0].scrollIntoView({ block: 'center' })", canvas)
    left, top, size = driver.execute_script(
        "const box = arguments[0].getBoundingClientRect(); return [box.left, box.top, box.width]", canvas
    )
    for kind, *share in (("Start", 0.3, 0.1), ("Move", 0.5, 0.3), ("Move", 0.7, 0.45), ("End",)):
        points = [{"x": left + share[0] * size, "y": top + share[1] * size}] if share else []
        driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})
    ink = own(driver)
    assert ink[8, 14] and ink[4:12].any(axis=1).all() and not ink[14:].any()


def test_the_maps_show_what_the_library_has_proved(page):
    size, place = 11, 6 * 11 + 2
    shapes = {
        "PixelCNN": lambda depth: mp.models.PixelCNN((size, size, 1), 2, hidden=2, blocks=depth),
        "Row LSTM": lambda depth: mp.models.RowLSTM((size, size, 1), 2, hidden=2, layers=depth),
    }
    for depth, name in itertools.product((1, 4), shapes):
        choose(page, "#depth", depth)
        canvas = element(page, f"#fields canvas[aria-label='{name}']")
        drag(page, canvas, (2.5 / size, 6.5 / size))
        seen = mp.causality.structure(shapes[name](depth), outputs=[place])[0]
        colours = np.array(page.execute_script(COLOURS, canvas, size, size))
        assert ((colours == PAST).all(axis=1) == seen).all() and colours[place].tolist() == THIS
        caption = element(page, f"#fields canvas[aria-label='{name}'] + figcaption").text
        assert f"row 7, column 3 reads {seen.sum()} of {place} earlier pixels" in caption


def test_a_tap_that_is_opened_leaks(page):
    centre, verdict = element(page, "#taps button:nth-child(13)"), "return $('verdict').textContent"

    def score():
        return float(page.execute_script(verdict).split()[0])

    until(page, f"{verdict}.includes('Causal')")
    causal, canvas, size = score(), element(page, "#read"), 11
    assert 0.5 < causal < 0.75 and centre.get_attribute("aria-pressed") == "false"
    centre.click()
    until(page, f"{verdict}.includes('A leak')")
    assert score() < 0.01 and centre.get_attribute("aria-pressed") == "true"
    choose(page, "#further", 2)
    drag(page, canvas, (5.5 / size, 5.5 / size))
    colours = np.array(page.execute_script(COLOURS, canvas, size, size))
    place = 5 * size + 5
    seen = reads([*CAUSAL, (0, 0)], 2, size)[place]
    assert ((colours == LEAK).all(axis=1) == seen & (np.arange(size**2) >= place)).all()
    assert ((colours == PAST).all(axis=1) == seen & (np.arange(size**2) < place)).all()
    assert "and 1 that it must not read" in element(page, "#count").text
    element(page, "#causal").click()
    until(page, f"{verdict}.includes('Causal')")
    choose(page, "#data", "coins")
    until(page, "return parseFloat($('verdict').textContent) > 0.97")
    centre.click()
    until(page, f"{verdict}.includes('A leak')")
    assert score() < 0.01  # and so it predicts coin flips


def test_a_file_of_ones_own(page, tmp_path):
    broken = tmp_path / "model.safetensors"
    broken.write_bytes(mp.models.cards()["digits-pixelcnn"].path.read_bytes()[:-2])
    element(page, "#file").send_keys(str(broken))
    until(page, "return document.getElementById('problem').textContent.includes('wanted')")
    assert page.execute_script("return page.model.H") == 28
    element(page, "#file").send_keys(str(mp.models.cards()["digits-pixelcnn"].path))
    until(page, "return page.model.H === 8")
    assert element(page, "#problem").text == "" and picture(page).max() <= 16


@pytest.mark.parametrize("width", [380, 1280])
@pytest.mark.parametrize("served", [True, False], ids=["from a server", "from a disk"])
def test_nothing_is_too_wide(driver, address, width, served):
    headless.resize(driver, width, touch=width < 500)
    driver.get(address if served else (PLAY / "index.html").as_uri())
    until(driver, "return typeof page === 'object' && page.picture?.place > page.picture?.known")
    assert driver.execute_script("return Math.max(innerWidth, document.documentElement.scrollWidth)") == width
    boxes = driver.execute_script(
        "return [...document.querySelectorAll('canvas, button, select, input, label, p, figcaption')].map((it) => {"
        "const { left, right, height } = it.getBoundingClientRect(); return [it.id || it.tagName, left, right, height]"
        "})"
    )
    assert len(boxes) > 60
    assert not [name for name, left, right, _ in boxes if left < 0 or right > width]
    assert not [name for name, *_, height in boxes if name != "problem" and name != "status" and not height]
