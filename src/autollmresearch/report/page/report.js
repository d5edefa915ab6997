// The report: its data, what its reader chose, drawing, and (served by `view`) what is new.

const holder = document.getElementById("data");
let text = holder.textContent;
let data = JSON.parse(text);
const chosen = {}; // what the reader chose, by the key of the control
const off = new Set(); // methods that are not drawn

const specs = new Map(); // by the name of a plot: (width) => {traces, layout}

/** A plot, drawn when it comes into view. What it shows is said in words for whoever cannot see it. */
function plot(name, words, spec) {
  specs.set(name, spec);
  return el("div", { id: name, class: "plot", "data-plot": name, role: "img", "aria-label": words });
}

const seen = new Set();
const watch = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) seen.add(target.id);
      if (isIntersecting) draw(target);
    }
  },
  { rootMargin: "800px" },
);

const drawn = new WeakMap();

function draw(place) {
  const spec = specs.get(place.dataset.plot);
  if (!spec || !seen.has(place.id)) return;
  const { traces, layout, height } = spec(place.clientWidth);
  place.style.height = `${height}px`; // not plotly's, which forgets it when the window changes
  const now = JSON.stringify([traces, layout, dark()]);
  if (drawn.get(place) === now) return;
  drawn.set(place, now);
  Plotly.react(place, traces, layout, { displayModeBar: false, responsive: true });
}

function render() {
  specs.clear();
  const looks = new Map(data.runs.flatMap((run) => run.methods.map((look) => [look.name, look])));
  const several = data.runs.length > 1;
  const title = data.runs.map((run) => run.name).join(" and ");
  const fresh = el(
    "main",
    { id: "main", tabindex: -1 },
    looks.size > 1 && data.runs[0].groups ? methodsBox(looks) : null,
    several ? comparison(looks) : null,
    el("div", { class: several ? "runs" : null }, data.runs.map((run, i) => runPart(run, i, several ? 3 : 2, looks, several))),
  );
  document.getElementById("title").textContent = title;
  const main = document.getElementById("main");
  patch(main, fresh);
  const wanted = [...main.querySelectorAll("h2[id$=-title]")];
  const nav = el(
    "nav",
    { id: "parts", "aria-label": "Parts" },
    el("ul", null, wanted.map((h) => el("li", null, el("a", { href: `#${h.parentElement.id}` }, h.textContent)))),
  );
  patch(document.getElementById("parts"), nav);
  for (const place of main.querySelectorAll("[data-plot]")) {
    watch.observe(place);
    draw(place);
  }
}

function say(words) {
  const status = document.getElementById("status");
  if (status.textContent !== words) status.textContent = words;
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  document.getElementById("theme").textContent = name === "dark" ? "Light colours" : "Dark colours";
}

/** The experiment that the page's address names, or null. */
function asked() {
  const [, name] = location.hash.match(/^#experiment=(.+)$/) || [];
  try {
    return name === undefined ? null : decodeURIComponent(name);
  } catch {
    return null; // no address of ours
  }
}

/** Show the experiment of the page's address in every run that has it. */
function visit() {
  const name = asked();
  const found = data.runs.map((run) => run.experiments.findIndex((e) => e.name === name));
  found.forEach((at, i) => at < 0 || (chosen[`run-${i}-experiment`] = String(at)));
  const first = found.findIndex((at) => at >= 0);
  if (first < 0) return;
  render();
  document.getElementById(`run-${first}-experiments`).scrollIntoView();
}

addEventListener("hashchange", visit);

document.addEventListener("change", ({ target }) => {
  if (target.dataset.key) chosen[target.dataset.key] = target.value;
  const [, run] = /^run-(\d+)-experiment$/.exec(target.dataset.key) || [];
  if (run) history.replaceState(null, "", address(data.runs[run].experiments[target.value])); // it can be sent as it stands
  if (target.dataset.method !== undefined) off[target.checked ? "delete" : "add"](target.dataset.method);
  render();
});

document.addEventListener("click", ({ target }) => {
  if (target.dataset.all === "yes") off.clear();
  if (target.dataset.all === "no") data.runs.forEach((run) => run.methods.forEach(({ name }) => off.add(name)));
  if (target.id === "theme") setTheme(dark() ? "light" : "dark");
  if (target.dataset.all || target.id === "theme") render();
});

const prefers = matchMedia("(prefers-color-scheme: dark)");
prefers.addEventListener("change", () => {
  setTheme(prefers.matches ? "dark" : "light");
  render();
});

/** In words what a live page shows, so that news is heard. */
function state() {
  const run = data.runs[0];
  if (data.problem) return `Cannot be read just now: ${data.problem}`;
  if (!run.progress) return "Live.";
  const { trials, budget } = run.progress;
  const told = trials.filter((t) => t.status !== "open").length;
  return `Live: ${trials.length} of ${budget} trials proposed, ${told} told.`;
}

async function look() {
  try {
    const answer = await fetch("data", { cache: "no-cache" });
    if (!answer.ok) throw new Error(String(answer.status));
    const news = await answer.text();
    if (news !== text) {
      text = news;
      data = JSON.parse(news);
      render();
    }
    say(state());
  } catch {
    say("The server does not answer: what stands here is the last it said.");
  }
  setTimeout(look, 2000);
}

setTheme(prefers.matches ? "dark" : "light");
document.querySelector("noscript")?.remove();
document.getElementById("main").replaceChildren();
render();
visit();
if (holder.dataset.live !== undefined) {
  say(state());
  setTimeout(look, 2000);
}
