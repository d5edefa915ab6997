// The parts of the report as elements, from the data and what its reader chose.

/** The value under a key if it is among these, else the first of them, else null. */
function pick(key, options, first) {
  const wanted = key in chosen ? chosen[key] : first;
  return options.includes(wanted) ? wanted : options.length ? options[0] : null;
}

const SHAPES = { // plotly's markers, about the middle of a swatch
  circle: "M17 6m-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0Z",
  square: "M12.5 1.5h9v9h-9Z",
  diamond: "M17 0l6 6l-6 6l-6 -6Z",
  "triangle-up": "M17 .5l5.5 9.5h-11Z",
  "triangle-down": "M17 11.5l5.5 -9.5h-11Z",
  "triangle-left": "M11 6l9.5 -5.5v11Z",
  cross: "M15 .5h4v3.5h3.5v4h-3.5v3.5h-4v-3.5h-3.5v-4h3.5Z",
  x: "M13.5 0l3.5 3.5l3.5 -3.5l2.5 2.5l-3.5 3.5l3.5 3.5l-2.5 2.5l-3.5 -3.5l-3.5 3.5l-2.5 -2.5l3.5 -3.5l-3.5 -3.5Z",
  star: "M17 0l1.5 4.4h4.6l-3.7 2.8l1.4 4.4l-3.8 -2.7l-3.8 2.7l1.4 -4.4l-3.7 -2.8h4.6Z",
};

/** A method's line and marker, as in the plots. */
function swatch(look) {
  const dashes = { solid: "none", dash: "6 3", dashdot: "6 3 1 3", dot: "1.5 3" };
  const tone = colour(look);
  const drawn = (tag, attributes, ...children) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };
  return drawn(
    "svg",
    { width: 34, height: 12, viewBox: "0 0 34 12", "aria-hidden": "true" },
    drawn("path", { d: "M0 6H34", stroke: tone, "stroke-width": 2, "stroke-dasharray": dashes[look.dash] }),
    drawn("path", { d: SHAPES[look.symbol], fill: tone }),
  );
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

function standing({ tables, size, ranks, critical }, name, looks) {
  const title = tables[0].title;
  const words = `${title}: average rank of each method, and what cannot be told apart from the best; the table has the ranks.`;
  const drawn = critical === null ? null : plot(name, words, (width) => rankPlot(ranks, critical, looks, off, width));
  const how =
    "Each bar reaches half of the critical difference to either side of a method's average rank: two methods differ where " +
    "their bars do not overlap. Those that reach into the shaded part cannot be told apart from the best.";
  return [table(tables[0]), el("p", { class: "soft" }, size), drawn, drawn ? el("p", { class: "soft" }, how) : null];
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

/** What came of one experiment under one protocol: regret by trial, and what was chosen first. */
function resultPart(result, id, looks) {
  return [
    el("p", { class: "soft" }, result.size),
    result.curves.length
      ? plot(
          `${id}-one-regret`,
          `Mean simple regret of each method on this experiment against ${result.axis}, with intervals; the table below has the numbers.`,
          () => regretPlot([[result.curves, "", false]], result.axis, looks, off),
        )
      : null,
    result.tables.map((t) => table(t)),
  ];
}

/** Where an experiment is found: a link that opens it. */
function address(experiment) {
  return `#experiment=${encodeURIComponent(experiment.name)}`;
}

function experimentPart(run, id, level, looks) {
  const names = run.experiments.map((_, i) => String(i));
  const at = pick(`${id}-experiment`, names);
  if (at === null) return null;
  const experiment = run.experiments[at];
  const results = experiment.results || []; // a study has none
  const protocols = results.length ? results.map((r) => r.protocol) : [""];
  const protocol = pick(`${id}-protocol`, protocols);
  const result = results.find((r) => r.protocol === protocol);
  const axes = experiment.axes.map((_, i) => String(i));
  const across = pick(`${id}-across`, axes, "0");
  const others = axes.filter((i) => i !== across);
  const up = pick(`${id}-up`, others, across === "1" ? "0" : "1");
  const layers = experiment.layers.map((_, i) => String(i));
  const layer = pick(`${id}-layer`, layers, "0");
  const paths = experiment.paths.filter((p) => p.protocol === protocol);
  const methods = paths.map((p) => p.method);
  const talks = experiment.episodes.filter((e) => e.protocol === protocol).map((e) => e.method);
  const method = pick(`${id}-method`, methods, methods.findLast((m) => talks.includes(m)));
  const path = paths.find((p) => p.method === method);
  const named = (list) => list.map((i) => [i, experiment.axes[i].name]);
  const list = (values) => values.map((v) => [v, v]);
  const map = layer === null ? null : experiment.layers[layer];
  const drawable = map !== null && across !== null && map.codes.length > 0;
  const rest = experiment.axes.filter((_, i) => ![across, up].includes(String(i))).map(({ name }) => name);
  const over = rest.length > 3 ? `, over all of the other ${rest.length} axes` : rest.length ? `, over all of ${rest.join(", ")}` : "";
  const cut = map && map.codes.length < map.cells ? ` Of ${map.cells} distinct ones the best ${map.codes.length}.` : "";
  const benchmark = run.kind === "benchmark";
  return section(
    `${id}-experiments`,
    benchmark ? "One experiment" : "Landscape and conversation",
    level,
    el(
      "div",
      { class: "controls" },
      choice("Experiment", `${id}-experiment`, run.experiments.map((e, i) => [i, e.name]), at),
      protocols.length > 1 ? choice("Protocol", `${id}-protocol`, list(protocols), protocol) : null,
      el("a", { href: address(experiment) }, "Link to this experiment"),
    ),
    paragraphs(experiment.facts),
    result ? section(`${id}-one`, "Regret", level + 1, resultPart(result, id, looks)) : null,
    benchmark ? el(`h${level + 1}`, null, "Landscape") : null,
    el(
      "div",
      { class: "controls" },
      layers.length > 1 ? choice("Map of", `${id}-layer`, layers.map((i) => [i, experiment.layers[i].label]), layer) : null,
      axes.length ? choice("Across", `${id}-across`, named(axes), across) : null,
      others.length ? choice("Up", `${id}-up`, named(others), up) : null,
      methods.length ? choice("Path of", `${id}-method`, list(methods), method) : null,
    ),
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
              `is better, blank was not measured.${cut} Discs are the trials${run.progress ? "" : ` of seed ${experiment.seed}`}, numbered in order` +
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
          run.standings.map((s, i) => standing(s, `${id}-ranks-${i}`, looks)),
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
    experimentPart(run, id, level, looks),
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
