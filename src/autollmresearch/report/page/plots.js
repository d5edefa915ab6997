// Plots of regret and progress, in plotly's words. Colours and lines of methods come with the data.

const FLOOR = 1e-4; // regrets below are drawn at it: a logarithmic axis has no zero

/** Text for plotly, which reads some tags and entities in what it is given. */
function plain(text) {
  return String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function dark() {
  return document.documentElement.dataset.theme === "dark";
}

function colour(look) {
  return dark() ? look.dark : look.light;
}

function faded(hex, alpha) {
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  return `rgba(${r},${g},${b},${alpha})`;
}

/** What all plots share: no ground of their own, text and lines in the page's colours. */
function layout(changes) {
  const css = getComputedStyle(document.documentElement);
  const [text, line] = ["--text", "--line"].map((name) => css.getPropertyValue(name).trim());
  const axis = { gridcolor: line, linecolor: line, zerolinecolor: line, automargin: true, title: { standoff: 8 } };
  const { xaxis, yaxis, ...rest } = changes;
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: text, family: "system-ui, sans-serif", size: 13 },
    margin: { l: 8, r: 8, t: 12, b: 8 },
    hovermode: "closest",
    showlegend: false,
    xaxis: { ...axis, ...xaxis },
    yaxis: { ...axis, ...yaxis },
    ...rest,
  };
}

/** Regret with intervals: `parts` are [curves, name of the run, whether it is the second]. */
function regretPlot(parts, axis, looks, off) {
  const traces = [];
  for (const [curves, run, second] of parts) {
    for (const curve of curves.filter(({ method }) => !off.has(method))) {
      const look = looks.get(curve.method);
      const tone = colour(look);
      const x = curve.regret.map((_, i) => i + 1);
      const above = (values) => values.map((v) => Math.max(v, FLOOR));
      const edge = { x, mode: "lines", line: { width: 0, color: tone }, hoverinfo: "skip" };
      traces.push({ ...edge, y: above(curve.low) });
      traces.push({ ...edge, y: above(curve.high), fill: "tonexty", fillcolor: faded(tone, second ? 0.05 : 0.1) });
      const name = plain(run ? `${curve.method}, ${run}` : curve.method);
      traces.push({
        x,
        y: above(curve.regret),
        mode: "lines+markers",
        line: { color: tone, dash: look.dash, width: second ? 1.2 : 2 },
        marker: { color: tone, symbol: look.symbol + (second ? "-open" : ""), size: 7 },
        text: curve.regret.map((v, i) => `${name}<br>${v} [${curve.low[i]}, ${curve.high[i]}]`),
        hovertemplate: "%{text}<extra></extra>",
      });
    }
  }
  return {
    traces,
    height: 420,
    layout: layout({
      xaxis: { title: { text: plain(axis) }, dtick: 1, range: null },
      yaxis: { title: { text: "mean simple regret (log)" }, type: "log", dtick: "D2", exponentformat: "power" },
    }),
  };
}

/** Average ranks, the best at the top, each with half of the critical difference to either side. */
function rankPlot(ranks, critical, looks, off, width) {
  const shown = ranks.filter(({ method }) => !off.has(method));
  const narrow = width < 520;
  const most = narrow ? 14 : 40;
  const cut = (name) => (name.length > most ? `…${name.slice(1 - most)}` : name); // paths differ at their ends
  const trace = (place) => {
    const { method, rank } = shown[place];
    const look = looks.get(method);
    const tone = colour(look);
    return {
      x: [rank],
      y: [place],
      error_x: { type: "constant", value: critical / 2, color: tone, thickness: 3, width: 0 },
      mode: "markers",
      marker: { color: tone, symbol: look.symbol, size: 11 },
      text: [`${plain(method)}<br>average rank ${rank.toFixed(2)}`],
      hovertemplate: "%{text}<extra></extra>",
    };
  };
  const best = Math.min(...ranks.map(({ rank }) => rank));
  const band = { x0: best - critical / 2, x1: best + critical / 2, y0: 0, y1: 1, yref: "paper", line: { width: 0 } };
  return {
    traces: shown.map((_, place) => trace(place)),
    height: 90 + 24 * shown.length,
    layout: layout({
      shapes: [{ type: "rect", layer: "below", fillcolor: dark() ? "#30363d" : "#e3e7ec", ...band }],
      xaxis: { title: { text: narrow ? "average rank" : "average rank; 1 is best" }, zeroline: false },
      yaxis: {
        tickvals: shown.map((_, place) => place),
        ticktext: shown.map(({ method }) => plain(cut(method))),
        range: [shown.length - 0.5, -0.5],
        showgrid: false,
        zeroline: false,
      },
    }),
  };
}

/** A study's trials: values, what was expected of them, and the best so far. `runs` may be one or two studies. */
function progressPlot(runs) {
  const traces = [];
  const notes = []; // trials without a value
  runs.forEach((run, second) => {
    const { trials, direction, method } = run.progress;
    const tone = second ? (dark() ? "#E69F00" : "#D55E00") : dark() ? "#56B4E9" : "#0072B2";
    const better = direction === "minimize" ? Math.min : Math.max;
    const known = trials.filter((t) => t.value !== null);
    const label = (what) => plain(runs.length > 1 ? `${run.name}: ${what}` : what);
    let best = null;
    const sofar = trials.map((t) => (best = t.value === null ? best : best === null ? t.value : better(best, t.value)));
    const wished = trials.filter((t) => t.expected !== null);
    traces.push({
      name: label("best so far"),
      x: trials.map((t) => t.n),
      y: sofar,
      mode: "lines",
      line: { color: tone, shape: "hv", width: 2, dash: second ? "dash" : "solid" },
      hoverinfo: "skip",
    });
    traces.push({
      name: label("expected ± sd"),
      x: wished.map((t) => t.n - 0.08),
      y: wished.map((t) => t.expected),
      error_y: { type: "data", array: wished.map((t) => t.sd || 0), color: faded(tone, 0.6), thickness: 1.2 },
      mode: "markers",
      marker: { symbol: "diamond-open", size: 10, color: tone },
      hovertemplate: "trial %{customdata[0]}: %{customdata[1]} expected %{y:.5g}<extra></extra>",
      customdata: wished.map((t) => [t.n, plain(method)]),
    });
    traces.push({
      name: label("measured"),
      x: known.map((t) => t.n),
      y: known.map((t) => t.value),
      mode: "markers",
      marker: { symbol: second ? "square" : "circle", size: 9, color: tone },
      hovertemplate: "trial %{x}: %{y:.5g}<extra></extra>",
    });
    for (const { n, status } of trials.filter((t) => t.value === null)) {
      notes.push({ x: n, y: 0, yref: "paper", yanchor: "bottom", text: label(status), showarrow: false, textangle: -90 });
    }
  });
  const title = [...new Set(runs.map((run) => run.progress.metric))].join(", ");
  const last = Math.max(0, ...runs.flatMap((run) => run.progress.trials.map((t) => t.n)));
  return {
    traces,
    height: 420,
    layout: layout({
      showlegend: true,
      annotations: notes,
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
      xaxis: { title: { text: "trial" }, dtick: 1, range: [-0.4, last + 0.4] }, // one trial alone is not between -1 and 1
      yaxis: { title: { text: plain(title) } },
    }),
  };
}
