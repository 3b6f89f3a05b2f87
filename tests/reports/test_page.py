import json
import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from ipse.reports import Masked, Measure, Portraits, Report, Table, portray, write
from ipse.reports.embedding_map import neighbours
from ipse.reports.portraits import LARGE, SMALL
from ipse.reports.sounds import BUDGET
from ipse.reports.template import source_hash

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
browser = pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium")

ATTACK = "document.documentElement.dataset.pwned=1"
NASTY = [
    f"<script>{ATTACK}</script>.png",
    f"</script><img src=x onerror={ATTACK}>",
    f"\"'><svg onload='{ATTACK}'>",
    f"<!--<script>{ATTACK}",
    f"]]>{{{{ 7*7 }}}} {{% raw %}} ${{{ATTACK}}} `{ATTACK}`",
    "\u202egnp.exe رقم שלום",
    "😀👩‍👩‍👧.png",
    "\udcff\ud800 lone surrogates.png",
    "line\u2028separator\u2029 \x00\x1b[31m\n.png",
    "a" * 300 + ".png",
    "&lt;b&gt; & ampersand",
]


@pytest.fixture(scope="module")
def report():
    digits = load_digits()
    z = PCA(32, random_state=0).fit_transform(digits.data)
    names = [f"digits/{i}.png" for i in range(len(z))]
    query = np.linspace(0, len(z) - 1, len(NASTY)).astype(int)
    for i, name in zip(query, NASTY, strict=True):
        names[i] = name
    labels = np.where(np.arange(len(z)) % 9 == 0, -1, digits.target)
    noise = np.random.default_rng(0).standard_normal(300)
    history = [
        {
            "step": i,
            "epoch": i / 30,
            "seconds": i / 9,
            "loss": 5 / (i + 1),
            "grad_norm": float(np.exp(noise[i])),
            "lr": 1e-3 * i,
        }
        for i in range(300)
    ]
    history.insert(150, {"step": 150, "event": NASTY[0]})
    return Report(
        title=f"Barlow Twins on {NASTY[1]}",
        subtitle=NASTY[2],
        command=f"ipse pretrain 'my {NASTY[1]}' --set a=\"b\"",
        measures=[
            Measure("kNN accuracy", 0.974, NASTY[0], reference=("chance", 0.1), percent=True),
            Measure("Alignment", 0.21, "How far apart two views lie.", higher_is_better=False, reference=(NASTY[2], 0.4)),
        ],
        history=history,
        points=z[:, :2],
        portraits=Portraits((digits.images * 255 / 16).astype(np.uint8)[..., None]),
        labels=labels.tolist(),
        classes=[*NASTY[:8], "8", "9"],
        names=names,
        neighbours=(query, *neighbours(z, query, 8)),
        spectrum=z.var(axis=0),
        skipped=[(name, NASTY[0]) for name in NASTY] + [(f"{i}.png", "truncated") for i in range(400)],
        config={NASTY[0]: NASTY[1], "optimizer": {"name": "adamw", "betas": [0.9, 0.99]}, "out": None},
        versions={"ipse": NASTY[3]},
        notes=NASTY,
    )


def render(path, tmp_path, *, width=1200, height=1000, extra=("--dump-dom",)):
    """What the browser prints, after checking that nothing went to its console."""
    flags = "--headless --no-sandbox --disable-gpu --no-first-run --disable-sync --disable-background-networking"
    done = subprocess.run(
        [
            CHROMIUM,
            *flags.split(),
            "--disable-component-update",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--enable-logging=stderr",
            "--virtual-time-budget=5000",
            f"--window-size={width},{height}",
            *extra,
            path.as_uri(),
        ],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=60,
        check=True,
    )
    assert "CONSOLE" not in done.stderr, done.stderr
    return done.stdout


def attributes(dom):
    return dict(re.findall(r'data-([\w-]+)="([^"]*)"', re.search(r"<html[^>]*>", dom).group()))


@browser
def test_all_figures_are_drawn_and_no_name_runs(report, tmp_path):
    dom = render(write(report, tmp_path / "report.html"), tmp_path)
    assert attributes(dom) == {"ready": "true"}  # no data-error and no data-pwned
    assert int(re.search(r'<canvas id="scatter"[^>]* data-drawn="(\d+)"', dom).group(1)) > 3000
    charts = re.findall(r'<figure class="chart">.*?</figure>', dom, re.DOTALL)
    assert len(charts) == 4  # loss, gradient norm, learning rate; the spectrum
    for chart in charts:
        assert re.search(r'class="line" d="M[\d.]+,[\d.]+L', chart)
        assert "NaN" not in chart
    assert dom.count('class="event"') == 3
    rows = dom.split('id="rows"')[1].split("</section>")[0]
    assert rows.count('class="row"') == len(NASTY)
    assert rows.count("<canvas") == 9 * len(NASTY)
    assert "✓" in rows
    assert dom.count("<script") == 2
    assert "<svg onload" not in dom
    assert "<img" not in dom


@browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_screenshot(report, tmp_path, scheme):
    from PIL import Image

    shot = tmp_path / "shot.png"
    dark = ["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []
    render(write(report, tmp_path / "report.html"), tmp_path, height=1800, extra=(*dark, f"--screenshot={shot}"))
    pixels = np.asarray(Image.open(shot).convert("L"))
    assert (pixels[0, 0] < 60) == (scheme == "dark")
    assert 0.02 < (np.abs(pixels.astype(int) - pixels[0, 0]) > 60).mean() < 0.5


@browser
def test_keyboard_and_pointer(report, tmp_path):
    html = write(report, tmp_path / "report.html").read_text("utf-8")
    act = """
    addEventListener("load", () => setTimeout(() => {
      const press = (node, key) => node.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
      const say = () => find("live").textContent;
      const chart = document.querySelector(".chart svg"), map = find("scatter"), out = {};
      press(chart, "ArrowRight"); press(chart, "ArrowRight");
      out.chart = say();
      press(chart, "End");
      out.end = say();
      press(map, "ArrowRight"); const first = say(); press(map, "ArrowLeft"); press(map, "ArrowUp");
      out.moved = say() !== first;
      out.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
      find("as-portraits").click(); find("zoom-in").click();
      document.querySelector(".legend button").click();
      out.pressed = document.querySelectorAll('.legend [aria-pressed="true"]').length;
      map.dispatchEvent(new WheelEvent("wheel", { deltaY: -300, clientX: 300, clientY: 300, cancelable: true }));
      dispatchEvent(new Event("afterprint"));  // draws at once, without waiting for a frame
      out.card = !find("card").hidden;
      out.zoomed = map.classList.contains("zoomed");
      find("live").textContent = "RESULT" + JSON.stringify(out) + "END";
    }, 500));
    """
    html = re.sub(r"<meta http-equiv[^>]*>", "", html).replace("</body>", f"<script>{act}</script></body>")
    (tmp_path / "acted.html").write_text(html, "utf-8")
    dom = render(tmp_path / "acted.html", tmp_path, width=500)
    out = json.loads(re.search(r"RESULT(.*)END", dom.split('id="live"')[1]).group(1))
    assert out == {
        "chart": "Loss: 2.5, step 1, epoch 0.0333",
        "end": "Loss: 0.01667, step 299, epoch 9.97",
        "moved": True,
        "overflow": 0,
        "pressed": 1,
        "card": True,
        "zoomed": True,
    }
    assert attributes(dom) == {"ready": "true"}


@browser
@pytest.mark.parametrize(
    "change",
    [
        {"labels": None, "classes": (), "names": (), "portraits": None},
        {"points": np.full((1797, 2), np.nan), "spectrum": np.zeros(4), "history": [{"step": 3, "loss": float("nan")}]},
    ],
    ids=["absent", "without a finite value"],
)
def test_what_is_missing_is_left_out(report, tmp_path, change):
    dom = render(write(replace(report, **change), tmp_path / "report.html"), tmp_path)
    assert attributes(dom) == {"ready": "true"}


@browser
def test_nothing_at_all(tmp_path):
    dom = render(write(Report("Empty"), tmp_path / "report.html"), tmp_path)
    assert attributes(dom) == {"ready": "true"}
    body = dom.split("<main>")[1]
    for line in ("No measures", "no curves", "No data was skipped", "was not recorded"):
        assert line in body
    assert not re.search("map|neighbour|spectrum|embedding", body.split("<script")[0], re.IGNORECASE)


@browser
def test_what_embeddings_lack_is_said(report, tmp_path):
    dom = render(write(Report("Flat", spectrum=np.zeros(3)), tmp_path / "report.html"), tmp_path)
    body = dom.split("<main>")[1]
    for line in ("no map", "No neighbours", "no spectrum: the embeddings do not vary"):
        assert line in body
    dom = render(write(replace(report, spectrum=None), tmp_path / "report.html"), tmp_path)
    assert "no spectrum: it was not computed" in dom


@browser
def test_tables_and_measures_without_a_better(tmp_path):
    table = Table("Along <the> stream", ("part", "error"), [("<b>fog", "3 %"), ("jpeg", "")])
    measures = [Measure("changed", 0.3, "Share.", None), Measure("cka", 0.2, "Likeness.", None, aim="as before is best")]
    history = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}, {"step": 3, "event": "stopped"}]
    page = Report("Stream", measures=measures, tables=[table], history=history, steps="answer")
    dom = render(write(page, tmp_path / "report.html"), tmp_path)
    assert attributes(dom) == {"ready": "true"}
    assert "better" not in dom.split("<main>")[1].split("<script")[0]
    assert "as before is best" in dom
    assert "Along &lt;the&gt; stream" in dom
    assert "&lt;b&gt;fog" in dom
    assert "answer 3" in dom
    assert re.search('text-anchor="end"[^>]*>answer</text>', dom)


@browser
def test_masks_stand_beside_their_pictures(tmp_path):
    grey, colour = np.zeros((6, 5, 1), np.uint8), np.zeros((4, 4, 3), np.uint8)
    masked = [Masked("<b>one", grey, colour, colour, 0.8125), Masked("two", colour, colour, colour, float("nan"))]
    page = Report("Cells", masked=masked, colours=[("<i>cell", "rgb(1,2,3)")])
    dom = render(write(page, tmp_path / "report.html"), tmp_path)
    assert attributes(dom) == {"ready": "true"}
    section = dom.split('id="masks"')[1].split("</section>")[0]
    assert section.count("data:image/png;base64,") == 6
    assert "&lt;b&gt;one" in section
    assert "&lt;i&gt;cell" in section
    assert 'fill="rgb(1,2,3)"' in section
    assert section.count("of the pixels right") == 1


def test_the_page_loads_nothing_and_runs_only_its_own_script(report, tmp_path):
    html = write(report, tmp_path / "report.html").read_text("utf-8")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html).group(1)
    assert policy.startswith("default-src 'none'; img-src data:; media-src data:;")
    assert "unsafe" not in policy
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", html)
    assert "url(" not in html
    assert html.count("<script") == html.count("</script") == 2
    assert len(html) < 500_000


def test_data_reach_the_page_unchanged(report, tmp_path):
    html = write(report, tmp_path / "report.html").read_text("utf-8")
    text = re.search(r'<script type="application/json" id="report-data">(.*?)</script>', html, re.DOTALL).group(1)
    assert not set("<>&\u2028\u2029") & set(text)
    data = json.loads(text)
    assert data["names"] == [re.sub("[\ud800-\udfff]", "\ufffd", name) for name in report.names]
    assert data["labels"][1] == report.classes[report.labels[1]]
    assert [row["query"] for row in data["neighbours"]] == report.neighbours[0].tolist()


def test_skipped_data_beyond_two_hundred_are_counted(report, tmp_path):
    html = write(report, tmp_path / "report.html").read_text("utf-8")
    assert "411 samples were left out of training; the first 200 are listed, 211 more are not" in html
    assert "<bdi>188.png</bdi>" in html
    assert "<bdi>189.png</bdi>" not in html


def test_of_many_samples_some_are_shown_and_the_neighbours_among_them(tmp_path):
    n = 20_000
    report = Report(
        "Many",
        points=np.random.default_rng(0).standard_normal((n, 2)),
        names=[f"{i}" for i in range(n)],
        neighbours=(np.array([19_998]), np.array([[1, 17_777]]), np.array([[0.9, 0.8]])),
    )
    html = write(report, tmp_path / "report.html").read_text()
    data = json.loads(re.search(r'id="report-data">(.*?)</script>', html).group(1))
    (row,) = data["neighbours"]
    assert [data["names"][i] for i in (row["query"], *row["index"])] == ["19998", "1", "17777"]
    assert 3000 <= len(data["names"]) == len(data["points"]) <= 3003
    assert "of 20,000 samples" in html


def test_same_report_same_bytes(report, tmp_path):
    assert write(report, tmp_path / "a.html").read_bytes() == write(report, tmp_path / "b.html").read_bytes()


def test_whole_or_not_at_all(report, tmp_path, monkeypatch):
    path = write(Report("first"), tmp_path / "new" / "report.html")
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(report, path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_lengths_that_do_not_match():
    with pytest.raises(ValueError, match="one length"):
        write(Report("x", points=np.zeros((3, 2)), names=["a"]), "unused.html")


@pytest.mark.parametrize(
    ("measure", "shown", "compared"),
    [
        (Measure("a", 0.9738, "", reference=("chance", 0.1), percent=True), "97.4", "87.4 points better than chance (10.0 %)"),
        (Measure("a", 0.1, "", reference=("chance", 0.10001), percent=True), "10.0", "the same as chance (10.0 %)"),
        (Measure("a", 23.417, "", reference=("it", 31.0)), "23.42", "7.58 worse than it (31.00)"),
        (Measure("a", 0.2134, "", False, ("it", 0.41)), "0.213", "0.197 better than it (0.410)"),
        (Measure("a", 12_345.6, ""), "12,346", ""),
        (Measure("a", 7.0, ""), "7", ""),
        (Measure("a", -2.81, ""), "−2.810", ""),
        (Measure("a", 1.5e-5, ""), "1.50e−5", ""),
        (Measure("a", float("nan"), "", reference=("chance", 0.1), percent=True), "–", "chance (10.0 %)"),
        (Measure("a", float("inf"), ""), "–", ""),
    ],
)
def test_measures_in_words(measure, shown, compared):
    assert (measure.shown, measure.compared) == (shown, compared)


def of_samples(samples, **fields):
    """A report of a few samples, with neighbours of two of them."""
    n = len(samples)
    near = (np.array([0, n - 1]), np.array([[1, 2], [1, 0]]), np.full((2, 2), 0.9))
    shown = np.unique([0, 1, 2, n - 1])
    return Report(
        "Of samples",
        points=np.random.default_rng(0).standard_normal((n, 2)),
        portraits=portray(samples, shown),
        names=[f"{NASTY[i]} {i}" for i in range(n)],
        neighbours=near,
        **fields,
    )


def data_of(html):
    return json.loads(re.search(r'id="report-data">(.*?)</script>', html, re.DOTALL).group(1))


def acted(report, tmp_path, act):
    """What a script found out on the page, under the page's own policy but for that script."""
    html = write(report, tmp_path / "report.html").read_text("utf-8")
    act = f'addEventListener("load", () => setTimeout(async () => {{ {act} }}, 500));'
    html = html.replace("script-src '", f"script-src '{source_hash(act)}' '").replace(
        "</body>", f"<script>{act}</script></body>"
    )
    (tmp_path / "acted.html").write_text(html, "utf-8")
    dom = render(tmp_path / "acted.html", tmp_path, extra=("--autoplay-policy=no-user-gesture-required", "--dump-dom"))
    assert attributes(dom) == {"ready": "true"}
    return json.loads(re.search(r"RESULT(.*)END", dom.split('id="live"')[1]).group(1)), dom


@browser
def test_audio_is_played_one_at_a_time(waves, tmp_path):
    act = """
    const press = (node, key) => node.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    const pressed = () => [...document.querySelectorAll(".play")].map(b => b.getAttribute("aria-pressed") === "true");
    const [first, second] = document.querySelectorAll(".play"), out = { buttons: document.querySelectorAll(".play").length };
    // The browser's time is not the time that decoding takes: wait by working.
    const loaded = async () => {
      for (let k = 0; k < 300 && !player.readyState && !player.error; k++) {
        for (let i = 0, x = 1; i < 1e7; i++) x = Math.imul(x, 48271);
        await new Promise(done => setTimeout(done, 5));
      }
      return player.duration ?? "none";
    };
    first.click();
    out.seconds = await loaded();
    out.first = pressed().map(Number).join("");
    second.click();
    out.other = await loaded();
    out.second = pressed().map(Number).join("");
    second.click();
    out.stopped = pressed().some(Boolean);
    press(find("scatter"), "ArrowRight");
    const heard = data.names.findIndex(name => find("live").textContent.startsWith(name));
    press(find("scatter"), "Enter");
    out.map = playing === (data.sounds[heard] ? heard : null);
    dispatchEvent(new Event("afterprint"));
    out.card = /click to hear|playing/.test(find("card").textContent) === Boolean(data.sounds[heard]);
    find("live").textContent = "RESULT" + JSON.stringify(out) + "END";
    """
    out, dom = acted(of_samples(waves), tmp_path, act)
    assert abs(out.pop("seconds") - 0.5) < 0.12
    assert abs(out.pop("other") - 0.44) < 0.12
    # the first query, its two neighbours; the second, its two, which are the first's first neighbour and the first itself
    assert out == {"buttons": 6, "first": "100001", "second": "010010", "stopped": False, "map": True, "card": True}
    assert ">Spectrograms</button>" in dom


@browser
def test_series_are_drawn_larger(series, tmp_path):
    dom = render(write(of_samples(series), tmp_path / "report.html"), tmp_path)
    assert attributes(dom) == {"ready": "true"}
    rows = dom.split('id="rows"')[1].split("</section>")[0]
    drawn = re.findall(r'<svg class="plot".*?</svg>', rows, re.DOTALL)
    assert len(drawn) == 6
    for plot in drawn:
        paths = re.findall(r'class="series s(\d)" d="(M[^"]+)"', plot)
        assert [channel for channel, _ in paths] == ["0", "1"]
        assert "NaN" not in plot
    assert drawn[0].count("M") == 4  # the gap of the first series begins each of its two lines anew
    assert "<bdi>axis 1</bdi>" in dom


@browser
def test_rows_are_compared(rows, tmp_path):
    act = """
    find("scatter").dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
    const said = find("live").textContent;
    dispatchEvent(new Event("afterprint"));
    find("live").textContent = "RESULT" + JSON.stringify({ said, card: [...find("card").querySelectorAll("dt")].map(n => n.textContent) }) + "END";
    """
    out, dom = acted(of_samples(rows, importances=[("city", 0.25), ("age", 0.5)], unmeasured=3), tmp_path, act)
    assert out["card"] == ["age", "city", "constant"]
    assert "age " in out["said"]
    first = dom.split('class="comparison"')[1]
    cells = [re.findall(r"<bdi>(.*?)</bdi>", line) for line in re.findall(r"<tr>.*?</tr>", first, re.DOTALL)]
    assert cells[1] == ["age", "52", "38.5", "–"]
    assert cells[2] == ["city", "Berlin", "Paris", "–"]
    assert 'class="differs"' in first


def test_columns_by_what_they_do(tmp_path):
    importances = [(f"{NASTY[0]} {i}", i / 100) for i in range(40)]
    html = write(Report("Columns", importances=importances, unmeasured=1234), tmp_path / "report.html").read_text("utf-8")
    section = html.split('id="columns"')[1].split("</section>")[0]
    assert re.findall(r'class="number">([\d.]+) %', section) == [f"{i:.1f}" for i in range(39, 9, -1)]
    assert 'width="100.00"' in section
    assert "The first 30 of 40 columns are shown; 10 move the embeddings less. 1,234 more" in " ".join(section.split())
    assert "<script>" not in section
    assert "What the columns do" not in write(Report("None"), tmp_path / "none.html").read_text("utf-8")


@pytest.mark.parametrize("kind", ["waves", "series", "rows"])
def test_only_pictures_are_called_pictures(kind, request, tmp_path):
    html = write(of_samples(request.getfixturevalue(kind)), tmp_path / "report.html").read_text("utf-8")
    shown = re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.DOTALL)
    assert not re.search(r"pictures?|images?\b|pixels?", re.sub(r"<[^>]*>", "", shown), re.IGNORECASE)


@pytest.mark.slow
def test_the_page_stays_small(tmp_path):
    n, rng = 1500, np.random.default_rng(0)
    near = rng.integers(0, n, (12, 8))
    shown = np.unique(near)
    thumbnails, closeups = (
        rng.integers(0, 256, (k, *size, 3), dtype=np.uint8) for k, size in ((n, SMALL), (len(shown), LARGE))
    )
    sounds = {int(i): rng.bytes(BUDGET // len(shown)) for i in shown}
    neighbours = (np.sort(rng.choice(shown, 12, replace=False)), near, rng.random((12, 8)))
    heard = Report(
        "Heard",
        points=rng.standard_normal((n, 2)),
        portraits=Portraits(thumbnails, closeups=(shown, closeups), sounds=sounds),
        names=[f"a/folder/of/recordings/{i}.wav#12.5s" for i in range(n)],
        neighbours=neighbours,
    )
    path = write(heard, tmp_path / "report.html")
    assert path.stat().st_size < 4_000_000
    assert set(map(int, data_of(path.read_text("utf-8"))["sounds"])) == set(shown.tolist())
    lines = {int(i): rng.standard_normal((6, 160)) for i in shown}
    drawn = replace(heard, portraits=Portraits(thumbnails, lines=lines, channels="abcdef"))
    assert write(drawn, path).stat().st_size < 4_000_000


def test_a_measure_may_have_an_aim_instead_of_a_way() -> None:
    aimed = Measure(
        "membership", 0.065, "How well.", higher_is_better=None, reference=("the retrained model", 0.494), percent=True
    )
    assert (aimed.verdict, aimed.compared) == ("below", "42.9 points below the retrained model (49.4 %)")
