// The report: what is said where, what its reader chose, and (served by `view`) what is new.

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

/** The value under a key if it is among these, else the first of them, else null. */
function pick(key, options, first) {
  const wanted = key in chosen ? chosen[key] : first;
  return options.includes(wanted) ? wanted : options.length ? options[0] : null;
}

function swatch(look) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const lines = { solid: "none", dash: "6 3", dashdot: "6 3 1 3", dot: "1.5 3" };
  const attributes = { width: 34, height: 12, viewBox: "0 0 34 12", "aria-hidden": "true" };
  for (const [name, value] of Object.entries(attributes)) svg.setAttribute(name, value);
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  const drawing = { d: "M0 6H34", stroke: colour(look), "stroke-width": 3, "stroke-dasharray": lines[look.dash] };
  for (const [name, value] of Object.entries(drawing)) line.setAttribute(name, value);
  svg.append(line);
  return svg;
}

function methodsBox(looks) {
  return el(
    "fieldset",
    { id: "methods" },
    el("legend", null, "Methods drawn"),
    [...looks.values()].map((look) =>
      el(
        "label",
        { class: "method" },
        el("input", { type: "checkbox", "data-method": look.name, checked: !off.has(look.name) }),
        swatch(look),
        el("span", null, look.name),
      ),
    ),
    el("button", { type: "button", "data-all": "yes" }, "All"),
    el("button", { type: "button", "data-all": "no" }, "None"),
  );
}

function section(id, title, level, ...children) {
  const landmark = level === 2 ? `${id}-title` : null; // those below would be too many, with names that are not unique
  return el("section", { id, "aria-labelledby": landmark }, el(`h${level}`, { id: `${id}-title` }, title), children);
}

function paragraphs(texts, kind) {
  return texts.map((t) => el("p", { class: kind }, t));
}

function more(summary, ...children) {
  return el("details", null, el("summary", null, summary), children);
}

function groups(run, id, level, looks) {
  return run.groups.map((group, i) =>
    section(
      `${id}-group-${i}`,
      group.title,
      level,
      el("p", { class: "soft" }, group.size),
      group.curves.length
        ? plot(
            `${id}-regret-${i}`,
            `Mean simple regret of each method against ${group.axis}, with intervals; the table below has the numbers.`,
            () => regretPlot([[group.curves, "", false]], group.axis, looks, off),
          )
        : null,
      table(group.tables[0]),
      group.tables.slice(1).map((t) => more("Other scales", table(t))),
    ),
  );
}

function turnOf(turn) {
  const said = (label, words, kind) =>
    words ? [el("dt", null, label), el("dd", null, el(kind || "p", { class: "said" }, words))] : null;
  return el(
    "li",
    { class: `turn ${turn.state}` },
    el("p", { class: "turn-title" }, `Trial ${turn.n}`),
    turn.read ? more("What it read", el("p", { class: "said read" }, turn.read)) : null,
    turn.thought || turn.trends
      ? el(
          "details",
          { open: true },
          el("summary", null, "Why"),
          turn.thought ? el("p", { class: "said" }, turn.thought) : null,
          turn.trends ? el("p", { class: "said soft" }, turn.trends) : null,
        )
      : null,
    turn.likely.length
      ? more("Thought likely to be best", el("ul", null, turn.likely.map((t) => el("li", { class: "said" }, t))))
      : null,
    el("dl", null, said("chose", turn.chose, "code"), said("expected", turn.expected), said("outcome", turn.told)),
  );
}

function conversation(experiment, method, protocol, id, level) {
  const episode = experiment.episodes.find((e) => e.method === method && e.protocol === protocol);
  const title = `Conversation: ${method}${protocol ? `, protocol ${protocol}` : ""}`;
  if (!episode) {
    const why = `${method} says nothing of why; what it chose stands in the table above.`;
    return section(`${id}-talk`, title, level, el("p", { class: "soft" }, why));
  }
  const turns = el("ol", { class: "turns" }, episode.turns.map(turnOf));
  return section(`${id}-talk`, title, level, episode.turns.length ? turns : el("p", null, "No trial yet."));
}

function experimentPart(run, id, level) {
  const names = run.experiments.map((_, i) => String(i));
  const at = pick(`${id}-experiment`, names);
  if (at === null) return null;
  const experiment = run.experiments[at];
  const axes = experiment.axes.map((_, i) => String(i));
  const across = pick(`${id}-across`, axes, "0");
  const others = axes.filter((i) => i !== across);
  const up = pick(`${id}-up`, others, across === "1" ? "0" : "1");
  const layers = experiment.layers.map((_, i) => String(i));
  const layer = pick(`${id}-layer`, layers, "0");
  const methods = [...new Set(experiment.paths.map((p) => p.method))];
  const talks = experiment.episodes.map((e) => e.method);
  const method = pick(`${id}-method`, methods, talks.at(-1));
  const protocols = [...new Set(experiment.paths.filter((p) => p.method === method).map((p) => p.protocol))];
  const protocol = pick(`${id}-protocol`, protocols);
  const path = experiment.paths.find((p) => p.method === method && p.protocol === protocol);
  const named = (list) => list.map((i) => [i, experiment.axes[i].name]);
  const list = (values) => values.map((v) => [v, v]);
  const map = layer === null ? null : experiment.layers[layer];
  const drawable = map !== null && across !== null && map.codes.length > 0;
  const rest = experiment.axes.filter((_, i) => ![across, up].includes(String(i))).map(({ name }) => name);
  const over = rest.length > 3 ? `, over all of the other ${rest.length} axes` : rest.length ? `, over all of ${rest.join(", ")}` : "";
  const cut = map && map.codes.length < map.cells ? ` Of ${map.cells} distinct ones the best ${map.codes.length}.` : "";
  return section(
    `${id}-experiments`,
    "Landscape and conversation",
    level,
    el(
      "div",
      { class: "controls" },
      choice("Experiment", `${id}-experiment`, run.experiments.map((e, i) => [i, e.name]), at),
      layers.length > 1 ? choice("Map of", `${id}-layer`, layers.map((i) => [i, experiment.layers[i].label]), layer) : null,
      axes.length ? choice("Across", `${id}-across`, named(axes), across) : null,
      others.length ? choice("Up", `${id}-up`, named(others), up) : null,
      methods.length ? choice("Path of", `${id}-method`, list(methods), method) : null,
      protocols.length > 1 ? choice("Protocol", `${id}-protocol`, list(protocols), protocol) : null,
    ),
    paragraphs(experiment.facts),
    drawable
      ? [
          plot(
            `${id}-map`,
            `Map of the best ${experiment.metric} over ${experiment.axes[across].name}` +
              `${up === null ? "" : ` and ${experiment.axes[up].name}`}, with the path of ${method}; the table below lists it.`,
            (width) => landscapePlot(experiment, map, Number(across), up === null ? -1 : Number(up), path, width),
          ),
          el(
            "p",
            { class: "soft" },
            `Each cell shows the best ${experiment.metric} measured in it${over}: ${map.label}, ${map.runs} in all; brighter ` +
              `is better, blank was not measured.${cut} Discs are the trials of seed ${experiment.seed}, numbered in order` +
              `${experiment.optimum ? `; the star is the best ${run.progress ? "trial" : "of all"}` : ""}.`,
          ),
        ]
      : el("p", { class: "soft" }, "There is nothing to draw a landscape from yet."),
    path && run.kind === "benchmark"
      ? table({
          title: `Path of ${method}${protocol ? `, protocol ${protocol}` : ""}, seed ${experiment.seed}`,
          headers: ["trial", "configuration", experiment.metric || "value", "state"],
          rows: path.trials.map((t) => [String(t.n), t.text, t.value === null ? "-" : String(t.value), t.state]),
        })
      : null,
    experiment.tables.map((t) => table(t)),
    method === null ? null : conversation(experiment, method, protocol, id, level + 1),
  );
}

function runPart(run, i, level, looks, several) {
  const id = `run-${i}`;
  const parts = [
    run.standings && run.standings.length
      ? section(
          `${id}-standing`,
          "Standing",
          level,
          run.standings.map((s) => [table(s.tables[0]), el("p", { class: "soft" }, s.size)]),
        )
      : null,
    run.groups ? groups(run, id, level, looks) : null,
    run.progress
      ? section(
          `${id}-progress`,
          "Progress",
          level,
          run.progress.trials.length
            ? plot(
                `${id}-progress-plot`,
                `${run.progress.metric} of each trial, what was expected of it, and the best so far; a table below lists them.`,
                () => progressPlot([run]),
              )
            : el("p", null, "No trial yet."),
        )
      : null,
    experimentPart(run, id, level),
    section(`${id}-costs`, "Costs", level, table(run.costs)),
    run.notes.length ? section(`${id}-notes`, "How to read it", level, paragraphs(run.notes)) : null,
    run.settings
      ? more("Resolved settings", el("pre", { tabindex: 0, role: "group", "aria-label": "Resolved settings" }, run.settings))
      : null,
  ];
  return several
    ? section(id, run.name, level - 1, paragraphs(run.facts, "soft"), parts)
    : el("div", { id }, paragraphs(run.facts, "soft"), parts);
}

function comparison(looks) {
  const [a, b] = data.runs;
  const shared = a.groups ? a.groups.filter((g) => b.groups.some((h) => h.title === g.title)) : [];
  const plots = shared.map((g, i) => {
    const other = b.groups.find((h) => h.title === g.title);
    const parts = [
      [g.curves, a.name, false],
      [other.curves, b.name, true],
    ];
    const words = `Regret of both runs on ${g.title}; the tables have the numbers.`;
    return el("div", null, el("h3", null, g.title), plot(`both-${i}`, words, () => regretPlot(parts, g.axis, looks, off)));
  });
  const note = `Thick lines and full markers: ${a.name}; thin lines and open markers: ${b.name}.`;
  const same = a.progress && b.progress && a.progress.metric === b.progress.metric;
  return section(
    "comparison",
    "Comparison",
    2,
    data.comparison.text ? el("p", null, data.comparison.text) : null,
    data.comparison.tables.map((t) => table(t)),
    shared.length ? el("p", { class: "soft" }, note) : null,
    plots,
    same
      ? plot("both-progress", "Trials of both studies; the tables have the numbers.", () => progressPlot(data.runs))
      : null,
  );
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

document.addEventListener("change", ({ target }) => {
  if (target.dataset.key) chosen[target.dataset.key] = target.value;
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
if (holder.dataset.live !== undefined) {
  say(state());
  setTimeout(look, 2000);
}
